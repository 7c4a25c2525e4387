//! Sockets, clock, randomness, configuration, control socket, privilege: everything that *does*.
//!
//! | module | holds |
//! |---|---|
//! | [`clock`] | the two clocks, as [`forewarn_proto::time`] |
//! | [`random`] | generators seeded by the kernel |
//! | [`config`] | values that remember file, line and column; all errors at once |

pub mod clock;
pub mod config;
pub mod random;
