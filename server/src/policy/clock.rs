//! `time.*`: what the clock says, here and in UTC.

use forewarn_proto::time::Utc;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The names of the days, Monday first: as `time.weekday` is compared with them.
pub(super) const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A point in time, as calendars and clocks show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) year: i16,
    pub(super) month: i8,
    pub(super) day: i8,
    pub(super) hour: i8,
    pub(super) minute: i8,
    /// Monday is 1.
    pub(super) weekday: i8,
}

/// One point in time: by the server's time zone and by UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Seconds since 1970.
    pub(super) now: i64,
    pub(super) local: Moment,
    pub(super) utc: Moment,
}

/// The time zone of this machine (`TZ`, else `/etc/localtime`, else UTC), as it was when it was asked for.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// This machine's.
    pub fn system() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    #[cfg(test)]
    pub(super) fn fixed(hours: i8) -> Self {
        Self(TimeZone::fixed(jiff::tz::offset(hours)))
    }

    /// What the clocks show at `now`.
    pub fn times(&self, now: Utc) -> Times {
        let seconds = i64::try_from(now.as_millis() / 1000).unwrap_or(i64::MAX);
        // Until the year 9999.
        let stamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
        Times { now: seconds, local: moment(&self.0, stamp), utc: moment(&TimeZone::UTC, stamp) }
    }
}

fn moment(zone: &TimeZone, stamp: Timestamp) -> Moment {
    let shown = zone.to_datetime(stamp);
    Moment {
        year: shown.year(),
        month: shown.month(),
        day: shown.day(),
        hour: shown.hour(),
        minute: shown.minute(),
        weekday: shown.weekday().to_monday_one_offset(),
    }
}
