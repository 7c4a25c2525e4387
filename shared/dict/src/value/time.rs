//! Dates: seconds since 1970 in 32 bits.

/// `1767225600`, `2026-01-01`, `2026-01-01T12:30:00Z` (or a blank for the T), or FreeRADIUS's `Jan  1 2026
/// 12:30:00 UTC`. Without a zone it is UTC.
pub(super) fn date(text: &str) -> Option<u32> {
    if let Some(seconds) = crate::syntax::number(text) {
        return u32::try_from(seconds).ok();
    }
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix(" UTC")).unwrap_or(text);
    let words: Vec<&str> = text.split([' ', 'T']).filter(|word| !word.is_empty()).collect();
    let (date, time) = match *words.as_slice() {
        [date] => (numeric_date(date)?, "0:0:0"),
        [date, time] if date.contains('-') => (numeric_date(date)?, time),
        [month, day, year] => (named_date(month, day, year)?, "0:0:0"),
        [month, day, year, time] => (named_date(month, day, year)?, time),
        _ => return None,
    };
    let (year, month, day) = date;
    let days = days_since_1970(year, month, day)?;
    u32::try_from(days * 86_400 + i64::from(seconds_of_day(time)?)).ok()
}

fn numeric_date(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.splitn(3, '-').map(digits);
    Some((parts.next()??, parts.next()??, parts.next()??))
}

fn named_date(month: &str, day: &str, year: &str) -> Option<(i64, i64, i64)> {
    let names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let lower = month.to_ascii_lowercase();
    let at = names.iter().position(|name| lower == *name)?;
    Some((digits(year)?, at as i64 + 1, digits(day.trim_end_matches(','))?))
}

fn seconds_of_day(text: &str) -> Option<u32> {
    let mut parts = text.splitn(3, ':').map(digits);
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let valid = hour < 24 && minute < 60 && second < 60;
    valid.then_some((hour * 3600 + minute * 60 + second) as u32)
}

fn digits(text: &str) -> Option<i64> {
    let right = !text.is_empty() && text.len() <= 4 && text.bytes().all(|octet| octet.is_ascii_digit());
    right.then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01, by the Gregorian calendar. None for days that don't exist.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month - 1).ok().filter(|index| *index < 12)?;
    if !(1..=lengths[index]).contains(&day) || year < 1970 {
        return None;
    }
    let leap_days = (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 - 477;
    Some((year - 1970) * 365 + leap_days + lengths[..index].iter().sum::<i64>() + day - 1)
}
