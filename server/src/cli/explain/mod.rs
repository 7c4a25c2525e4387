//! `forewarn explain`: what would become of a request, and why.
//!
//! Exit code 0: it would be accepted; 1: it would not, or that can't be found out.

mod show;

use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use forewarn_shell::config::Layers;
use forewarn_shell::log::escaped;
use zeroize::Zeroizing;

use super::user::prompt;
use crate::config::{self, Config};
use crate::explain::{Ask, End, Given, Method, explain};
use crate::process::outcome::Answer;

/// Octets of a request's or a password's file, at most.
const FILE_MAX: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The server's configuration file; a server needn't be running
    #[arg(short, long, value_name = "FILE", default_value = "/etc/forewarn/server.toml")]
    config: PathBuf,
    /// Who asks: a [[client]]'s name, or a device's address; default: the only client there is
    #[arg(long, visible_alias = "address", value_name = "NAME|ADDRESS")]
    client: Option<String>,
    /// The User-Name; the password is asked for at the terminal, unless one of the options below has it
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The password is the first line of this file; "-": of standard input
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    password_file: Option<PathBuf>,
    /// The password is in this variable of the environment
    #[arg(long, value_name = "VARIABLE")]
    password_env: Option<String>,
    /// How the password is sent
    #[arg(long, value_enum)]
    method: Option<Sent>,
    /// A further attribute, as in 'NAS-Port-Type = Wireless-802.11'; any number
    #[arg(long, short, value_name = "NAME = VALUE")]
    attribute: Vec<String>,
    /// A file as radclient reads it, one NAME = VALUE on a line; "-": standard input
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// Leave out Message-Authenticator, as an old device would
    #[arg(long)]
    without_message_authenticator: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sent {
    /// In User-Password
    Pap,
    /// As a CHAP response
    Chap,
    /// As an MS-CHAP response
    Mschap,
    /// As an MS-CHAPv2 response
    Mschapv2,
}

/// Exit code 0 only when the request would be accepted.
pub(super) fn run(args: &ExplainArgs) -> ExitCode {
    let Some(config) = configuration(&args.config) else { return ExitCode::FAILURE };
    let explained = ask(args).and_then(|ask| Ok(explain(config, &ask)?));
    match explained {
        Err(error) => {
            eprintln!("forewarn: {}", escaped(&error.to_string()));
            ExitCode::FAILURE
        }
        Ok(explanation) => {
            if args.json {
                super::screen::say_json(&show::Json::from(&explanation));
            } else {
                super::screen::show(&show::text(&explanation));
            }
            match explanation.end {
                End::Decided(cause) if cause.answer() == Answer::Accept => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn configuration(file: &Path) -> Option<Config> {
    match config::load(&Layers::file(file).process_environment()) {
        Ok(loaded) => Some(loaded.config),
        Err(found) => {
            for finding in found.errors() {
                eprintln!("{}", escaped(&finding.to_string()));
            }
            None
        }
    }
}

/// The request that the command line describes.
fn ask(args: &ExplainArgs) -> Result<Ask, Box<dyn Error>> {
    let mut ask = match &args.request {
        Some(file) => Ask::parse(&read(file)?)?,
        None => Ask::parse("")?,
    };
    if let Some(name) = &args.user {
        ask.attributes.retain(|given| !given.name.eq_ignore_ascii_case("User-Name"));
        ask.attributes.insert(0, Given { name: "User-Name".into(), value: name.clone() });
    }
    for text in &args.attribute {
        ask.add(Given::parse(text)?);
    }
    if let Some(password) = password(args)? {
        ask.password = Some(password);
    }
    if let Some(method) = args.method {
        ask.method = match method {
            Sent::Pap => Method::Pap,
            Sent::Chap => Method::Chap,
            Sent::Mschap => Method::MsChap,
            Sent::Mschapv2 => Method::MsChap2,
        };
    }
    ask.client.clone_from(&args.client);
    ask.message_authenticator = !args.without_message_authenticator;
    Ok(ask)
}

fn password(args: &ExplainArgs) -> Result<Option<Zeroizing<String>>, Box<dyn Error>> {
    if let Some(file) = &args.password_file {
        let text = read(file)?;
        return Ok(Some(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())));
    }
    let Some(variable) = &args.password_env else {
        // A name on the command line without a password: whoever typed it types that too.
        let name = args.user.as_ref().filter(|_| args.request.is_none() && io::stdin().is_terminal());
        return Ok(name.map(|name| prompt::once(name)).transpose()?);
    };
    let password = std::env::var(variable)
        .map_err(|_| format!("there is no {variable} in the environment; set it, or use --password-file"))?;
    Ok(Some(Zeroizing::new(password)))
}

fn read(file: &Path) -> Result<Zeroizing<String>, Box<dyn Error>> {
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        io::stdin().lock().take(FILE_MAX).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|opened| opened.take(FILE_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text)
}
