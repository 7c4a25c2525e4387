//! The crate from outside: pinned vectors, another codec as oracle, properties.

#![allow(clippy::unwrap_used)] // only tests here, helpers included

mod allocations;
mod oracle;
mod properties;
mod script;
mod vectors;
