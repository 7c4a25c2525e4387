use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

/// A folder with one file, readable by its owner only.
fn folder(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    write(&file, text);
    (folder, file)
}

fn write(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// What was found, with the folder taken off each file.
fn found(document: &Document) -> Vec<String> {
    shown(&document.diagnostics(), document.folder())
}

fn shown(diagnostics: &Diagnostics, folder: &Path) -> Vec<String> {
    let prefix = format!("{}/", folder.display());
    diagnostics.0.iter().map(|diagnostic| diagnostic.to_string().replace(&prefix, "")).collect()
}

fn load(text: &str) -> (TempDir, Document) {
    let (folder, file) = folder(text);
    let document = Document::load(&Layers::file(file)).unwrap();
    (folder, document)
}

#[test]
fn every_type_is_read() {
    let (_folder, document) = load(
        r#"
        text = "hello"
        whole = 1_000
        hexadecimal = 0x1F
        float = 1_0.5
        truth = true
        share = "25%"
        other_share = 0.9
        time = "1.5s"
        address = "2001:db8::1"
        socket = "[::1]:1812"
        prefix = "10.0.0.0/8"
        one = "10.0.0.1"
        path = "state/x"
        limit = "off"
        networks = ["10.0.0.0/8", "::1"]
        "#,
    );
    let root = document.root();
    assert_eq!(root.text("text").required().as_deref(), Some("hello"));
    assert_eq!(root.integer::<u16>("whole").required(), Some(1000));
    assert_eq!(root.integer::<u8>("hexadecimal").required(), Some(31));
    assert_eq!(root.number("float").required(), Some(10.5));
    assert_eq!(root.boolean("truth").required(), Some(true));
    assert_eq!(root.fraction("share").required(), Some(0.25));
    assert_eq!(root.fraction("other_share").required(), Some(0.9));
    assert_eq!(root.duration("time").required(), Some(Duration::from_millis(1500)));
    assert_eq!(root.address("address").required(), Some("2001:db8::1".parse::<IpAddr>().unwrap()));
    assert_eq!(root.socket("socket").required(), Some("[::1]:1812".parse().unwrap()));
    assert_eq!(root.prefix("prefix").required(), Some("10.0.0.0/8".parse().unwrap()));
    assert_eq!(root.prefix("one").required(), Some("10.0.0.1/32".parse().unwrap()));
    assert_eq!(root.path("path").required(), Some(document.folder().join("state/x")));
    assert_eq!(root.unless_off("limit", Value::fraction).required(), Some(None));
    assert_eq!(root.list("networks", Value::prefix).required().unwrap().len(), 2);
    root.finish();
    assert_eq!(found(&document), [""; 0]);
}

#[test]
fn all_errors_come_at_once_each_in_its_place() {
    let (_folder, document) = load(concat!(
        "whole = \"1\"\n",
        "  port = 70000\n",
        "share = 1.5\n",
        "time = \"5 parsecs\"\n",
        "prefix = \"10.1.0.0/8\"\n",
        "address = 5\n",
        "kind = \"tcp\"\n",
        "colour = \"red\"\n",
        "networks = [\"::1\", \"nowhere\", 5]\n",
        "later = 1\n",
        "interval = \"0s\"\n",
        "[sub]\n",
        "\"né\" = { x = 1 }\n",
    ));
    let root = document.root();
    assert_eq!(root.integer::<u16>("whole").optional(), None);
    assert_eq!(root.integer::<u16>("port").or(1812), 1812);
    root.fraction("share").optional();
    root.duration("time").optional();
    root.prefix("prefix").optional();
    root.address("address").optional();
    root.choice("kind", &[("udp", ())], &["tcp", "tls"]).optional();
    root.list("networks", Value::prefix).optional();
    root.not_available_yet(&["later", "sooner"]);
    root.duration("interval").within(Duration::from_millis(10), Duration::from_secs(60)).optional();
    assert_eq!(root.text("name").required(), None);
    let sub = root.table("sub");
    let inner = sub.table("né");
    inner.integer::<u8>("y").optional();
    inner.finish();
    sub.finish();
    root.finish();
    assert_eq!(
        found(&document),
        [
            "server.toml:1:1: this file has no `name`; add `name = ..`",
            "server.toml:1:9: `whole`: expected an integer, found a string; write a whole number without quotes",
            "server.toml:2:10: `port`: 70000 is out of range; write a whole number from 0 to 65535",
            "server.toml:3:9: `share`: 1.5 is not from 0 to 1; write a share from 0 to 1, or from \"0%\" to \"100%\"",
            "server.toml:4:8: `time`: `5 parsecs` is not a length of time; write \"500ms\", \"2s\", \"5m\", \"1h\" or \"1d\"",
            "server.toml:5:10: `prefix`: `10.1.0.0/8` has bits set beyond its length; \
             write \"10.0.0.0/8\" for the network or \"10.1.0.0\" for the one address",
            "server.toml:6:11: `address`: expected an IP address, found an integer; write \"192.0.2.1\" or \"2001:db8::1\"",
            "server.toml:7:8: `kind`: `tcp` is not available yet; write \"udp\"",
            "server.toml:8:1: unknown key `colour` in this file; \
             it takes address, interval, kind, later, name, networks, port, prefix, share, sooner, sub, time, whole",
            "server.toml:9:20: `networks`: `nowhere` is not an address or a prefix; \
             write \"192.0.2.1\", \"192.0.2.0/24\" or \"2001:db8::/32\"",
            "server.toml:9:31: `networks`: expected a string, found an integer; put it between quotes",
            "server.toml:10:1: `later` is not available yet; remove it",
            "server.toml:11:12: `interval`: \"0s\" is out of range; write \"10ms\" to \"1m\"",
            "server.toml:13:10: unknown key `x` in [né]; did you mean `y`?",
        ]
    );
}

#[test]
fn ipv4_within_ipv6_is_ipv4() {
    let (_folder, document) = load(
        "all = [\"::ffff:192.0.2.1\", \"::ffff:192.0.2.0/120\", \"::ffff:0:0/96\", \"::/0\", \"2001:db8::/32\"]\n",
    );
    let all = document.root().list("all", Value::prefix).required().unwrap();
    let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["192.0.2.1/32", "192.0.2.0/24", "0.0.0.0/0", "::/0", "2001:db8::/32"]);
}

