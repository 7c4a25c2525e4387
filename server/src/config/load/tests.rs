use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::sql::Engine;
use super::super::{
    Alternate, Audience, Check, ListenKind, Metrics, NoticeTransport, PolicyAction, ReplyValue,
    RequireMessageAuthenticator, Role,
};
use super::*;

const EXAMPLE: &str = include_str!("../../../../docs/examples/server.toml");

/// Loads `text` as a file of its own.
fn loaded(text: &str) -> Result<Loaded, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    loaded_in(folder.path(), text)
}

fn loaded_in(folder: &Path, text: &str) -> Result<Loaded, Vec<String>> {
    load(&Layers::file(written(folder, "server.toml", text))).map_err(|found| shown(&found))
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// Each finding without its folder.
fn shown(found: &Diagnostics) -> Vec<String> {
    let line = |found: &forewarn_shell::config::Diagnostic| {
        let text = found.to_string();
        text.split_once("server.toml:").map_or(text.clone(), |(_, rest)| rest.to_owned())
    };
    found.0.iter().map(line).collect()
}

/// The example with one line exchanged.
fn with(line: &str, other: &str) -> String {
    assert!(EXAMPLE.contains(line), "the example has the line {line}");
    EXAMPLE.replacen(line, other, 1)
}

/// The findings of the example with one line exchanged; at least one.
fn wrong_with(line: &str, other: &str) -> Vec<String> {
    loaded(&with(line, other)).expect_err("it is wrong")
}

fn loopback(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

#[test]
fn the_example_means_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let Loaded { config, warnings } = loaded_in(folder.path(), EXAMPLE).unwrap();
    assert_eq!(shown(&warnings), Vec::<String>::new());
    assert_eq!((config.server.name.as_str(), config.server.identity), ("aaa-east", loopback(11)));
    assert_eq!(config.server.state_dir, folder.path().join("state/aaa-east"));
    let kinds: Vec<_> = config.listens.iter().map(|listen| (listen.kind, listen.address.port())).collect();
    assert_eq!(kinds, [(ListenKind::Auth, 1812), (ListenKind::Acct, 1813)]);
    let [client] = config.clients.as_slice() else { panic!("one client") };
    assert!(client.is_single() && client.network.addr() == loopback(21));
    assert_eq!((&*client.name, &*client.group), ("ap-17", "wifi/branch-3"));
    assert_eq!(client.message_authenticator, RequireMessageAuthenticator::Auto);
    assert!(!client.limit_proxy_state);
    assert_eq!(client.notice_keys.len(), 1);
    assert!(client.notice_keys[0].id == 1 && client.notice_keys[0].send);
    assert_eq!(config.workers.max, 16);
    assert_eq!(config.folder, folder.path());
}

#[test]
fn the_example_encodes_its_replies() {
    let config = loaded(EXAMPLE).unwrap().config;
    let [user] = config.users.as_slice() else { panic!("one user") };
    assert_eq!(user.password.clear_text(), Some(&b"wonderland"[..]));
    let octets = |value: &ReplyValue| match value {
        ReplyValue::Encoded(octets) => octets.to_vec(),
        ReplyValue::Hidden { .. } => panic!("nothing to hide"),
    };
    assert_eq!(octets(&user.reply[0].value), [27, 6, 0, 0, 14, 16]);
    assert_eq!(octets(&user.reply[1].value), b"\x12\x0eHello, alice");
    let [policy] = config.policies.as_slice() else { panic!("one policy") };
    let reply: Vec<Vec<u8>> =
        policy.reply.attributes.iter().map(|attribute| octets(&attribute.value)).collect();
    assert_eq!(reply, [&b"\x40\x06\x00\x00\x00\x0d"[..], b"\x41\x06\x00\x00\x00\x06", b"\x51\x05120"]);
    assert!(policy.when.as_ref().unwrap().source.starts_with("client.group"));
}

#[test]
fn the_example_sets_health_services_and_notices() {
    let config = loaded(EXAMPLE).unwrap().config;
    let limits = &config.health.limits;
    assert_eq!((limits.workers_busy, limits.memory, limits.cpu), (Some(0.95), Some(0.92), Some(0.95)));
    assert_eq!(
        (limits.queue_delay, limits.network, limits.processes),
        (Some(Duration::from_millis(100)), true, None)
    );
    assert_eq!(
        config.services[0].check,
        Check::Command { command: ["test", "-w", "."].map(String::from).to_vec() }
    );
    assert_eq!(config.services[1].role, Role::Dependent { weight: 0.5 });
    assert_eq!(config.topology.len(), 2);
    let notice = &config.notice;
    assert_eq!(notice.transports, [NoticeTransport::Icmp, NoticeTransport::Udp]);
    assert_eq!(notice.audience, Audience::All);
    assert_eq!(notice.listen, "127.0.0.11:3798".parse().ok());
    assert_eq!(notice.alternates, [Alternate { address: loopback(12), weight: 0 }]);
    assert_eq!((notice.shed, notice.rate), (1.0, 20_000));
    assert_eq!((config.reconnect.window, config.reconnect.rate), (Duration::from_secs(30), 200));
    assert_eq!(config.drain.deadline, Duration::from_secs(20));
}

#[test]
fn ten_mistakes_are_ten_findings() {
    let text = r#"
[server]
name = "aaa"
identity = "127.0.0.300"
state_dir = "state"

[[listen]]
kind = "auht"
address = "127.0.0.1:1812"

[[listen]]
kind = "auth"
transport = "tls"
address = "127.0.0.1"

[[client]]
name = "nas"
address = "192.0.2.5/24"
secret = ""

[[user]]
name = "bob"
reply = { Sesion-Timeout = 3600, Tunnel-Type = "VLAM" }

[health]
intervall = "1s"
failover_threshold = 90

[eap]
methods = ["leap"]

[eap.pwd]
group = 18
"#;
    let found = loaded(text).unwrap_err();
    let expected = [
        "4:12: `identity`: `127.0.0.300` is not an IP address",
        "8:8: `kind`: `auht` is not known here; write \"auth\" or \"acct\"",
        "13:13: `transport`: `tls` is not available yet",
        "14:11: `address`: `127.0.0.1` is not an address and a port",
        "18:11: `address`: `192.0.2.5/24` has bits set beyond its length",
        "19:10: `secret`: is empty",
        "22:8: this [[user]] has no password",
        "23:11: unknown attribute \"Sesion-Timeout\"; did you mean Session-Timeout?",
        "23:48: Tunnel-Type: \"VLAM\"",
        "26:1: unknown key `intervall` in [health]; did you mean `interval`?",
        "27:22: `failover_threshold`: 90 is not from 0 to 1",
        "30:12: `methods`: `leap` is not known here",
        "33:9: `group`: 18 is no group of EAP-PWD here",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nshould begin with\n{expected}");
    }
}

#[test]
fn checks_over_http_and_radius_have_defaults_and_places_for_what_is_wrong() {
    let with = |check: &str| {
        let text = format!("[[service]]\nname = \"x\"\nrole = \"mandatory\"\ncheck = {{ {check} }}\n");
        loaded(&format!("{EXAMPLE}\n{text}")).map(|loaded| loaded.config.services.last().cloned())
    };
    let http = with("kind = \"http\", url = \"http://192.0.2.1/\"").unwrap().unwrap().check;
    let Check::Http(http) = http else { panic!("{http:?}") };
    assert_eq!((http.head, http.status, http.tls), (false, 200, None));
    let radius = "kind = \"radius\", address = \"192.0.2.31:1812\"";
    let secret = "secret = \"testing123testing123\"";
    let one = with(&format!("{radius}, {secret}")).unwrap();
    assert_eq!(one, with(&format!("{radius}, {secret}")).unwrap());
    assert_ne!(one, with(&format!("{radius}, secret = \"testing321testing321\"")).unwrap());
    for (check, what) in [
        ("kind = \"http\"", "`url`"),
        ("kind = \"http\", url = \"http://192.0.2.1/\", ca = \"ca.pem\"", "`ca` is for https"),
        ("kind = \"http\", url = \"https://192.0.2.1/\", ca = \"no-such.pem\"", "no-such.pem can't be read"),
        ("kind = \"http\", url = \"http://192.0.2.1/\", status = 100", "100 is out of range"),
        ("kind = \"http\", url = \"http://192.0.2.1/\", host = \"a b\"", "not a host's name"),
        (radius, "`secret`"),
    ] {
        let found = with(check).unwrap_err();
        let line = EXAMPLE.lines().count() + 5;
        assert!(found[0].starts_with(&format!("{line}:")) && found[0].contains(what), "{found:?}");
    }
}

#[test]
fn a_restart_is_a_command_with_waits() {
    let with = |lines: &str| {
        let text =
            "[[service]]\nname = \"x\"\nrole = \"mandatory\"\ncheck = { kind = \"process\", name = \"x\" }\n";
        loaded(&format!("{EXAMPLE}\n{text}{lines}\n")).map(|loaded| loaded.config.services.last().cloned())
    };
    assert_eq!(with("").unwrap().unwrap().restart, None);
    let restart = with("restart = [\"true\"]").unwrap().unwrap().restart.unwrap();
    assert_eq!((restart.command, restart.timeout), (vec!["true".to_owned()], Duration::from_secs(30)));
    let (first, most) = (restart.waits.first.as_secs(), restart.waits.most.as_secs());
    assert_eq!((first, most), (10, 600), "as the manual says");
    let long = with("restart = [\"true\"]\nrestart_wait = \"1h\"").unwrap().unwrap().restart.unwrap();
    assert_eq!(long.waits.most, long.waits.first);
    for (lines, what) in [
        ("restart = \"systemctl restart x\"", "expected a list"),
        ("restart = []", "no program"),
        ("restart_wait = \"1s\"", "`restart_wait` without `restart`"),
        ("restart = [\"true\"]\nrestart_wait_max = \"1s\"", "is shorter than `restart_wait`"),
    ] {
        let found = with(lines).unwrap_err();
        let line = EXAMPLE.lines().count() + 5 + lines.lines().count();
        assert!(found[0].starts_with(&format!("{line}:")) && found[0].contains(what), "{found:?}");
    }
}

#[test]
fn what_comes_later_is_refused_by_name() {
    for key in ["[cluster]", "[console]"] {
        let found = loaded(&format!("{EXAMPLE}\n{key}\n")).unwrap_err();
        assert!(found[0].contains("is not available yet"), "{key}: {found:?}");
    }
    for (line, other) in
        [("kind = \"auth\" ", "kind = \"coa\" "), ("transport = \"udp\" ", "transport = \"dtls\" ")]
    {
        let found = wrong_with(line, other);
        assert!(found[0].contains("is not available yet"), "{other}: {found:?}");
    }
}

#[test]
fn a_database_has_defaults_for_what_it_does_not_say() {
    let folder = tempfile::tempdir().unwrap();
    let sql = |text: &str| {
        loaded_in(folder.path(), &format!("{EXAMPLE}\n[sql]\n{text}")).unwrap().config.sql.unwrap()
    };
    let path = folder.path().join("state/aaa-east/radius.sqlite");
    let embedded = sql("");
    assert_eq!(embedded.engine, Engine::Sqlite { path });
    assert!(embedded.users && embedded.accounting && !embedded.clients && !embedded.post_auth);
    let Engine::PostgreSql(local) = sql("engine = \"postgresql\"").engine else { panic!("PostgreSQL") };
    assert_eq!((local.host.as_str(), local.port, &local.tls), ("/run/postgresql", 5432, &None));
    assert_eq!(local.shown(), "radius at /run/postgresql/.s.PGSQL.5432");
    let Engine::PostgreSql(far) = sql("engine = \"postgresql\"\nhost = \"192.0.2.9\"").engine else {
        panic!()
    };
    assert_eq!((far.tls.is_some(), far.shown().as_str()), (true, "radius at 192.0.2.9:5432"));
}

#[test]
fn what_is_wrong_with_a_database_is_said() {
    let wrong = |text: &str| loaded(&format!("{EXAMPLE}\n{text}")).unwrap_err().join("\n");
    assert!(wrong("[sql]\nhost = \"db\"").contains("`host` is of engine = \"postgresql\""));
    assert!(
        wrong("[sql]\nengine = \"postgresql\"\npath = \"x\"").contains("`path` is of engine = \"sqlite\"")
    );
    let folder = "[sql]\nengine = \"postgresql\"\ntls = \"require\"";
    assert!(wrong(folder).contains("a socket's folder has no TLS"));
    assert!(wrong("[accounting]\nspool_max = \"1 GB\"").contains("`1 GB` is not a size"));
    assert!(wrong("[accounting]\nspool_max = \"1KiB\"").contains("out of range"));
}

#[test]
fn one_name_or_address_twice_is_an_error_that_names_the_first() {
    let client =
        "\n[[client]]\nname = \"ap-18\"\naddress = \"127.0.0.21\"\nsecret = \"testing123testing123\"\n";
    let found = loaded(&format!("{EXAMPLE}{client}")).unwrap_err();
    assert!(found[0].contains("two [[client]] have 127.0.0.21/32; the first is at "), "{found:?}");
    let user = "\n[[user]]\nname = \"alice\"\npassword = \"x\"\n";
    let found = loaded(&format!("{EXAMPLE}{user}")).unwrap_err();
    assert!(found[0].contains("two [[user]] are called \"alice\""), "{found:?}");
}

#[test]
fn an_overlay_appends_and_overrides() {
    let folder = tempfile::tempdir().unwrap();
    let overlay = "[[user]]\nname = \"bob\"\npassword_hash = \"$6$rounds=1000$forewarn$dK/Yn/3hQG.UNu6pYac5DYjruCpoeg09NGvd1AdJRncOPX78U9nP78LbRobIz7MZdQ7IY9Q8rdFovyTSoWSZa.\"\n\
                   [health]\ninterval = \"100ms\"\n[health.limits]\ncpu = \"off\"\n[notice]\naudience = { clients = [] }\n";
    written(folder.path(), "conf.d/demo.toml", overlay);
    let config = loaded_in(folder.path(), EXAMPLE).unwrap().config;
    assert_eq!(config.users.len(), 2);
    assert!(config.users[1].password.is_slow());
    assert_eq!(config.health.interval, Duration::from_millis(100));
    assert_eq!((config.health.limits.cpu, config.health.limits.memory), (None, Some(0.92)));
    assert_eq!(config.notice.audience, Audience::Clients(Vec::new()));
}

#[test]
fn users_may_live_in_a_file_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    written(
        folder.path(),
        "users.toml",
        "[[user]]\nname = \"carol\"\nnt_hash = \"0123456789abcdef0123456789abcdef\"\n",
    );
    let text = format!("{EXAMPLE}\n[users]\nfile = \"users.toml\"\n");
    let names: Vec<_> =
        loaded_in(folder.path(), &text).unwrap().config.users.iter().map(|u| u.name.to_string()).collect();
    assert_eq!(names, ["alice", "carol"]);
    written(folder.path(), "users.toml", "[[user]]\nname = \"alice\"\npassword = \"x\"\ngruops = []\n");
    let found = loaded_in(folder.path(), &text).unwrap_err();
    assert!(found.iter().any(|line| line.contains("keep one of them")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("users.toml:4:1: unknown key `gruops`")), "{found:?}");
}

