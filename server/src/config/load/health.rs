//! `[health]` and `[[service]]`.

use std::net::SocketAddr;
use std::time::Duration;

use forewarn_shell::config::{Kind, Table, Value, Wrong};

use super::super::{Check, Health, HealthLimits, Role, Service};
use super::server::{plain, unicast};
use super::{bounded, each};

/// Most `[[service]]`.
const SERVICES_MAX: usize = 256;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// The shortest time between two readings, or two checks of a service.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

pub(super) fn health(root: &Table<'_>) -> Health {
    let table = root.table("health");
    table.not_available_yet(&["load"]);
    let health = Health {
        interval: table.duration("interval").within(INTERVAL_MIN, HOUR).or(SECOND),
        failover_threshold: table.fraction("failover_threshold").or(0.90),
        failover_after: table.integer("failover_after").within(1, 1000).or(3),
        connection_threshold: table.fraction("connection_threshold").or(0.70),
        connection_after: table.integer("connection_after").within(1, 1000).or(5),
        away_min: table.duration("away_min").within(Duration::ZERO, DAY).or(60 * SECOND),
        limits: limits(table.table("limits")),
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
        queue_delay: table.unless_off("queue_delay", delay).or(Some(Duration::from_millis(100))),
        memory: table.unless_off("memory", share).or(Some(0.92)),
        cpu: table.unless_off("cpu", share).or(Some(0.95)),
        network: table.unless_off("network", switched_on).or(Some(())).is_some(),
        processes: table.unless_off("processes", count).or(None),
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

fn count(value: &Value<'_>) -> Result<u32, Wrong> {
    match value.integer()? {
        0 => Err(Wrong::new(
            "a limit of 0 is always reached",
            "write the number of processes that is too many",
        )),
        count => Ok(count),
    }
}

/// `true`; the other ways to say it are `unless_off`'s.
fn switched_on(value: &Value<'_>) -> Result<(), Wrong> {
    value.boolean().map(|_| ()).map_err(|wrong| Wrong::new(wrong.what, "write true"))
}

pub(super) fn services(root: &Table<'_>, has_users: bool) -> Vec<Service> {
    each(bounded(root, "service", root.named_tables("service"), SERVICES_MAX), |table| {
        let name = table.text("name").then(plain).required();
        let role = role(table);
        let check = check(table, has_users);
        let interval = table.duration("interval").within(INTERVAL_MIN, HOUR).or(2 * SECOND);
        let timeout = table.duration("timeout").within(INTERVAL_MIN, HOUR).or(2 * SECOND);
        let fall = table.integer("fall").within(1, 1000).or(3);
        let rise = table.integer("rise").within(1, 1000).or(3);
        let hold_down = table.duration("hold_down").within(Duration::ZERO, DAY).or(60 * SECOND);
        Some(Service {
            name: name?.into(),
            role: role?,
            check: check?,
            interval,
            timeout,
            fall,
            rise,
            hold_down,
        })
    })
}

/// What a dependent service adds to the load when it has failed, unless it says.
const DEFAULT_WEIGHT: f64 = 0.5;

fn role(table: &Table<'_>) -> Option<Role> {
    let mandatory = table.choice("role", &[("mandatory", true), ("dependent", false)], &[]).required();
    let weight = table.fraction("weight").with_place();
    match mandatory? {
        false => Some(Role::Dependent { weight: weight.map_or(DEFAULT_WEIGHT, |(weight, _)| weight) }),
        true if weight.is_some() => {
            let what = "a mandatory service has no `weight`: without it the load is 1.0";
            table.error("weight", Wrong::new(what, "remove it, or write role = \"dependent\""));
            None
        }
        true => Some(Role::Mandatory),
    }
}

/// Reads what one kind of check needs.
type ReadCheck = fn(&Table<'_>) -> Option<Check>;

fn check(table: &Table<'_>, has_users: bool) -> Option<Check> {
    let hint = "write check = { kind = \"tcp\", address = \"192.0.2.1:389\" }";
    if !table.has("check") {
        table.error("check", Wrong::new("this [[service]] has no `check`", hint));
    }
    let check = table.optional_table("check")?;
    let kinds: [(&str, ReadCheck); 6] = [
        ("tcp", tcp),
        ("icmp", icmp),
        ("process", process),
        ("pid_file", pid_file),
        ("command", command),
        ("sql", |_| Some(Check::Sql)),
    ];
    let read = check.choice("kind", &kinds, &["http", "radius"]).required()?;
    let resolved = read(&check);
    if resolved == Some(Check::Sql) && !has_users {
        let hint = "add [sql] with users = true, or check something else";
        check.error("kind", Wrong::new("\"sql\" is of the users' database, and there is none", hint));
    }
    check.finish();
    resolved
}

fn tcp(check: &Table<'_>) -> Option<Check> {
    let address: SocketAddr = check.socket("address").required()?;
    Some(Check::Tcp { address })
}

fn icmp(check: &Table<'_>) -> Option<Check> {
    Some(Check::Icmp { address: check.address("address").then(unicast).required()? })
}

fn process(check: &Table<'_>) -> Option<Check> {
    Some(Check::Process { name: check.text("name").required()? })
}

fn pid_file(check: &Table<'_>) -> Option<Check> {
    Some(Check::PidFile { path: std::path::absolute(check.path("path").required()?).ok()? })
}

fn command(check: &Table<'_>) -> Option<Check> {
    let hint = "write a list: command = [\"test\", \"-w\", \".\"]; there is no shell";
    if let Some(value) = check.value("command")
        && value.kind() != Kind::Array
    {
        value.error(value.expected("a list of a program and its arguments", hint));
        return None;
    }
    let words = check.list("command", |value| value.text_or_empty().map(str::to_owned));
    let words = words.then(|words| match words.first().map(String::as_str) {
        None | Some("") => Err(Wrong::new("no program", hint)),
        Some(_) => Ok(words),
    });
    Some(Check::Command { command: words.required()? })
}
