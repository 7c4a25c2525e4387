//! `[failover]`, `[reconnect]` and `[dead_server]`: how servers are changed. An agent's configuration has them once, a
//! proxy's in each pool, with the same keys.

use std::time::Duration;

use forewarn_proto::switch::{self, Alternates};
use forewarn_proto::upstream::DeadServer;

use crate::config::Table;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// `[failover]` and `[reconnect]` below `parent`; what is wrong is reported there.
#[must_use]
pub fn switch(parent: &Table<'_>) -> switch::Config {
    let default = switch::Config::default();
    let failover = parent.table("failover");
    let choices = [
        ("configured", Alternates::Configured),
        ("notice", Alternates::Notice),
        ("notice-then-configured", Alternates::NoticeThenConfigured),
    ];
    let alternates = failover.choice("alternates", &choices, &[]).or(default.alternates);
    let drain_conversations =
        failover.duration("drain_conversations").within(Duration::ZERO, HOUR).or(default.drain_conversations);
    failover.finish();
    let reconnect = parent.table("reconnect");
    let after = reconnect.duration("after").within(Duration::from_millis(100), 24 * HOUR).or(default.after);
    let ramp = reconnect.duration("ramp").within(Duration::ZERO, HOUR).or(default.ramp);
    reconnect.finish();
    switch::Config { alternates, drain_conversations, after, ramp, ..default }
}

/// `[dead_server]` below `parent`; what is wrong is reported there.
#[must_use]
pub fn dead_server(parent: &Table<'_>) -> DeadServer {
    let (table, default) = (parent.table("dead_server"), DeadServer::default());
    let least = Duration::from_millis(10);
    let time = |key, or| table.duration(key).within(least, MINUTE).or(or);
    let dead_server = DeadServer {
        quiet: time("quiet", default.quiet),
        probe_interval: time("probe_interval", default.probe_interval),
        probes: table.integer("probes").within(1_u32, 100).or(default.probes),
        silence: time("silence", default.silence),
        retry: table.duration("retry").within(least, HOUR).or(default.retry),
        ..default
    };
    table.finish();
    dead_server
}