#[test]
fn an_audience_names_what_exists() {
    let audience = "audience = \"all\"                   # all";
    for (other, expected) in [
        (
            "audience = { clients = [\"ap-71\"] } #",
            "there is no [[client]] called `ap-71`; did you mean `ap-17`?",
        ),
        ("audience = { topology = \"campus/nort\" } #", "did you mean `campus/north`?"),
        ("audience = { farthest = 0.25, nearest = 0.1 } #", "`audience` is one subset, not 2"),
        ("audience = \"some\" #", "`audience`: `some` is not known here"),
    ] {
        let found = wrong_with(audience, other);
        assert!(found.iter().any(|line| line.contains(expected)), "{found:?}");
    }
    for good in ["{ groups = [\"wifi/*\"] }", "{ topology = \"campus\" }", "{ nearest = \"10%\" }"] {
        loaded(&with(audience, &format!("audience = {good} #"))).unwrap();
    }
}

#[test]
fn a_ring_of_keys_has_one_that_signs() {
    let key = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let line = format!("notice_key = \"{key}\"");
    let ring = |first: &str, second: &str| {
        format!(
            "notice_keys = [{{ id = 1, key = \"{key}\", {first} }}, {{ id = 2, key = \"{key}\", {second} }}] #"
        )
    };
    let good = loaded(&with(&line, &ring("mac = \"hmac-md5\"", "send = true"))).unwrap().config;
    let sends: Vec<_> = good.clients[0].notice_keys.iter().map(|entry| (entry.id, entry.send)).collect();
    assert_eq!(sends, [(1, false), (2, true)]);
    let found = wrong_with(&line, &ring("send = true", "send = true"));
    assert!(found[0].contains("2 of the `notice_keys` have send = true"), "{found:?}");
    let found = wrong_with(&line, "notice_key = \"0f1e\" #");
    assert!(found[0].contains("`notice_key`: 2 octets are too few"), "{found:?}");
}

