//! `[notice]` and `[topology]`.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forewarn_shell::config::{Kind, Table, Value, Wrong, nearest};
use forewarn_wire::notice::UDP_PORT;

use super::super::{Alternate, Audience, Client, Node, Notice, NoticeTransport, Order, Peer, Peers, Server};
use super::each;
use super::server::{plain, unicast};

/// Most alternates that fit into a notice with everything else: 512 octets, 20 for each.
const ALTERNATES_MAX: usize = 16;

const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn topology(root: &Table<'_>) -> Vec<Node> {
    let table = root.table("topology");
    let nodes = each(table.named_tables("nodes"), |node| {
        let name = node.text("name").then(plain).then(place).required();
        let networks = node.list("networks", Value::prefix).required();
        Some(Node { name: name?.into(), networks: networks? })
    });
    table.finish();
    nodes
}

fn place(name: String) -> Result<String, Wrong> {
    if name.split('/').any(str::is_empty) {
        return Err(Wrong::new(format!("`{name}` is not a path"), "write \"campus\" or \"campus/north\""));
    }
    Ok(name)
}

/// The names an audience may use, and who the alternates are unless somebody says otherwise.
#[derive(Debug, Default)]
pub(super) struct Known {
    clients: BTreeSet<Arc<str>>,
    places: BTreeSet<Arc<str>>,
    peers: Vec<Alternate>,
}

impl Known {
    pub(super) fn of(clients: &[Client], topology: &[Node], peers: &Peers) -> Known {
        let clients = clients.iter().map(|client| Arc::clone(&client.name)).collect();
        // A path names every place on the way to it.
        let ways = topology.iter().flat_map(|node| {
            let ends = node.name.match_indices('/').map(|(end, _)| end).chain([node.name.len()]);
            ends.map(|end| Arc::from(&node.name[..end])).collect::<Vec<_>>()
        });
        let alternate = |peer: &Peer| Alternate { address: peer.address, weight: 0 };
        let peers = peers.list.iter().take(ALTERNATES_MAX).map(alternate).collect();
        Known { clients, places: ways.collect(), peers }
    }
}

pub(super) fn notice(root: &Table<'_>, server: Option<&Server>, known: &Known) -> Notice {
    let table = root.table("notice");
    let transports = transports(&table);
    let default_listen = server.filter(|_| transports.contains(&NoticeTransport::Udp));
    let default_listen = default_listen.map(|server| SocketAddr::new(server.identity, UDP_PORT));
    let notice = Notice {
        audience: audience(&table, known),
        listen: table.unless_off("listen", Value::socket).or(default_listen),
        port: table.integer("port").within(1, u16::MAX).or(UDP_PORT),
        shed: table.fraction("shed").then(some_share).or(1.0),
        shed_every: table
            .duration("shed_every")
            .within(Duration::from_millis(10), HOUR)
            .or(Duration::from_secs(5)),
        reduction: percent(table.fraction("reduction").then(some_share).or(1.0)),
        order: table
            .choice("order", &[("heaviest", Order::Heaviest), ("any", Order::Any)], &[])
            .or(Order::Heaviest),
        alternates: alternates(&table, server, known),
        alternates_by_distance: table
            .choice("alternates_order", &[("given", false), ("distance", true)], &[])
            .or(false),
        validity: table.duration("validity").within(Duration::from_secs(1), HOUR).or(Duration::from_secs(30)),
        rate: table.integer("rate").within(1, 1_000_000).or(20_000),
        transports,
    };
    table.finish();
    notice
}

fn transports(table: &Table<'_>) -> Vec<NoticeTransport> {
    let names = [("icmp", NoticeTransport::Icmp), ("udp", NoticeTransport::Udp)];
    let list = table.list("transports", |value| value.choice(&names, &[])).then(|list| {
        let twice = list.iter().enumerate().any(|(index, transport)| list[..index].contains(transport));
        if twice { Err(Wrong::new("the same transport twice", "name each once")) } else { Ok(list) }
    });
    list.or(vec![NoticeTransport::Icmp, NoticeTransport::Udp])
}

