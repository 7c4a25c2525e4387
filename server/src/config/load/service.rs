//! `[[service]]`.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::Authority;
use forewarn_proto::holddown::Waits;
use forewarn_shell::config::{Kind, Table, Wrong};
use rustls::pki_types::ServerName;
use sha2::{Digest, Sha256};

use super::super::{Check, Http, Radius, Restart, Role, Service, Tls};
use super::client::radius_key;
use super::health::{DAY, HOUR, INTERVAL_MIN, SECOND};
use super::server::{plain, unicast};
use super::{bounded, each};
use crate::store::tls;

/// Most `[[service]]`.
const SERVICES_MAX: usize = 256;

pub(super) fn services(root: &Table<'_>, has_users: bool) -> Vec<Service> {
    each(bounded(root, "service", root.named_tables("service"), SERVICES_MAX), |table| {
        let name = table.text("name").then(plain).required();
        let role = role(table);
        let check = check(table, has_users);
        let interval = table.duration("interval").within(INTERVAL_MIN, HOUR).or(2 * SECOND);
        let timeout = table.duration("timeout").within(INTERVAL_MIN, HOUR).or(2 * SECOND);
        let fall = table.integer("fall").within(1, 1000).or(3);
        let rise = table.integer("rise").within(1, 1000).or(3);
        let hold_down = table.duration("hold_down").within(Duration::ZERO, DAY).or(60 * SECOND);
        let restart = restart(table);
        Some(Service {
            name: name?.into(),
            role: role?,
            check: check?,
            interval,
            timeout,
            fall,
            rise,
            hold_down,
            restart,
        })
    })
}

/// The keys that say how, and when, `restart` is run.
const RESTART_KEYS: [&str; 3] = ["restart_timeout", "restart_wait", "restart_wait_max"];

fn restart(table: &Table<'_>) -> Option<Restart> {
    let timeout = table.duration("restart_timeout").within(INTERVAL_MIN, HOUR).or(30 * SECOND);
    let first = table.duration("restart_wait").within(INTERVAL_MIN, DAY).or(10 * SECOND);
    let most = table.duration("restart_wait_max").within(INTERVAL_MIN, DAY).or((600 * SECOND).max(first));
    if most < first {
        let what = format!("`restart_wait_max` {most:?} is shorter than `restart_wait` {first:?}");
        table.error("restart_wait_max", Wrong::new(what, "the waits get longer; write a longer one"));
    }
    if !table.has("restart") {
        for key in RESTART_KEYS.into_iter().filter(|key| table.has(key)) {
            let hint = "add restart = [\"systemctl\", \"restart\", \"slapd\"], or remove it";
            table.error(key, Wrong::new(format!("`{key}` without `restart`"), hint));
        }
        return None;
    }
    let hint = "write a list: restart = [\"systemctl\", \"restart\", \"slapd\"]; there is no shell";
    let command = words(table, "restart", hint)?;
    Some(Restart { command, timeout, waits: Waits { first, most } })
}

/// What a dependent service adds to the load when it has failed, unless it says.
const DEFAULT_WEIGHT: f64 = 0.5;

fn role(table: &Table<'_>) -> Option<Role> {
    let mandatory = table.choice("role", &[("mandatory", true), ("dependent", false)], &[]).required();
    let weight = table.fraction("weight").with_place();
    match mandatory? {
        false => Some(Role::Dependent { weight: weight.map_or(DEFAULT_WEIGHT, |(weight, _)| weight) }),
        true if weight.is_some() => {
            let what = "a mandatory service has no `weight`: without it the load is 1.0";
            table.error("weight", Wrong::new(what, "remove it, or write role = \"dependent\""));
            None
        }
        true => Some(Role::Mandatory),
    }
}

