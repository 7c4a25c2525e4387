//! The load generator counts what is there to count.

use std::net::SocketAddr;
use std::time::Duration;

use forewarn_tests::home::{Answer, Port};
use forewarn_tests::load::{Kind, Pace, Plan, Report, run};
use forewarn_tests::{HOME_SECRET, HomeServer, Hosts};

fn short(to: (std::net::IpAddr, u16), kind: Kind, pace: Pace) -> Plan {
    Plan {
        kind,
        pace,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(400),
        patience: Duration::from_secs(3),
        processes: vec![std::process::id()],
        ..Plan::saturate(SocketAddr::from(to), HOME_SECRET)
    }
}

fn all_is_well(report: &Report) {
    let t = report.tally;
    assert!(t.sent > 20, "{report}");
    assert_eq!((t.answered, t.positive, t.lost, t.bad, t.stray), (t.sent, t.sent, 0, 0, 0), "{report}");
    assert!(report.latencies.percentile(50.0) > Duration::ZERO);
    assert!(report.costs[0].resident_kib > 0);
}

#[test]
fn each_kind_is_answered_in_both_loops() {
    let mut hosts = Hosts::claim();
    let home = HomeServer::start(hosts.host());
    for (kind, port) in [(Kind::Pap, 1812), (Kind::Chap, 1812), (Kind::Status, 1812), (Kind::Acct, 1813)] {
        all_is_well(&run(&short((home.address(), port), kind, Pace::Window(4))).unwrap());
    }
    let open = run(&short((home.address(), 1812), Kind::Pap, Pace::Rate(200.0))).unwrap();
    all_is_well(&open);
    // 450 ms at 200 a second.
    assert!((40..=100).contains(&open.tally.sent), "{open}");
}

#[test]
fn silence_is_loss_and_a_wrong_secret_is_bad() {
    let mut hosts = Hosts::claim();
    let impatient = |address| Plan {
        patience: Duration::from_millis(200),
        ..short((address, 1812), Kind::Pap, Pace::Window(2))
    };
    let silent = HomeServer::with_script(hosts.host(), |_| Answer::Silence);
    let report = run(&impatient(silent.address())).unwrap();
    assert!(report.tally.lost > 8 && report.tally.lost == report.tally.sent, "{report}");

    let bare = HomeServer::with_script(hosts.host(), |heard| match heard.port {
        Port::Auth => Answer::Bare,
        Port::Acct => Answer::Yes,
    });
    let report = run(&impatient(bare.address())).unwrap();
    assert_eq!((report.tally.answered, report.tally.lost), (0, report.tally.sent), "{report}");
    assert!(report.tally.bad > 0, "{report}");
}

#[test]
fn repetitions_are_not_counted_as_requests() {
    let mut hosts = Hosts::claim();
    let mut seen = std::collections::BTreeSet::new();
    let deaf =
        HomeServer::with_script(hosts.host(), move |heard| match seen.insert(heard.bytes[4..20].to_vec()) {
            true => Answer::Silence,
            false => Answer::Yes,
        });
    let plan = Plan {
        repeat: Some(Duration::from_millis(50)),
        ..short((deaf.address(), 1812), Kind::Pap, Pace::Window(2))
    };
    let report = run(&plan).unwrap();
    assert!(report.tally.repeated >= report.tally.sent, "{report}");
    assert_eq!((report.tally.answered, report.tally.lost), (report.tally.sent, 0), "{report}");
}
