//! What of a new configuration a running server can't take over.

use super::Config;

/// What differs between `old`, which runs, and `new`, and takes effect at the next start only. One sentence each;
/// empty: `new` can be applied whole.
pub fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let mut needs = Vec::new();
    let mut note = |differs: bool, what: &str, why: &str| {
        if differs {
            needs.push(format!("{what} takes effect at the next start only: {why}"));
        }
    };
    note(
        old.server.name != new.server.name,
        "[server] name",
        "clients and operators know the running server by it",
    );
    note(
        old.server.identity != new.server.identity,
        "[server] identity",
        "it is signed into every notice in force",
    );
    note(old.server.state_dir != new.server.state_dir, "[server] state_dir", "the running server holds it");
    note(
        old.server.cores != new.server.cores,
        "[server] cores",
        "a live group of sockets never changes size",
    );
    note(old.listens != new.listens, "[[listen]]", "sockets are opened before the first packet is read");
    note(old.workers.queue != new.workers.queue, "[workers] queue", "the queue is in use");
    note(old.workers.in_flight != new.workers.in_flight, "[workers] in_flight", "the tables are in use");
    note(old.sql != new.sql, "[sql]", "records under way would change the database");
    note(old.accounting != new.accounting, "[accounting]", "the spool is in use");
    needs
}

impl Config {
    /// Keeps of `old`, which runs, what takes effect at the next start only.
    pub fn keep(&mut self, old: &Config) {
        self.server = old.server.clone();
        self.listens.clone_from(&old.listens);
        self.workers.queue = old.workers.queue;
        self.workers.in_flight = old.workers.in_flight;
        self.sql.clone_from(&old.sql);
        self.accounting = old.accounting;
    }
}
