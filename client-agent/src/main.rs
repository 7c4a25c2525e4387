//! forewarn-agent

fn main() {}
