//! Users, clients and post-auth rows of a database, from outside.

use std::net::{IpAddr, SocketAddr};
use std::process::Output;
use std::time::Duration;

use forewarn_tests::config::{SECRET, server};
use forewarn_tests::folder::Folder;
use forewarn_tests::postgres::Stop;
use forewarn_tests::program::{Server, forewarn};
use forewarn_tests::radclient::{Said, radclient};
use forewarn_tests::wait::eventually;
use forewarn_tests::{Hosts, Postgres};

/// A check of the database, quick to fall and to rise.
const SERVICE: &str = r#"
[[service]]
name = "users"
role = "mandatory"
check = { kind = "sql" }
interval = "100ms"
timeout = "1s"
fall = 1
rise = 1
hold_down = "100ms"
"#;

fn ask(host: IpAddr, user: &str, password: &str) -> Said {
    let request = format!(
        "User-Name = \"{user}\", User-Password = \"{password}\", Called-Station-Id = \"ap\", Message-Authenticator = 0x00\n"
    );
    radclient(SocketAddr::new(host, 1812), "auth", SECRET, &request, &["-t", "2"])
}

fn is_accepted(host: IpAddr, user: &str, password: &str) -> bool {
    ask(host, user, password).received("Access-Accept") == 1
}

fn is_rejected(host: IpAddr, user: &str, password: &str) -> bool {
    ask(host, user, password).received("Access-Reject") == 1
}

