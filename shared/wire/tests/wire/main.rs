//! The crate from outside: pinned vectors, another codec as oracle, properties.

mod oracle;
mod properties;
mod script;
mod vectors;
