use forewarn_shell::control::{
    ClientStatus, ForeseenStatus, LoadStatus, ParameterStatus, Program, ServerStatus, ServiceStatus,
    ToldStatus, WatchStatus,
};

use super::layout::length;
use super::*;

fn server() -> ServerStatus {
    ServerStatus {
        program: Program {
            name: "aaa-east".into(),
            identity: "127.0.0.11".into(),
            pid: 7,
            ..Program::default()
        },
        watch: WatchStatus {
            state: "away".into(),
            cause: "workers_busy 0.99".into(),
            since: 1,
            foreseen: ForeseenStatus { warnings: 4, confirmed: 2, false_alarms: 1, averted: 1 },
            ..WatchStatus::default()
        },
        load: LoadStatus {
            value: 0.99,
            worst: "workers_busy".into(),
            expression: Some("max(load.default, 0.99)".into()),
            expression_failures: 3,
            parameters: vec![ParameterStatus {
                name: "cpu".into(),
                value: Some("12 %".into()),
                ..ParameterStatus::default()
            }],
            ..LoadStatus::default()
        },
        services: vec![ServiceStatus {
            name: "state disk".into(),
            state: "running".into(),
            ..ServiceStatus::default()
        }],
        clients: vec![
            ClientStatus { name: "ap-1".into(), ..ClientStatus::default() },
            ClientStatus {
                name: "evil\u{1b}[2J\nap".into(),
                notice: Some(ToldStatus { told: "not-told".into(), ..ToldStatus::default() }),
                ..ClientStatus::default()
            },
        ],
        ..ServerStatus::default()
    }
}

#[test]
fn piped_it_has_no_escapes_and_shows_what_matters() {
    let text = as_text(&[Status::Server(Box::new(server()))], false, About::Everything);
    assert!(!text.contains('\u{1b}'), "{text}");
    for expected in [
        "aaa-east  server 127.0.0.11  AWAY",
        ": workers_busy 0.99",
        "4 warnings foreseen: 2 confirmed, 1 false, 1 averted",
        "load 0.99 by workers_busy",
        "load = max(load.default, 0.99)",
        "no number 3 times",
        "12 %",
        "state disk",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    let (evil, good) = (text.find("evil\\u{1b}[2J\\nap").unwrap(), text.find("ap-1").unwrap());
    assert!(evil < good, "who was not told comes first");
}

#[test]
fn json_is_an_array_that_reads_back() {
    let text = as_json(&[Status::Server(Box::new(server()))]);
    let back: Vec<Status> = serde_json::from_str(&text).unwrap();
    assert_eq!(back, [Status::Server(Box::new(server()))]);
    assert!(text.starts_with("[{\"kind\":\"server\""));
}

#[test]
fn lengths_have_two_places() {
    let shown = [412_000, 3_250_000, 192_000_000, 7_380_000_000, 266_400_000_000].map(length);
    assert_eq!(shown, ["412 ms", "3.2 s", "3 min 12 s", "2 h 3 min", "3 d 2 h"]);
}

#[test]
fn the_page_on_blastradius_says_who_would_break_and_the_line_to_change() {
    let client = |name: &str, readiness: &str, without: u64| ClientStatus {
        name: name.into(),
        readiness: readiness.into(),
        message_authenticator: "optional".into(),
        without_message_authenticator: without,
        ..ClientStatus::default()
    };
    let clients = vec![
        client("new-ap", "ready", 0),
        client("old-ap", "would-break", 12),
        client("safe-ap", "required", 0),
    ];
    let status = ServerStatus { clients, ..server() };
    let text = as_text(&[Status::Server(Box::new(status.clone()))], false, About::BlastRadius);
    assert!(text.contains("BLASTRADIUS 2 OF 3 CLIENTS OPEN"), "{text}");
    let place = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle} is missing in\n{text}"));
    let order = [
        "would break: none",
        "old-ap",
        "limit_proxy_state = \"yes\"",
        "ready: every",
        "new-ap",
        "require_message_authenticator = \"yes\"",
    ];
    assert!(order.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{text}");
    assert!(!text.contains("safe-ap"), "nothing to do about it");

    let ordinary = as_text(&[Status::Server(Box::new(status))], false, About::Everything);
    assert!(ordinary.contains("BlastRADIUS: of the clients 1 would break"), "{ordinary}");
    let closed = ServerStatus { clients: vec![client("safe-ap", "required", 0)], ..server() };
    assert!(!as_text(&[Status::Server(Box::new(closed))], false, About::Everything).contains("BlastRADIUS"));
}