fn done(output: Output) -> String {
    let text = String::from_utf8(output.stdout).expect("the tool prints text");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A folder with a configuration, whose database has its tables, and a password in a file.
fn prepared(config: &str) -> Folder {
    let folder = Folder::new();
    folder.write("server.toml", config);
    folder.write("password", "o'pen \"sesame\"\n");
    let made = done(forewarn(folder.path(), &["db", "init", "-c", "server.toml", "--notify"]));
    assert!(made.contains("created table radcheck"), "{made}");
    let again = done(forewarn(folder.path(), &["db", "init", "-c", "server.toml"]));
    assert!(again.contains("nothing is missing") && !again.contains("differs"), "{again}");
    folder
}

fn user(folder: &Folder, arguments: &[&str]) -> Output {
    forewarn(folder.path(), &[&["user"], arguments, &["-c", "server.toml"]].concat())
}

#[test]
fn users_of_postgresql_log_in_and_an_outage_spares_those_in_memory() {
    let mut hosts = Hosts::claim();
    let (host, database_host) = (hosts.host(), hosts.host());
    let mut database = Postgres::start(database_host);
    let more = format!("{}timeout = \"1s\"\npost_auth = true\n{SERVICE}", database.section());
    let folder = prepared(&server(&hosts, "aaa-east", host, &[], &more));
    let reply = ["--reply", "Session-Timeout := 600", "--group", "staff"];
    done(user(&folder, &[&["add", "carol", "--password-file", "password"], &reply[..]].concat()));
    let twice = user(&folder, &["add", "carol", "--password-file", "password"]);
    assert_eq!(twice.status.code(), Some(1), "{twice:?}");
    let server = Server::start_in(folder, &server(&hosts, "aaa-east", host, &[], &more), &[]);

    let password = "o'pen \\\"sesame\\\"";
    let said = eventually("carol logs in", || {
        Some(ask(host, "carol", password)).filter(|said| said.received("Access-Accept") == 1)
    });
    assert!(said.text.contains("Session-Timeout = 600"), "{}", said.text);
    assert!(is_rejected(host, "nobody'; DROP TABLE radcheck; --", "x"));
    assert!(is_rejected(host, "dave", "x"), "believed for five seconds, but for the notice");
    database.execute(
        "INSERT INTO radcheck (username, attribute, op, value) VALUES ('dave', 'Cleartext-Password', ':=', 'x')",
    );
    eventually("dave is known at once", || is_accepted(host, "dave", "x").then_some(()));
    done(user(server.folder(), &["del", "dave"]));
    assert!(is_rejected(host, "dave", "x"));

    database.stop(Stop::Immediate);
    eventually("the server knows", || (server.status()["stores"][0]["state"] == "away").then_some(()));
    server.says("can't be asked");
    assert!(is_accepted(host, "carol", password), "{}", server.log());
    assert!(is_accepted(host, "alice", "wonderland"), "the file goes on");
    let silence = ask(host, "erin", "x");
    assert_eq!(silence.received("Access-"), 0, "{}", silence.text);
    let counted = server.status()["requests"]["silence.source-away"].as_u64();
    assert!(counted.is_some_and(|count| count > 0), "{counted:?}");
    eventually("the watch knows", || (server.status()["services"][0]["state"] != "running").then_some(()));

    database.start_again();
    eventually("it is back", || is_rejected(host, "erin", "x").then_some(()));
    server.says("is back after");
    eventually("the watch knows that too", || {
        (server.status()["services"][0]["state"] == "running").then_some(())
    });
    let lock = database.lock("radcheck");
    let began = std::time::Instant::now();
    assert!(is_accepted(host, "carol", password));
    assert!(began.elapsed() < Duration::from_secs(2));
    eventually("a locked table serves nobody", || {
        let _ = ask(host, "frank", "x");
        (server.status()["stores"][0]["state"] == "away").then_some(())
    });
    drop(lock);
    eventually("it is back again", || is_rejected(host, "frank", "x").then_some(()));

    let rows = eventually("radpostauth is written", || {
        let rows =
            database.rows("SELECT username, pass, reply, calledstationid FROM radpostauth ORDER BY id");
        rows.iter().any(|row| row[0] == "frank").then_some(rows)
    });
    assert_eq!(rows[0], ["carol", "", "Access-Accept", "ap"]);
    assert!(rows.iter().all(|row| row[1].is_empty()));
}

#[test]
fn an_embedded_database_has_users_clients_and_imports() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let more = "\n[sql]\nclients = true\npost_auth = true\npoll = \"200ms\"\n";
    let config = server(&hosts, "aaa-east", host, &[], more);
    // Its clients are all in the database.
    let (before, after) = config.split_once("[[client]]").unwrap();
    let config = format!("{before}{}", &after[after.find("[[user]]").unwrap()..]);
    let folder = prepared(&config);
    folder
        .write("users.csv", "name,password,groups\ncarol,x,staff\n\"o'hara\",\"a,b\",\"staff guests\"\n,y\n");
    let refused = user(&folder, &["import", "users.csv"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("line 4: a user needs a name"), "{refused:?}");
    done(user(&folder, &["import", "--skip", "--hash", "none", "users.csv"]));
    let listed: serde_json::Value = serde_json::from_str(&done(user(&folder, &["list", "--json"]))).unwrap();
    assert_eq!(listed[1]["groups"], serde_json::json!(["staff", "guests"]));
    assert!(!listed.to_string().contains("a,b"), "{listed}");

    let server = Server::start_in(folder, &config, &[]);
    let path = server.folder().path().join("state/radius.sqlite");
    let database = rusqlite::Connection::open(path).unwrap();
    database.busy_timeout(Duration::from_secs(20)).unwrap();
    let insert =
        "INSERT INTO nas (nasname, shortname, secret) VALUES (?1, 'here', ?2), ('name.example', 'no', 'x')";
    database.execute(insert, [&hosts.prefix().to_string(), SECRET]).unwrap();
    database.execute("INSERT INTO nas (nasname, secret) VALUES ('127.0.0.1', ?1)", [SECRET]).unwrap();
    server.says("is no client: its nasname is neither an address nor a prefix");
    eventually("the client is known", || is_accepted(host, "carol", "x").then_some(()));
    assert!(is_accepted(host, "o'hara", "a,b"));
    server.folder().write("given", "x\n");
    for (client, works) in [("here", true), (&host.to_string(), true), ("127.0.0.2", false)] {
        let ask = ["explain", "-c", "server.toml", "--user", "carol", "--password-file", "given", "--client"];
        let output = server.forewarn(&[&ask[..], &[client]].concat());
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            (output.status.success(), shown.contains("unknown-client")),
            (works, !works),
            "{output:?}"
        );
    }
    database.execute("DELETE FROM radcheck WHERE username = 'carol'", []).unwrap();
    database.execute("DELETE FROM radusergroup WHERE username = 'carol'", []).unwrap();
    eventually("carol is gone", || is_rejected(host, "carol", "x").then_some(()));
    let flushed = done(server.forewarn(&["cache", "flush", "state"]));
    assert!(flushed.contains("forgot"), "{flushed}");
    let counted = "SELECT count(*) FROM radpostauth WHERE pass = '' AND reply = 'Access-Accept'";
    eventually("radpostauth is written", || {
        let count: i64 = database.query_row(counted, [], |row| row.get(0)).unwrap();
        (count >= 2).then_some(())
    });
}
