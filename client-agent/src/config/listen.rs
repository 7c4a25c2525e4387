//! `[[listen]]`: the front door for the NAS software, and the door for what the servers ask of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use forewarn_shell::config::{Place, Table, Value, Wrong};
use forewarn_wire::COA_PORT;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::resolve::{asked_address, bounded, gather, secret};
use super::{CoaListener, Kind, LISTENERS_MAX, Listener};

/// What is asked at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The NAS software asks the servers.
    Front(Kind),
    /// The servers ask the NAS software.
    Coa,
}

const KINDS: [(&str, What); 3] =
    [("auth", What::Front(Kind::Auth)), ("acct", What::Front(Kind::Acct)), ("coa", What::Coa)];
const YES_NO: [(&str, bool); 2] = [("yes", true), ("no", false)];

/// The front door's listeners, and those for CoA.
pub(super) fn listeners(
    root: &Table<'_>,
    identity: Option<IpAddr>,
) -> Option<(Vec<Listener>, Vec<CoaListener>)> {
    let tables = bounded(root, "listen", LISTENERS_MAX)?;
    if tables.is_empty() {
        root.error("listen", Wrong::new("no [[listen]]", "say where the NAS software sends its RADIUS to"));
    }
    let (mut front, mut coa) = (Some(Vec::with_capacity(tables.len())), Some(Vec::new()));
    let mut taken: Vec<(SocketAddr, Place)> = Vec::new();
    for table in tables {
        let what = table.choice("kind", &KINDS, &[]).required();
        let _ = table.choice("transport", &[("udp", ())], &["tcp", "tls", "dtls"]).optional();
        let place = table.place_of("address");
        let address = match what {
            Some(What::Coa) => {
                let (address, listener) = coa_listener(&table, identity);
                gather(&mut coa, listener);
                address
            }
            _ => {
                let (address, listener) = front_listener(&table, what);
                gather(&mut front, listener);
                address
            }
        };
        table.finish();
        if let Some(address) = address {
            if let Some((_, first)) = taken.iter().find(|(other, _)| *other == address) {
                let first = root.document().locate(*first);
                root.document().error(
                    place,
                    Wrong::new(format!("{address} is listened on twice"), format!("the first is at {first}")),
                );
            }
            taken.push((address, place));
        }
    }
    front.zip(coa)
}

fn front_listener(table: &Table<'_>, what: Option<What>) -> (Option<SocketAddr>, Option<Listener>) {
    let address = table.socket("address").then(asked_address).required();
    let clients = clients(table);
    let key = secret(table);
    let everybody_local = clients.iter().all(is_loopback);
    let required = table.choice("require_message_authenticator", &YES_NO, &["auto"]).or(!everybody_local);
    let kind = match what {
        Some(What::Front(kind)) => Some(kind),
        _ => None,
    };
    let listener = kind.zip(address).zip(key).map(|((kind, address), key)| Listener {
        kind,
        address,
        clients,
        key: Arc::new(key),
        require_message_authenticator: required,
    });
    (address, listener)
}

/// At the identity's port 3799, and handed to the NAS software on loopback's, unless it says otherwise.
fn coa_listener(table: &Table<'_>, identity: Option<IpAddr>) -> (Option<SocketAddr>, Option<CoaListener>) {
    let given = table.socket("address").then(asked_address).optional();
    let own = identity.map(|identity| SocketAddr::new(identity, COA_PORT));
    let address = if table.has("address") { given } else { own };
    let local = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), COA_PORT);
    let nas = table.socket("nas").then(nas_address).or(local);
    if table.has("clients") {
        let hint = "remove the key: every [[server]] may, and nobody else";
        table.error("clients", Wrong::new("`clients` don't send CoA-Requests", hint));
        let _ = table.list("clients", Value::prefix).optional();
    }
    let key = secret(table);
    let local = nas.ip().is_loopback();
    let require_message_authenticator =
        table.choice("require_message_authenticator", &YES_NO, &["auto"]).or(!local);
    let require_event_timestamp = table.choice("require_event_timestamp", &YES_NO, &[]).or(true);
    if address == Some(nas) {
        let hint = "give the address of the NAS software, or another port";
        table.error("nas", Wrong::new(format!("{nas} is this [[listen]] itself"), hint));
    }
    let listener = address.zip(key).map(|(address, key)| CoaListener {
        address,
        nas,
        key: Arc::new(key),
        require_message_authenticator,
        require_event_timestamp,
    });
    (address, listener)
}

/// One host's, and a port.
fn nas_address(address: SocketAddr) -> Result<SocketAddr, Wrong> {
    if address.ip().is_unspecified() || address.ip().is_multicast() || address.port() == 0 {
        let hint = "write \"127.0.0.1:3799\"";
        return Err(Wrong::new(format!("nothing can be sent to {address}"), hint));
    }
    Ok(address)
}

fn clients(table: &Table<'_>) -> Vec<IpNet> {
    let given = table.list("clients", Value::prefix).with_place();
    match given {
        Some((clients, place)) if clients.is_empty() => {
            table.document().error(
                place,
                Wrong::new(
                    "`clients`: nobody may send here",
                    "name prefixes, or remove the key for loopback only",
                ),
            );
            clients
        }
        Some((clients, _)) => clients,
        None => loopback(),
    }
}

/// The loopback networks of both families.
fn loopback() -> Vec<IpNet> {
    let v4 = Ipv4Net::new(Ipv4Addr::new(127, 0, 0, 0), 8).map(IpNet::V4);
    let v6 = Ipv6Net::new(Ipv6Addr::LOCALHOST, 128).map(IpNet::V6);
    v4.into_iter().chain(v6).collect()
}

fn is_loopback(network: &IpNet) -> bool {
    loopback().iter().any(|local| local.contains(network))
}
