//! Hostile names through authentication, accounting, PostgreSQL, SQLite, a directory, logs and the operator's tool: they
//! are data everywhere.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Output;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use forewarn_tests::config::{self, SECRET};
use forewarn_tests::names::{OCTETS, TEXTS, is_harmless, long};
use forewarn_tests::program::forewarn;
use forewarn_tests::{Folder, Hosts, Nas, Postgres, Server, Slapd, eventually, together};
use forewarn_wire::{Code, number};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);
/// Acct-Status-Type: a session begins, goes on, ends.
const SESSION: [u32; 3] = [1, 3, 2];

/// The names that a source can have, and then all.
fn names() -> (Vec<String>, Vec<Vec<u8>>) {
    let texts: Vec<String> = TEXTS.into_iter().map(str::to_owned).chain([long()]).collect();
    let octets = OCTETS.into_iter().map(<[u8]>::to_vec);
    let all = texts.iter().map(|text| text.clone().into_bytes()).chain(octets).collect();
    (texts, all)
}

fn log_in(host: IpAddr, name: &[u8], password: &[u8]) -> Code {
    let nas = Nas::with_secret(host, SECRET);
    let request = nas.access_with(1, |writer, key, authenticator| {
        writer.attribute(number::USER_NAME, name).expect("room");
        writer.attribute(number::CALLING_STATION_ID, name).expect("room");
        writer.user_password(key, authenticator, password).expect("room");
    });
    nas.send_access(&request);
    nas.reply(&request, PATIENCE).unwrap_or_else(|| panic!("{name:?}: no answer")).code
}

fn account(host: IpAddr, name: &[u8], session: usize, status: u32) {
    let nas = Nas::with_secret(host, SECRET);
    let record = nas.accounting_with(1, |writer| {
        writer.integer(number::ACCT_STATUS_TYPE, status).expect("room");
        writer.attribute(number::USER_NAME, name).expect("room");
        writer.attribute(number::ACCT_SESSION_ID, format!("s-{session}").as_bytes()).expect("room");
        writer.attribute(number::CALLING_STATION_ID, name).expect("room");
        writer.attribute(number::CALLED_STATION_ID, name).expect("room");
    });
    nas.send_accounting(&record);
    assert!(nas.reply(&record, PATIENCE).is_some(), "{name:?}: no answer");
}

/// What the tool printed, which has to do no harm.
fn printed(output: &Output) -> String {
    for (which, octets) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        assert!(is_harmless(octets), "{which}: {:?}", String::from_utf8_lossy(octets));
    }
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Adds each of the names with a password of its own: its number.
fn add_all(folder: &Folder, texts: &[String]) {
    together(texts, |number, name| {
        let password = format!("password-{number}");
        folder.write(&password, &format!("right-{number}\n"));
        let options = ["user", "add", "-c", "server.toml", "--hash", "none", "--password-file", &password];
        let output = forewarn(folder.path(), &[&options[..], &["--", name]].concat());
        printed(&output);
        assert!(output.status.success(), "{name:?}: {output:?}");
    });
}

