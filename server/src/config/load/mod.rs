//! From the text of a configuration to a [`Config`]: a walk that collects everything wrong and only then gives up.

mod client;
mod eap;
mod health;
mod ldap;
mod limits;
mod notice;
mod operating;
mod peer;
mod policy;
mod proxy;
pub(super) mod reply;
mod server;
mod service;
mod sql;
#[cfg(test)]
mod tests;
mod user;

use forewarn_shell::config::{Diagnostics, Document, Layers, Table, Wrong};

use super::Config;

/// A configuration that can be used, and what its operator should know all the same.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings only.
    pub warnings: Diagnostics,
}

/// Reads and resolves a server's configuration.
///
/// # Errors
/// Everything that is wrong with it, each with its place; warnings are among them.
pub fn load(layers: &Layers) -> Result<Loaded, Diagnostics> {
    resolve(&Document::load(layers)?)
}

/// Resolves a document that was read.
///
/// # Errors
/// As [`load`].
pub fn resolve(document: &Document) -> Result<Loaded, Diagnostics> {
    let (config, elsewhere) = walk(document);
    let mut found = document.diagnostics();
    found.extend(elsewhere);
    match config {
        Some(config) if found.is_usable() => Ok(Loaded { config, warnings: found }),
        _ => Err(found),
    }
}

/// What is planned and this version hasn't.
const LATER: &[&str] = &["cluster", "console"];

/// The configuration, unless something was reported; and what was found in a file that it names.
fn walk(document: &Document) -> (Option<Config>, Diagnostics) {
    let root = document.root();
    root.not_available_yet(LATER);
    let server = server::server(&root);
    let listens = server::listens(&root, server.as_ref());
    let clients = client::clients(&root);
    let dictionary = user::dictionary(&root);
    let ldap = ldap::ldap(&root, &dictionary);
    let (users, sources, elsewhere) = user::users(&root, &dictionary);
    let pools = proxy::pools(&root);
    let realms = proxy::realms(&root, &pools);
    let policies = policy::policies(&root, &dictionary, &realms);
    let workers = server::workers(&root);
    let limits = limits::limits(&root);
    let second_factor = limits::second_factor(&root);
    let eap = eap::eap(&root, server.as_ref());
    let cui = eap::cui(&root);
    let topology = notice::topology(&root);
    let peers = peer::peers(&root, server.as_ref());
    let known = notice::Known::of(&clients, &topology, &peers);
    let notice = notice::notice(&root, server.as_ref(), &known);
    let reconnect = server::reconnect(&root);
    let drain = server::drain(&root);
    let log = operating::log(&root);
    let metrics = operating::metrics(&root);
    let sql = sql::sql(&root, server.as_ref());
    let accounting = sql::accounting(&root);
    let services = service::services(&root, sql.as_ref().is_some_and(|sql| sql.users));
    let health = health::health(&root, &services);
    let sources = user::sources(&root, sources, &users, sql.as_ref(), ldap.is_some());
    root.finish();
    let config = server.zip(std::path::absolute(document.folder()).ok()).map(|(server, folder)| Config {
        folder,
        server,
        listens,
        clients,
        users,
        sources,
        ldap,
        pools,
        realms,
        policies,
        dictionary,
        workers,
        limits,
        second_factor,
        eap,
        cui,
        health,
        services,
        topology,
        peers,
        notice,
        reconnect,
        drain,
        log,
        metrics,
        sql,
        accounting,
    });
    (config, elsewhere)
}

/// The tables of an array, each resolved by `read`; those in which something was reported are missing.
fn each<'d, T>(tables: Vec<Table<'d>>, mut read: impl FnMut(&Table<'d>) -> Option<T>) -> Vec<T> {
    let mut all = Vec::with_capacity(tables.len());
    for table in tables {
        all.extend(read(&table));
        table.finish();
    }
    all
}

/// Refuses a table of more than `most` entries: a limit, so that a generated file can't eat the machine.
fn bounded<'d>(root: &Table<'d>, key: &str, tables: Vec<Table<'d>>, most: usize) -> Vec<Table<'d>> {
    if tables.len() > most {
        root.error(
            key,
            Wrong::new(format!("{} [[{key}]] are too many", tables.len()), format!("at most {most}")),
        );
    }
    tables
}
