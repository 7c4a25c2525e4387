//! `[log]` and `[metrics]`.

use forewarn_shell::config::Table;

use super::super::{Decisions, Log, LogSettings, Metrics};
use super::server::bindable;

/// Most clients with counters of their own; each is a handful of time series that somebody has to keep.
const CLIENTS_MAX: usize = 100_000;

pub(super) fn log(root: &Table<'_>) -> Log {
    let table = root.table("log");
    let settings = LogSettings::read(&table);
    let decisions = [("none", Decisions::None), ("rejects", Decisions::Rejects), ("all", Decisions::All)];
    let log = Log {
        settings,
        decisions: table.choice("decisions", &decisions, &[]).or(Decisions::default()),
        decision_file: table.path("decision_file").optional(),
    };
    table.finish();
    log
}

pub(super) fn metrics(root: &Table<'_>) -> Metrics {
    let table = root.table("metrics");
    let metrics = Metrics {
        listen: table.socket("listen").then(bindable).optional(),
        per_client: table.boolean("per_client").or(true),
        clients_max: table.integer("clients_max").within(1, CLIENTS_MAX).or(1000),
    };
    table.finish();
    metrics
}
