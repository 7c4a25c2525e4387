//! What is counted and measured, for Prometheus: at an address of its own, off the way of requests.
//!
//! A scrape reads what the cores, queues and stores count for themselves anyway, and asks the director for what only
//! it knows. Nothing is counted for metrics alone but latencies.

mod figures;
mod help;
pub mod latency;
mod page;
mod process;
mod scrape;
mod serve;

pub use figures::Figures;
pub use serve::{Ask, Asked, ListenError, Metrics};
