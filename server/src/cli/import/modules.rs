//! Modules and listeners: `sql`, `ldap`, `listen { }`.

use super::output::{Toml, quoted};
use super::report::Report;
use super::syntax::Section;

/// Modules that forewarn's own doing takes the place of.
const BUILT_IN: [&str; 40] = [
    "always",
    "attr_filter",
    "cache_eap",
    "cache_ldap_user_dn",
    "chap",
    "date",
    "detail",
    "detail.log",
    "digest",
    "dynamic_clients",
    "echo",
    "exec",
    "expiration",
    "expr",
    "files",
    "linelog",
    "logintime",
    "mschap",
    "ntlm_auth",
    "pap",
    "passwd",
    "preprocess",
    "radutmp",
    "realm",
    "realms",
    "replicate",
    "soh",
    "sradutmp",
    "sub",
    "suffix",
    "totp",
    "unix",
    "unpack",
    "utf8",
    "mac2ip",
    "mac2vlan",
    "attr_filter.access_reject",
    "counter",
    "cui",
    "dpsk",
];

/// Sections of a virtual server that aren't policies.
const IN_SERVER: [&str; 3] = ["listen", "client", "clients"];

/// `listen` sections of all virtual servers -> `[[listen]]`. `identity` stands for any address.
pub(super) fn listens(servers: &[Section], toml: &mut Toml, report: &mut Report) {
    let mut taken = Vec::new();
    for server in servers {
        if is_inner(server) {
            report.not_needed(
                &server.spot,
                "server inner-tunnel",
                "inner methods need no server of their own",
            );
            continue;
        }
        for listen in server.all("listen") {
            one_listen(listen, &mut taken, toml, report);
        }
        let policies: Vec<&str> = server
            .sections
            .iter()
            .map(|section| section.name.as_str())
            .filter(|name| !IN_SERVER.contains(name))
            .collect();
        if !policies.is_empty() {
            let what = format!("server {}: {} {{ }}", server.argument, policies.join(", "));
            let word = "policies aren't read: what they do beyond FreeRADIUS's own default has to become a [[policy]]";
            report.not_translated(&server.spot, what, word);
        }
    }
}

/// The virtual server of inner methods, which FreeRADIUS's documentation calls so; nobody asks it from outside.
pub(super) fn is_inner(server: &Section) -> bool {
    server.argument == "inner-tunnel"
}

fn one_listen(listen: &Section, taken: &mut Vec<String>, toml: &mut Toml, report: &mut Report) {
    let value = |name: &str| listen.item(name).map(|item| item.value.as_str());
    let kind = value("type").unwrap_or("auth");
    let what = format!("listen {kind}");
    if !matches!(value("proto"), None | Some("udp")) {
        return report.not_translated(&listen.spot, what, "RADIUS over TCP and TLS are not available yet");
    }
    let address = ["ipaddr", "ipv4addr", "ipv6addr"].into_iter().find_map(value).unwrap_or("*");
    let is_six = listen.item("ipv6addr").is_some() || address.contains(':');
    let address = match address {
        "*" | "::" if is_six => "::",
        "*" => "0.0.0.0",
        address => address,
    };
    let Ok(address) = address.parse::<std::net::IpAddr>() else {
        return report.not_translated(&listen.spot, what, "its address is a name; write the address");
    };
    let port: u16 = value("port").and_then(|port| port.parse().ok()).unwrap_or(0);
    let kinds: &[(&str, u16)] = match kind {
        "auth" => &[("auth", 1812)],
        "acct" => &[("acct", 1813)],
        "auth+acct" => &[("auth", 1812), ("acct", 1813)],
        "status" => {
            return report.not_needed(&listen.spot, what, "every [[listen]] answers Status-Server");
        }
        "coa" => {
            let word = "forewarnd sends CoA (`forewarn coa`), it doesn't take it; the agent does for its NAS";
            return report.not_translated(&listen.spot, what, word);
        }
        _ => return report.not_translated(&listen.spot, what, "has no counterpart"),
    };
    for (number, (kind, usual)) in kinds.iter().enumerate() {
        let port = if port == 0 { *usual } else { port.saturating_add(number as u16) };
        let socket = std::net::SocketAddr::new(address, port).to_string();
        if taken.contains(&socket) {
            report.not_needed(&listen.spot, what.clone(), "another [[listen]] is there already");
            continue;
        }
        toml.table("[[listen]]");
        toml.text("kind", kind);
        toml.text("address", &socket);
        report.translated(&listen.spot, what.clone(), format!("[[listen]] {kind} at {socket}"));
        taken.push(socket);
    }
    if let Some(item) = listen.item("interface") {
        report.not_translated(&item.spot, format!("{what}: interface"), "listen on the interface's address");
    }
}