fn some_share(share: f64) -> Result<f64, Wrong> {
    if share > 0.0 {
        Ok(share)
    } else {
        Err(Wrong::new("a share of 0 moves nobody", "write \"25%\" or \"100%\""))
    }
}

/// 1 to 100.
fn percent(share: f64) -> u8 {
    (share * 100.0).round().clamp(1.0, 100.0) as u8
}

fn alternates(table: &Table<'_>, server: Option<&Server>, known: &Known) -> Vec<Alternate> {
    let list = table.list("alternates", |value| {
        let alternate = alternate(value)?;
        if server.is_some_and(|server| server.identity == alternate.address) {
            let what = format!("{} is this server itself", alternate.address);
            return Err(Wrong::new(what, "name the servers its clients can go to instead"));
        }
        Ok(alternate)
    });
    let list = list.then(|list| {
        if list.len() > ALTERNATES_MAX {
            return Err(Wrong::new(
                format!("{} are too many", list.len()),
                format!("name at most {ALTERNATES_MAX}"),
            ));
        }
        Ok(list)
    });
    list.or(known.peers.clone())
}

/// `"192.0.2.1"`, or `{ address = "192.0.2.1", weight = 10 }`.
fn alternate(value: &Value<'_>) -> Result<Alternate, Wrong> {
    if value.kind() != Kind::Table {
        return Ok(Alternate { address: unicast(value.address()?)?, weight: 0 });
    }
    let hint = "write \"192.0.2.1\" or { address = \"192.0.2.1\", weight = 10 }";
    let table = value.table().ok_or_else(|| Wrong::new("not an alternate", hint))?;
    let address = table.address("address").then(unicast).required();
    let weight = table.integer("weight").or(0);
    table.finish();
    Ok(Alternate { address: address.ok_or_else(|| Wrong::new("not an alternate", hint))?, weight })
}

const AUDIENCE_HINT: &str = "write \"all\", { clients = [..] }, { groups = [..] }, { topology = \"..\" }, \
                             { farthest = 0.25 }, { nearest = 0.25 } or { alternate = \"nearer\" }";

fn audience(table: &Table<'_>, known: &Known) -> Audience {
    let Some(value) = table.value("audience") else { return Audience::All };
    match value.kind() {
        Kind::Table => value.table().and_then(|subset| subset_of(subset, known)).unwrap_or(Audience::All),
        Kind::Text => {
            if let Err(wrong) = value.choice(&[("all", ())], &[]) {
                value.error(Wrong::new(format!("`audience`: {}", wrong.what), AUDIENCE_HINT));
            }
            Audience::All
        }
        _ => {
            value.error(value.expected("an audience", AUDIENCE_HINT));
            Audience::All
        }
    }
}

fn subset_of(table: Table<'_>, known: &Known) -> Option<Audience> {
    let client = |value: &Value<'_>| one_of(value, &known.clients, "[[client]]");
    let place = |value: &Value<'_>| one_of(value, &known.places, "place in [topology]");
    let found = [
        table.list("clients", client).optional().map(Audience::Clients),
        table.texts("groups").optional().map(Audience::Groups),
        table.field("topology", place).optional().map(Audience::Topology),
        table.fraction("farthest").then(some_share).optional().map(Audience::Farthest),
        table.fraction("nearest").then(some_share).optional().map(Audience::Nearest),
        table.choice("alternate", &[("nearer", Audience::Nearer)], &[]).optional(),
    ];
    let kinds = ["clients", "groups", "topology", "farthest", "nearest", "alternate"];
    let given = kinds.into_iter().filter(|kind| table.has(kind)).count();
    if given != 1 {
        table.error("audience", Wrong::new(format!("`audience` is one subset, not {given}"), AUDIENCE_HINT));
    }
    table.finish();
    found.into_iter().flatten().next()
}

fn one_of(value: &Value<'_>, known: &BTreeSet<Arc<str>>, what: &str) -> Result<Arc<str>, Wrong> {
    let name = value.text()?;
    known.get(name).cloned().ok_or_else(|| {
        let hint = match nearest(name, known.iter().map(|known| &**known)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("name a {what} of this configuration"),
        };
        Wrong::new(format!("there is no {what} called `{name}`"), hint)
    })
}
