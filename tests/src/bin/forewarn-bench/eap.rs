//! EAP beside FreeRADIUS 3.2, in the same run and by turns: authentications a second, and the CPU time that each costs the
//! server.
//!
//! Both have the same certificates, the same user and the same peers: rustls's, as many at once as keep either server
//! busy. Peers and server share this machine, so that rates are of the whole; what one server is to the other is in the
//! CPU time.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forewarn_tests::authority::{Authority, Key, Leaf, Usage};
use forewarn_tests::freeradius::eap::Tls;
use forewarn_tests::load::LoadError;
use forewarn_tests::supplicant::crowd::{Plan, Report, run};
use forewarn_tests::supplicant::{Supplicant, Trust, Version};
use forewarn_tests::{Folder, FreeRadius, Hosts, Server, config};

use crate::daemons::{SECRET, server_config};

/// Conversations at once.
const AT_ONCE: usize = 32;
/// FreeRADIUS's threads: as many as it has to begin with where nobody says otherwise.
const THREADS: usize = 5;
/// What both put into one packet.
const FRAGMENT: usize = 1024;

/// What is measured.
#[derive(Clone, Copy)]
struct Row {
    method: &'static str,
    key: Key,
    version: Version,
    resumed: bool,
}

impl Row {
    /// What the table calls it.
    fn label(&self) -> String {
        let key = if self.key == Key::Rsa { "RSA" } else { "ECDSA" };
        let how = if self.resumed { "resumed" } else { "full" };
        format!("{:<14} {key:<6} {:<8} {how:<8}", self.method, self.version.to_string())
    }
}

/// All of it, or the rows with these words: each key, method and version, full and resumed.
pub(crate) fn measure(duration: Duration, words: &str) -> Result<(), LoadError> {
    println!("EAP, {AT_ONCE} conversations at once, each server for {duration:.0?}");
    println!(
        "  {:<14} {:<6} {:<8} {:<8} {:>24} {:>24} {:>7} {:>15}",
        "", "", "", "", "FreeRADIUS", "forewarnd", "CPU", "p99 ms"
    );
    println!(
        "  {:<14} {:<6} {:<8} {:<8} {:>12} {:>11} {:>12} {:>11} {:>7} {:>7} {:>7}",
        "method", "key", "TLS", "", "auth/s", "us CPU", "auth/s", "us CPU", "ratio", "theirs", "ours"
    );
    for key in [Key::Ecdsa, Key::Rsa] {
        let mut hosts = Hosts::claim();
        let (their_address, our_address, nas) = (hosts.host(), hosts.host(), hosts.host());
        let folder = Folder::new();
        let authority = Authority::make(&folder.path().join("authority"), key);
        let server = authority.leaf("radius.example.org", Usage::Server);
        let alice = authority.leaf("alice", Usage::Client);
        let tls = Tls { authority: &authority, leaf: &server, resumes: true, fragment: FRAGMENT };
        let theirs = FreeRadius::with_eap(their_address, tls, THREADS);
        let ours = Server::start(&(server_config(our_address, &[nas]) + &eap(&authority, &server)));
        let subjects = [
            Subject { to: theirs.auth(), secret: config::SECRET, pid: theirs.pid(), nas },
            Subject { to: (our_address, 1812).into(), secret: SECRET, pid: ours.pid(), nas },
        ];
        for method in ["EAP-TLS", "PEAP-MSCHAPv2", "TTLS-PAP"] {
            for version in [Version::Tls12, Version::Tls13] {
                for resumed in [false, true] {
                    let row = Row { method, key, version, resumed };
                    if !words.split_whitespace().all(|word| row.label().contains(word)) {
                        continue;
                    }
                    let mut reports = Vec::new();
                    for subject in &subjects {
                        reports.push(subject.measure(row, &alice, duration)?);
                    }
                    show(row, &reports[0], &reports[1]);
                }
            }
        }
    }
    println!();
    Ok(())
}

struct Subject {
    to: SocketAddr,
    secret: &'static str,
    pid: u32,
    nas: IpAddr,
}

impl Subject {
    fn measure(&self, row: Row, alice: &Leaf, duration: Duration) -> Result<Report, LoadError> {
        let leaf = (row.method == "EAP-TLS").then_some(alice);
        let trust = Trust::new(row.version, leaf);
        // Sessions are a place's own: a ticket of TLS 1.3 is good once.
        let trusts: Vec<Trust> =
            (0..AT_ONCE).map(|_| if row.resumed { trust.resuming() } else { trust.clone() }).collect();
        let plan = Plan {
            from: Some(self.nas),
            at_once: AT_ONCE,
            duration,
            processes: vec![self.pid],
            ..Plan::saturate(self.to, self.secret)
        };
        let report = run(&plan, |place| match row.method {
            "EAP-TLS" => Supplicant::tls("alice", &trusts[place]),
            "TTLS-PAP" => Supplicant::ttls_pap("alice", "alice", "wonderland", &trusts[place]),
            _ => Supplicant::peap_mschapv2("alice", "alice", "wonderland", &trusts[place]),
        })?;
        Ok(report)
    }
}

fn show(row: Row, theirs: &Report, ours: &Report) {
    let resumed = row.resumed;
    // A server that doesn't resume has no figure for it.
    let counts =
        |report: &Report| report.accepted > 0 && (!resumed || report.resumed * 10 > report.accepted * 9);
    let figures = |report: &Report| match counts(report) {
        true => format!("{:>12.0} {:>11.0}", report.rate(), report.cpu_micros()),
        false => format!("{:>12} {:>11}", "-", "-"),
    };
    let ratio = match counts(theirs) && counts(ours) {
        true => format!("{:.2}", ours.cpu_micros() / theirs.cpu_micros().max(1e-9)),
        false => "-".to_owned(),
    };
    let slow = |report: &Report| report.latencies.percentile(99.0).as_secs_f64() * 1e3;
    println!(
        "  {} {} {} {ratio:>7} {:>7.1} {:>7.1}",
        row.label(),
        figures(theirs),
        figures(ours),
        slow(theirs),
        slow(ours),
    );
    for (name, report) in [("FreeRADIUS", theirs), ("forewarnd", ours)] {
        if !report.failed.is_empty() {
            println!("    {name}: {} not let in, the first: {:?}", report.failed.len(), report.failed[0]);
        }
    }
}

/// `[eap]` with all that is measured.
fn eap(authority: &Authority, leaf: &Leaf) -> String {
    format!(
        "\n[log]\ndecisions = \"none\"\n\n[eap]\nmethods = [\"tls\", \"peap\", \"ttls\"]\nfragment = {FRAGMENT}\n\n\
         [eap.tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n",
        leaf.certificate.display(),
        leaf.key.display(),
        authority.certificate().display()
    )
}
