//! Accounting into PostgreSQL, the spool while there is none, and what an Access-Request asks of the sessions.

use std::net::SocketAddr;

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::postgres::Stop;
use forewarn_tests::radclient::{Said, radclient};
use forewarn_tests::{Folder, Hosts, Postgres, Server, eventually};

/// A server over a PostgreSQL of its own.
struct Site {
    database: Postgres,
    server: Option<Server>,
    address: std::net::IpAddr,
    config: String,
    nas: String,
    _hosts: Hosts,
}

impl Site {
    fn open() -> Site {
        let mut hosts = Hosts::claim();
        let (address, nas) = (hosts.host(), hosts.host());
        let database = Postgres::with_schema(hosts.host());
        let pools =
            std::fs::read_to_string("/etc/freeradius/3.0/mods-config/sql/ippool/postgresql/schema.sql");
        database.execute(&pools.expect("freeradius-config is installed"));
        let config = config::server(&hosts, "east", address, &[], &database.section());
        let server = Some(Server::start(&config));
        Site { database, server, address, config, nas: nas.to_string(), _hosts: hosts }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    /// `kill -9`, and a new one on its folder.
    fn kill_the_server(&mut self) -> Folder {
        self.server.take().expect("it runs").kill()
    }

    fn start_the_server(&mut self, folder: Folder) {
        self.server = Some(Server::start_in(folder, &self.config, &[]));
    }

    fn tell(&self, status: &str, session: &str, more: &str) -> Said {
        let attributes = format!(
            "Acct-Status-Type = {status}\nAcct-Session-Id = {session}\nUser-Name = carol\n\
             NAS-IP-Address = {}\nNAS-Port = 7\nCalling-Station-Id = 02-00-00-00-00-01\n{more}",
            self.nas
        );
        radclient(SocketAddr::new(self.address, 1813), "acct", SECRET, &attributes, &["-r", "1", "-t", "8"])
    }

    fn log_in(&self, name: &str) -> Said {
        let attributes = format!(
            "User-Name = {name}\nUser-Password = wonderland\nNAS-IP-Address = {}\nNAS-Port = 7\n\
             Calling-Station-Id = 02-00-00-00-00-01\nMessage-Authenticator = 0x00",
            self.nas
        );
        radclient(SocketAddr::new(self.address, 1812), "auth", SECRET, &attributes, &["-r", "1", "-t", "8"])
    }

    fn counted(&self, name: &str) -> u64 {
        self.server().status()["counters"][name].as_u64().unwrap_or(0)
    }
}

fn answered(said: &Said) -> bool {
    said.received("Accounting-Response") == 1
}

#[test]
fn while_postgresql_is_away_records_wait_in_the_spool_and_survive_kill() {
    let mut site = Site::open();
    assert!(answered(&site.tell("Start", "s-1", "")));
    assert_eq!(site.database.count("SELECT count(*) FROM radacct"), 1);
    site.database.kill();
    assert!(answered(&site.tell("Stop", "s-1", "Acct-Session-Time = 42")), "it is on the disk");
    assert!(answered(&site.tell("Start", "s-2", "")));
    assert_eq!(site.counted("accounting.spooled"), 2);
    let folder = site.kill_the_server();
    site.start_the_server(folder);
    assert!(answered(&site.tell("Interim-Update", "s-2", "Acct-Input-Octets = 99")));
    site.database.start_again();
    eventually("the spool is drained", || (site.counted("accounting.drained") == 3).then_some(()));
    let rows = site.database.rows(
        "SELECT acctsessionid, acctsessiontime, acctinputoctets, acctstoptime IS NULL FROM radacct ORDER BY 1",
    );
    assert_eq!(rows, [["s-1", "42", "0", "f"], ["s-2", forewarn_tests::postgres::NULL, "99", "t"]]);
    assert!(answered(&site.tell("Stop", "s-2", "")), "and it goes on without the spool");
    eventually("the last one is there", || {
        (site.database.count("SELECT count(*) FROM radacct WHERE acctstoptime IS NULL") == 0).then_some(())
    });
}

#[test]
fn connections_cut_under_way_lose_nothing() {
    let mut site = Site::open();
    for session in 0..20 {
        if session % 5 == 3 {
            site.database.cut_connections();
        }
        if session == 11 {
            site.database.stop(Stop::Immediate);
            site.database.start_again();
        }
        assert!(answered(&site.tell("Start", &format!("s-{session}"), "")), "{session}");
    }
    eventually("all are there", || (site.database.count("SELECT count(*) FROM radacct") == 20).then_some(()));
}

#[test]
fn a_user_has_as_many_sessions_as_allowed_and_an_address_of_the_pool() {
    let site = Site::open();
    site.database.execute(
        "INSERT INTO radcheck (username, attribute, op, value) VALUES
            ('carol', 'Cleartext-Password', ':=', 'wonderland'),
            ('carol', 'Simultaneous-Use', ':=', '1'),
            ('carol', 'Pool-Name', ':=', 'main');
         INSERT INTO radippool (pool_name, framedipaddress, expiry_time)
            VALUES ('main', '10.9.0.1', now() - interval '1 day')",
    );
    let first = site.log_in("carol");
    assert_eq!(first.received("Access-Accept"), 1, "{first:?}");
    assert!(format!("{first:?}").contains("10.9.0.1"), "{first:?}");
    let held = "SELECT nasipaddress, pool_key, username FROM radippool WHERE expiry_time > localtimestamp";
    assert_eq!(site.database.rows(held), [[site.nas.as_str(), "7", "carol"]]);
    assert!(answered(&site.tell("Start", "s-1", "Framed-IP-Address = 10.9.0.1")));
    assert_eq!(site.log_in("carol").received("Access-Reject"), 1, "one session is all there may be");
    let shown = site.server().forewarn(&["sessions", "--config", "server.toml", "--json"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("\"user\":\"carol\"") && shown.contains("\"address\":\"10.9.0.1\""), "{shown}");
    assert!(answered(&site.tell("Stop", "s-1", "Framed-IP-Address = 10.9.0.1")));
    assert!(site.database.rows(held).is_empty(), "the Stop gave it back");
    // Who has an address of their own takes none.
    site.database.execute(
        "INSERT INTO radcheck (username, attribute, op, value) VALUES
            ('dave', 'Cleartext-Password', ':=', 'wonderland'), ('dave', 'Pool-Name', ':=', 'main');
         INSERT INTO radreply (username, attribute, op, value) VALUES ('dave', 'Framed-IP-Address', '=', '10.9.9.9')",
    );
    let own = format!("{:?}", site.log_in("dave"));
    assert!(own.contains("10.9.9.9") && !own.contains("10.9.0.1"), "{own}");
    assert!(site.database.rows(held).is_empty(), "nothing was taken from the pool");
    // Somebody else's, for a day: none is left.
    site.database.execute(
        "UPDATE radippool SET pool_key = '8', username = 'bob', expiry_time = localtimestamp + interval '1 day'",
    );
    assert_eq!(site.log_in("carol").received("Access-Reject"), 1, "no address is left");
    let status = site.server().status();
    assert_eq!(status["requests"]["access-reject.too-many-sessions"], 1, "{}", status["requests"]);
    assert_eq!(status["requests"]["access-reject.pool-empty"], 1, "{}", status["requests"]);
}
