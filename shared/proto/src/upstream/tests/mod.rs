//! Stories in virtual time: one machine, scripted servers.

mod conversations;
mod dead;
mod detection;
mod flight;
mod memory;
mod random;
mod warned;
mod world;
