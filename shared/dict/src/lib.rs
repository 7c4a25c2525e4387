//! RADIUS dictionaries: names to numbers and back.