#[test]
fn an_address_of_ones_own_is_written_as_what_it_is() {
    let (_folder, document) =
        load("one = \"::ffff:192.0.2.1\"\nsocket = \"[::ffff:192.0.2.1]:1812\"\nsix = \"[::1]:1812\"\n");
    let root = document.root();
    root.address("one").required();
    root.socket("socket").required();
    assert!(root.socket("six").required().is_some());
    assert_eq!(
        found(&document),
        [
            "server.toml:1:7: `one`: ::ffff:192.0.2.1 is an IPv4 address within IPv6; write it as IPv4: \"192.0.2.1\"",
            "server.toml:2:10: `socket`: ::ffff:192.0.2.1 is an IPv4 address within IPv6; \
             write it as IPv4: \"192.0.2.1:1812\"",
        ]
    );
}

#[test]
fn conf_d_overrides_values_and_appends_to_arrays() {
    let (folder, file) =
        folder("[health]\ninterval = \"1s\"\nafter = 3\n[[client]]\nname = \"a\"\nport = 1\n");
    write(
        &folder.path().join("conf.d/20.toml"),
        "[[client]]\nname = \"c\"\nport = \"x\"\n[health]\ninterval = 5\n",
    );
    write(
        &folder.path().join("conf.d/10.toml"),
        "\n[health]\ninterval = \"3s\"\n[[client]]\nname = \"b\"\nport = 2\n",
    );
    write(&folder.path().join("conf.d/.20.toml"), "not toml");
    write(&folder.path().join("conf.d/20.toml~"), "not toml");
    let document = Document::load(&Layers::file(file)).unwrap();
    let root = document.root();
    let health = root.table("health");
    assert_eq!(health.duration("interval").optional(), None);
    assert_eq!(health.integer::<u32>("after").optional(), Some(3));
    health.text("missing").required();
    health.finish();
    let mut names = Vec::new();
    for client in root.named_tables("client") {
        names.push(client.text("name").required().unwrap());
        client.integer::<u8>("port").required();
        client.finish();
    }
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(
        found(&document),
        [
            "server.toml:1:2: [health] has no `missing`; add `missing = ..`",
            "conf.d/20.toml:3:8: `port`: expected an integer, found a string; write a whole number without quotes",
            "conf.d/20.toml:5:12: `interval`: expected a length of time, found an integer; \
             write \"500ms\", \"2s\", \"5m\", \"1h\" or \"1d\"",
        ]
    );
}

#[test]
fn two_of_one_name_are_an_error_even_in_two_files() {
    let (folder, file) = folder("[[client]]\nname = \"a\"\n");
    write(&folder.path().join("conf.d/b.toml"), "[[client]]\n  name = \"a\"\n");
    let document = Document::load(&Layers::file(file)).unwrap();
    document.root().named_tables("client");
    let first = folder.path().join("server.toml").display().to_string();
    assert_eq!(
        document.diagnostics().0[0].to_string(),
        format!(
            "{}/conf.d/b.toml:2:10: two [[client]] are called \"a\"; the first is at {first}:2:8; give each its own name",
            folder.path().display()
        )
    );
}

