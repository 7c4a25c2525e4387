//! RADIUS packets and forewarn notices: bytes to types and back.
