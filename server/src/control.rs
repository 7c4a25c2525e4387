//! What the data plane adds to a status.

use forewarn_shell::control::{ClientStatus, Counts};
use forewarn_shell::log;

use crate::config::RequireMessageAuthenticator;
use crate::listen::Cores;
use crate::process::tables::Client;
use crate::shared::Shared;

/// Everything that is counted besides requests: limits reached, drops of the kernel, the store.
pub fn counters(shared: &Shared, cores: &Cores) -> Counts {
    let vitals = shared.vitals();
    let (pool, store) = (vitals.pool(), vitals.store());
    let counted = [
        ("listeners.dropped-by-kernel", cores.dropped()),
        ("listeners.refused-by-kernel", cores.refused()),
        ("workers.done", pool.done()),
        ("workers.refused", pool.refused()),
        ("workers.panicked", pool.panicked()),
        ("store.done", store.done()),
        ("store.refused", store.refused()),
        ("log.lost", log::lost()),
        ("decisions.written", shared.decisions().written()),
        ("decisions.lost", shared.decisions().lost()),
    ];
    let counted = counted.into_iter().chain(shared.dynauth().iter());
    counted.map(|(name, count)| (name.to_owned(), count)).collect()
}

/// The clients of the configuration, in its order, without what they were told.
pub fn clients(shared: &Shared) -> Vec<ClientStatus> {
    shared.tables().clients().iter().map(client).collect()
}

fn client(client: &Client) -> ClientStatus {
    let address =
        if client.is_single() { client.network.addr().to_string() } else { client.network.to_string() };
    ClientStatus {
        name: client.name.to_string(),
        address,
        group: client.group.to_string(),
        requests: client.ledger.requests(),
        message_authenticator: requirement(client).to_owned(),
        without_message_authenticator: client.ledger.without_message_authenticator(),
        notice: None,
    }
}

fn requirement(client: &Client) -> &'static str {
    match client.message_authenticator {
        RequireMessageAuthenticator::Yes => "required",
        RequireMessageAuthenticator::No => "optional",
        RequireMessageAuthenticator::Auto if client.is_learning() => "learning",
        RequireMessageAuthenticator::Auto => "learnt",
    }
}