#[test]
fn a_policy_that_cannot_be_compiled_is_found_where_it_stands() {
    let found = wrong_with("\"staff\" in user.groups'", "\"staff\" in user.gruops'");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("33:56: `when`: there is no user.gruops"), "{found:?}");
}

#[test]
fn a_secret_never_shows() {
    let config = loaded(EXAMPLE).unwrap().config;
    let shown = format!("{config:?}");
    for secret in ["testing123", "wonderland", "0f1e2d3c"] {
        assert!(!shown.contains(secret), "{secret} shows");
    }
}

#[test]
fn auto_cannot_learn_about_a_network() {
    let found = wrong_with("address = \"127.0.0.21\"             # an", "address = \"127.0.0.0/24\" # an");
    assert!(found[0].contains("\"auto\" can't learn about a network"), "{found:?}");
}

#[test]
fn a_directorys_users_are_known_by_the_attribute_they_log_in_with() {
    let with = |more: &str| {
        let text = format!("{EXAMPLE}\n[ldap]\nservers = [\"ldaps://ldap\"]\nbase = \"dc=example\"\n{more}");
        let Loaded { config, warnings } = loaded(&text).unwrap();
        (config.ldap.unwrap().name_attribute, shown(&warnings).join(" "))
    };
    for (filter, attribute) in [
        ("", "uid"),
        ("user_filter = \"(&(objectClass=person)(|(mail={user})(cn={user})))\"", "mail"),
        ("user_filter = \"(userPrincipalName={user}@corp)\"\nname_attribute = \"cn\"", "cn"),
    ] {
        assert_eq!(with(filter), (Some(attribute.to_owned()), String::new()), "{filter}");
    }
    let (attribute, warnings) = with("user_filter = \"(userPrincipalName={user}@corp)\"");
    assert!(attribute.is_none() && warnings.contains("add name_attribute"), "{warnings}");
}

