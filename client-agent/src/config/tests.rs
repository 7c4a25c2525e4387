use super::*;

use std::path::Path;

use forewarn_shell::config::Diagnostics;

fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    (folder, file)
}

fn check(text: &str) -> Result<(Config, Diagnostics), Diagnostics> {
    let (_folder, file) = write(text);
    load(&file, &[])
}

/// The errors as `line:column: text`.
fn errors(text: &str) -> Vec<String> {
    let found = check(text).expect_err("it is wrong");
    found
        .errors()
        .map(|error| format!("{}:{}: {}; {}", error.line, error.column, error.what, error.hint))
        .collect()
}

const GOOD: &str = r#"
[agent]
name = "ap-17"
identity = "127.0.0.21"
state_dir = "state"

[[listen]]
kind = "auth"
address = "127.0.0.21:1812"
secret = "localsecretlocalsecret"

[[server]]
name = "aaa-east"
address = "127.0.0.11"
secret = "testing123testing123"
"#;

#[test]
fn the_documented_file_loads_as_it_stands() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/agent.toml");
    let (config, _) = load(&file, &[]).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(config.name, "ap-17");
    assert_eq!(config.identity.to_string(), "127.0.0.21");
    assert!(config.state_dir.ends_with("state/ap-17"));
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.listeners[0].clients, ["127.0.0.0/8".parse().unwrap()]);
    assert!(!config.listeners[0].require_message_authenticator, "loopback only");
    assert_eq!(config.listeners[1].kind, Kind::Acct);
    let names: Vec<_> = config.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["aaa-east", "aaa-west"]);
    assert_eq!((config.servers[0].auth_port, config.servers[0].acct_port), (1812, 1813));
    assert!(config.servers.iter().all(|server| server.require_message_authenticator));
    assert_eq!(config.servers[0].notice_keys[0].id, 1);
    assert_eq!(config.inbox.udp, Some("127.0.0.21:3798".parse().unwrap()));
    assert!(config.inbox.icmp);
    assert_eq!(config.switch.drain_conversations, Duration::from_secs(10));
    assert_eq!(config.switch.alternates, Alternates::NoticeThenConfigured);
    assert_eq!(config.switch.after, Duration::from_secs(300));
    assert_eq!(config.switch.ramp, Duration::from_secs(30));
    assert_eq!(config.dead_server.quiet, Duration::from_millis(300));
    assert_eq!(
        (config.dead_server.probes, config.dead_server.probe_interval),
        (3, Duration::from_millis(200))
    );
    assert_eq!(config.hooks[0].command, ["logger", "-t", "forewarn"]);
}

#[test]
fn what_is_not_written_has_the_documented_files_value() {
    let (config, warnings) = check(GOOD).unwrap();
    assert_eq!(warnings.warnings().count(), 0, "{warnings}");
    assert_eq!(config.inbox.udp, Some("127.0.0.21:3798".parse().unwrap()));
    assert_eq!(config.listeners[0].clients.len(), 2, "loopback in both families");
    assert_eq!(config.switch.after, Duration::from_secs(300));
    assert!(config.hooks.is_empty());
    assert!(config.servers[0].notice_keys.is_empty());
}

#[test]
fn the_door_for_coa_is_at_the_identity_and_leads_to_loopback() {
    let more = "\n[[listen]]\nkind = \"coa\"\nsecret = \"localsecretlocalsecret\"\n";
    let (config, _) = check(&format!("{GOOD}{more}")).unwrap();
    let [door] = &config.coa[..] else { panic!("one door") };
    assert_eq!(door.address, "127.0.0.21:3799".parse().unwrap());
    assert_eq!(door.nas, "127.0.0.1:3799".parse().unwrap());
    assert!(!door.require_message_authenticator, "nobody is in between on loopback");
    assert!(door.require_event_timestamp);

    let far = format!("{GOOD}{more}nas = \"192.0.2.30:3799\"\n");
    assert!(check(&far).unwrap().0.coa[0].require_message_authenticator);
}

#[test]
fn every_error_is_reported_with_its_place() {
    let found = errors(
        r#"[agent]
name = "ap"
identity = "nowhere"

[[listen]]
kind = "coa"
address = "127.0.0.21:3799"
nas = "127.0.0.21:3799"
clients = ["127.0.0.0/8"]
secret = "localsecretlocalsecret"

[[server]]
name = "a"
address = "0.0.0.0"
secret = ""
notice_key = "00ff"

[dead_server]
quite = "1s"
probes = 0
"#,
    );
    let expect = [
        "has no `state_dir`",
        "`identity`: `nowhere` is not an IP address",
        "127.0.0.21:3799 is this [[listen]] itself",
        "`clients` don't send CoA-Requests",
        "0.0.0.0 is nobody's address",
        "is empty",
        "2 octets are too few",
        "unknown key `quite`",
        "`probes`: 0 is out of range",
    ];
    for text in expect {
        assert!(found.iter().any(|error| error.contains(text)), "{text}: {found:#?}");
    }
    assert!(found.iter().any(|error| error.starts_with("3:12: `identity`")), "{found:#?}");
    assert!(found.iter().any(|error| error.contains("did you mean `quiet`?")), "{found:#?}");
    assert_eq!(found.len(), expect.len(), "{found:#?}");
}

