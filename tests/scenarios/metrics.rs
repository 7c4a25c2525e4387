//! Metrics, as a scraper sees them.

use std::net::{IpAddr, SocketAddr, TcpStream};

use forewarn_tests::address::free_port;
use forewarn_tests::config::{self, SECRET};
use forewarn_tests::exposition::{Exposition, get};
use forewarn_tests::radclient::radclient;
use forewarn_tests::{Hosts, Server, eventually};

const MANUAL: &str = include_str!("../../docs/operating.md");

/// A server that can be asked for its metrics.
struct Site {
    server: Server,
    host: IpAddr,
    address: SocketAddr,
    text: String,
    _hosts: Hosts,
}

impl Site {
    fn open(more: &str) -> Site {
        let mut hosts = Hosts::claim();
        let host = hosts.host();
        let address = SocketAddr::new(host, 9812);
        let text = config::server(&hosts, "east", host, &[], "");
        let server = Server::start(&format!("{text}{}", metrics(address, more)));
        Site { server, host, address, text, _hosts: hosts }
    }

    fn scrape(&self) -> Exposition {
        let page = get(self.address, "/metrics", "*/*").expect("somebody listens");
        assert_eq!((page.status, &*page.content_type), (200, "text/plain; version=0.0.4; charset=utf-8"));
        Exposition::parse(&page.body)
    }

    fn ask(&self, port: u16, kind: &str, requests: &str) {
        let _ = radclient((self.host, port).into(), kind, SECRET, requests, &["-p", "20", "-q"]);
    }
}

fn metrics(address: SocketAddr, more: &str) -> String {
    format!("\n[metrics]\nlisten = \"{address}\"\n{more}")
}

#[test]
fn the_figures_are_what_was_sent() {
    let site = Site::open("");
    let before = site.scrape();
    let right = "User-Name = alice, User-Password = wonderland, Message-Authenticator = 0x00\n\n";
    let wrong = "User-Name = alice, User-Password = guess, Message-Authenticator = 0x00\n\n";
    let nobody = "User-Name = mallory, User-Password = guess, Message-Authenticator = 0x00\n\n";
    site.ask(1812, "auth", &format!("{}{}{nobody}", right.repeat(7), wrong.repeat(3)));
    site.ask(
        1813,
        "acct",
        &"User-Name = alice, Acct-Status-Type = Start, Acct-Session-Id = \"1\"\n\n".repeat(2),
    );
    site.ask(1812, "status", "Message-Authenticator = 0x00\n");
    let after = site.scrape();
    let more = |series: &str| after.value(series) - before.value(series);
    for (answer, cause, times) in [
        ("access-accept", "password", 7.0),
        ("access-reject", "wrong-password", 3.0),
        ("access-reject", "unknown-user", 1.0),
        ("accounting-response", "stored", 2.0),
        ("access-accept", "status-server", 1.0),
    ] {
        let series = format!("forewarn_requests_total{{answer=\"{answer}\",cause=\"{cause}\"}}");
        assert_eq!(more(&series), times, "{series}");
    }
    for (kind, answer, times) in [
        ("access", "access-accept", 7.0),
        ("access", "access-reject", 4.0),
        ("accounting", "accounting-response", 2.0),
        ("status", "access-accept", 1.0),
    ] {
        let series =
            format!("forewarn_request_duration_seconds_count{{kind=\"{kind}\",answer=\"{answer}\"}}");
        assert_eq!(more(&series), times, "{series}");
    }
    let bucket = |le: &str| {
        more(&format!(
            "forewarn_request_duration_seconds_bucket{{le=\"{le}\",kind=\"access\",answer=\"access-reject\"}}"
        ))
    };
    assert_eq!((bucket("0.5"), bucket("+Inf")), (0.0, 4.0), "a reject waits for a second");
    assert_eq!(
        more("forewarn_client_requests_total{client=\"loopback\"}")
            + more("forewarn_client_requests_total{client=\"hosts\"}"),
        14.0
    );
    assert_eq!(more("forewarn_decisions_written_total"), 4.0, "rejects leave a record");
    assert_eq!(after.value("forewarn_watch_state{state=\"serving\"}"), 1.0);
    assert!(after.value("process_resident_memory_bytes") > 1e6);
    let status = site.server.status();
    for (name, _) in status["counters"].as_object().unwrap() {
        let name = format!("forewarn_{}_total", name.replace("octets", "bytes").replace(['.', '-'], "_"));
        assert!(after.names().contains(&*name), "{name} is shown by `forewarn status` alone");
    }
}

