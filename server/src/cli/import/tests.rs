//! Installations in small, and what becomes of them.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use super::{Args, Fate, Outcome, import};
use crate::config::{self, Config};
use forewarn_proto::switch::Strategy;
use forewarn_shell::config::Layers;

/// An installation of these files, imported for a server at 192.0.2.1.
fn imported(files: &[(&str, &str)]) -> (Outcome, tempfile::TempDir) {
    imported_at(Some("192.0.2.1".parse().unwrap()), files)
}

fn imported_at(identity: Option<IpAddr>, files: &[(&str, &str)]) -> (Outcome, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let raddb = folder.path().join("raddb");
    let main = [(
        "radiusd.conf",
        "name = radius\nmodules {\n$INCLUDE mods-enabled/\n}\n$INCLUDE clients.conf\n$-INCLUDE proxy.conf\n$INCLUDE sites-enabled/\n",
    )];
    for name in ["mods-enabled", "sites-enabled", "mods-config/files"] {
        fs::create_dir_all(raddb.join(name)).unwrap();
    }
    fs::write(raddb.join("clients.conf"), "").unwrap();
    for (name, text) in main.iter().chain(files) {
        fs::write(raddb.join(name), text).unwrap();
    }
    let args = Args {
        folder: raddb,
        output: folder.path().join("out"),
        force: false,
        dry_run: false,
        identity,
        json: false,
    };
    (import(&args).unwrap(), folder)
}

const LISTEN: (&str, &str) = (
    "sites-enabled/default",
    "server default {\nlisten {\n\ttype = auth\n\tipaddr = *\n\tport = 0\n}\nlisten {\n ipaddr = 192.0.2.1\n type = acct\n port = 1646 }\n}\n",
);

fn loaded(folder: &Path) -> Config {
    match config::load(&Layers::file(folder.join("out/server.toml"))) {
        Ok(loaded) => loaded.config,
        Err(findings) => panic!("{:?}", findings.0.iter().map(ToString::to_string).collect::<Vec<_>>()),
    }
}

fn fate_of(outcome: &Outcome, what: &str) -> Option<Fate> {
    outcome.entries.iter().find(|entry| entry.what.starts_with(what)).map(|entry| entry.fate)
}

#[test]
fn clients_become_clients() {
    let clients = "
client switch-1 {
	ipaddr = 192.0.2.10   # in the cellar
	secret = \"cellar #1 secret, long\"
	require_message_authenticator = yes
	virtual_server = special
}
client floor { ipaddr = 198.51.100.0/24\n secret = floorfloorfloor\n shortname = first-floor }
client ghost { ipaddr = ghost.example.org\n secret = x }
client v6 { ipv6addr = 2001:db8::1
secret = 'aaaaaaaaaaaaaaaaaa' }
";
    let (outcome, folder) = imported(&[("clients.conf", clients), LISTEN]);
    let config = loaded(folder.path());
    let names: Vec<&str> = config.clients.iter().map(|client| client.name.as_ref()).collect();
    assert_eq!(names, ["switch-1", "first-floor", "v6"]);
    use config::RequireMessageAuthenticator::{Auto, No, Yes};
    let rules: Vec<_> = config.clients.iter().map(|client| client.message_authenticator).collect();
    assert_eq!(rules, [Yes, No, Auto]);
    assert_eq!(fate_of(&outcome, "client ghost"), Some(Fate::NotTranslated));
    assert_eq!(fate_of(&outcome, "client switch-1: virtual_server"), Some(Fate::NotTranslated));
    let text = fs::read_to_string(folder.path().join("out/server.toml")).unwrap();
    assert!(text.contains("cellar #1 secret, long"));
    assert!(outcome.usable);
}

#[test]
fn listeners_become_listeners() {
    let (outcome, folder) = imported(&[LISTEN]);
    let listens: Vec<String> =
        loaded(folder.path()).listens.iter().map(|listen| listen.address.to_string()).collect();
    assert_eq!(listens, ["0.0.0.0:1812", "192.0.2.1:1646"]);
    assert!(outcome.usable);
}

#[test]
fn clients_know_no_server_by_an_address_of_its_own_machine() {
    let listen = |server: &str, address: &str| {
        format!("server {server} {{\nlisten {{\n type = auth\n ipaddr = {address}\n port = 0\n}}\n}}\n")
    };
    let identity = |default: &str, inner: &str| {
        let (default, inner) = (listen("default", default), listen("inner-tunnel", inner));
        let sites = [("sites-enabled/default", &*default), ("sites-enabled/inner-tunnel", &*inner)];
        let (outcome, folder) = imported_at(None, &sites);
        (loaded(folder.path()).server.identity.to_string(), fate_of(&outcome, "the server's address"))
    };
    let missing = Some(Fate::NotTranslated);
    assert_eq!(identity("192.0.2.7", "127.0.0.1"), ("192.0.2.7".to_owned(), None));
    assert_eq!(identity("*", "192.0.2.8"), ("127.0.0.1".to_owned(), missing));
    assert_eq!(identity("127.0.0.5", "127.0.0.1"), ("127.0.0.1".to_owned(), missing));
}

