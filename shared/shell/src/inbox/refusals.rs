//! Notices that aren't believed: each is counted elsewhere; here they are mentioned, and seldom.

use std::net::IpAddr;
use std::time::Duration;

use forewarn_proto::notice::Transport;
use forewarn_proto::notice::verify::Refusal;
use forewarn_proto::time::Instant;

/// They are mentioned once in this time, with how many there were.
const EVERY: Duration = Duration::from_secs(10);

/// How many weren't mentioned yet, and when the last mention was.
#[derive(Debug, Default)]
pub struct Refusals {
    since: u64,
    mentioned: Option<Instant>,
}

impl Refusals {
    /// A notice that came from there was refused. What to tell the operator, if it is time to.
    pub fn mention(
        &mut self,
        now: Instant,
        from: IpAddr,
        via: Transport,
        refusal: &Refusal,
    ) -> Option<String> {
        self.since += 1;
        if self.mentioned.is_some_and(|before| now.since(before) < EVERY) {
            return None;
        }
        let (via, advice, since) = (via.name(), advice(refusal), std::mem::take(&mut self.since));
        self.mentioned = Some(now);
        Some(format!(
            "a notice from {from} by {via} was refused: {refusal}; {advice} ({since} refused since this was last \
             mentioned)"
        ))
    }
}

fn advice(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Stale { .. } => "compare the clocks of this machine and the server's; it is asked for proof",
        Refusal::BadMac(_) | Refusal::UnknownKey { .. } => {
            "compare notice_key and its mac at both ends, or somebody is forging"
        }
        Refusal::Replay { .. } => "the server is asked for proof; if it goes on, somebody is replaying",
        Refusal::UnknownSender => {
            "its identity is none of the configured servers, or it is for somebody else"
        }
        Refusal::Malformed(_) | Refusal::WrongKind { .. } => "it moved nothing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_mentioned_seldom_and_counted_meanwhile() {
        let mut refusals = Refusals::default();
        let from = IpAddr::from([192, 0, 2, 1]);
        let mut mention = |seconds: u64| {
            refusals.mention(
                Instant::from_millis(seconds * 1000),
                from,
                Transport::Udp,
                &Refusal::UnknownSender,
            )
        };
        assert!(mention(1).is_some_and(|text| text.contains("(1 refused")));
        assert_eq!((mention(2), mention(10)), (None, None));
        let text = mention(11).expect("it is time");
        assert!(text.contains("192.0.2.1 by udp") && text.contains("(3 refused"), "{text}");
    }
}
