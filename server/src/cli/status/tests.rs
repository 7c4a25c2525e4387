use forewarn_shell::control::{
    ClientStatus, LoadStatus, ParameterStatus, Program, ServerStatus, ServiceStatus, ToldStatus, WatchStatus,
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
            ..WatchStatus::default()
        },
        load: LoadStatus {
            value: 0.99,
            worst: "workers_busy".into(),
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
    let text = as_text(&[Status::Server(Box::new(server()))], false);
    assert!(!text.contains('\u{1b}'), "{text}");
    for expected in [
        "aaa-east  server 127.0.0.11  AWAY",
        ": workers_busy 0.99",
        "load 0.99 by workers_busy",
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
