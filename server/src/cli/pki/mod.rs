//! `forewarn pki`: an authority and certificates for trying 802.1X out. Nothing else uses it.

mod authority;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use forewarn_shell::log::escaped;
use serde::Serialize;

use authority::{Authority, Leaf};

use super::screen;

#[derive(Debug, Subcommand)]
pub(super) enum PkiCommand {
    /// Make an authority, a server's certificate and clients', for trying things out: not for production
    Make(MakeArgs),
    /// Make certificates for more clients of that authority
    Client(ClientArgs),
    /// Revoke clients' certificates: the authority's list is written anew
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct MakeArgs {
    #[command(flatten)]
    place: Place,
    /// The server's name, which clients are to look for in its certificate
    #[arg(long, value_name = "NAME", default_value = "radius.example.org")]
    server: String,
    /// A client: a user, or `host/NAME` for a machine; as many as are wanted
    #[arg(long = "client", value_name = "NAME")]
    clients: Vec<String>,
    #[command(flatten)]
    kind: Kind,
}

#[derive(Debug, Args)]
pub(super) struct ClientArgs {
    #[command(flatten)]
    place: Place,
    /// Users, or `host/NAME` for machines
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    kind: Kind,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    place: Place,
    /// Clients that have a certificate in the folder
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct Place {
    /// The folder of the authority's files
    #[arg(short, long, value_name = "DIR", default_value = "pki")]
    output: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Kind {
    /// Of which kind the keys are
    #[arg(long, value_enum, default_value = "ecdsa-p256")]
    key: Key,
    /// How long the certificates are good for
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=825))]
    days: u16,
}

/// `--key`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Key {
    /// ECDSA on P-256: a twentieth of RSA's work for the server
    EcdsaP256,
    /// RSA of 2048 bits, for supplicants that know nothing else
    #[value(name = "rsa-2048")]
    Rsa2048,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    authority: PathBuf,
    crl: PathBuf,
    /// Who a client is to expect.
    server_name: Option<String>,
    server: Option<Leaf>,
    clients: Vec<Leaf>,
    revoked: Vec<String>,
}

pub(super) fn run(command: &PkiCommand) -> ExitCode {
    let (place, done) = match command {
        PkiCommand::Make(args) => (&args.place, make(args)),
        PkiCommand::Client(args) => (&args.place, add(args)),
        PkiCommand::Revoke(args) => (&args.place, revoke(args)),
    };
    match done {
        Ok(made) if place.json => screen::say_json(&made),
        Ok(made) => screen::say(&show::in_words(&made)),
        Err(error) => {
            eprintln!("forewarn: {}", escaped(&error));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn make(args: &MakeArgs) -> Result<Made, String> {
    let MakeArgs { place, server, clients, kind } = args;
    let names: Vec<&str> = std::iter::once(server).chain(clients).map(String::as_str).collect();
    authority::check(&names)?;
    let authority = Authority::make(&place.output, kind.key, kind.days)?;
    let server_leaf = authority.server(server, kind.key, kind.days)?;
    let sign = |name: &String| authority.client(name, kind.key, kind.days);
    let clients = clients.iter().map(sign).collect::<Result<_, _>>()?;
    Ok(Made {
        authority: authority.certificate(),
        crl: authority.crl(),
        server_name: Some(server.clone()),
        server: Some(server_leaf),
        clients,
        revoked: Vec::new(),
    })
}

fn add(args: &ClientArgs) -> Result<Made, String> {
    let ClientArgs { place, names, kind } = args;
    authority::check(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let authority = Authority::open(&place.output)?;
    let sign = |name: &String| authority.client(name, kind.key, kind.days);
    let clients = names.iter().map(sign).collect::<Result<_, _>>()?;
    Ok(Made {
        authority: authority.certificate(),
        crl: authority.crl(),
        server_name: None,
        server: None,
        clients,
        revoked: Vec::new(),
    })
}

fn revoke(args: &RevokeArgs) -> Result<Made, String> {
    let RevokeArgs { place, names } = args;
    let authority = Authority::open(&place.output)?;
    authority.revoke(names)?;
    Ok(Made {
        authority: authority.certificate(),
        crl: authority.crl(),
        server_name: None,
        server: None,
        clients: Vec::new(),
        revoked: names.clone(),
    })
}
