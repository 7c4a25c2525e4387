//! forewarnd, the AAA server that warns before it fails, and the operator's tool.

pub mod announce;
pub mod cli;
pub mod config;
pub mod contained;
pub mod control;
pub mod decisions;
pub mod dynauth;
pub mod explain;
pub mod health;
pub use forewarn_shell::log;
pub mod listen;
pub mod metrics;
pub mod policy;
pub mod process;
pub mod proxy;
pub mod run;
pub mod shared;
pub mod store;
#[cfg(test)]
mod testing;
pub mod users;
pub mod vitals;
pub mod workers;
