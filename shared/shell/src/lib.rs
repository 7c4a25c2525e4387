//! Sockets, clock, randomness, configuration, control socket, privilege.
