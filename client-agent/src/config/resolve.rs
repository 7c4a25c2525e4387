//! The walk over the merged document: text to [`Config`], every error collected.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use forewarn_shell::config::{Diagnostics, Document, Layers, Place, Table, Wrong};
use forewarn_shell::log::Settings;
use forewarn_shell::upstream;
use forewarn_wire::{ACCT_PORT, AUTH_PORT, RadiusKey};

use crate::spool;

use super::{
    Config, HOOKS_MAX, Hook, Inbox, Listener, NOTICE_PORT, Occasion, SERVERS_MAX, Server, keys, listen,
};

/// Loads and resolves `file` with everything that overrides it. The diagnostics of a good configuration hold its
/// warnings.
pub fn load(file: &Path, overrides: &[(String, String)]) -> Result<(Config, Diagnostics), Diagnostics> {
    let mut layers = Layers::file(file).process_environment();
    for (key, value) in overrides {
        layers = layers.override_with(key, value);
    }
    resolve(&Document::load(&layers)?)
}

/// Resolves a document; on failure everything that is wrong with it.
pub fn resolve(document: &Document) -> Result<(Config, Diagnostics), Diagnostics> {
    let config = walk(document);
    let found = document.diagnostics();
    match config {
        Some(config) if found.is_usable() => Ok((config, found)),
        _ => Err(found),
    }
}

fn walk(document: &Document) -> Option<Config> {
    let root = document.root();
    let agent = root.table("agent");
    let name = agent.text("name").required();
    let identity = agent.address("identity").then(called_address).required();
    let own = agent.address("address").then(called_address).optional().or(identity);
    if let (Some(own), Some(identity)) = (own, identity)
        && own.is_ipv4() != identity.is_ipv4()
    {
        let hint = "give the address that this host has on the near side of the NAT, or remove the key";
        agent.error("address", Wrong::new(format!("{own} can't be known to anybody as {identity}"), hint));
    }
    let state_dir = agent.path("state_dir").required();
    agent.finish();

    let (listeners, coa) = listen::listeners(&root, own).unzip();
    let servers = servers(&root, own, listeners.as_deref().unwrap_or_default());
    let inbox = inbox(&root, own);
    let switch = upstream::config::switch(&root);
    let dead_server = upstream::config::dead_server(&root);
    let spool = spool(&root);
    let hooks = hooks(&root);
    let log = root.table("log");
    let settings = Settings::read(&log);
    log.finish();
    root.not_available_yet(&["radsec"]);
    root.finish();

    Some(Config {
        name: name?,
        identity: identity?,
        address: own?,
        state_dir: state_dir?,
        listeners: listeners?,
        coa: coa?,
        servers: servers?,
        inbox: inbox?,
        switch,
        spool,
        dead_server,
        hooks: hooks?,
        folder: document.folder().to_path_buf(),
        log: settings,
    })
}

fn servers(root: &Table<'_>, own: Option<IpAddr>, listeners: &[Listener]) -> Option<Vec<Server>> {
    let tables = bounded_named(root, "server", SERVERS_MAX)?;
    if tables.is_empty() {
        root.error(
            "server",
            Wrong::new("no [[server]]", "name at least one, better two, in order of preference"),
        );
    }
    let mut all = Some(Vec::with_capacity(tables.len()));
    let mut taken: Vec<(IpAddr, Place)> = Vec::new();
    for table in tables {
        let server = server(&table);
        if let (Some(server), Some(own)) = (&server, own)
            && server.address.is_ipv4() != own.is_ipv4()
        {
            table.error(
                "address",
                Wrong::new(
                    format!("{} can't be called from {own}", server.address),
                    "server and `identity` must both be IPv4 or both be IPv6",
                ),
            );
        }
        if let Some(server) = &server {
            if listeners.iter().any(|listener| is_called(listener.address, server, own)) {
                table.error(
                    "address",
                    Wrong::new(
                        format!("{} is where this agent listens itself", server.address),
                        "name the server, not the agent: requests would go round in a circle",
                    ),
                );
            }
            let place = table.place_of("address");
            if let Some((_, first)) = taken.iter().find(|(other, _)| *other == server.address) {
                let first = root.document().locate(*first);
                root.document().error(
                    place,
                    Wrong::new(
                        format!("two servers have the address {}", server.address),
                        format!("the first is at {first}; notices name a server by its address"),
                    ),
                );
            }
            taken.push((server.address, place));
        }
        table.finish();
        gather(&mut all, server);
    }
    all
}

/// Whether what goes to `server` arrives at an agent's own door.
fn is_called(door: SocketAddr, server: &Server, own: Option<IpAddr>) -> bool {
    let address = door.ip() == server.address
        || (door.ip().is_unspecified() && (Some(server.address) == own || server.address.is_loopback()));
    address && [server.auth_port, server.acct_port].contains(&door.port())
}

fn server(table: &Table<'_>) -> Option<Server> {
    let name = table.text("name").required();
    let address = table.address("address").then(called_address).required();
    let auth_port = table.integer("auth_port").within(1, u16::MAX).or(AUTH_PORT);
    let acct_port = table.integer("acct_port").within(1, u16::MAX).or(ACCT_PORT);
    if auth_port == acct_port {
        table.error(
            "acct_port",
            Wrong::new(
                format!("authentication and accounting both go to port {auth_port}"),
                "give `auth_port` and `acct_port` each its own",
            ),
        );
    }
    let notice_port = table.integer("notice_port").within(1, u16::MAX).or(NOTICE_PORT);
    let key = secret(table);
    let required =
        table.choice("require_message_authenticator", &[("yes", true), ("no", false)], &["auto"]).or(true);
    let status_server = table.boolean("status_server").or(true);
    let notice_keys = keys::ring(table);
    Some(Server {
        name: name?,
        address: address?,
        auth_port,
        acct_port,
        notice_port,
        key: key?,
        require_message_authenticator: required,
        status_server,
        notice_keys: notice_keys?,
    })
}

