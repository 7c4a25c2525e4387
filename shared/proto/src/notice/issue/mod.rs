//! (being built) The server's half.