/// Everything an operator looks at while their sessions are live.
fn look(server: &Server, texts: &[String], all: &[Vec<u8>]) {
    let ask = |arguments: &[&str]| printed(&server.forewarn(arguments));
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let named = |list: &Value, field: &str| -> BTreeSet<String> {
        let list = list.as_array().expect("a list");
        list.iter().map(|one| one[field].as_str().expect("a text").to_owned()).collect()
    };
    let listed = named(&json(&ask(&["user", "list", "-c", "server.toml", "--json"])), "name");
    assert_eq!(listed, texts.iter().cloned().collect());
    assert_eq!(ask(&["user", "list", "-c", "server.toml"]).lines().count(), texts.len());
    let sessions = json(&ask(&["sessions", "-c", "server.toml", "--json"]));
    assert_eq!(sessions.as_array().map(Vec::len), Some(all.len()));
    let users = named(&sessions, "user");
    assert!(texts.iter().all(|name| users.contains(name)), "as they were sent: {users:#?}");
    assert!(users.contains("al\\xff\\xfeice"), "{users:#?}");
    // A heading, and how many they are.
    assert_eq!(ask(&["sessions", "-c", "server.toml"]).lines().count(), all.len() + 2);
    let some = |step| texts.iter().enumerate().step_by(step).collect::<Vec<_>>();
    together(&some(3), |_, (_, name)| {
        let found = json(&ask(&["sessions", "-c", "server.toml", "--json", &format!("--user={name}")]));
        assert_eq!(named(&found, "user"), BTreeSet::from([(*name).clone()]));
    });
    together(&some(5), |_, (number, name)| {
        let given = format!("password-{number}");
        let explain = ["explain", "-c", "server.toml", "--client", "loopback", "--password-file", &given];
        let output = server.forewarn(&[&explain[..], &[&format!("--user={name}")]].concat());
        assert!(printed(&output).contains("Access-Accept"), "{name:?}: {output:?}");
        // Its NAS is the server itself, which is none.
        let option = format!("--user={name}");
        let told = ask(&["disconnect", &option, "--timeout", "100ms"]);
        assert_eq!(told.lines().filter(|line| line.contains("session s-")).count(), 1, "{name:?}: {told}");
        ask(&["disconnect", &option, "--timeout", "100ms", "--json"]);
    });
    for format in [&["status"][..], &["status", "--json"]] {
        ask(format);
    }
}

/// One line for each request, and no line that somebody else wrote.
fn one_line_each(server: &Server, requests: usize) {
    let lines = eventually("the records are there", || {
        let log = server.log();
        let lines: Vec<String> =
            log.lines().filter(|line| line.contains("decision")).map(str::to_owned).collect();
        (lines.len() >= requests).then_some(lines)
    });
    assert_eq!(lines.len(), requests);
    let log = std::fs::read(server.folder().path().join("log")).expect("a log");
    assert!(is_harmless(&log), "{}", server.log());
    for line in server.log().lines() {
        assert!(line.starts_with("20") || line.starts_with("{\"time\":\"20"), "a line of its own: {line}");
        assert!(!line.contains("right-"), "a password: {line}");
    }
}

/// Through a server whose database `dump` writes down, all but the rows of radacct and radpostauth.
fn through(server: &Server, host: IpAddr, dump: impl Fn() -> String) {
    let (texts, all) = names();
    let before = dump();
    together(&all, |number, name| {
        let known = number < texts.len();
        let right = format!("right-{number}");
        let expected = if known { Code::ACCESS_ACCEPT } else { Code::ACCESS_REJECT };
        assert_eq!(log_in(host, name, right.as_bytes()), expected, "{name:?}");
        assert_eq!(log_in(host, name, b"right-"), Code::ACCESS_REJECT, "{name:?}");
    });
    for status in SESSION {
        if status == 2 {
            look(server, &texts, &all);
        }
        together(&all, |number, name| account(host, name, number, status));
    }
    one_line_each(server, (2 + SESSION.len()) * all.len());
    let after = dump();
    assert!(before == after, "before:\n{before}\nafter:\n{after}");
}

/// As FreeRADIUS leaves a User-Name in a column: letters that mean nothing anywhere.
fn is_column(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "@.-_: /=\\".contains(c) || !c.is_ascii())
}

