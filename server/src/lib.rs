//! forewarnd, the AAA server that warns before it fails, and the operator's tool.

pub mod config;
pub use forewarn_shell::log;
pub mod policy;
pub mod process;
pub mod vitals;
pub mod workers;
