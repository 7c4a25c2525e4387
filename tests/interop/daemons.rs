//! The daemons that other tests stand on do what those tests take for granted.

use forewarn_tests::config::SECRET;
use forewarn_tests::postgres::Stop;
use forewarn_tests::radclient::radclient;
use forewarn_tests::{FreeRadius, Hosts, Postgres, Slapd};
use std::time::Duration;

#[test]
fn postgres_keeps_what_it_committed_whatever_happens_to_it() {
    let mut hosts = Hosts::claim();
    let mut database = Postgres::with_schema(hosts.host());
    let add = |database: &Postgres, name: &str| {
        database.execute(&format!("INSERT INTO radcheck (username, value) VALUES ('{name}', NULLIF('', ''))"))
    };
    assert!(std::panic::catch_unwind(|| add(&database, "nobody")).is_err(), "value may not be NULL");
    let add = |database: &Postgres, name: &str| {
        database
            .execute(&format!("INSERT INTO radusergroup (username, groupname) VALUES ('{name}', 'it''s')"))
    };
    add(&database, "a");
    database.kill();
    assert!(!database.is_running() && database.try_execute("SELECT 1").is_none());
    database.start_again();
    add(&database, "b");
    database.stop(Stop::Immediate);
    database.start_again();
    add(&database, "c");
    database.stop(Stop::Fast);
    database.start_again();
    assert_eq!(
        database.rows("SELECT username, groupname, NULL FROM radusergroup ORDER BY 1"),
        [["a", "it's", "\\N"], ["b", "it's", "\\N"], ["c", "it's", "\\N"]]
    );
    assert_eq!(database.value("SHOW fsync"), "on");
    assert!(database.cpu() > Duration::ZERO && database.processes().len() > 3);
}

#[test]
fn postgres_can_be_locked_slowed_paused_and_cut() {
    let mut hosts = Hosts::claim();
    let database = Postgres::with_schema(hosts.host());
    database.execute("INSERT INTO radcheck (username) VALUES ('a')");
    let hurried = "SET statement_timeout = '300ms'; SELECT count(*) FROM radcheck";
    let writing = "SET statement_timeout = '300ms'; INSERT INTO radcheck (username) VALUES ('b')";
    assert!(database.try_execute(hurried).is_some());
    let lock = database.lock("radcheck");
    assert!(database.try_execute(hurried).is_none());
    drop(lock);
    assert!(database.try_execute(hurried).is_some());
    database.slow_reads("radcheck", Duration::from_secs(5));
    assert!(database.try_execute(hurried).is_none());
    database.slow_reads("radcheck", Duration::ZERO);
    assert!(database.try_execute(hurried).is_some());
    database.slow_writes("radcheck", Duration::from_secs(5));
    assert!(database.try_execute(writing).is_none());
    database.slow_writes("radcheck", Duration::ZERO);
    assert!(database.try_execute(writing).is_some());
    let lock = database.lock("radcheck");
    database.cut_connections();
    assert!(database.try_execute(hurried).is_some(), "the lock's connection is cut");
    drop(lock);
    database.pause();
    database.resume();
    assert_eq!(database.count("SELECT count(*) FROM radcheck"), 2);
}

#[test]
fn slapd_answers_in_the_clear_after_starttls_and_over_tls() {
    let mut hosts = Hosts::claim();
    let mut directory = Slapd::start(hosts.host());
    directory.add(
        "dn: uid=alice,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\ncn: A\nsn: A\nuid: alice\n\
         userPassword: wonderland\n\n\
         dn: cn=staff,ou=groups,dc=example,dc=org\nobjectClass: groupOfNames\ncn: staff\n\
         member: uid=alice,ou=people,dc=example,dc=org\n",
    );
    directory.kill();
    directory.start_again();
    assert!(directory.dump().contains("uid: alice"));
    let authority = directory.certificate().authority.clone();
    for (url, options) in
        [(directory.url(), &[][..]), (directory.url(), &["-ZZ"]), (directory.tls_url(), &[])]
    {
        let output = std::process::Command::new("ldapsearch")
            .args([
                "-x",
                "-LLL",
                "-H",
                &url,
                "-D",
                "uid=alice,ou=people,dc=example,dc=org",
                "-w",
                "wonderland",
            ])
            .args(options)
            .args(["-b", Slapd::BASE, "(uid=alice)", "memberOf", "userPassword"])
            .env("LDAPTLS_CACERT", &authority)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            said.contains("memberOf: cn=staff"),
            "{url}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!said.contains("userPassword"), "{said}");
    }
}

#[test]
fn freeradius_answers_from_the_database() {
    let mut hosts = Hosts::claim();
    let database = Postgres::with_schema(hosts.host());
    database.execute(
        "INSERT INTO radcheck (username, attribute, op, value) VALUES ('alice', 'Cleartext-Password', ':=', 'x');
         INSERT INTO radreply (username, attribute, op, value) VALUES ('alice', 'Session-Timeout', '=', '60');",
    );
    let server = FreeRadius::start(hosts.host(), &database);
    for (options, method) in
        [("User-Password = x", "pap"), ("CHAP-Password = x", "chap"), ("MS-CHAP-Password = x", "mschap")]
    {
        let said = radclient(server.auth(), "auth", SECRET, &format!("User-Name = alice, {options}"), &[]);
        assert!(
            said.text.contains("Access-Accept") && said.text.contains("Session-Timeout = 60"),
            "{method}: {}",
            said.text
        );
    }
    let start =
        "User-Name = alice, Acct-Session-Id = 1, Acct-Status-Type = Start, NAS-IP-Address = 192.0.2.1";
    let said = radclient(server.acct(), "acct", SECRET, start, &[]);
    assert_eq!(said.received("Accounting-Response"), 1, "{}", said.text);
    let row = "SELECT username, acctuniqueid, nasipaddress, acctstoptime FROM radacct";
    assert_eq!(database.rows(row), [["alice", "989a32d7a2175a0e794d62af2ee3ac86", "192.0.2.1", "\\N"]]);
}