#[test]
fn nothing_can_be_there_twice() {
    let again = r#"
[[listen]]
kind = "acct"
address = "127.0.0.21:1812"
secret = "localsecretlocalsecret"

[[server]]
name = "aaa-east"
address = "127.0.0.12"
secret = "testing123testing123"

[[server]]
name = "aaa-third"
address = "127.0.0.11"
secret = "testing123testing123"
"#;
    let found = errors(&format!("{GOOD}{again}"));
    assert!(found[0].contains("127.0.0.21:1812 is listened on twice"), "{found:#?}");
    assert!(found[1].contains("two [[server]] are called \"aaa-east\""), "{found:#?}");
    assert!(found[2].contains("two servers have the address 127.0.0.11"), "{found:#?}");
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn an_agent_without_servers_or_listeners_is_none() {
    let found = errors("[agent]\nname = \"a\"\nidentity = \"::1\"\nstate_dir = \"s\"\n");
    assert!(found.iter().any(|error| error.contains("no [[listen]]")), "{found:#?}");
    assert!(found.iter().any(|error| error.contains("no [[server]]")), "{found:#?}");
}

#[test]
fn the_identity_is_an_address_by_which_servers_can_know_it() {
    let found = errors(&GOOD.replace("identity = \"127.0.0.21\"", "identity = \"0.0.0.0\""));
    assert!(found[0].contains("`identity`: 0.0.0.0 is nobody's address"), "{found:#?}");
}

#[test]
fn behind_a_nat_it_has_an_address_of_its_own() {
    let (config, _) = check(GOOD).unwrap();
    assert!(!config.is_behind_nat());
    let (config, _) = check(&GOOD.replace("[agent]\n", "[agent]\naddress = \"192.168.1.5\"\n")).unwrap();
    assert!(config.is_behind_nat());
    assert_eq!(config.inbox.udp.map(|udp| udp.ip()), Some(config.address));
    let wrong = errors(&GOOD.replace("[agent]\n", "[agent]\naddress = \"fd00::5\"\n"));
    assert!(wrong.iter().any(|error| error.contains("fd00::5 can't be known")), "{wrong:?}");
}

#[test]
fn an_agent_is_no_server_of_its_own() {
    let itself = GOOD.replace("address = \"127.0.0.11\"", "address = \"127.0.0.21\"");
    assert!(errors(&itself)[0].contains("where this agent listens itself"));
    let anywhere = itself.replace("address = \"127.0.0.21:1812\"", "address = \"0.0.0.0:1812\"");
    assert!(errors(&anywhere)[0].contains("where this agent listens itself"));
}

#[test]
fn servers_must_be_reachable_from_the_identity() {
    let found = errors(&GOOD.replace("address = \"127.0.0.11\"", "address = \"::1\""));
    assert!(found[0].contains("::1 can't be called from 127.0.0.21"), "{found:#?}");
}

#[test]
fn a_door_open_beyond_loopback_asks_for_message_authenticator() {
    let open = |more: &str| {
        let text = GOOD
            .replace("kind = \"auth\"", &format!("kind = \"auth\"\nclients = [\"192.0.2.0/24\"]\n{more}"));
        check(&text).unwrap().0.listeners[0].require_message_authenticator
    };
    assert!(open(""));
    assert!(!open("require_message_authenticator = \"no\""));
}

#[test]
fn a_key_ring_has_one_sender() {
    let key = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let ring = |keys: &str| check(&format!("{GOOD}notice_keys = [{keys}]\n"));
    let (config, _) = ring(&format!(
        "{{ id = 1, key = \"{key}\" }}, {{ id = 2, key = \"{key}\", mac = \"hmac-md5\", send = true }}"
    ))
    .unwrap();
    let keys = &config.servers[0].notice_keys;
    assert_eq!(keys.iter().map(|entry| (entry.id, entry.send)).collect::<Vec<_>>(), [(1, false), (2, true)]);

    let (config, _) = ring(&format!("{{ id = 7, key = \"{key}\" }}")).unwrap();
    assert!(config.servers[0].notice_keys[0].send, "the only key signs");

    let two =
        format!("{{ id = 1, key = \"{key}\", send = true }}, {{ id = 1, key = \"{key}\", send = true }}");
    let found = ring(&two).unwrap_err();
    assert!(found.to_string().contains("two keys have the id 1"), "{found}");
    assert!(found.to_string().contains("2 keys have `send = true`"), "{found}");
}

#[test]
fn short_secrets_are_warned_about_and_secrets_never_shown() {
    let (config, found) = check(&GOOD.replace("localsecretlocalsecret", "short")).unwrap();
    let warnings: Vec<_> = found.warnings().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|warning| warning.contains("can be guessed")), "{warnings:?}");
    let shown = format!("{config:?}");
    assert!(!shown.contains("testing123") && !shown.contains("short"), "{shown}");
}

#[test]
fn the_command_line_comes_last() {
    let (_folder, file) = write(GOOD);
    let set = [
        ("reconnect.ramp".to_owned(), "3s".to_owned()),
        ("inbox.transports".to_owned(), "[\"udp\"]".to_owned()),
    ];
    let (config, _) = load(&file, &set).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(config.switch.ramp, Duration::from_secs(3));
    assert!(!config.inbox.icmp);
}
