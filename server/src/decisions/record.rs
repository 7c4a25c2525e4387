//! One decision: as the core sees it, as words in the ring, and as a line.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use forewarn_shell::log::{Format, Line};

use crate::process::outcome::Cause;

/// What was decided about one request, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'a> {
    /// What became of it.
    pub cause: Cause,
    /// When it was decided.
    pub at: Instant,
    /// Since the kernel had received it, nanoseconds.
    pub latency_ns: u64,
    /// Who sent it.
    pub source: SocketAddr,
    /// The client's name.
    pub client: &'a str,
    /// User-Name; empty: none.
    pub user: &'a [u8],
    /// Calling-Station-Id; empty: none.
    pub calling_station: &'a [u8],
    /// How the user was to be proven, or what an accounting record says; empty: it didn't come to that.
    pub method: &'a str,
    /// The name of what decided: a policy, a check item; empty: the cause says it all.
    pub decided_by: &'a str,
}

/// Words in front of the texts.
const HEADER: usize = 6;
/// Texts of a record.
const TEXTS: usize = 5;
/// Octets of a text; longer ones, which only names in a configuration can be, are cut.
const TEXT_MAX: usize = 255;
/// Words of the longest record.
pub(super) const WORDS: usize = HEADER + TEXTS * TEXT_MAX.div_ceil(8);

impl Decision<'_> {
    /// Writes it into `words`, and gives how many it takes.
    pub(super) fn encode(&self, words: &mut [u64; WORDS]) -> usize {
        let address = match self.source.ip() {
            IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
            IpAddr::V6(address) => u128::from(address),
        };
        let texts = [
            self.client.as_bytes(),
            self.user,
            self.calling_station,
            self.method.as_bytes(),
            self.decided_by.as_bytes(),
        ];
        let mut lengths = 0;
        let mut end = HEADER;
        for (number, text) in texts.into_iter().enumerate() {
            let text = &text[..text.len().min(TEXT_MAX)];
            lengths |= (text.len() as u64) << (8 * number);
            for chunk in text.chunks(8) {
                let mut octets = [0; 8];
                octets[..chunk.len()].copy_from_slice(chunk);
                words[end] = u64::from_le_bytes(octets);
                end += 1;
            }
        }
        words[0] = self.cause as u64 | u64::from(self.source.port()) << 16;
        words[1] = self.at.as_nanos();
        words[2] = self.latency_ns;
        words[3] = (address >> 64) as u64;
        words[4] = address as u64;
        words[5] = lengths;
        end
    }
}

/// A record as it came out of the ring.
#[derive(Debug)]
pub(super) struct Decoded {
    cause: Cause,
    at: Instant,
    latency_ns: u64,
    source: SocketAddr,
    texts: [Vec<u8>; TEXTS],
}

impl Decoded {
    /// `None`: no record that [`Decision::encode`] wrote.
    pub(super) fn of(words: &[u64]) -> Option<Decoded> {
        let (header, mut rest) = words.split_at_checked(HEADER)?;
        let cause = *Cause::ALL.get(header[0] as usize & 0xffff)?;
        let address = Ipv6Addr::from(u128::from(header[3]) << 64 | u128::from(header[4]));
        let source = SocketAddr::new(address.to_canonical(), (header[0] >> 16) as u16);
        let mut texts: [Vec<u8>; TEXTS] = Default::default();
        for (number, text) in texts.iter_mut().enumerate() {
            let length = (header[5] >> (8 * number)) as usize & 0xff;
            let (words, further) = rest.split_at_checked(length.div_ceil(8))?;
            text.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            text.truncate(length);
            rest = further;
        }
        Some(Decoded { cause, at: Instant::from_nanos(header[1]), latency_ns: header[2], source, texts })
    }

    /// One line, with its end.
    pub(super) fn line(&self, format: Format) -> String {
        let [client, user, calling_station, method, decided_by] = &self.texts;
        let mut line = Line::new(format, clock::micros_since_1970(self.at), "INFO", &"decision");
        line.text("answer", self.cause.answer().name());
        line.text("cause", self.cause.name());
        line.octets("client", client);
        line.shown("source", &self.source);
        for (name, value) in [("user", user), ("calling_station", calling_station), ("method", method)] {
            if !value.is_empty() {
                line.octets(name, value);
            }
        }
        if !decided_by.is_empty() {
            line.octets("decided_by", decided_by);
        }
        line.plain("latency_ms", &format_args!("{:.3}", self.latency_ns as f64 / 1e6));
        if !self.cause.hint().is_empty() {
            line.text("hint", self.cause.hint());
        }
        line.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(decision: &Decision<'_>, format: Format) -> String {
        let mut words = [0; WORDS];
        let length = decision.encode(&mut words);
        Decoded::of(&words[..length]).unwrap().line(format)
    }

    fn decision() -> Decision<'static> {
        Decision {
            cause: Cause::WrongPassword,
            at: clock::now(),
            latency_ns: 1_234_567,
            source: "192.0.2.7:40000".parse().unwrap(),
            client: "ap-17",
            user: b"alice",
            calling_station: b"02-00-00-00-00-01",
            method: "pap",
            decided_by: "",
        }
    }

    #[test]
    fn a_record_says_who_what_and_why() {
        let line = through(&decision(), Format::Text);
        let (_, rest) = line.split_once("Z  INFO ").unwrap();
        assert!(
            rest.starts_with(
                "decision answer=\"access-reject\" cause=\"wrong-password\" client=\"ap-17\" \
                 source=192.0.2.7:40000 user=\"alice\" calling_station=\"02-00-00-00-00-01\" method=\"pap\" \
                 latency_ms=1.235 hint=\""
            ),
            "{line}"
        );
    }

    #[test]
    fn hostile_octets_stay_in_their_quotes() {
        let user: Vec<u8> = (0..=252).rev().collect();
        let by = "x".repeat(300);
        let six = "[2001:db8::1]:1".parse().unwrap();
        let hostile = Decision {
            user: &user,
            calling_station: b"\n\x1b[2J\"}",
            decided_by: &by,
            source: six,
            ..decision()
        };
        for format in [Format::Text, Format::Json] {
            let line = through(&hostile, format);
            assert!(line.trim_end_matches('\n').bytes().all(|octet| octet >= b' '), "{line}");
            assert!(line.contains("[2001:db8::1]:1") && line.contains(&"x".repeat(255)), "{line}");
        }
        let value: serde_json::Value = serde_json::from_str(&through(&hostile, Format::Json)).unwrap();
        assert_eq!(value["calling_station"], "\n\u{1b}[2J\"}");
        assert_eq!(value["cause"], "wrong-password");
        assert_eq!(value["latency_ms"], 1.235);
    }

    #[test]
    fn what_is_no_record_is_none() {
        assert!(Decoded::of(&[]).is_none());
        assert!(Decoded::of(&[0xffff, 0, 0, 0, 0, 0]).is_none());
        assert!(Decoded::of(&[0, 0, 0, 0, 0, 9]).is_none());
    }
}