/// A RADIUS secret in one of its three forms.
pub(super) fn secret(table: &Table<'_>) -> Option<RadiusKey> {
    let secret = table.secret("secret").required()?;
    // An empty secret was reported on reading.
    let key = RadiusKey::new(secret.octets()).ok()?;
    if key.is_short() {
        let place = ["secret", "secret_file", "secret_env"].into_iter().find(|key| table.has(key));
        table.warning(
            place.unwrap_or("secret"),
            Wrong::new("a secret of 12 octets or fewer can be guessed", "give one of at least 16 characters"),
        );
    }
    Some(key)
}

fn inbox(root: &Table<'_>, address: Option<IpAddr>) -> Option<Inbox> {
    let table = root.table("inbox");
    let transports = [("icmp", Transport::Icmp), ("udp", Transport::Udp)];
    let wanted = table
        .list("transports", |value| value.choice(&transports, &[]))
        .or(vec![Transport::Icmp, Transport::Udp]);
    let given = table.socket("udp").then(asked_address).optional();
    if wanted.is_empty() {
        table.warning(
            "transports",
            Wrong::new(
                "no notice can come in: servers are left only when they are dead",
                "name icmp, udp or both",
            ),
        );
    }
    let udp = wanted.contains(&Transport::Udp);
    if given.is_some() && !udp {
        table.warning(
            "udp",
            Wrong::new(
                "`udp` is given, but transports doesn't name it",
                "add \"udp\" to transports, or remove the key",
            ),
        );
    }
    table.finish();
    let own = address.map(|address| SocketAddr::new(address, NOTICE_PORT));
    Some(Inbox {
        icmp: wanted.contains(&Transport::Icmp),
        udp: if udp { Some(given.or(own)?) } else { None },
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Icmp,
    Udp,
}

fn spool(root: &Table<'_>) -> spool::Config {
    let table = root.table("spool");
    let spool::Config { after, max } = spool::Config::default();
    let config = spool::Config {
        after: table
            .field("after", |value| {
                value.unless_off(|value| match value.duration()? {
                    length if (SPOOL_AFTER_LEAST..=HOUR).contains(&length) => Ok(length),
                    _ => Err(Wrong::new("it is out of range", "write \"100ms\" to \"1h\"")),
                })
            })
            .or(after),
        max: table.size("max").within(SPOOL_LEAST, u64::MAX >> 1).or(max),
    };
    table.finish();
    config
}

fn hooks(root: &Table<'_>) -> Option<Vec<Hook>> {
    let tables = bounded(root, "hook", HOOKS_MAX)?;
    let mut all = Some(Vec::with_capacity(tables.len()));
    for table in tables {
        let occasions = [("switch", Occasion::Switch), ("notice", Occasion::Notice)];
        let on = table.choice("on", &occasions, &[]).required();
        let command = table
            .texts("command")
            .then(|words| {
                if words.is_empty() {
                    return Err(Wrong::new("an empty command", "write [\"program\", \"argument\"]"));
                }
                Ok(words)
            })
            .required();
        let timeout = table
            .duration("timeout")
            .within(Duration::from_millis(10), 10 * MINUTE)
            .or(Duration::from_secs(10));
        table.finish();
        gather(&mut all, on.zip(command).map(|(on, command)| Hook { on, command, timeout }));
    }
    all
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Least of `[spool] after`: a healthy server's commit takes less.
const SPOOL_AFTER_LEAST: Duration = Duration::from_millis(100);
/// Least of `[spool] max`.
const SPOOL_LEAST: u64 = 1 << 20;

/// An address that can be bound and named in a message: not the unspecified one, since a reply has to leave from
/// where the request arrived, and the front door is for one address at a time.
pub(super) fn asked_address(address: SocketAddr) -> Result<SocketAddr, Wrong> {
    if address.ip().is_multicast() {
        return Err(Wrong::new(
            format!("{address} is a multicast address"),
            "give an address of this machine",
        ));
    }
    Ok(address)
}

fn called_address(address: IpAddr) -> Result<IpAddr, Wrong> {
    if address.is_unspecified() || address.is_multicast() {
        return Err(Wrong::new(format!("{address} is nobody's address"), "write the address of one host"));
    }
    Ok(address)
}

pub(super) fn bounded<'d>(root: &Table<'d>, key: &str, most: usize) -> Option<Vec<Table<'d>>> {
    at_most(root, key, most, root.tables(key))
}

fn bounded_named<'d>(root: &Table<'d>, key: &str, most: usize) -> Option<Vec<Table<'d>>> {
    at_most(root, key, most, root.named_tables(key))
}

fn at_most<'d>(root: &Table<'d>, key: &str, most: usize, tables: Vec<Table<'d>>) -> Option<Vec<Table<'d>>> {
    if tables.len() > most {
        let what = format!("{} [[{key}]]; one agent takes at most {most}", tables.len());
        root.error(key, Wrong::new(what, "split them over several agents"));
        return None;
    }
    Some(tables)
}

/// Adds what resolved; a part that didn't makes the whole unresolved, but the walk goes on.
pub(super) fn gather<T>(all: &mut Option<Vec<T>>, item: Option<T>) {
    match (all.as_mut(), item) {
        (Some(list), Some(item)) => list.push(item),
        _ => *all = None,
    }
}
