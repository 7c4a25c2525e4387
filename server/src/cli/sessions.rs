//! `forewarn sessions`: who is connected, as accounting tells.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use forewarn_shell::clock;
use forewarn_shell::config::Layers;
use forewarn_shell::log::escaped;

use super::screen;
use crate::config;
use crate::store::accounting::{Settings, text};
use crate::store::sessions::{self, Filter, Session};

#[derive(Debug, Args)]
pub(super) struct SessionsArgs {
    /// The server's configuration file: it says where sessions are kept
    #[arg(short, long, value_name = "FILE", default_value = "/etc/forewarn/server.toml")]
    config: PathBuf,
    /// Of this user only
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// On this NAS only
    #[arg(long, value_name = "ADDRESS")]
    nas: Option<IpAddr>,
    /// Show at most so many, the oldest first
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    most: u32,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &SessionsArgs) -> ExitCode {
    match find(args) {
        Ok(sessions) if args.json => screen::say_json(&sessions),
        Ok(sessions) => show(&sessions, args.most),
        Err(error) => {
            eprintln!("forewarn: {}", escaped(&error));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn find(args: &SessionsArgs) -> Result<Vec<Session>, String> {
    let layers = Layers::file(&args.config).process_environment();
    let loaded = config::load(&layers).map_err(|errors| errors.to_string())?;
    let settings = Settings::of(&loaded.config, &loaded.config.server.state_dir);
    let filter = Filter { user: args.user.clone(), nas: args.nas, ..Filter::default() };
    let found = sessions::find(&settings.engine, settings.timeout, &filter, args.most)?;
    Ok(found.into_iter().map(as_sent).collect())
}

/// With the texts that the NAS has sent, and not as FreeRADIUS writes them into columns.
fn as_sent(session: Session) -> Session {
    Session {
        user: text::shown_name(&session.user),
        id: text::shown(&text::original(&session.id)),
        // NAS-Port-Id is written twice.
        port: text::shown(&text::original(&text::shown(&text::original(&session.port)))),
        calling_station: text::shown(&text::original(&session.calling_station)),
        ..session
    }
}

fn show(sessions: &[Session], most: u32) {
    let now = i64::try_from(clock::utc().as_millis() / 1000).unwrap_or(i64::MAX);
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(["USER", "NAS", "PORT", "ADDRESS", "AGE", "HEARD", "IN", "OUT", "STATION", "SESSION"]);
    for session in sessions {
        let ago = |at: Option<i64>| at.map_or_else(|| "?".to_owned(), |at| length(now.saturating_sub(at)));
        table.add_row([
            shown(&session.user),
            session.nas.clone(),
            shown(&session.port),
            session.address.clone(),
            ago(session.started),
            ago(session.updated),
            octets(session.input),
            octets(session.output),
            shown(&session.calling_station),
            shown(&session.id),
        ]);
    }
    if !sessions.is_empty() {
        screen::say(&table.to_string());
    }
    let more = if sessions.len() >= most as usize { " or more: --most shows more" } else { "" };
    screen::say(&format!("{} live sessions{more}", sessions.len()));
}

/// What a device said, harmless to a terminal.
fn shown(text: &str) -> String {
    escaped(text).to_string()
}

/// `3d4h`, `5h07m`, `6m08s`.
fn length(secs: i64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60);
    match (days, hours) {
        (1.., _) => format!("{days}d{hours}h"),
        (_, 1..) => format!("{hours}h{minutes:02}m"),
        _ => format!("{minutes}m{:02}s", secs % 60),
    }
}

/// `912`, `3.4k`, `1.2G`: in thousands.
fn octets(count: i64) -> String {
    const UNITS: [&str; 6] = ["", "k", "M", "G", "T", "P"];
    let mut scaled = count as f64;
    let mut unit = 0;
    while scaled >= 1000.0 && unit + 1 < UNITS.len() {
        scaled /= 1000.0;
        unit += 1;
    }
    if unit == 0 { count.to_string() } else { format!("{scaled:.1}{}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_octets_are_short() {
        assert_eq!([8, 368, 18_420, 273_600].map(length), ["0m08s", "6m08s", "5h07m", "3d4h"]);
        assert_eq!([912, 3_400, 1_200_000_000].map(octets), ["912", "3.4k", "1.2G"]);
    }
}