/// Modules that are enabled: `sql` and `ldap` become `[sql]` and `[ldap]`.
pub(super) fn modules(modules: &[Section], toml: &mut Toml, report: &mut Report) {
    let (mut has_sql, mut has_ldap) = (false, false);
    for module in modules {
        let what = match module.argument.as_str() {
            "" => format!("module {}", module.name),
            name => format!("module {} {name}", module.name),
        };
        match module.name.as_str() {
            "sql" if !has_sql => has_sql = sql(module, &what, toml, report),
            "ldap" if !has_ldap => has_ldap = ldap(module, &what, toml, report),
            "sql" | "ldap" => {
                report.not_translated(&module.spot, what, "there can be one; keep the one that counts");
            }
            "eap" => {
                let word = "write [eap] and [eap.tls] by hand (docs/802.1x.md): its certificates and methods aren't read";
                report.not_translated(&module.spot, what, word);
            }
            name if BUILT_IN.contains(&name) => {
                report.not_needed(&module.spot, what, "forewarn does this by itself, or has no use for it");
            }
            "sqlippool" => {
                report.not_needed(&module.spot, what, "radippool is used where Pool-Name is set; see [sql]");
            }
            "rest" | "perl" | "python" | "python3" | "lua" | "ruby" | "krb5" | "pam" | "redis"
            | "rediswho" | "sqlcounter" | "couchbase" | "mongo" | "winbind" | "yubikey" => {
                report.not_translated(&module.spot, what, "has no counterpart");
            }
            _ => report.not_translated(&module.spot, what, "not known here"),
        }
    }
}

fn sql(module: &Section, what: &str, toml: &mut Toml, report: &mut Report) -> bool {
    let value =
        |name: &str| module.item(name).map(|item| item.value.as_str()).filter(|value| !value.is_empty());
    let dialect = value("dialect").or_else(|| value("driver")?.strip_prefix("rlm_sql_")).unwrap_or("sqlite");
    match dialect {
        "postgresql" => {
            toml.table("[sql]");
            toml.text("engine", "postgresql");
            // `server` may be a whole connection string; what it says stays to be done by hand.
            let host = value("server").filter(|server| !server.contains('='));
            toml.text("host", host.unwrap_or("/run/postgresql"));
            if let Some(port) = value("port").and_then(|port| port.parse::<u16>().ok()) {
                toml.raw("port", &port.to_string());
            }
            toml.text("database", value("radius_db").filter(|name| !name.contains('=')).unwrap_or("radius"));
            toml.text("user", value("login").unwrap_or("radius"));
            if let Some(password) = value("password") {
                toml.text("password", password);
            }
        }
        "sqlite" => {
            let file = module.all("sqlite").find_map(|sqlite| sqlite.item("filename"));
            let Some(file) = file else {
                report.not_translated(&module.spot, what, "SQLite without a filename");
                return false;
            };
            toml.table("[sql]");
            toml.text("engine", "sqlite");
            toml.text("path", &file.value);
        }
        other => {
            let word =
                format!("{other} is not available: copy the tables into PostgreSQL (pgloader does it)");
            report.not_translated(&module.spot, what, word);
            return false;
        }
    }
    let reads_clients = matches!(value("read_clients"), Some("yes" | "true" | "1"));
    if reads_clients {
        toml.raw("clients", "true");
    }
    report.translated(
        &module.spot,
        what,
        format!("[sql], engine = {:?}", if dialect == "sqlite" { dialect } else { "postgresql" }),
    );
    let usual = [
        ("acct_table1", "radacct"),
        ("acct_table2", "radacct"),
        ("postauth_table", "radpostauth"),
        ("authcheck_table", "radcheck"),
        ("groupcheck_table", "radgroupcheck"),
        ("authreply_table", "radreply"),
        ("groupreply_table", "radgroupreply"),
        ("usergroup_table", "radusergroup"),
        ("client_table", "nas"),
    ];
    for item in &module.items {
        let label = format!("{what}: {}", item.name);
        if let Some((_, table)) = usual.iter().find(|(name, _)| *name == item.name) {
            if item.value != *table {
                let word =
                    format!("tables have FreeRADIUS's own names: make {table} a view of {}", item.value);
                report.not_translated(&item.spot, label, word);
            }
            continue;
        }
        match item.name.as_str() {
            "dialect" | "driver" | "server" | "port" | "login" | "password" | "radius_db"
            | "read_clients"
                if item.value.contains('=') =>
            {
                report.not_translated(&item.spot, label, "a connection string: fill [sql] in by hand");
            }
            "group_attribute"
            | "delete_stale_sessions"
            | "logfile"
            | "query_timeout"
            | "connect_failure_retry_delay" => {
                report.not_needed(&item.spot, label, "has no counterpart");
            }
            "read_groups" | "read_profiles" => {
                if matches!(item.value.as_str(), "no" | "false" | "0") {
                    report.not_translated(&item.spot, label, "groups are always read");
                }
            }
            "default_user_profile" | "sql_user_name" => {
                report.not_translated(&item.spot, label, "has no counterpart");
            }
            // Queries, which `$INCLUDE` has brought in.
            name if name.ends_with("_query") || name.ends_with("_column") || name == "query" => {}
            _ => {}
        }
    }
    report.not_needed(
        &module.spot,
        format!("{what}: queries"),
        "the queries are FreeRADIUS's own; changed ones are not read",
    );
    true
}

