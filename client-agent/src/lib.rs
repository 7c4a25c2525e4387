//! A local RADIUS front door that acts on a server's warning in milliseconds.
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`config`] | `agent.toml`, resolved |
//! | [`hook`] | commands that are run when the agent moves |
//! | [`local`] | the front door |
//! | [`marks`] | the last notice of each server, kept over a restart |
//! | [`run`] | the assembly |

pub mod cli;
pub mod config;
pub mod hook;
pub mod local;
pub mod marks;
pub mod run;
