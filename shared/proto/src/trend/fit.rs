//! A line through readings that noise doesn't move (Theil 1950, Sen 1968).

use crate::time::Instant;

use super::READINGS_MAX;

/// A reading of one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) at: Instant,
    /// A multiple of its limit.
    pub(super) value: f64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    /// Where it is now.
    pub(super) level: f64,
    /// How much it rises a second, at the least: three quarters of the readings' pairs rise faster.
    pub(super) rise: f64,
    /// How far half of the readings are off, at the most.
    pub(super) scatter: f64,
}

impl Line {
    /// Lays it through `points`; none when they are all of one moment.
    pub(super) fn through(points: &[Point], now: Instant) -> Option<Line> {
        let mut slopes = Vec::with_capacity(READINGS_MAX * (READINGS_MAX - 1) / 2);
        for (index, late) in points.iter().enumerate() {
            for early in &points[..index] {
                let seconds = late.at.since(early.at).as_secs_f64();
                if seconds > 0.0 {
                    slopes.push((late.value - early.value) / seconds);
                }
            }
        }
        let slope = quantile(&mut slopes, 2)?;
        let rise = quantile(&mut slopes, 4)?;
        let ahead = |point: &Point| now.since(point.at).as_secs_f64() * slope;
        let mut levels: Vec<f64> = points.iter().map(|point| point.value + ahead(point)).collect();
        let level = quantile(&mut levels, 2)?;
        let mut off: Vec<f64> = levels.iter().map(|at| (at - level).abs()).collect();
        Some(Line { level, rise, scatter: quantile(&mut off, 2)? })
    }
}

/// The value that one in `of` is under: 2 for the median.
fn quantile(values: &mut [f64], of: usize) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let place = (values.len() - 1) / of;
    Some(*values.select_nth_unstable_by(place, f64::total_cmp).1)
}
