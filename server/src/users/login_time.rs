//! Login-Time: the minutes of a week in which a user may log in, as UUCP wrote them (`Wk0900-1800,Sa,Su`).

use std::fmt;

/// Minutes of a day.
const DAY: usize = 24 * 60;
/// Minutes of a week, which begins with Sunday's first.
const WEEK: usize = 7 * DAY;
/// Less than this left, seconds: not let in (`minimum_timeout` of FreeRADIUS's `logintime`).
const LEAST: u32 = 60;

/// A set of minutes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct LoginTime(Box<[u64]>);

/// How long a user may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// Not let in now.
    Outside,
    /// So many seconds, counted from the beginning of this minute.
    Seconds(u32),
    /// Any time.
    Unlimited,
}

impl LoginTime {
    /// Reads spans separated by commas or bars. What can't be understood allows nothing, as in FreeRADIUS; `None` when
    /// that is so of the whole.
    pub(super) fn read(text: &str) -> Option<LoginTime> {
        let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let mut time = LoginTime(vec![0; WEEK.div_ceil(64)].into());
        let mut any = false;
        for span in text.to_ascii_lowercase().split([',', '|']) {
            any |= time.add(span).is_some();
        }
        any.then_some(time)
    }

    /// `mo-fr0900-1700`: days, then at most one span of hours.
    fn add(&mut self, span: &str) -> Option<()> {
        let digits = span.find(|character: char| character.is_ascii_digit()).unwrap_or(span.len());
        let (days, hours) = span.split_at(digits);
        let days = days_of(days)?;
        let (from, to) = if hours.is_empty() { (0, DAY - 1) } else { hours_of(hours)? };
        for day in (0..7).filter(|day| days & 1 << day != 0) {
            // A span over midnight is two spans of the same day.
            let (early, late) = if from <= to { (from..to + 1, 0..0) } else { (0..to + 1, from..DAY) };
            for minute in early.chain(late) {
                let minute = day * DAY + minute;
                self.0[minute / 64] |= 1 << (minute % 64);
            }
        }
        Some(())
    }

    fn holds(&self, minute: usize) -> bool {
        self.0[minute / 64] & 1 << (minute % 64) != 0
    }

    /// At this time, seconds since 1970 by the local clock.
    pub(super) fn stay(&self, local: i64) -> Stay {
        let now = minute_of_week(local);
        match (0..WEEK).position(|later| !self.holds((now + later) % WEEK)) {
            None => Stay::Unlimited,
            Some(minutes) => match minutes as u32 * 60 {
                seconds if seconds < LEAST => Stay::Outside,
                seconds => Stay::Seconds(seconds),
            },
        }
    }
}

impl fmt::Debug for LoginTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        write!(f, "LoginTime({minutes} minutes a week)")
    }
}

/// 1970 began with a Thursday.
fn minute_of_week(local: i64) -> usize {
    ((local.div_euclid(60) + 4 * DAY as i64).rem_euclid(WEEK as i64)) as usize
}

/// One bit a day, from Sunday: `mo`, `mofr`, `mo-fr`, `wk`, `al`, `any`.
fn days_of(text: &str) -> Option<u8> {
    const DAYS: [&str; 7] = ["su", "mo", "tu", "we", "th", "fr", "sa"];
    let (mut days, mut rest, mut last, mut ranges) = (0u8, text, None, false);
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('-') {
            (rest, ranges) = (behind, true);
            continue;
        }
        let whole = [("any", 0x7f), ("al", 0x7f), ("wk", 0x3e)];
        if let Some((name, bits)) = whole.iter().find(|(name, _)| rest.starts_with(name)) {
            (rest, last, ranges) = (&rest[name.len()..], None, false);
            days |= bits;
            continue;
        }
        let day = DAYS.iter().position(|day| rest.starts_with(day))?;
        rest = &rest[2..];
        match last.filter(|_| ranges) {
            Some(first) => {
                let length = (day + 7 - first) % 7;
                days = (0..=length).fold(days, |days, step| days | 1u8 << ((first + step) % 7));
            }
            None => days |= 1u8 << day,
        }
        (last, ranges) = (Some(day), false);
    }
    (days != 0).then_some(days)
}

/// `0900-1700`: minutes of the day, both included.
fn hours_of(text: &str) -> Option<(usize, usize)> {
    let (from, to) = text.split_once('-')?;
    Some((minute_of_day(from)?, minute_of_day(to)?))
}

/// `0930`; `2400` is the last minute.
fn minute_of_day(text: &str) -> Option<usize> {
    let right = text.len() == 4 && text.bytes().all(|octet| octet.is_ascii_digit());
    let number: usize = right.then(|| text.parse().ok()).flatten()?;
    let (hour, minute) = (number / 100, number % 100);
    match (hour, minute) {
        (24, 0) => Some(DAY - 1),
        (0..=23, 0..=59) => Some(hour * 60 + minute),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Saturday, 2026-11-21 11:59:10.
    const NOW: i64 = 1_795_262_350;

    #[test]
    fn spans_are_those_freeradius_was_seen_to_allow() {
        use Stay::{Outside, Seconds, Unlimited};
        for (text, stay) in [
            ("Al", Unlimited),
            ("Any", Unlimited),
            ("Al0000-2359", Unlimited),
            ("Al0000-2400", Unlimited),
            ("Mo-Su", Unlimited),
            ("Wk", Outside),
            ("Su", Outside),
            ("Never", Outside),
            ("", Outside),
            ("Sa1128", Outside),
            ("Sa0000-0001", Outside),
            ("Su-Mo", Outside),
            ("Sa", Seconds(43_260)),
            ("Sa-Su", Seconds(129_660)),
            ("Sa,Su", Seconds(129_660)),
            ("Fr-Mo", Seconds(216_060)),
            ("Sa1128-1228", Seconds(1800)),
            ("sa1128-1228", Seconds(1800)),
            ("Sa 1128-1228", Seconds(1800)),
            ("SaSu1128-1228", Seconds(1800)),
            ("Su|Sa1128-1228", Seconds(1800)),
            ("Sa0000-0001,Al1128-1228", Seconds(1800)),
            ("Sa1128-1159", Seconds(60)),
            ("Sa1128-1158", Outside),
            ("Wk0900-1700|Sa", Seconds(43_260)),
        ] {
            let found = LoginTime::read(text).map_or(Outside, |time| time.stay(NOW));
            assert_eq!(found, stay, "{text:?}");
        }
    }
}