#[test]
fn the_environment_and_the_command_line_win_and_are_named_in_errors() {
    let (folder, file) = folder("[health]\ninterval = \"1s\"\nafter = 3\n[server]\nname = \"x\"\n");
    let variables = [
        ("FOREWARN_HEALTH__INTERVAL", "2s"),
        ("FOREWARN_HEALTH__AFTER", "many"),
        ("FOREWARN_SERVER__NAME", "1812"),
        ("FOREWARN_LISTS__NETWORKS", "[\"::1\", \"x\"]"),
        ("FOREWARN_HEALTH__UNKNOWN", "1"),
        ("FOREWARN_LOG", "debug"),
        ("HEALTH__AFTER", "9"),
    ];
    let layers = Layers::file(file)
        .defaults("[health]\nrise = 7\nafter = 1\n")
        .environment(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
        .override_with("health.interval", "3s");
    let document = Document::load(&layers).unwrap();
    let root = document.root();
    let health = root.table("health");
    assert_eq!(health.duration("interval").optional(), Some(Duration::from_secs(3)));
    assert_eq!(health.integer::<u32>("rise").optional(), Some(7));
    assert_eq!(health.integer::<u32>("after").optional(), None);
    health.finish();
    assert_eq!(root.table("server").text("name").optional().as_deref(), Some("1812"));
    root.table("lists").list("networks", Value::prefix).optional();
    root.finish();
    assert_eq!(
        found(&document),
        [
            "environment FOREWARN_HEALTH__AFTER: `after`: expected an integer, found a string; write a whole number without quotes",
            "environment FOREWARN_LISTS__NETWORKS: `networks`: `x` is not an address or a prefix; \
             write \"192.0.2.1\", \"192.0.2.0/24\" or \"2001:db8::/32\"",
            "environment FOREWARN_HEALTH__UNKNOWN: unknown key `unknown` in [health]; it takes after, interval, rise",
        ]
    );
    drop(folder);
}

#[test]
fn a_table_in_the_place_of_something_else_is_its_own_layers_fault() {
    let (folder, file) = folder("[server]\nname = \"x\"\n[[client]]\nname = \"a\"\n");
    write(&folder.path().join("conf.d/a.toml"), "\n[server]\nname = { first = 1 }\n");
    let layers = Layers::file(file)
        .environment([("FOREWARN_A__B".to_owned(), "1".to_owned())])
        .override_with("client.0.secret", "x");
    let document = Document::load(&layers).unwrap();
    let root = document.root();
    root.table("server").text("name").optional();
    root.named_tables("client");
    root.finish();
    let found = found(&document);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[0].starts_with("conf.d/a.toml:3:10: `name`: expected a string, found a table"),
        "{found:#?}"
    );
    assert!(found[1].starts_with("environment FOREWARN_A__B: unknown key `a`"), "{found:#?}");
    assert!(found[2].starts_with("command line client.0.secret: "), "{found:#?}");
}

#[test]
fn all_syntax_errors_of_all_files_come_at_once() {
    let (folder, file) = folder("a = \nb = 1\nb = 2\n");
    write(&folder.path().join("conf.d/a.toml"), "[x\n");
    let diagnostics = Document::load(&Layers::file(file)).unwrap_err();
    let shown = shown(&diagnostics, folder.path());
    assert!(shown.len() >= 3, "{shown:#?}");
    assert!(shown[0].starts_with("server.toml:1:"), "{shown:#?}");
    assert!(
        shown.iter().any(|line| line.starts_with("server.toml:3:1: not TOML: duplicate key")),
        "{shown:#?}"
    );
    assert!(shown.iter().any(|line| line.starts_with("conf.d/a.toml:1:")), "{shown:#?}");
}

#[test]
fn a_missing_file_is_named() {
    let diagnostics = Document::load(&Layers::file("/nowhere/server.toml")).unwrap_err();
    let text = diagnostics.to_string();
    assert!(text.starts_with("/nowhere/server.toml: can't be read: No such file"), "{text}");
}

#[test]
fn free_keys_keep_their_order_and_places() {
    let (_folder, document) = load("reply = { Zulu = 3600, \"Alpha\" = \"Hello\", Mike = [\"a\", \"b\"] }\n");
    let root = document.root();
    let reply = root.table("reply");
    let keys: Vec<(&str, Kind, String)> = reply
        .entries()
        .iter()
        .map(|entry| (entry.key, entry.value.kind(), document.locate(entry.key_place)))
        .map(|(key, kind, place)| (key, kind, place.rsplit_once("server.toml:").unwrap().1.to_owned()))
        .collect();
    assert_eq!(
        keys,
        [
            ("Zulu", Kind::Number, "1:11".to_owned()),
            ("Alpha", Kind::Text, "1:24".to_owned()),
            ("Mike", Kind::Array, "1:43".to_owned()),
        ]
    );
    reply.finish();
    root.finish();
    assert_eq!(found(&document), [""; 0]);
}