#[test]
fn a_short_secret_is_a_warning() {
    let Loaded { warnings, .. } = loaded(&with("testing123testing123", "testing123")).unwrap();
    assert!(shown(&warnings)[0].contains("warning: a secret of 10 octets"), "{warnings}");
}

#[test]
fn without_anything_it_says_what_is_missing() {
    let found = loaded("").unwrap_err();
    assert!(found.iter().any(|line| line.contains("there is no [server]; add [server]")), "{found:?}");
    assert!(found.iter().any(|line| line.contains("there is no [[listen]]")), "{found:?}");
}

/// The first block of the manual is every key with its default.
#[test]
fn the_manual_tells_the_defaults() {
    let manual = include_str!("../../../../docs/configuration.md");
    let (_, rest) = manual.split_once("```toml\n").unwrap();
    let (reference, _) = rest.split_once("```").unwrap();
    let told = loaded(reference).unwrap().config;
    let least = "[server]\nname = \"a\"\nidentity = \"127.0.0.11\"\nstate_dir = \"s\"\n[[listen]]\nkind = \"auth\"\n\
                 address = \"127.0.0.11:1812\"\n[[client]]\nname = \"c\"\naddress = \"127.0.0.21\"\nsecret = \"testing123testing123\"\n\
                 [[service]]\nname = \"directory\"\nrole = \"dependent\"\ncheck = { kind = \"tcp\", address = \"127.0.0.1:389\" }\n";
    let real = loaded(least).unwrap().config;
    assert_eq!(told.workers, real.workers);
    assert_eq!(told.health, real.health);
    assert_eq!(told.services, real.services);
    assert_eq!(told.notice, real.notice);
    assert_eq!((told.reconnect, told.drain), (real.reconnect, real.drain));
    assert_eq!(told.log, real.log);
    let of_clients = |metrics: Metrics| (metrics.per_client, metrics.clients_max);
    assert_eq!(of_clients(told.metrics), of_clients(real.metrics));
    assert_eq!(told.clients[0].message_authenticator, real.clients[0].message_authenticator);
    assert_eq!(told.clients[0].limit_proxy_state, real.clients[0].limit_proxy_state);
    assert_eq!(told.clients[0].coa.port, real.clients[0].coa.port);
}

