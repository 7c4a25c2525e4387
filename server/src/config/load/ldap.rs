//! `[ldap]`.

use std::sync::Arc;
use std::time::Duration;

use forewarn_dict::Dictionary;
use forewarn_shell::config::{Table, Value, Wrong};

use super::super::ldap::{Groups, Ldap, Scope, Verify};

const SECOND: Duration = Duration::from_secs(1);

/// What stands for the User-Name in a filter.
const USER: &str = "{user}";
/// What stands for the user's DN.
const DN: &str = "{dn}";

pub(super) fn ldap(root: &Table<'_>, dictionary: &Dictionary) -> Option<Ldap> {
    let table = root.optional_table("ldap")?;
    let servers = table.list("servers", |value| value.text().and_then(url)).required();
    let starttls = table.boolean("starttls").or(false);
    let ca = table.path("ca").optional();
    let bind = bind(&table);
    let base = table.text("base").required();
    let scopes = [("subtree", Scope::Subtree), ("one", Scope::One)];
    let scope = table.choice("scope", &scopes, &[]).or(Scope::Subtree);
    let user_filter = table.field("user_filter", |value| filter(value, &[USER])).or(format!("(uid={USER})"));
    let name_attribute = table.text("name_attribute").optional();
    let name_attribute = name_attribute.or_else(|| login_attribute(&table, &user_filter));
    let kinds = [("auto", Verify::Auto), ("bind", Verify::Bind), ("password", Verify::Password)];
    let verify = table.choice("verify", &kinds, &[]).or(Verify::Auto);
    let password_attribute = table.text("password_attribute").or("userPassword".to_owned());
    let nt_attribute = table.text("nt_attribute").optional();
    let member_of = table.text("member_of").optional();
    let groups = table.optional_table("groups").and_then(|table| groups(table, base.as_deref()));
    let reply = reply(&table, dictionary);
    let connections = table.integer("connections").within(1, 64).or(2);
    let timeout = table.duration("timeout").within(SECOND / 100, SECOND * 60).or(SECOND * 2);
    let day = SECOND * 86_400;
    let cache = table.duration("cache").within(Duration::ZERO, day).or(SECOND * 60);
    let negative_cache = table.duration("negative_cache").within(Duration::ZERO, day).or(SECOND * 5);
    let stale = table.duration("stale").within(Duration::ZERO, day * 30).or(SECOND * 3600);
    if let Some(servers) = &servers {
        exposed(&table, servers, starttls);
    }
    table.finish();
    Some(Ldap {
        servers: servers?,
        starttls,
        ca,
        bind,
        base: base?,
        scope,
        user_filter,
        name_attribute,
        verify,
        password_attribute,
        nt_attribute,
        member_of,
        groups,
        reply,
        connections,
        timeout,
        cache,
        negative_cache,
        stale,
    })
}

fn url(text: &str) -> Result<String, Wrong> {
    let known = ["ldap://", "ldaps://", "ldapi://"];
    if !known.iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme)) {
        let hint =
            "write \"ldaps://ldap.example.org\", \"ldap://192.0.2.1:389\" or \"ldapi://%2frun%2fldapi\"";
        return Err(Wrong::new(format!("{text:?} is no LDAP URL"), hint));
    }
    Ok(text.to_owned())
}

fn bind(table: &Table<'_>) -> Option<(String, forewarn_shell::config::Secret)> {
    let dn = table.text("bind_dn").optional();
    let password = table.secret("bind_password").optional();
    match (dn, password) {
        (Some(dn), Some(password)) => Some((dn, password)),
        (Some(_), None) => {
            let hint = "add bind_password_file = \"..\" (or remove bind_dn: searches are anonymous then)";
            table.error("bind_dn", Wrong::new("`bind_dn` has no password", hint));
            None
        }
        (None, Some(_)) => {
            let what = "`bind_password` has no `bind_dn` it belongs to";
            table.error("bind_password", Wrong::new(what, "add bind_dn = \"cn=..,dc=..\""));
            None
        }
        (None, None) => None,
    }
}

/// A filter that parses once its places are filled, and has one of them.
fn filter(value: &Value<'_>, places: &[&str]) -> Result<String, Wrong> {
    let text = value.text()?;
    if !places.iter().any(|place| text.contains(place)) {
        let hint = format!("write {} where the user belongs, as in \"(uid={USER})\"", places.join(" or "));
        return Err(Wrong::new("the filter is the same for every user", hint));
    }
    let filled = text.replace(USER, "a").replace(DN, "a");
    if ldap3::parse_filter(&filled).is_err() {
        return Err(Wrong::new(
            "not an LDAP filter",
            "write it as RFC 4515 has it: \"(&(uid={user})(a=b))\"",
        ));
    }
    Ok(text.to_owned())
}

/// The attribute that the whole User-Name is compared with, the first of them.
fn login_attribute(table: &Table<'_>, filter: &str) -> Option<String> {
    let simple = format!("={USER})");
    let found = filter.match_indices(&simple).find_map(|(end, _)| {
        let name = &filter[filter[..end].rfind('(')? + 1..end];
        let is_name = |octet: u8| octet.is_ascii_alphanumeric() || b"-.;".contains(&octet);
        (!name.is_empty() && name.bytes().all(is_name)).then(|| name.to_owned())
    });
    if found.is_none() {
        let what =
            "the filter doesn't say which attribute is the user's name, so users are known by their DN";
        table.warning("user_filter", Wrong::new(what, "add name_attribute = \"uid\""));
    }
    found
}

fn groups(table: Table<'_>, base: Option<&str>) -> Option<Groups> {
    let own = table.text("base").optional();
    let filter = table.field("filter", |value| filter(value, &[DN, USER])).or(format!("(member={DN})"));
    let name = table.text("name").or("cn".to_owned());
    table.finish();
    Some(Groups { base: own.or(base.map(str::to_owned))?, filter, name })
}

/// `reply = { Framed-IP-Address = "radiusFramedIPAddress" }`
fn reply(table: &Table<'_>, dictionary: &Dictionary) -> Vec<(Arc<str>, String)> {
    let Some(reply) = table.optional_table("reply") else { return Vec::new() };
    let mut map = Vec::new();
    for entry in reply.entries() {
        if dictionary.attribute(entry.key).is_none() {
            let what = format!("{} is no attribute of the dictionaries", entry.key);
            let nearest = dictionary.suggest_attribute(entry.key);
            let hint = nearest.map_or_else(
                || "write its name as the dictionaries have it, or add one in [dictionary] files".to_owned(),
                |nearest| format!("did you mean {nearest}?"),
            );
            entry.error(Wrong::new(what, hint));
            continue;
        }
        match entry.value.text() {
            Ok(attribute) => map.push((Arc::from(entry.key), attribute.to_owned())),
            Err(wrong) => entry.value.error(wrong),
        }
    }
    reply.finish();
    map
}

/// Passwords go over this connection.
fn exposed(table: &Table<'_>, servers: &[String], starttls: bool) {
    let is_far = |server: &&String| {
        let host = server.strip_prefix("ldap://").unwrap_or_default();
        let near = ["127.", "[::1]", "localhost"];
        server.starts_with("ldap://") && !near.iter().any(|near| host.starts_with(near))
    };
    if let Some(server) = servers.iter().find(is_far).filter(|_| !starttls) {
        let what = format!("passwords go to {server} unencrypted");
        table.warning("servers", Wrong::new(what, "write ldaps://, or set starttls = true"));
    }
}
