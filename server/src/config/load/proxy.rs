//! `[[pool]]` and `[[realm]]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use forewarn_proto::pool::MAX_SERVERS;
use forewarn_proto::switch::{self, Strategy};
use forewarn_shell::config::{Table, Wrong};
use forewarn_shell::upstream::config;
use forewarn_wire::notice::UDP_PORT;
use regex::RegexBuilder;

use super::super::proxy::{HomeServer, Matching, Pool, Realm};
use super::client::{notice_keys, radius_key};
use super::server::{plain, unicast};
use super::{bounded, each};

/// Most `[[pool]]`; each has source ports of its own.
const POOLS_MAX: usize = 64;
/// Most `[[realm]]`.
const REALMS_MAX: usize = 10_000;
/// Octets of a compiled expression.
const EXPRESSION_OCTETS: usize = 1 << 20;
/// Strategies that are planned and this version hasn't.
const LATER: [&str; 3] = ["least-outstanding", "weighted-least-outstanding", "consistent-hash"];

pub(super) fn pools(root: &Table<'_>) -> Vec<Pool> {
    each(bounded(root, "pool", root.named_tables("pool"), POOLS_MAX), |table| {
        let name = table.text("name").then(plain).required();
        let strategies = [Strategy::Failover, Strategy::RoundRobin].map(|one| (one.name(), one));
        let strategy = table.choice("strategy", &strategies, &LATER).or(Strategy::default());
        let switch = switch::Config { strategy, ..config::switch(table) };
        let dead_server = config::dead_server(table);
        let tables = table.named_tables("servers");
        if tables.is_empty() || tables.len() > MAX_SERVERS {
            let what = format!("a pool of {} servers", tables.len());
            table.error("servers", Wrong::new(what, format!("name 1 to {MAX_SERVERS}")));
        }
        let mut taken = BTreeMap::new();
        let servers = each(tables, |server| {
            let home = home_server(server)?;
            let (address, place) = (home.address, server.place_of("address"));
            if let Some(first) = taken.insert(address, place) {
                let hint = format!("the first is at {}; keep one", server.document().locate(first));
                server
                    .error("address", Wrong::new(format!("two servers of this pool are at {address}"), hint));
            }
            Some(home)
        });
        Some(Pool { name: name?.into(), servers, switch, dead_server })
    })
}

fn home_server(table: &Table<'_>) -> Option<HomeServer> {
    table.not_available_yet(&["weight"]);
    let name = table.text("name").then(plain).required();
    let address = table.address("address").then(unicast).required();
    let auth_port = table.integer("auth_port").within(1, u16::MAX).or(1812);
    let acct_port = table.integer("acct_port").within(1, u16::MAX).or(1813);
    if auth_port == acct_port {
        let what = format!("authentication and accounting both go to port {auth_port}");
        table.error("acct_port", Wrong::new(what, "give `auth_port` and `acct_port` each its own"));
    }
    let notice_port = table.integer("notice_port").within(1, u16::MAX).or(UDP_PORT);
    let secret = table.secret("secret").optional();
    let key = radius_key(table);
    let choices = [("yes", true), ("no", false)];
    let require_message_authenticator =
        table.choice("require_message_authenticator", &choices, &["auto"]).or(true);
    let status_server = table.boolean("status_server").or(true);
    let notice_keys = notice_keys(table);
    Some(HomeServer {
        name: name?,
        address: address?,
        auth_port,
        acct_port,
        notice_port,
        key: key?,
        require_message_authenticator,
        status_server,
        notice_keys: notice_keys?,
        secret: secret?,
    })
}

pub(super) fn realms(root: &Table<'_>, pools: &[Pool]) -> Vec<Realm> {
    let mut taken = BTreeMap::new();
    each(bounded(root, "realm", root.tables("realm"), REALMS_MAX), |table| {
        let text = table.text("match").required_with_place();
        if let Some((text, place)) = &text
            && let Some(first) = taken.insert(text.to_lowercase(), *place)
        {
            let hint = format!("the first is at {}; keep one", table.document().locate(first));
            table.error("match", Wrong::new(format!("two [[realm]] match {text:?}"), hint));
        }
        let matching = table.text("match").then(|text| matching(&text)).optional();
        let pool = table.text("pool").then(|name| {
            let known = pools.iter().find(|pool| *pool.name == *name).map(|pool| Arc::clone(&pool.name));
            known.ok_or_else(|| {
                let names: Vec<&str> = pools.iter().map(|pool| pool.name.as_ref()).collect();
                Wrong::new(format!("there is no [[pool]] {name:?}"), format!("one of: {}", names.join(", ")))
            })
        });
        let pool = pool.optional();
        let strip = table.boolean("strip").or(false);
        if strip && !table.has("pool") {
            let hint =
                "add pool = \"..\", or remove `strip`: this server's own users have their names as they are";
            table.error(
                "strip",
                Wrong::new("`strip` changes what a home server gets, and there is no pool", hint),
            );
        }
        Some(Realm { matching: matching?, pool, strip })
    })
}

fn matching(text: &str) -> Result<Matching, Wrong> {
    if let Some(expression) = text.strip_prefix('/').and_then(|text| text.strip_suffix('/')) {
        let whole = RegexBuilder::new(&format!("^(?:{expression})$"))
            .case_insensitive(true)
            .size_limit(EXPRESSION_OCTETS)
            .build();
        return whole.map(Matching::Expression).map_err(|error| {
            let what = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
            Wrong::new(format!("not a regular expression: {what}"), "write \"/(.*\\\\.)?example\\\\.org/\"")
        });
    }
    Ok(match text {
        "NULL" => Matching::Null,
        "DEFAULT" => Matching::Default,
        _ => match text.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') && suffix.len() > 1 => Matching::Below(suffix.to_owned()),
            None if !text.contains(['*', '@']) => Matching::Exact(text.to_owned()),
            _ => {
                let hint =
                    "write \"example.org\", \"*.example.org\", \"/expression/\", \"NULL\" or \"DEFAULT\"";
                return Err(Wrong::new(format!("{text:?} matches no realm"), hint));
            }
        },
    })
}