#[test]
fn policies_reject_with_a_reason_add_and_remove() {
    let policy = |text: &str| {
        let found = loaded(&format!("{EXAMPLE}\n[[policy]]\nname = \"another\"\n{text}\n"))?;
        Ok::<_, Vec<String>>(found.config.policies[1].clone())
    };
    let reject = policy(
        "action = \"reject\"\nreason = \"not after hours\"\nreply = { Reply-Message = \"Come back\" }\nwhen = 'time.hour > 18'",
    );
    let reject = reject.unwrap();
    assert_eq!(
        (reject.action, reject.reason.as_deref()),
        (Some(PolicyAction::Reject), Some("not after hours"))
    );
    assert_eq!(reject.when.unwrap().source, "time.hour > 18");
    let edits = policy(
        "reply = { Filter-Id = \"a\" }\nreply_add = { Filter-Id = \"b\" }\nreply_remove = [\"Class\"]",
    );
    let reply = edits.unwrap().reply;
    assert_eq!(reply.attributes.len(), 2);
    assert_eq!(reply.replaces, [(0, vec![11]), (0, vec![25])]);
    assert_eq!(policy("action = \"second_factor\"").unwrap().action, Some(PolicyAction::SecondFactor));
    for (text, what) in [
        ("", "this [[policy]] does nothing"),
        ("action = \"route\"", "this [[policy]] routes nowhere"),
        ("action = \"route\"\nrealm = \"a.example\"", "the realm \"a.example\" has no home servers"),
        ("action = \"reject\"\nrealm = \"a\"", "the realm \"a\" has no home servers"),
        ("action = \"reject\"\nreply = { Class = \"0x01\" }", "Class has no place in an Access-Reject"),
        (
            "action = \"reject\"\nreply_add = { Reply-Message = \"no\" }",
            "`reply_add` of a policy that rejects",
        ),
        ("reply_remove = [\"Framed-Adress\"]", "unknown attribute \"Framed-Adress\"; "),
        ("reply = {}\nwhen = 'request[\"Nas-Prot\"] == 1'", "`when`: there is no attribute \"Nas-Prot\""),
    ] {
        let found = policy(text).expect_err(text);
        assert!(found[0].contains(what), "{text}: {found:?}");
    }
}