#[test]
fn hostile_names_are_data_in_postgresql() {
    let mut hosts = Hosts::claim();
    let (host, database_host) = (hosts.host(), hosts.host());
    // The statements without their parameters: what is code for it.
    let settings = [("log_statement", "all"), ("log_parameter_max_length", "0")];
    let database = Postgres::start_with(database_host, &settings);
    database.load_schema();
    let more = format!("{}post_auth = true\n[log]\ndecisions = \"all\"\n", database.section());
    let config = config::server(&hosts, "east", host, &[], &more);
    let folder = Folder::new();
    folder.write("server.toml", &config);
    add_all(&folder, &names().0);
    let server = Server::start_in(folder, &config, &[]);
    through(&server, host, || database.dump_without(&["radacct", "radpostauth"]));

    let count = names().1.len();
    let rows = database.rows("SELECT username, callingstationid, acctstoptime IS NOT NULL FROM radacct");
    assert_eq!(rows.len(), count);
    assert!(rows.iter().all(|row| is_column(&row[0]) && is_column(&row[1]) && row[2] == "t"), "{rows:#?}");
    let kept = || (database.count("SELECT count(*) FROM radpostauth") == 2 * count as u64).then_some(());
    eventually("radpostauth is written", kept);
    assert_eq!(database.count("SELECT count(*) FROM radpostauth WHERE pass <> ''"), 0);
    for code in ["DROP TABLE", "pg_sleep", "1=1", "admin'", "ben)"] {
        assert!(!database.log().contains(code), "{code} is part of a statement:\n{}", database.log());
    }
}

/// Everything in an SQLite database but the rows of radacct and radpostauth.
fn dump_of(database: &rusqlite::Connection) -> String {
    let rows = |sql: &str| -> Vec<String> {
        let mut statement = database.prepare(sql).expect("a statement");
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values = (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column));
            Ok(format!("{:?}", values.collect::<Result<Vec<_>, _>>()?))
        };
        statement.query_map([], row).expect("rows").map(|row| row.expect("a row")).collect()
    };
    let mut dump = rows("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2");
    let mut tables = database
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        .expect("a statement");
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    for table in tables.map(|table| table.expect("a name")) {
        if !["radacct", "radpostauth", "sqlite_sequence"].contains(&&*table) {
            dump.extend(rows(&format!("SELECT '{table}', * FROM \"{table}\" ORDER BY 2, 3")));
        }
    }
    dump.join("\n")
}

#[test]
fn hostile_names_are_data_in_sqlite() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let more = "\n[sql]\npost_auth = true\n[log]\nformat = \"json\"\ndecisions = \"all\"\n";
    let config = config::server(&hosts, "east", host, &[], more);
    let folder = Folder::new();
    folder.write("server.toml", &config);
    assert!(forewarn(folder.path(), &["db", "init", "-c", "server.toml"]).status.success());
    add_all(&folder, &names().0);
    let server = Server::start_in(folder, &config, &[]);
    let database = rusqlite::Connection::open(server.folder().path().join("state/radius.sqlite")).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    through(&server, host, || dump_of(&database));

    let count = names().1.len();
    let mut rows = database.prepare("SELECT username FROM radacct WHERE acctstoptime IS NOT NULL").unwrap();
    let rows: Vec<String> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(rows.len() == count && rows.iter().all(|name| is_column(name)), "{rows:#?}");
    let kept = "SELECT count(*) FROM radpostauth WHERE pass = ''";
    eventually("radpostauth is written", || {
        let kept: i64 = database.query_row(kept, [], |row| row.get(0)).unwrap();
        (kept == 2 * count as i64).then_some(())
    });
    let records = server.log();
    let users: BTreeSet<String> = records
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .filter_map(|record| record["user"].as_str().map(str::to_owned))
        .collect();
    assert!(names().0.iter().all(|name| users.contains(name)), "they come out as they went in: {users:#?}");
}

/// What a server has asked slapd: the verb and what follows it.
fn asked(log: &str) -> Vec<&str> {
    let operations = log.lines().filter_map(|line| line.split_once(" op=")?.1.split_once(' '));
    let says_more = |asked: &&str| asked.starts_with("SRCH attr=") || asked.contains(" mech=");
    operations
        .map(|(_, asked)| asked)
        .filter(|asked| !asked.contains("RESULT ") && !says_more(asked))
        .collect()
}

