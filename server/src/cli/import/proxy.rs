//! `proxy.conf`: home servers, pools and realms -> `[[pool]]` and `[[realm]]`.

use super::output::{Toml, quoted};
use super::report::Report;
use super::syntax::{Item, Section};

/// All of them below `top`.
pub(super) fn translate(top: &Section, toml: &mut Toml, report: &mut Report) {
    let homes: Vec<&Section> = top.all("home_server").collect();
    let pools: Vec<&Section> = top.all("home_server_pool").chain(top.all("server_pool")).collect();
    let mut written = Vec::new();
    for pool in &pools {
        if pool_of(pool, &homes, toml, report) {
            written.push(pool.argument.as_str());
        }
    }
    for home in &homes {
        let is_used = pools.iter().any(|pool| members(pool).any(|item| item.value == home.argument));
        home_server(home, is_used, report);
    }
    for realm in top.all("realm") {
        realm_of(realm, &written, toml, report);
    }
    for proxy in top.all("proxy") {
        for item in &proxy.items {
            report.not_needed(&item.spot, format!("proxy: {}", item.name), "has no counterpart");
        }
    }
}

fn members(pool: &Section) -> impl Iterator<Item = &Item> {
    pool.items.iter().filter(|item| item.name == "home_server")
}

fn pool_of(pool: &Section, homes: &[&Section], toml: &mut Toml, report: &mut Report) -> bool {
    let what = format!("home_server_pool {}", pool.argument);
    let kind = pool.item("type").map_or("fail-over", |item| item.value.as_str());
    let mut servers = Vec::new();
    for member in members(pool) {
        let home = homes.iter().find(|home| home.argument == member.value);
        match home.map(|home| server(home)) {
            Some(Some(server)) => servers.push(server),
            Some(None) => {
                let word = "that home server has no address or no secret, or isn't spoken to over UDP";
                report.not_translated(&member.spot, format!("{what}: {}", member.value), word);
            }
            None => {
                let word = "there is no home_server of this name";
                report.not_translated(&member.spot, format!("{what}: {}", member.value), word);
            }
        }
    }
    if servers.is_empty() {
        report.not_translated(&pool.spot, what, "no home server is left in it");
        return false;
    }
    toml.table("[[pool]]");
    toml.text("name", &pool.argument);
    let (strategy, word) = strategy(kind);
    toml.text("strategy", strategy);
    toml.raw("servers", &format!("[\n  {},\n]", servers.join(",\n  ")));
    report.translated(&pool.spot, what.clone(), "[[pool]]");
    if let Some(word) = word {
        report.not_translated(&pool.spot, format!("{what}: type = {kind}"), word);
    }
    for item in &pool.items {
        match item.name.as_str() {
            "type" | "home_server" => {}
            "virtual_server" | "fallback" => {
                let word = "a pool of which nobody answers is met with silence (home-silent), and the NAS asks another server";
                report.not_translated(&item.spot, format!("{what}: {}", item.name), word);
            }
            name => report.not_translated(&item.spot, format!("{what}: {name}"), "has no counterpart"),
        }
    }
    true
}

/// The strategy that comes nearest to a pool's `type`, and in what it differs.
fn strategy(kind: &str) -> (&'static str, Option<&'static str>) {
    match kind {
        "fail-over" => ("failover", None),
        "load-balance" => ("round-robin", None),
        "client-balance" | "client-port-balance" | "keyed-balance" => {
            let word = "\"round-robin\": each conversation stays with one server, but the next of the same client goes to the next";
            ("round-robin", Some(word))
        }
        _ => ("failover", Some("there is no such strategy; \"failover\" is taken")),
    }
}