fn ldap(module: &Section, what: &str, toml: &mut Toml, report: &mut Report) -> bool {
    let value =
        |name: &str| module.item(name).map(|item| item.value.as_str()).filter(|value| !value.is_empty());
    let user = module.all("user").next();
    let user_value = |name: &str| {
        user.and_then(|user| user.item(name)).map(|item| item.value.clone()).filter(|value| !value.is_empty())
    };
    let port = value("port").and_then(|port| port.parse::<u16>().ok());
    let url = |server: &str| match port {
        _ if server.contains("://") => server.to_owned(),
        Some(636) => format!("ldaps://{server}"),
        Some(port) => format!("ldap://{server}:{port}"),
        None => format!("ldap://{server}"),
    };
    let servers: Vec<String> = module
        .items
        .iter()
        .filter(|item| item.name == "server")
        .map(|item| quoted(&url(&item.value)))
        .collect();
    let base =
        user_value("base_dn").filter(|base| !base.contains("${")).or(value("base_dn").map(str::to_owned));
    let (Some(base), false) = (base, servers.is_empty()) else {
        report.not_translated(&module.spot, what, "it has no server or no base_dn");
        return false;
    };
    toml.table("[ldap]");
    toml.raw("servers", &format!("[{}]", servers.join(", ")));
    toml.text("base", &base);
    if let (Some(identity), Some(password)) = (value("identity"), value("password")) {
        toml.text("bind_dn", identity);
        toml.text("bind_password", password);
    }
    if let Some(filter) = user_value("filter") {
        let ours = filter
            .replace("%{%{Stripped-User-Name}:-%{User-Name}}", "{user}")
            .replace("%{User-Name}", "{user}");
        if ours.contains('%') {
            report.not_translated(&module.spot, format!("{what}: filter"), "write user_filter by hand");
        } else {
            toml.text("user_filter", &ours);
        }
    }
    let tls = module.all("tls").next();
    if tls.and_then(|tls| tls.item("start_tls")).is_some_and(|item| item.value == "yes") {
        toml.raw("starttls", "true");
    }
    if let Some(ca) = tls.and_then(|tls| tls.item("ca_file")) {
        toml.text("ca", &ca.value);
    }
    report.translated(&module.spot, what, "[ldap]; look at verify, groups and reply there");
    for section in &module.sections {
        if matches!(section.name.as_str(), "group" | "update" | "profile" | "accounting" | "post-auth") {
            let label = format!("{what}: {} {{ }}", section.name);
            report.not_translated(&section.spot, label, "see [ldap] groups, member_of and reply");
        }
    }
    true
}
