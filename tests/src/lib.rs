//! What the black-box tests stand on: programs started on private addresses in temporary folders, real clients, and
//! scripted peers. Everything cleans up after itself.

#![allow(clippy::disallowed_methods, reason = "tests stand outside the machines: they may look at the clock")]

pub mod address;
pub mod program;
pub mod radclient;
pub mod scripted;
pub mod wait;

pub use address::Hosts;
pub use program::{Agent, Folder, Server};
pub use wait::{eventually, within};
