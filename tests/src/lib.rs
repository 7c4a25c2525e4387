//! What the black-box tests stand on: programs started on private addresses in temporary folders, real clients, and
//! scripted peers. Everything cleans up after itself.

#![allow(clippy::disallowed_methods, reason = "tests stand outside the machines: they may look at the clock")]

pub mod address;
pub mod authority;
pub mod certificate;
pub mod config;
pub mod daemon;
pub mod dynauth;
pub mod eapol;
pub mod exposition;
pub mod folder;
pub mod freeradius;
pub mod home;
pub mod hostile;
pub mod load;
pub mod matrix;
pub mod names;
pub mod nas;
pub mod network;
pub mod notices;
pub mod postgres;
pub mod program;
pub mod radclient;
pub mod slapd;
pub mod stream;
pub mod supplicant;
pub mod teller;
pub mod together;
pub mod wait;
pub mod wired;
pub mod wiretap;

pub use address::Hosts;
pub use dynauth::CoaNas;
pub use folder::Folder;
pub use freeradius::FreeRadius;
pub use home::HomeServer;
pub use nas::Nas;
pub use network::{Host, Network};
pub use notices::NoticeDesk;
pub use postgres::Postgres;
pub use program::{Agent, Server};
pub use slapd::Slapd;
pub use teller::Teller;
pub use together::together;
pub use wait::{eventually, within};
pub use wiretap::Wiretap;

/// The secret between an agent and its scripted home servers.
pub const HOME_SECRET: &str = "testing123testing123";
/// The secret between a scripted NAS and its agent.
pub const LOCAL_SECRET: &str = "localsecretlocalsecret";
