//! The programs as their users see them.

mod failover;
mod ordinary;
