//! `[health]`.

use std::time::Duration;

use forewarn_shell::config::{Document, Table, Value, Wrong};

use super::super::{Health, HealthLimits, Service};
use crate::health::LoadExpression;
use crate::policy::Fault;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// The shortest time between two readings, or two checks of a service.
pub(super) const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Nobody foresees more, from readings of as long.
const LEAD_MAX: Duration = Duration::from_secs(600);

pub(super) fn health(root: &Table<'_>, services: &[Service]) -> Health {
    let table = root.table("health");
    let limits = limits(table.table("limits"));
    let health = Health {
        interval: table.duration("interval").within(INTERVAL_MIN, HOUR).or(SECOND),
        failover_threshold: table.fraction("failover_threshold").or(0.90),
        failover_after: table.integer("failover_after").within(1, 1000).or(3),
        connection_threshold: table.fraction("connection_threshold").or(0.70),
        connection_after: table.integer("connection_after").within(1, 1000).or(5),
        lead: table.unless_off("lead", lead).or(None),
        away_min: table.duration("away_min").within(Duration::ZERO, DAY).or(60 * SECOND),
        load: load(root.document(), &table, &limits, services),
        limits,
    };
    if health.connection_threshold > health.failover_threshold {
        let what = format!(
            "`connection_threshold` {} is above `failover_threshold` {}",
            health.connection_threshold, health.failover_threshold
        );
        let hint = "clients would be invited back to a server that warns; write a lower one";
        table.error("connection_threshold", Wrong::new(what, hint));
    }
    table.finish();
    health
}

/// `None`, too, when what is wrong was reported, each fault in its place.
fn load(
    document: &Document,
    table: &Table<'_>,
    limits: &HealthLimits,
    services: &[Service],
) -> Option<LoadExpression> {
    let (source, place) = table.field("load", Value::text).with_place()?;
    let compiled = LoadExpression::compile(source, limits, services);
    let report = |fault: Fault| {
        let wrong = Wrong::new(format!("`load`: {}", fault.what), fault.hint);
        document.error(document.within(place, fault.offset), wrong);
    };
    compiled.map_err(|faults| faults.into_iter().for_each(report)).ok()
}

fn limits(table: Table<'_>) -> HealthLimits {
    let share = |value: &Value<'_>| {
        let share = value.fraction()?;
        if share > 0.0 {
            Ok(share)
        } else {
            Err(Wrong::new("a limit of 0 is always reached", "write more than 0"))
        }
    };
    let limits = HealthLimits {
        workers_busy: table.unless_off("workers_busy", share).or(Some(0.95)),
        in_flight: table.unless_off("in_flight", share).or(Some(0.95)),
        queue_delay: table.unless_off("queue_delay", delay).or(Some(Duration::from_millis(100))),
        latency: table.unless_off("latency", delay).or(None),
        memory: table.unless_off("memory", share).or(Some(0.92)),
        cpu: table.unless_off("cpu", share).or(Some(0.95)),
        network: table.unless_off("network", switched_on).or(Some(())).is_some(),
        processes: table.unless_off("processes", |value| count(value, "processes")).or(None),
        receive_drops: table
            .unless_off("receive_drops", |value| count(value, "datagrams a second"))
            .or(Some(100)),
        cpu_pressure: table.unless_off("cpu_pressure", share).or(None),
        memory_pressure: table.unless_off("memory_pressure", share).or(None),
        io_pressure: table.unless_off("io_pressure", share).or(None),
    };
    table.finish();
    limits
}

fn delay(value: &Value<'_>) -> Result<Duration, Wrong> {
    let delay = value.duration()?;
    if delay.is_zero() {
        return Err(Wrong::new("a limit of 0 is always reached", "write \"100ms\""));
    }
    Ok(delay)
}

fn count(value: &Value<'_>, of: &str) -> Result<u32, Wrong> {
    match value.integer()? {
        0 => Err(Wrong::new(
            "a limit of 0 is always reached",
            format!("write the number of {of} that is too many"),
        )),
        count => Ok(count),
    }
}

fn lead(value: &Value<'_>) -> Result<Duration, Wrong> {
    let lead = value.duration()?;
    if (SECOND..=LEAD_MAX).contains(&lead) {
        Ok(lead)
    } else {
        let what = format!("a lead of {lead:?} is out of reach");
        Err(Wrong::new(what, "write a duration from \"1s\" to \"10m\", such as \"5s\""))
    }
}

/// `true`; the other ways to say it are `unless_off`'s.
fn switched_on(value: &Value<'_>) -> Result<(), Wrong> {
    value.boolean().map(|_| ()).map_err(|wrong| Wrong::new(wrong.what, "write true"))
}
