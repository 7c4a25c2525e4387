//! Event-Timestamp of CoA and Disconnect: what is too old, or from the future, may be a replay (RFC 5176 section 6.3).

use std::time::Duration;

use forewarn_wire::{Packet, number};

use crate::time::Utc;

/// How far an Event-Timestamp may be from the receiver's clock. Duplicates are remembered as long.
pub const EVENT_WINDOW: Duration = Duration::from_secs(300);

/// When the packet says that it was made; `None`: it doesn't say.
pub fn event_timestamp(packet: &Packet<'_>) -> Option<Utc> {
    let attribute = packet.attributes().find(|attribute| attribute.number == number::EVENT_TIMESTAMP)?;
    Some(Utc::from_millis(u64::from(attribute.integer()?) * 1000))
}

/// Whether `said` is near enough to our clock.
pub fn is_current(said: Utc, now: Utc) -> bool {
    said.distance(now) <= EVENT_WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_in_either_direction_are_current() {
        let now = Utc::from_millis(1_000_000_000);
        for (away, current) in [(0, true), (300_000, true), (301_000, false)] {
            assert_eq!(is_current(Utc::from_millis(now.as_millis() - away), now), current, "{away} ms ago");
            assert_eq!(is_current(Utc::from_millis(now.as_millis() + away), now), current, "in {away} ms");
        }
    }
}
