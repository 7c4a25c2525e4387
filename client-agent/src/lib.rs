//! A local RADIUS front door that acts on a server's warning in milliseconds.