#[test]
fn the_manual_has_every_name() {
    let site = Site::open("");
    let page = site.scrape();
    let missing: Vec<&str> =
        page.names().into_iter().filter(|name| !MANUAL.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0], "docs/operating.md doesn't list these");
}

#[test]
fn a_scraper_that_speaks_openmetrics_gets_it() {
    let site = Site::open("");
    let page = get(site.address, "/metrics", "application/openmetrics-text;version=1.0.0,*/*;q=0.1").unwrap();
    assert!(page.content_type.starts_with("application/openmetrics-text; version=1.0.0"), "{page:?}");
    assert!(
        page.body.ends_with("# EOF\n") && page.body.contains("# TYPE forewarn_requests counter\n"),
        "{page:?}"
    );
    let hint = get(site.address, "/", "*/*").unwrap();
    assert!(hint.status == 200 && hint.body.contains("/metrics"), "{hint:?}");
    assert_eq!(get(site.address, "/elsewhere", "*/*").unwrap().status, 404);
}

#[test]
fn clients_with_counters_of_their_own_are_bounded() {
    let site = Site::open("clients_max = 1\n");
    site.ask(1812, "auth", "User-Name = alice, User-Password = wonderland, Message-Authenticator = 0x00\n");
    let page = site.scrape();
    assert_eq!(page.0["forewarn_client_requests_total"].series.len(), 1);
    let own: f64 = page.0["forewarn_client_requests_total"].series.values().sum();
    assert_eq!(own + page.value("forewarn_other_clients_requests_total"), 1.0);
    site.server.rewrite(&format!("{}{}", site.text, metrics(site.address, "per_client = false\n")));
    assert!(site.server.forewarn(&["reload"]).status.success());
    assert!(site.scrape().0["forewarn_client_requests_total"].series.is_empty());
}

#[test]
fn who_connects_and_says_nothing_keeps_nobody_out() {
    let site = Site::open("");
    // As many as there may be at one time, and one that waits like the scraper.
    let silent: Vec<TcpStream> = (0..9).map(|_| TcpStream::connect(site.address).unwrap()).collect();
    site.ask(1812, "auth", "User-Name = alice, User-Password = wonderland, Message-Authenticator = 0x00\n");
    assert_eq!(
        site.scrape().value("forewarn_requests_total{answer=\"access-accept\",cause=\"password\"}"),
        1.0,
        "they were shown the door"
    );
    drop(silent);
}

#[test]
fn a_reload_moves_the_address_or_keeps_it_and_says_so() {
    let site = Site::open("");
    let elsewhere = SocketAddr::new(site.host, free_port(site.host));
    site.server.rewrite(&format!("{}{}", site.text, metrics(elsewhere, "")));
    assert!(site.server.forewarn(&["reload"]).status.success());
    assert!(get(elsewhere, "/metrics", "*/*").is_some());
    eventually("the old address is free", || get(site.address, "/metrics", "*/*").is_none().then_some(()));

    let taken = std::net::TcpListener::bind((site.host, 0)).unwrap();
    site.server.rewrite(&format!("{}{}", site.text, metrics(taken.local_addr().unwrap(), "")));
    let output = site.server.forewarn(&["reload"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("the old one is kept"), "{output:?}");
    assert!(get(elsewhere, "/metrics", "*/*").is_some());

    site.server.rewrite(&site.text);
    assert!(site.server.forewarn(&["reload"]).status.success());
    eventually("nobody listens any more", || get(elsewhere, "/metrics", "*/*").is_none().then_some(()));
}

#[test]
fn an_address_that_is_taken_is_told_at_the_start() {
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let taken = std::net::TcpListener::bind((host, 9812)).unwrap();
    let folder = forewarn_tests::Folder::new();
    let text = config::server(&hosts, "east", host, &[], "");
    let file = folder.write("server.toml", &format!("{text}{}", metrics(taken.local_addr().unwrap(), "")));
    let output = forewarn_tests::program::refused("forewarnd", &file);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("[metrics] listen {host}:9812 can't be had")), "{said}");
}
