//! The clocks. Nothing below this crate reads one.
#![allow(clippy::disallowed_methods)] // this is the one place that may

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forewarn_proto::time::{Instant, Utc};

/// Where the count begins: late enough that "a minute before the first instant" is still an instant.
const HEAD_START: Duration = Duration::from_secs(24 * 60 * 60);

static START: OnceLock<std::time::Instant> = OnceLock::new();

/// The monotonic clock. Never goes back; starts one day after [`Instant::ZERO`].
pub fn now() -> Instant {
    Instant::ZERO + HEAD_START + START.get_or_init(std::time::Instant::now).elapsed()
}

/// The calendar, to the millisecond. Goes back when an operator sets it back.
pub fn utc() -> Utc {
    Utc::from_millis(u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX))
}

/// The calendar in nanoseconds since 1970: what the kernel stamps datagrams with.
pub fn utc_nanos() -> u64 {
    u64::try_from(since_1970().as_nanos()).unwrap_or(u64::MAX)
}

/// `instant` on the calendar, in microseconds since 1970: what status shows. As the calendar stands now: it
/// may be set.
pub fn micros_since_1970(instant: Instant) -> u64 {
    let (monotonic, calendar) = (now(), utc_nanos());
    let nanos = if instant > monotonic {
        calendar.saturating_add(instant.as_nanos() - monotonic.as_nanos())
    } else {
        calendar.saturating_sub(monotonic.as_nanos() - instant.as_nanos())
    };
    nanos / 1000
}

/// `instant` as the runtime's timers want it.
pub fn deadline(instant: Instant) -> tokio::time::Instant {
    let away = instant.since(now()).min(Duration::from_secs(365 * 24 * 60 * 60));
    tokio::time::Instant::now() + away
}

/// Sleeps until `instant`; at once when it has passed.
pub async fn sleep_until(instant: Instant) {
    tokio::time::sleep_until(deadline(instant)).await;
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_back_and_has_a_past() {
        let first = now();
        assert!(now() >= first);
        assert!(first.before(Duration::from_secs(3600)) > Instant::ZERO);
    }

    #[test]
    fn both_resolutions_of_the_calendar_agree() {
        let millis = utc().as_millis();
        assert!((utc_nanos() / 1_000_000).abs_diff(millis) < 1000);
    }
}