#[test]
fn a_policy_routes_by_what_is_known_before_the_user_is() {
    let home = "[[pool]]\nname = \"campus\"\nservers = [{ name = \"home\", address = \"192.0.2.31\", secret = \"home1home1home1home1\" }]\n\
                [[realm]]\nmatch = \"example.org\"\npool = \"campus\"\n";
    let policy = |text: &str| {
        loaded(&format!("{EXAMPLE}\n{home}[[policy]]\nname = \"away\"\naction = \"route\"\n{text}\n"))
    };
    let found = policy("realm = \"Example.ORG\"\nwhen = 'request.realm == \"partner.example\"'").unwrap();
    let route = found.config.policies[1].route.as_ref().expect("a realm");
    assert_eq!(route.pool.as_deref(), Some("campus"));
    for (text, what) in [
        ("realm = \"example.org\"\nwhen = '\"staff\" in user.groups'", "user.groups isn't known yet"),
        ("realm = \"example.org\"\nwhen = 'request.method == \"pap\"'", "request.method isn't known yet"),
        ("realm = \"example.org\"\nreply = { Session-Timeout = 1 }", "`reply` of a policy that routes"),
        ("realm = \"elsewhere.org\"", "has no home servers"),
    ] {
        let found = policy(text).expect_err(text);
        assert!(found[0].contains(what), "{text}: {found:?}");
    }
}

const PEER: &str = "[[peer]]\nname = \"aaa-north\"\naddress = \"192.0.2.13\"\n\
                    notice_key = \"2f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f2\"\n";