#[test]
fn secrets_come_in_three_forms() {
    let (folder, file) = folder("a = \"inline\"\nb_file = \"b.secret\"\nc_env = \"C_SECRET\"\n");
    write(&folder.path().join("b.secret"), "from a file\n");
    let variables = [("C_SECRET".to_owned(), "from the environment".to_owned())];
    let document = Document::load(&Layers::file(file).environment(variables)).unwrap();
    let root = document.root();
    let secrets: Vec<Secret> = ["a", "b", "c"].iter().filter_map(|key| root.secret(key).required()).collect();
    let octets: Vec<&[u8]> = secrets.iter().map(Secret::octets).collect();
    assert_eq!(octets, [b"inline".as_slice(), b"from a file", b"from the environment"]);
    root.finish();
    assert_eq!(found(&document), [""; 0]);
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_showing_it() {
    let (folder, file) = folder(concat!(
        "a = \"\"\n",
        "b = \"hunter2\"\n",
        "b_file = \"b.secret\"\n",
        "c_file = \"missing\"\n",
        "d_env = \"D_SECRET\"\n",
        "e = \"hunter2hunter2\"\n",
        "f = \"0f1e\"\n",
        "h_file = \"h.secret\"\n",
        "i_file = \"i.secret\"\n",
    ));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let readable = folder.path().join("h.secret");
    write(&readable, "hunter2");
    fs::set_permissions(&readable, fs::Permissions::from_mode(0o644)).unwrap();
    let writable = folder.path().join("i.secret");
    write(&writable, "hunter2");
    fs::set_permissions(&writable, fs::Permissions::from_mode(0o666)).unwrap();
    let document = Document::load(&Layers::file(file)).unwrap();
    let root = document.root();
    for key in ["a", "b", "c", "d", "g"] {
        root.secret(key).required();
    }
    root.hex_key("e", 32).required();
    root.hex_key("f", 32).required();
    assert!(root.secret("h").required().is_some());
    assert!(root.secret("i").required().is_some());
    root.finish();
    let text = found(&document).join("\n");
    assert_eq!(
        text.lines().map(|line| line.split("; ").next().unwrap()).collect::<Vec<_>>(),
        [
            "server.toml:1:1: this file has no `g`",
            "server.toml:1:5: `a`: is empty",
            "server.toml:1:5: warning: there are secrets in server.toml, which everybody may read",
            "server.toml:3:10: both `b` and `b_file` are given",
            "server.toml:4:10: `c_file`: missing can't be read: No such file or directory (os error 2)",
            "server.toml:5:9: `d_env`: the environment has no `D_SECRET`",
            "server.toml:6:5: `e`: not hexadecimal, or an odd number of digits",
            "server.toml:7:5: `f`: 2 octets are too few",
            "server.toml:8:10: warning: h.secret is a secret that everybody may read",
            "server.toml:9:10: warning: i.secret is a secret that everybody may change",
        ]
    );
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!format!("{document:?} {:?}", document.root()).contains("hunter2"));
}

#[test]
fn a_secret_that_belongs_to_somebody_else_is_told_of() {
    let (folder, file) = folder("a_file = \"a.secret\"\n");
    let secret = folder.path().join("a.secret");
    write(&secret, "hunter2");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    let told = |file: &Path| {
        let document = Document::load(&Layers::file(file)).unwrap();
        document.root().secret("a").required();
        found(&document)
    };
    assert_eq!(told(&file), [""; 0], "a group may read it");
    // Only root can give a file away.
    if std::os::unix::fs::chown(&secret, Some(12_345), None).is_ok() {
        assert_eq!(
            told(&file),
            [
                "server.toml:1:10: warning: a.secret is a secret that belongs to user 12345, who may change it; \
              chown it to root, or to the user this program runs as"
            ]
        );
    }
}

#[test]
fn lengths_of_time_are_exact() {
    let cases = [
        ("500ms", 500_000),
        ("2s", 2_000_000),
        ("1.5s", 1_500_000),
        ("0.1s", 100_000),
        ("5m", 300_000_000),
        ("1h", 3_600_000_000),
        ("1d", 86_400_000_000),
        ("10us", 10),
    ];
    for (text, micros) in cases {
        assert_eq!(parse_duration(text), Some(Duration::from_micros(micros)), "{text}");
    }
    for text in ["", "5", "s", "-1s", "1 s", "1w", "1.2.3s", "99999999999999999999d"] {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}
