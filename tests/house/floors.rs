//! Imports go down only (docs/architecture.md).

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each room may import of the house, besides crates of the registry.
const FLOORS: [(&str, &[&str]); 9] = [
    ("forewarn-wire", &[]),
    ("forewarn-dict", &[]),
    ("forewarn-proto", &["forewarn-wire"]),
    ("forewarn-eap", &["forewarn-wire"]),
    ("forewarn-shell", &["forewarn-proto", "forewarn-wire"]),
    (
        "forewarn-server",
        &["forewarn-dict", "forewarn-eap", "forewarn-proto", "forewarn-shell", "forewarn-wire"],
    ),
    ("forewarn-agent", &["forewarn-proto", "forewarn-shell", "forewarn-wire"]),
    ("forewarn-sim", &["forewarn-proto", "forewarn-server", "forewarn-shell", "forewarn-wire"]),
    ("forewarn-tests", &["forewarn-dict", "forewarn-proto", "forewarn-shell", "forewarn-wire"]),
];

/// Crates that bring I/O, a clock or randomness of their own: none of them below the shell.
const SHELL_ONLY: [&str; 8] =
    ["getrandom", "libc", "mio", "rustix", "signal-hook", "socket2", "surge-ping", "tokio"];

#[test]
fn imports_go_down_only() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata runs in the workspace");
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        FLOORS.into_iter().map(|(room, below)| (room, below.iter().copied().collect())).collect();
    let members: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(
        members,
        allowed.keys().copied().collect(),
        "a room was added or taken away: draw it here too"
    );

    let mut climbing = Vec::new();
    for package in &metadata.packages {
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let ours = name.starts_with("forewarn-");
            if ours
                && dependency.kind != DependencyKind::Development
                && !allowed[package.name.as_str()].contains(name)
            {
                climbing.push(format!("{} imports {name}", package.name));
            }
        }
    }
    assert!(climbing.is_empty(), "imports that climb: {climbing:?}");
}

#[test]
fn nothing_below_the_shell_touches_the_world() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata runs in the workspace");
    let mut touching = Vec::new();
    for package in &metadata.packages {
        if !["forewarn-wire", "forewarn-dict", "forewarn-proto", "forewarn-eap"]
            .contains(&package.name.as_str())
        {
            continue;
        }
        for dependency in &package.dependencies {
            if dependency.kind == DependencyKind::Normal && SHELL_ONLY.contains(&dependency.name.as_str()) {
                touching.push(format!("{} imports {}", package.name, dependency.name));
            }
        }
    }
    assert!(touching.is_empty(), "pure rooms that touch the world: {touching:?}");
}