/// Reads what one kind of check needs.
type ReadCheck = fn(&Table<'_>) -> Option<Check>;

fn check(table: &Table<'_>, has_users: bool) -> Option<Check> {
    let hint = "write check = { kind = \"tcp\", address = \"192.0.2.1:389\" }";
    if !table.has("check") {
        table.error("check", Wrong::new("this [[service]] has no `check`", hint));
    }
    let check = table.optional_table("check")?;
    let kinds: [(&str, ReadCheck); 8] = [
        ("tcp", tcp),
        ("icmp", icmp),
        ("process", process),
        ("pid_file", pid_file),
        ("http", http),
        ("radius", radius),
        ("command", command),
        ("sql", |_| Some(Check::Sql)),
    ];
    let read = check.choice("kind", &kinds, &[]).required()?;
    let resolved = read(&check);
    if resolved == Some(Check::Sql) && !has_users {
        let hint = "add [sql] with users = true, or check something else";
        check.error("kind", Wrong::new("\"sql\" is of the users' database, and there is none", hint));
    }
    check.finish();
    resolved
}

fn tcp(check: &Table<'_>) -> Option<Check> {
    let address: SocketAddr = check.socket("address").required()?;
    Some(Check::Tcp { address })
}

fn icmp(check: &Table<'_>) -> Option<Check> {
    Some(Check::Icmp { address: check.address("address").then(unicast).required()? })
}

fn process(check: &Table<'_>) -> Option<Check> {
    Some(Check::Process { name: check.text("name").required()? })
}

fn pid_file(check: &Table<'_>) -> Option<Check> {
    Some(Check::PidFile { path: std::path::absolute(check.path("path").required()?).ok()? })
}

fn command(check: &Table<'_>) -> Option<Check> {
    let hint = "write a list: command = [\"test\", \"-w\", \".\"]; there is no shell";
    Some(Check::Command { command: words(check, "command", hint)? })
}

/// A program and its arguments.
fn words(table: &Table<'_>, key: &str, hint: &str) -> Option<Vec<String>> {
    if let Some(value) = table.value(key)
        && value.kind() != Kind::Array
    {
        value.error(value.expected("a list of a program and its arguments", hint));
        return None;
    }
    let words = table.list(key, |value| value.text_or_empty().map(str::to_owned));
    let words = words.then(|words| match words.first().map(String::as_str) {
        None | Some("") => Err(Wrong::new("no program", hint)),
        Some(_) => Ok(words),
    });
    words.required()
}

fn http(check: &Table<'_>) -> Option<Check> {
    let url = check.text("url").then(|url| web_address(&url)).required();
    let host = check.text("host").then(host_name).optional();
    let head = check.choice("method", &[("GET", false), ("HEAD", true)], &[]).or(false);
    let status = check.integer("status").within(200, 599).or(200);
    let ca = check.path("ca").optional();
    let (secure, address, authority, target) = url?;
    let tls = match (secure, ca) {
        (true, ca) => {
            let name = host.clone().map(ServerName::try_from).and_then(Result::ok);
            Some(trust(check, name.unwrap_or_else(|| address.ip().into()), ca.as_deref())?)
        }
        (false, Some(_)) => {
            let hint = "write url = \"https://...\", or remove `ca`";
            check.error("ca", Wrong::new("`ca` is for https, and the url is plain http", hint));
            return None;
        }
        (false, None) => None,
    };
    Some(Check::Http(Http { address, tls, host: host_header(host, authority), target, head, status }))
}

/// `Host` has the port too, where the URL has one (RFC 9110 section 7.2).
fn host_header(name: Option<String>, authority: String) -> String {
    let Some(name) = name else { return authority };
    match authority.parse::<Authority>().ok().and_then(|authority| authority.port_u16()) {
        Some(port) => format!("{name}:{port}"),
        None => name,
    }
}

/// An URL in parts: whether with TLS, where, value of `Host`, path and query.
type WebAddress = (bool, SocketAddr, String, String);

fn web_address(url: &str) -> Result<WebAddress, Wrong> {
    let hint = "write url = \"http://192.0.2.1:8080/health\" or \"https://192.0.2.1/health\"";
    let wrong = |what: String| Wrong::new(what, hint);
    let uri: Uri = url.parse().map_err(|error| wrong(format!("not an URL: {error}")))?;
    let secure = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong("an URL that is neither http nor https".to_owned())),
    };
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    if authority.contains('@') {
        let hint =
            "remove what stands before the @: it would be sent in clear and shown to whoever reads this";
        return Err(Wrong::new("an URL with a user name or password", hint));
    }
    let host = uri.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let Ok(address) = bare.parse::<IpAddr>() else {
        let hint = format!("write its address in the url, and host = \"{host}\" beside it");
        return Err(Wrong::new(format!("`{host}` is a name, and a check doesn't wait for DNS"), hint));
    };
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    Ok((secure, SocketAddr::new(unicast(address)?, port), authority, target))
}

