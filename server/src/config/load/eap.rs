//! `[eap]`.

use std::sync::Arc;
use std::time::Duration;

use forewarn_eap::{Kind, Limits, Settings};
use forewarn_shell::config::{Table, Wrong};

use super::super::Server;
use super::super::eap::Eap;

/// Methods of SPEC 2.3 that this version hasn't.
const LATER: &[&str] = &["peap", "ttls", "tls", "teap", "pwd"];

const SECOND: Duration = Duration::from_secs(1);

/// `[eap]`. `None`: there is none, or something was reported.
pub(super) fn eap(root: &Table<'_>, server: Option<&Server>) -> Option<Eap> {
    let table = root.optional_table("eap")?;
    let kinds = Kind::ALL.map(|kind| (kind.name(), kind));
    let methods = table.list("methods", |value| value.choice(&kinds, LATER)).required();
    let methods = methods.and_then(|methods| usable(&table, methods));
    let default = Limits::default();
    let limits = Limits {
        rounds: table.integer("rounds").within(8, 1000).or(default.rounds),
        octets: table.integer("octets").within(4096, 1 << 20).or(default.octets),
    };
    let tries = table.integer("tries").within(1, 5).or(1);
    let timeout = table.duration("timeout").within(SECOND, 600 * SECOND).or(60 * SECOND);
    let conversations = table.integer("conversations").within(16, 1_000_000).or(20_000);
    table.finish();
    let settings = Settings { methods: methods?, tries, server_name: server?.name.clone(), limits };
    Some(Eap { settings: Arc::new(settings), timeout, conversations })
}

/// At least one method, and none twice.
fn usable(table: &Table<'_>, methods: Vec<Kind>) -> Option<Vec<Kind>> {
    let twice = methods.iter().enumerate().find(|(place, kind)| methods[..*place].contains(kind));
    let wrong = match (methods.is_empty(), twice) {
        (true, _) => Wrong::new("`methods` is empty", "name at least one, or remove [eap]"),
        (_, Some((_, kind))) => Wrong::new(format!("`methods` has \"{}\" twice", kind.name()), "remove one"),
        _ => return Some(methods),
    };
    table.error("methods", wrong);
    None
}
