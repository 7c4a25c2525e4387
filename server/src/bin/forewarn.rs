//! forewarn

fn main() {}
