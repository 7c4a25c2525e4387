//! forewarnd

fn main() {}