#[test]
fn pools_have_the_strategy_that_comes_nearest() {
    let proxy = |kind: &str| {
        format!(
            "home_server one {{\n ipaddr = 192.0.2.31\n secret = onesecretonesecret\n}}\n\
             home_server_pool all {{\n type = {kind}\n home_server = one\n}}\n\
             realm example.org {{\n pool = all\n}}\n"
        )
    };
    for (kind, strategy, fate) in [
        ("fail-over", Strategy::Failover, None),
        ("load-balance", Strategy::RoundRobin, None),
        ("keyed-balance", Strategy::RoundRobin, Some(Fate::NotTranslated)),
    ] {
        let (outcome, folder) = imported(&[("proxy.conf", &proxy(kind)), LISTEN]);
        assert_eq!(loaded(folder.path()).pools[0].switch.strategy, strategy, "{kind}");
        assert_eq!(fate_of(&outcome, "home_server_pool all: type"), fate, "{kind}");
    }
}

#[test]
fn users_become_users_and_policies() {
    let users = "
# a comment
alice	Cleartext-Password := \"wonder, land\"
	Reply-Message = \"Hello, alice\",
	Session-Timeout := 600,
	Fall-Through = Yes
bob	NT-Password := 0x8846F7EAEE8FB117AD06BDD830B7586C, NAS-Port-Type == Wireless-802.11
\"two words\" Crypt-Password := \"$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.\"
mallory Auth-Type := Reject
DEFAULT Group == \"staff\", Service-Type == Framed-User
	Framed-MTU = 1400
DEFAULT Calling-Station-Id =~ \"^02-\", Auth-Type := Reject
	Reply-Message = \"Not with this device\"
eve Auth-Type := Accept
broken Cleartext-Password \"no operator\"
alice Cleartext-Password := \"again\"
";
    let (outcome, folder) = imported(&[("mods-config/files/authorize", users), LISTEN]);
    let config = loaded(folder.path());
    let names: Vec<&str> = config.users.iter().map(|user| user.name.as_ref()).collect();
    assert_eq!(names, ["alice", "bob", "two words"]);
    assert_eq!(config.policies.len(), 4);
    assert!(config.users[0].password.matches(b"wonder, land"));
    assert!(config.users[1].password.matches(b"password"));
    for untranslated in ["user eve", "user broken"] {
        assert_eq!(fate_of(&outcome, untranslated), Some(Fate::NotTranslated), "{untranslated}");
    }
    let said = serde_json::to_string(&outcome).unwrap();
    assert!(!said.contains("no operator") && !said.contains("wonder"), "a secret in the report: {said}");
}

#[test]
fn connections_of_sql_and_ldap_are_taken_over() {
    let sql = "sql {\n dialect = \"postgresql\"\n driver = \"rlm_sql_${dialect}\"\n server = \"db.example.org\"\n port = 5433\n login = \"radius\"\n password = \"radpass\"\n radius_db = \"radius\"\n read_clients = yes\n acct_table1 = \"sessions\"\n}\n";
    let ldap = "ldap {\n server = 'ldap.example.org'\n base_dn = 'dc=example,dc=org'\n user {\n base_dn = \"${..base_dn}\"\n filter = \"(uid=%{%{Stripped-User-Name}:-%{User-Name}})\"\n }\n tls { start_tls = yes }\n}\n";
    let (outcome, folder) = imported(&[("mods-enabled/sql", sql), ("mods-enabled/ldap", ldap), LISTEN]);
    let config = loaded(folder.path());
    let ldap = config.ldap.expect("[ldap] is there");
    assert_eq!(
        (ldap.servers, ldap.base),
        (vec!["ldap://ldap.example.org".to_owned()], "dc=example,dc=org".to_owned())
    );
    assert!(ldap.starttls);
    assert_eq!(ldap.user_filter, "(uid={user})");
    assert!(config.sql.is_some());
    assert_eq!(fate_of(&outcome, "module sql: acct_table1"), Some(Fate::NotTranslated));
}

#[test]
fn what_is_there_is_not_written_over() {
    let (_, folder) = imported(&[LISTEN]);
    let mut args = Args {
        folder: folder.path().join("raddb"),
        output: folder.path().join("out"),
        force: false,
        dry_run: false,
        identity: None,
        json: false,
    };
    assert!(import(&args).unwrap_err().contains("--force"));
    args.force = true;
    assert!(import(&args).is_ok());
}

#[test]
fn a_folder_that_is_none_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let args = Args {
        folder: folder.path().to_owned(),
        output: folder.path().join("out"),
        force: false,
        dry_run: true,
        identity: None,
        json: false,
    };
    assert!(import(&args).unwrap_err().contains("radiusd.conf"));
}
