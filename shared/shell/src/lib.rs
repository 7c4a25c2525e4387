//! Sockets, clock, randomness, configuration, control socket, privilege: everything that *does*.
//!
//! | module | holds |
//! |---|---|
//! | [`clock`] | the two clocks, as [`forewarn_proto::time`] |
//! | [`random`] | generators seeded by the kernel |
//! | [`control`] | the control socket and the types that cross it |
//! | [`udp`] | batches of datagrams with both addresses and the kernel's stamp (the one unsafe module) |
//! | [`upstream`] | the driver of [`forewarn_proto::upstream`]: the way to the servers |
//! | [`inbox`] | what a client does about notices besides obeying them |
//! | [`marks`] | the last notice of each server, kept over a restart |
//! | [`icmp`] | Echo messages as a carrier of notices, and pings |
//! | [`config`] | values that remember file, line and column; all errors at once |
//! | [`log`] | the log, in which nothing from outside can pass for something else |
//! | [`spool`] | records that wait on the disk for whoever takes them |
//! | [`state`] | the state folder: its lock, its files, the epoch |
//! | [`privilege`] | what this process may do |

pub mod clock;
pub mod config;
pub mod control;
pub mod icmp;
pub mod inbox;
pub mod log;
pub mod marks;
pub mod privilege;
pub mod random;
pub mod spool;
pub mod state;
pub mod udp;
pub mod upstream;
