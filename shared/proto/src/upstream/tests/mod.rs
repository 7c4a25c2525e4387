//! Stories in virtual time: one machine, scripted servers.

mod conversations;
mod dead;
mod flight;
mod random;
mod warned;
mod world;
