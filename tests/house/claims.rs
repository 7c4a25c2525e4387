//! docs/claims.md names every claim, a key that there is, and tests that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the tree").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All sources, with their paths below the tree.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["shared", "server", "client-agent", "tests"].map(|folder| root().join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).expect("below it").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("a source file")));
            }
        }
    }
    found
}

/// The cells of a table's rows, by the heading above it.
fn rows<'t>(text: &'t str, heading: &str) -> Vec<Vec<&'t str>> {
    let section = text.split("\n## ").find(|section| section.starts_with(heading)).expect(heading);
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// What stands in backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn numbers(rows: &[Vec<&str>]) -> Vec<u32> {
    let mut all: Vec<u32> = rows
        .iter()
        .flat_map(|row| row[0].split(", "))
        .map(|number| number.parse().expect("a claim's number"))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn every_claim_is_there_once() {
    let text = read("docs/claims.md");
    assert_eq!(numbers(&rows(&text, "As published")), (1..=35).collect::<Vec<_>>());
    assert_eq!(numbers(&rows(&text, "As amended")), (1..=47).collect::<Vec<_>>());
}

#[test]
fn every_row_names_tests_and_keys_that_there_are() {
    let (text, manual, sources) = (read("docs/claims.md"), read("docs/configuration.md"), sources());
    let mut wrong = BTreeSet::new();
    for heading in ["As published", "As amended", "The ways back"] {
        for row in rows(&text, heading) {
            let (tests, before) = row.split_last().expect("cells");
            assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
            assert!(quoted(tests).next().is_some(), "{row:?}: no test");
            for test in quoted(tests) {
                let (place, name) = test.rsplit_once("::").expect("a test's name has its place");
                let place = place.replace("::", "/");
                // A room's tests are a file of their own, or in the room's.
                let room = format!("{}.rs", place.trim_end_matches("/tests"));
                let is_there = |(path, source): &(String, String)| {
                    let before =
                        source.split_once(&format!("fn {name}(")).map(|(before, _)| before.trim_end());
                    (path.contains(&*place) || path.ends_with(&room))
                        && before.is_some_and(|before| before.ends_with("#[test]"))
                };
                if !sources.iter().any(is_there) {
                    wrong.insert(format!("no test {test}"));
                }
            }
            if heading == "The ways back" {
                continue;
            }
            for key in quoted(before.last().expect("a cell")) {
                let words = key.split(['[', ']', ' ', '=', '"', '.']).filter(|word| !word.is_empty());
                wrong.extend(
                    words.filter(|word| !manual.contains(*word)).map(|word| format!("no key {word}")),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