#[test]
fn peers_are_the_alternates_unless_others_are_named() {
    let without = EXAMPLE.replace("alternates = [\"127.0.0.12\"]", "");
    let config = loaded(&format!("{without}\n{PEER}capacity = 1200\n")).unwrap().config;
    let peer = &config.peers.list[0];
    assert_eq!((&*peer.name, peer.port, peer.capacity), ("aaa-north", 3798, Some(1200.0)));
    assert_eq!((config.peers.interval, config.peers.capacity), (Duration::from_secs(1), None));
    assert_eq!(config.notice.alternates, [Alternate { address: peer.address, weight: 0 }]);
    let config = loaded(&format!("{EXAMPLE}\n{PEER}")).unwrap().config;
    assert_eq!(config.notice.alternates[0].address.to_string(), "127.0.0.12");
    let none = EXAMPLE.replace("alternates = [\"127.0.0.12\"]", "alternates = []");
    assert_eq!(loaded(&format!("{none}\n{PEER}")).unwrap().config.notice.alternates, []);
}

#[test]
fn peers_that_cannot_be_are_refused() {
    for (more, what) in [
        (PEER.replace("192.0.2.13", "127.0.0.11"), "is this server itself"),
        (format!("{PEER}{}", PEER.replace("north", "south")), "two [[peer]] are at 192.0.2.13"),
        (PEER.lines().take(3).collect::<Vec<_>>().join("\n"), "a peer without a key"),
        (format!("{PEER}capacity = 0\n"), "is no capacity"),
        (format!("{PEER}[peers]\ninterval = \"1ms\"\n"), "interval"),
    ] {
        let found = loaded(&format!("{EXAMPLE}\n{more}")).unwrap_err();
        assert!(found.iter().any(|found| found.contains(what)), "{what}: {found:?}");
    }
}

/// The example with more lines in its `[health]`.
fn with_health(lines: &str) -> Result<Loaded, Vec<String>> {
    loaded(&with("[health]\n", &format!("[health]\n{lines}\n")))
}

#[test]
fn a_load_expression_is_checked_where_it_stands() {
    let health = with_health("load = 'max(load.default, service[\"syslog\"].failed ? 0.95 : 0)'")
        .unwrap()
        .config
        .health;
    assert_eq!(health.load.unwrap().source(), "max(load.default, service[\"syslog\"].failed ? 0.95 : 0)");
    let line = EXAMPLE.lines().position(|line| line == "[health]").unwrap() + 2;
    let found = with_health("load = 'load.cpu + load.processes'").unwrap_err();
    let told = "`load`: load.processes has no limit: `processes` of [health.limits] is off";
    assert!(found.len() == 1 && found[0].starts_with(&format!("{line}:20: {told}")), "{found:?}");
    let found = with_health("load = 'load.default > 0.5'").unwrap_err();
    assert!(found[0].contains("`load`: this is a truth value, not a number"), "{found:?}");
    assert!(with_health("load = 0.5").unwrap_err()[0].contains("load"), "no text");
}

#[test]
fn a_lead_is_off_or_a_time_that_can_be_foreseen() {
    assert_eq!(with_health("").unwrap().config.health.lead, None);
    assert_eq!(with_health("lead = \"off\"").unwrap().config.health.lead, None);
    assert_eq!(with_health("lead = \"5s\"").unwrap().config.health.lead, Some(Duration::from_secs(5)));
    for wrong in ["0s", "500ms", "11m"] {
        let found = with_health(&format!("lead = \"{wrong}\"")).unwrap_err();
        assert!(found[0].contains("is out of reach; write a duration from \"1s\" to \"10m\""), "{found:?}");
    }
}

#[test]
fn every_parameter_has_a_limit() {
    let limits = with(
        "processes = \"off\"",
        "receive_drops = 7\nlatency = \"1s\"\nin_flight = 0.5\nio_pressure = 0.25\n#",
    );
    let limits = loaded(&limits).unwrap().config.health.limits;
    assert_eq!(
        (limits.receive_drops, limits.in_flight, limits.io_pressure),
        (Some(7), Some(0.5), Some(0.25))
    );
    assert_eq!((limits.latency, limits.cpu_pressure), (Some(Duration::from_secs(1)), None));
    let found = wrong_with("processes = \"off\"", "receive_drops = 0\n#");
    assert!(
        found[0].contains("a limit of 0 is always reached; write the number of datagrams a second"),
        "{found:?}"
    );
}
