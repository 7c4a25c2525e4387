//! `[limits]` and `[second_factor]`.

use std::time::Duration;

use forewarn_shell::config::Table;

use super::super::limits::{FactorMode, Limits, SecondFactor};
use super::server::plain;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn limits(root: &Table<'_>) -> Limits {
    let table = root.table("limits");
    let default = Limits::default();
    let limits = Limits {
        failures: table.integer("failures").within(0, Limits::FAILURES_MAX).or(default.failures),
        within: table.duration("within").within(SECOND, DAY).or(default.within),
        hold: table.duration("hold").within(SECOND, DAY).or(default.hold),
        verified: table.duration("verified").within(Duration::ZERO, DAY).or(default.verified),
    };
    table.finish();
    limits
}

pub(super) fn second_factor(root: &Table<'_>) -> SecondFactor {
    let table = root.table("second_factor");
    let default = SecondFactor::default();
    let modes = [("append", FactorMode::Append), ("challenge", FactorMode::Challenge)];
    let prompt = table.text("prompt").then(plain).optional();
    let factor = SecondFactor {
        mode: table.choice("mode", &modes, &[]).or(default.mode),
        prompt: prompt.map_or(default.prompt, Into::into),
        timeout: table.duration("timeout").within(SECOND, DAY).or(default.timeout),
    };
    table.finish();
    factor
}
