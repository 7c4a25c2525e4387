//! A local RADIUS front door that acts on a server's warning in milliseconds.
//!
//! | module | holds |
//! |---|---|
//! | [`agent`] | everything the agent owns, and its turns |
//! | [`cli`] | the command line |
//! | [`coa`] | the door for what the servers ask of the NAS software |
//! | [`config`] | `agent.toml`, resolved |
//! | [`hook`] | commands that are run when the agent moves |
//! | [`inbox`] | where notices come in |
//! | [`local`] | the front door |
//! | [`run`] | the assembly |
//! | [`spool`] | accounting that no server takes |

pub mod agent;
pub mod cli;
pub mod coa;
pub mod config;
mod counts;
pub mod hook;
pub mod inbox;
pub mod local;
mod news;
pub mod run;
pub mod spool;
mod status;
