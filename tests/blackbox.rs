//! Every integration test of the house, in one binary: it links once and starts fast.

#![allow(clippy::disallowed_methods, reason = "tests stand outside the machines: they may look at the clock")]

mod agent;
mod house;
mod interop;
mod namespaces;
mod scenarios;