/// A name as DNS has it: nothing else may reach a header.
fn host_name(name: String) -> Result<String, Wrong> {
    match ServerName::try_from(name.as_str()) {
        Ok(ServerName::DnsName(_)) => Ok(name),
        _ => Err(Wrong::new(format!("`{name}` is not a host's name"), "write host = \"www.example.org\"")),
    }
}

/// The authorities, read now: a check doesn't wait for a disk.
fn trust(check: &Table<'_>, name: ServerName<'static>, ca: Option<&Path>) -> Option<Tls> {
    let read = |ca: Option<&Path>| {
        let config = tls::client(ca).map_err(|error| error.to_string())?;
        let octets = ca.map(fs::read).transpose().map_err(|error| error.to_string())?;
        Ok::<_, String>((config, octets.unwrap_or_default()))
    };
    let key = if ca.is_some() { "ca" } else { "url" };
    let hint = "name a PEM file of the authorities that signed its certificate with `ca`";
    let (config, octets) = read(ca).map_err(|what| check.error(key, Wrong::new(what, hint))).ok()?;
    Some(Tls { config, name, fingerprint: Sha256::digest(octets).into() })
}

fn radius(check: &Table<'_>) -> Option<Check> {
    let address: Option<SocketAddr> = check.socket("address").required();
    let secret = check.secret("secret").optional();
    let key = radius_key(check);
    let choices = [("yes", true), ("no", false)];
    let require_message_authenticator = check.choice("require_message_authenticator", &choices, &[]).or(true);
    let (address, key, secret) = (address?, key?, secret?);
    Some(Check::Radius(Radius { address, key, require_message_authenticator, secret }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> Result<(bool, String, String, String), String> {
        let parts = web_address(url).map_err(|wrong| wrong.what)?;
        Ok((parts.0, parts.1.to_string(), parts.2, parts.3))
    }

    #[test]
    fn an_url_in_parts() {
        let of = |secure, address: &str, host: &str, target: &str| {
            Ok((secure, address.to_owned(), host.to_owned(), target.to_owned()))
        };
        assert_eq!(parts("http://192.0.2.1"), of(false, "192.0.2.1:80", "192.0.2.1", "/"));
        assert_eq!(
            parts("https://[2001:db8::1]:8443/a?b=c"),
            of(true, "[2001:db8::1]:8443", "[2001:db8::1]:8443", "/a?b=c")
        );
        assert!(parts("https://www.example.org/").unwrap_err().contains("is a name"));
        assert!(parts("https://a:b@192.0.2.1/").unwrap_err().contains("user name or password"));
        for wrong in
            ["192.0.2.1:80", "/health", "ftp://192.0.2.1/", "http://192.0.2.1/a b", "http://0.0.0.0/"]
        {
            assert!(parts(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_host_header_has_the_port_that_the_url_has() {
        let header = |name: &str, authority: &str| host_header(Some(name.to_owned()), authority.to_owned());
        assert_eq!(header("www.example.org", "192.0.2.1"), "www.example.org");
        assert_eq!(header("www.example.org", "[2001:db8::1]:8443"), "www.example.org:8443");
        assert!(host_name("www.example.org\r\nX: y".to_owned()).is_err());
    }
}
