//! The programs as their users see them.

mod accounting;
mod announcing;
mod bad_input;
mod blastradius;
mod chaos;
mod choosing;
mod database;
mod decisions;
mod dynauth;
mod endurance;
mod explaining;
mod failover;
mod guessing;
mod hanging;
mod keys;
mod ldap;
mod load;
mod metrics;
mod names;
mod operating;
mod ordinary;
mod ping_socket;
mod proxying;
mod recovering;
mod reloading;
mod returning;