/// What a filter of slapd's log asks for, if it is the one filter that there may be. slapd writes what it compares: in
/// lower case, and what isn't plain as `\XX`.
fn asked_for(filter: &str) -> Option<String> {
    let value = filter.strip_prefix("(uid=")?.strip_suffix(')')?;
    let mut octets = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        match first {
            b'(' | b')' | b'*' => return None,
            b'\\' => {
                let digits = std::str::from_utf8(after.get(..2)?).ok()?;
                octets.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &after[2..];
            }
            _ => {
                octets.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(octets).ok()
}

#[test]
fn hostile_names_are_data_in_a_directory() {
    let mut hosts = Hosts::claim();
    let (host, home) = (hosts.host(), hosts.host());
    let directory = Slapd::start(home);
    let (texts, all) = names();
    let mut people = String::new();
    for (number, name) in texts.iter().enumerate() {
        people.push_str(&format!(
            "dn: cn=person-{number},ou=people,{}\nobjectClass: inetOrgPerson\ncn: person-{number}\nsn: P\n\
             uid:: {}\nuserPassword: right-{number}\n\n",
            Slapd::BASE,
            Base64::encode_string(name.as_bytes())
        ));
    }
    directory.add(&people);
    let more = format!(
        "[ldap]\nservers = [\"{}\"]\nbase = \"{}\"\ncache = \"0s\"\nnegative_cache = \"0s\"\ntimeout = \"10s\"\n\
         groups = {{ base = \"ou=groups,dc=example,dc=org\", filter = \"(|(memberUid={{user}})(member={{dn}}))\" }}\n\
         [log]\ndecisions = \"all\"\n",
        directory.url(),
        Slapd::BASE
    );
    let before = directory.dump();
    let lines_before = directory.log().lines().count();
    let server = Server::start(&config::server(&hosts, "east", host, &[], &more));
    together(&all, |number, name| {
        let right = format!("right-{number}");
        let expected = if number < texts.len() { Code::ACCESS_ACCEPT } else { Code::ACCESS_REJECT };
        assert_eq!(log_in(host, name, right.as_bytes()), expected, "{name:?}\n{}", directory.log());
        assert_eq!(log_in(host, name, b"right-"), Code::ACCESS_REJECT, "{name:?}");
    });
    one_line_each(&server, 2 * all.len());
    let log = directory.log();
    assert_eq!(before, directory.dump());
    let since = log.lines().skip(lines_before).collect::<Vec<_>>().join("\n");
    let (mut names, mut groups, mut binds) = (Vec::new(), 0, Vec::new());
    for asked in asked(&since) {
        let people = "SRCH base=\"dc=example,dc=org\" scope=2 deref=0 filter=\"";
        let group = "SRCH base=\"ou=groups,dc=example,dc=org\" scope=2 deref=0 filter=\"(|(";
        if let Some(filter) = asked.strip_prefix(people) {
            let name = asked_for(filter.strip_suffix('"').unwrap_or(filter));
            names.push(name.unwrap_or_else(|| panic!("another filter: {asked}")));
        } else if let Some(filter) = asked.strip_prefix(group) {
            // Parentheses of a name are escaped, so these are the filter's own.
            assert_eq!(filter.matches(['(', ')']).count(), 4, "another filter: {asked}");
            groups += 1;
        } else {
            binds.push(asked);
        }
    }
    let twice = |mut list: Vec<String>| {
        list.extend(list.clone());
        list.sort_unstable();
        list
    };
    names.sort_unstable();
    // Names that no directory has aren't asked for.
    assert_eq!(names, twice(texts.iter().map(|name| name.to_ascii_lowercase()).collect()));
    assert_eq!(groups, names.len());
    let person = |number| format!("BIND dn=\"cn=person-{number},ou=people,dc=example,dc=org\" method=128");
    binds.sort_unstable();
    assert_eq!(binds, twice((0..texts.len()).map(person).collect()));
}