/// As one of `servers` has it.
fn server(home: &Section) -> Option<String> {
    let value = |name: &str| home.item(name).map(|item| item.value.as_str());
    let address = ["ipaddr", "ipv4addr", "ipv6addr"].into_iter().find_map(value)?;
    address.parse::<std::net::IpAddr>().ok()?;
    let secret = value("secret")?;
    if !matches!(value("proto"), None | Some("udp")) {
        return None;
    }
    let mut fields = vec![
        format!("name = {}", quoted(&home.argument)),
        format!("address = {}", quoted(address)),
        format!("secret = {}", quoted(secret)),
    ];
    let port = value("port").and_then(|port| port.parse::<u16>().ok()).filter(|port| *port != 0);
    match (value("type").unwrap_or("auth"), port) {
        ("acct", Some(port)) => fields.push(format!("acct_port = {port}")),
        ("auth+acct", Some(port)) => {
            fields.push(format!("auth_port = {port}"));
            fields.push(format!("acct_port = {}", port.saturating_add(1)));
        }
        (_, Some(port)) => fields.push(format!("auth_port = {port}")),
        (_, None) => {}
    }
    Some(format!("{{ {} }}", fields.join(", ")))
}

fn home_server(home: &Section, is_used: bool, report: &mut Report) {
    let what = format!("home_server {}", home.argument);
    if is_used {
        report.translated(&home.spot, what.clone(), "in `servers` of its [[pool]]");
    } else {
        report.not_needed(&home.spot, what.clone(), "no pool uses it");
    }
    for item in &home.items {
        let word = match item.name.as_str() {
            "ipaddr" | "ipv4addr" | "ipv6addr" | "port" | "secret" | "type" | "proto" => continue,
            "response_window"
            | "zombie_period"
            | "revive_interval"
            | "status_check"
            | "check_interval"
            | "check_timeout"
            | "num_answers_to_alive"
            | "max_outstanding"
            | "response_timeouts"
            | "num_pings_to_alive"
            | "ping_interval" => {
                "a home server that warns is left at once, one that is silent is probed after 300 ms: there is nothing to tune"
            }
            _ => {
                report.not_translated(&item.spot, format!("{what}: {}", item.name), "has no counterpart");
                continue;
            }
        };
        report.not_needed(&item.spot, format!("{what}: {}", item.name), word);
    }
    for section in &home.sections {
        let what = format!("{what}: {} {{ }}", section.name);
        report.not_needed(
            &section.spot,
            what,
            "retransmission follows RFC 5080, connections are not limited",
        );
    }
}

fn realm_of(realm: &Section, pools: &[&str], toml: &mut Toml, report: &mut Report) {
    let what = format!("realm {}", realm.argument);
    let value = |name: &str| realm.item(name).map(|item| item.value.as_str());
    let pool = value("pool").or_else(|| value("auth_pool")).or_else(|| value("acct_pool"));
    let Some(pool) = pool else {
        let word = match realm.argument.as_str() {
            "LOCAL" => "users without a [[realm]] are this server's own",
            _ => "a realm without a pool is this server's own: nothing to route",
        };
        return report.not_needed(&realm.spot, what, word);
    };
    if !pools.contains(&pool) {
        return report.not_translated(&realm.spot, what, format!("its pool {pool} is not translated"));
    }
    toml.table("[[realm]]");
    toml.text("match", &matching(&realm.argument));
    toml.text("pool", pool);
    toml.raw("strip", if realm.item("nostrip").is_some() { "false" } else { "true" });
    report.translated(&realm.spot, what.clone(), format!("[[realm]] to pool {pool}"));
    for item in &realm.items {
        match item.name.as_str() {
            "pool" | "auth_pool" | "nostrip" => {}
            "acct_pool" if item.value == pool => {}
            "acct_pool" => {
                let word = format!("a realm has one pool for both; {pool} is taken");
                report.not_translated(&item.spot, format!("{what}: acct_pool"), word);
            }
            "coa_pool" => {
                report.not_translated(&item.spot, format!("{what}: coa_pool"), "CoA isn't proxied yet");
            }
            name => report.not_translated(&item.spot, format!("{what}: {name}"), "has no counterpart"),
        }
    }
}

/// `~regex` is `/regex/` here; the rest is the same.
fn matching(argument: &str) -> String {
    match argument.strip_prefix('~') {
        Some(expression) => format!("/{}/", super::syntax::unquoted(expression)),
        None => argument.to_owned(),
    }
}
