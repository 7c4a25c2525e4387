//! `[server]`, `[[listen]]`, `[workers]`, `[reconnect]`, `[drain]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::time::Duration;

use forewarn_shell::config::{Place, Table, Wrong};

use super::super::{Drain, Listen, ListenKind, Reconnect, Server, Workers};
use super::{bounded, each};

/// Most listener cores; each costs a thread and a socket per `[[listen]]`.
const CORES_MAX: usize = 256;
/// Most `[[listen]]`.
const LISTENS_MAX: usize = 256;
/// Most worker threads.
const WORKERS_MAX: usize = 4096;

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn server(root: &Table<'_>) -> Option<Server> {
    let Some(table) = root.optional_table("server") else {
        if !root.has("server") {
            let hint = "add [server] with its name, identity and state_dir";
            root.error("server", Wrong::new("there is no [server]", hint));
        }
        return None;
    };
    let name = table.text("name").then(plain).required();
    let identity = table.address("identity").then(unicast).required();
    let state_dir = table.path("state_dir").required();
    let cores = table.integer("cores").within(1, CORES_MAX).or(default_cores());
    table.finish();
    Some(Server { name: name?, identity: identity?, state_dir: std::path::absolute(state_dir?).ok()?, cores })
}

/// One per CPU.
fn default_cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(CORES_MAX)
}

/// A name that can be shown on one line of a terminal as it is.
pub(super) fn plain(name: String) -> Result<String, Wrong> {
    const LONGEST: usize = 128;
    if name.chars().any(char::is_control) || name.len() > LONGEST {
        let hint = format!("write at most {LONGEST} octets without control characters");
        return Err(Wrong::new("not a name that can be shown", hint));
    }
    Ok(name)
}

/// An address that one host can have.
pub(super) fn unicast(address: IpAddr) -> Result<IpAddr, Wrong> {
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::from([255; 4]) {
        return Err(Wrong::new(format!("{address} is no host's address"), "write an address of one host"));
    }
    Ok(address)
}

pub(super) fn listens(root: &Table<'_>, server: Option<&Server>) -> Vec<Listen> {
    let tables = bounded(root, "listen", root.tables("listen"), LISTENS_MAX);
    if tables.is_empty() {
        let hint = "add [[listen]] with kind = \"auth\", transport = \"udp\" and an address";
        root.error(
            "listen",
            Wrong::new("there is no [[listen]]: nobody could ask this server anything", hint),
        );
    }
    let mut taken: BTreeMap<SocketAddr, Place> = BTreeMap::new();
    let listens = each(tables, |table| {
        let kinds = [("auth", ListenKind::Auth), ("acct", ListenKind::Acct)];
        let kind = table.choice("kind", &kinds, &["coa"]).required();
        table.choice("transport", &[("udp", ())], &["tcp", "tls", "dtls"]).or(());
        let (address, place) = table.socket("address").then(bindable).required_with_place()?;
        if let Some(first) = taken.insert(address, place) {
            let hint = format!("the first is at {}; each needs its own", table.document().locate(first));
            table.error("address", Wrong::new(format!("two [[listen]] are at {address}"), hint));
        }
        Some(Listen { kind: kind?, address })
    });
    if let Some(server) = server
        && !listens.is_empty()
        && !listens.iter().any(|listen| reaches(listen.address.ip(), server.identity))
    {
        let what = format!("no [[listen]] is at the identity {}", server.identity);
        let hint = "clients know this server by its identity and send there; listen there too";
        root.warning("listen", Wrong::new(what, hint));
    }
    listens
}

/// Whether what is sent to `identity` arrives at a socket bound to `listen`.
fn reaches(listen: IpAddr, identity: IpAddr) -> bool {
    listen == identity || (listen.is_unspecified() && (listen.is_ipv6() || identity.is_ipv4()))
}

pub(super) fn bindable(address: SocketAddr) -> Result<SocketAddr, Wrong> {
    if address.port() == 0 {
        return Err(Wrong::new("port 0 is none", "write the port, as in \"192.0.2.1:1812\""));
    }
    if address.ip().is_multicast() {
        return Err(Wrong::new(
            format!("{} is a multicast address", address.ip()),
            "write an address of this host",
        ));
    }
    Ok(address)
}

pub(super) fn workers(root: &Table<'_>) -> Workers {
    let table = root.table("workers");
    let workers = Workers {
        max: table.integer("max").within(1, WORKERS_MAX).or(16),
        queue: table.integer("queue").within(1, 1_000_000).or(crate::workers::DEFAULT_QUEUE_MAX),
        in_flight: table.integer("in_flight").within(16, 1_000_000).or(16_384),
    };
    table.finish();
    workers
}

pub(super) fn reconnect(root: &Table<'_>) -> Reconnect {
    let table = root.table("reconnect");
    let window = table.duration("window").within(Duration::ZERO, DAY).or(Duration::from_secs(30));
    let reconnect = Reconnect { window, rate: table.integer("rate").within(1, 1_000_000).or(200) };
    table.finish();
    reconnect
}

pub(super) fn drain(root: &Table<'_>) -> Drain {
    let table = root.table("drain");
    let drain =
        Drain { deadline: table.duration("deadline").within(MILLISECOND, DAY).or(Duration::from_secs(20)) };
    table.finish();
    drain
}
