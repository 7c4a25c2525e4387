//! forewarn's state machines: no I/O, no clock, no randomness of their own.
//!
//! What arrives enters by `handle_*`, with the time as an argument; what leaves comes out of
//! `poll_transmit`, `poll_event` and `poll_timeout`. After any mutation, drain until `poll_timeout` answers.

pub mod audience;
pub mod dedup;
pub mod exchange;
pub mod gauge;
pub mod holddown;
pub mod notice;
pub mod peers;
pub mod pool;
pub mod stagger;
pub mod switch;
pub mod time;
pub mod trend;
pub mod upstream;
pub mod watch;
