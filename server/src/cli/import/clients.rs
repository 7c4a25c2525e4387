//! `clients.conf` -> `[[client]]`.

use super::output::Toml;
use super::report::Report;
use super::syntax::Section;

/// All `client` sections below `top`.
pub(super) fn translate(top: &Section, toml: &mut Toml, report: &mut Report) {
    for client in top.all("client") {
        one(client, toml, report);
    }
    // Clients of virtual servers, which here are everybody's.
    for outer in top.all("clients").chain(top.all("server")) {
        for client in outer.all("client") {
            one(client, toml, report);
        }
    }
}

fn one(client: &Section, toml: &mut Toml, report: &mut Report) {
    let name = client.item("shortname").map_or(client.argument.as_str(), |item| &item.value);
    let what = format!("client {name}");
    let value = |name: &str| client.item(name).map(|item| item.value.as_str());
    let Some(address) = address(client) else {
        let why = "it has no address; add `address` by hand: host names are not looked up, since a name server \
                   that is away or lies must not decide who is a client";
        return report.not_translated(&client.spot, what, why);
    };
    let Some(secret) = value("secret").filter(|secret| !secret.is_empty()) else {
        return report.not_translated(&client.spot, what, "it has no secret");
    };
    if value("proto") == Some("tcp") || value("proto") == Some("tls") {
        return report.not_translated(&client.spot, what, "RADIUS over TCP and TLS are not available yet");
    }
    let is_single = !address.contains('/') || address.ends_with("/32") || address.ends_with("/128");
    let required = value("require_message_authenticator").unwrap_or("no");
    let rule = match required {
        "yes" | "true" | "1" => "yes",
        _ if is_single => "auto",
        _ => "no",
    };
    toml.table("[[client]]");
    toml.text("name", name);
    toml.text("address", &address);
    toml.text("secret", secret);
    toml.text("require_message_authenticator", rule);
    if value("limit_proxy_state").is_some_and(|limit| ["yes", "true", "auto"].contains(&limit)) {
        toml.text("limit_proxy_state", "yes");
    }
    let word = match rule {
        "auto" => {
            "[[client]]; require_message_authenticator = \"auto\": it is required as soon as the device is seen to send it"
        }
        "no" => {
            "[[client]]; a network of clients that need no Message-Authenticator is open to CVE-2024-3596: \
             `forewarn status --blastradius` shows when \"yes\" can be set"
        }
        _ => "[[client]]",
    };
    report.translated(&client.spot, what.clone(), word);
    for item in &client.items {
        let what = format!("{what}: {}", item.name);
        match item.name.as_str() {
            "ipaddr"
            | "ipv4addr"
            | "ipv6addr"
            | "secret"
            | "shortname"
            | "proto"
            | "netmask"
            | "require_message_authenticator"
            | "limit_proxy_state" => {}
            "nas_type" | "nastype" => {
                report.not_needed(&item.spot, what, "it is there for checkrad, which isn't used here");
            }
            "virtual_server" | "server" => {
                let word = "there is one server for all; tell clients apart in a policy by client.name or client.group";
                report.not_translated(&item.spot, what, word);
            }
            "coa_server" => {
                let word = "set coa_port and coa_secret of this [[client]]: CoA goes to the client itself";
                report.not_translated(&item.spot, what, word);
            }
            "login" | "password" => {
                report.not_needed(&item.spot, what, "it is there for checkrad, which isn't used here");
            }
            _ => report.not_translated(&item.spot, what, "has no counterpart"),
        }
    }
    for limit in &client.sections {
        let what = format!("{what}: {} {{ }}", limit.name);
        report.not_needed(&limit.spot, what, "it limits connections of TCP");
    }
}

/// As `[[client]] address` has it. `None`: there is none, or it is a name.
fn address(client: &Section) -> Option<String> {
    let given = ["ipaddr", "ipv4addr", "ipv6addr"].iter().find_map(|name| client.item(name));
    let text = given.map_or(client.argument.as_str(), |item| item.value.as_str());
    let text = match text {
        "*" if client.item("ipv6addr").is_some() => "::/0",
        "*" => "0.0.0.0/0",
        text => text,
    };
    let whole = match client.item("netmask") {
        Some(mask) if !text.contains('/') => format!("{text}/{}", mask.value),
        _ => text.to_owned(),
    };
    let address = whole.split('/').next().unwrap_or_default();
    address.parse::<std::net::IpAddr>().ok().map(|_| whole)
}
