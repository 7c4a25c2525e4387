//! `forewarn shed` and `forewarn invite`: what the watch does by itself, by hand.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use forewarn_shell::control::{ClientTold, Request, Whom};

use super::{TargetArgs, command};

/// A client that gives no receipt is given up after four seconds.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[group(id = "whom", multiple = false, required = true)]
struct Meant {
    /// The clients of these names, separated by commas
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    clients: Vec<String>,
    /// The clients whose group matches, as in 'wifi/*'; several separated by commas
    #[arg(long, value_name = "GLOB,...", value_delimiter = ',')]
    group: Vec<String>,
    /// The clients at this place of [topology], or below it
    #[arg(long, value_name = "PATH")]
    topology: Option<String>,
    /// Every client that can be told
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShedArgs {
    #[command(flatten)]
    meant: Meant,
    /// Send them to this [[peer]], or to the server at this address; default: to the alternates, as the watch would
    #[arg(long, value_name = "NAME|ADDRESS")]
    to: Option<String>,
    /// This share of their load, as in 25%
    #[arg(long, value_name = "SHARE", default_value = "100%", value_parser = percent)]
    share: u8,
    /// Send them even where there is no room
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Debug, Args)]
pub(super) struct InviteArgs {
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) fn shed(args: ShedArgs) -> ExitCode {
    let ShedArgs { meant, to, share, force, target } = args;
    let request = Request::Shed { clients: whom(meant), to, share_percent: share, force };
    command::tell(target.target.as_deref(), target.json, &request, PATIENCE)
}

pub(super) fn invite(args: InviteArgs) -> ExitCode {
    let InviteArgs { meant, target } = args;
    let request = Request::Invite { clients: whom(meant) };
    command::tell(target.target.as_deref(), target.json, &request, PATIENCE)
}

fn whom(meant: Meant) -> Whom {
    let Meant { clients, group, topology, all: _ } = meant;
    match topology {
        Some(path) => Whom::Topology(path),
        None if !clients.is_empty() => Whom::Clients(clients),
        None if !group.is_empty() => Whom::Groups(group),
        None => Whom::All,
    }
}

/// `25%`, `25` or `0.25`.
fn percent(text: &str) -> Result<u8, String> {
    let number: Option<f64> = text.strip_suffix('%').unwrap_or(text).parse().ok();
    let percent =
        number.map(|number| if text.contains('.') && !text.ends_with('%') { number * 100.0 } else { number });
    match percent {
        Some(percent) if (1.0..=100.0).contains(&percent) => Ok(percent.round() as u8),
        _ => Err("write a share from 1% to 100%".to_owned()),
    }
}

/// One line for each client.
pub(super) fn in_words(clients: &[ClientTold]) -> String {
    let line = |client: &ClientTold| {
        let to = client.to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
        let took = client.took_us.map_or_else(String::new, |us| format!(" ({} ms)", us.div_ceil(1000)));
        let did = match client.outcome.as_str() {
            "moved" => format!("goes{to}"),
            "already-away" => "was away already".to_owned(),
            "noted" => "has noted it: nothing was to be moved".to_owned(),
            "last-usable" => "stays: it has no other server that may be used".to_owned(),
            "no-alternate" => "stays: it knows none of the alternates".to_owned(),
            "no-room" => "stays: no alternate has room for it".to_owned(),
            "not-told" => "gave no receipt".to_owned(),
            other => other.to_owned(),
        };
        format!("{} ({}): {did}{took}", client.name, client.address)
    };
    clients.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read() {
        assert_eq!(["25%", "25", "0.25", "100%"].map(|text| percent(text).unwrap()), [25, 25, 25, 100]);
        assert!(["", "0%", "101%", "a quarter", "-1"].iter().all(|text| percent(text).is_err()));
    }

    #[test]
    fn each_client_has_a_line() {
        let told = ClientTold {
            name: "ap-1".into(),
            address: "192.0.2.21".into(),
            to: Some("aaa-west".into()),
            outcome: "moved".into(),
            took_us: Some(1_200),
        };
        let stays = ClientTold { to: None, outcome: "no-room".into(), took_us: None, ..told.clone() };
        assert_eq!(
            in_words(&[told, stays]),
            "ap-1 (192.0.2.21): goes to aaa-west (2 ms)\nap-1 (192.0.2.21): stays: no alternate has room for it"
        );
    }
}
