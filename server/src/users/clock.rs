//! The time of day where the server stands: Login-Time and dates without a zone mean that.

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::TimeZone;

static ZONE: OnceLock<TimeZone> = OnceLock::new();

/// Seconds east of Greenwich at this time, seconds since 1970.
pub(super) fn offset(utc: u64) -> i64 {
    let zone = ZONE.get_or_init(|| TimeZone::try_system().unwrap_or(TimeZone::UTC));
    let stamp = Timestamp::from_second(i64::try_from(utc).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX);
    i64::from(zone.to_offset(stamp).seconds())
}

/// By the local clock, seconds since 1970.
pub(super) fn local(utc: u64) -> i64 {
    i64::try_from(utc).unwrap_or(i64::MAX).saturating_add(offset(utc))
}
