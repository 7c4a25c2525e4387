//! Metrics as a scraper sees them: asked for over HTTP, and read as strictly as the format is defined.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What an HTTP server answered.
#[derive(Debug)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: String,
}

/// Asks for a page. `None`: nobody listens there, or the listener was closed before it took the connection up.
///
/// # Panics
/// When what answers doesn't speak HTTP.
pub fn get(address: SocketAddr, path: &str, accept: &str) -> Option<Page> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let asked = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
    match asked {
        Err(error) if error.kind() == ErrorKind::ConnectionReset && answer.is_empty() => return None,
        asked => asked.expect("an answer, and then the end"),
    };
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let types = head.lines().find_map(|line| line.strip_prefix("content-type: "));
    Some(Page { status, content_type: types.unwrap_or_default().to_owned(), body: body.to_owned() })
}

/// One metric family.
#[derive(Debug)]
pub struct Family {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What it means.
    pub help: String,
    /// Values by the series' name and labels, as they were written: `name{a="b"}`.
    pub series: BTreeMap<String, f64>,
}

/// The families of a page in Prometheus's text format 0.0.4, by name.
#[derive(Debug)]
pub struct Exposition(pub BTreeMap<String, Family>);

impl Exposition {
    /// Reads a page.
    ///
    /// # Panics
    /// With the line, when there is anything wrong with it: the format, the order, a name, a type's rules.
    #[must_use]
    pub fn parse(page: &str) -> Exposition {
        assert!(page.ends_with('\n'), "the last line has an end");
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        let mut lines = page.lines().peekable();
        while let Some(line) = lines.next() {
            assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                let kind = lines
                    .next()
                    .and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
                let kind = kind.unwrap_or_else(|| panic!("no type behind {line}"));
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}: {kind}");
                assert!(is_name(name) && help.len() > 5, "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}: {kind}");
                let family = Family { kind: kind.to_owned(), help: help.to_owned(), series: BTreeMap::new() };
                assert!(families.insert(name.to_owned(), family).is_none(), "twice: {line}");
                current = name.to_owned();
                continue;
            }
            assert!(!line.starts_with('#'), "{line}");
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            let family = families.get_mut(&current).unwrap_or_else(|| panic!("no family: {line}"));
            let (name, _) = labels(series);
            let suffixes: &[&str] =
                if family.kind == "histogram" { &["_sum", "_count", "_bucket"] } else { &[""] };
            let belongs =
                name.strip_prefix(current.as_str()).is_some_and(|suffix| suffixes.contains(&suffix));
            assert!(belongs, "{line} stands in {current}");
            assert!(family.kind == "gauge" || (value >= 0.0 && value.is_finite()), "{line}");
            assert!(family.series.insert(series.to_owned(), value).is_none(), "twice: {line}");
        }
        for (name, family) in families.iter().filter(|(_, family)| family.kind == "histogram") {
            histogram(name, family);
        }
        Exposition(families)
    }

    /// The value of a series, as in `forewarn_requests_total{answer="silence",cause="drained"}`; 0 when there is none.
    #[must_use]
    pub fn value(&self, series: &str) -> f64 {
        self.0.values().find_map(|family| family.series.get(series)).copied().unwrap_or(0.0)
    }

    /// The names of all families.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.chars().all(word) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Name and labels of a series.
fn labels(series: &str) -> (&str, Vec<(&str, String)>) {
    let Some((name, rest)) = series.split_once('{') else {
        assert!(is_name(series), "{series}");
        return (series, Vec::new());
    };
    assert!(is_name(name), "{series}");
    let mut rest = rest;
    let mut all = Vec::new();
    loop {
        let (label, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {series}"));
        assert!(is_name(label), "{series}");
        let mut text = String::new();
        let mut characters = value.char_indices();
        let end = loop {
            match characters.next().unwrap_or_else(|| panic!("no end: {series}")) {
                (at, '"') => break at,
                (_, '\\') => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    other => panic!("escape {other:?}: {series}"),
                },
                (_, character) => text.push(character),
            }
        };
        assert!(all.iter().all(|(known, _)| *known != label), "twice {label}: {series}");
        all.push((label, text));
        match &value[end + 1..] {
            "}" => return (name, all),
            more => rest = more.strip_prefix(',').unwrap_or_else(|| panic!("no comma: {series}")),
        }
    }
}

/// Buckets rise to `+Inf`, which holds all.
fn histogram(name: &str, family: &Family) {
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let others = |labels: &[(&str, String)]| {
        let kept: Vec<String> = labels
            .iter()
            .filter(|(label, _)| *label != "le")
            .map(|(label, value)| format!("{label}={value}"))
            .collect();
        kept.join(",")
    };
    for (series, value) in &family.series {
        let (sample, labels) = labels(series);
        if sample.ends_with("_bucket") {
            let (_, le) =
                labels.iter().find(|(label, _)| *label == "le").unwrap_or_else(|| panic!("{series}"));
            let le =
                if le == "+Inf" { f64::INFINITY } else { le.parse().unwrap_or_else(|_| panic!("{series}")) };
            buckets.entry(others(&labels)).or_default().push((le, *value));
        }
    }
    for (labels_of, mut buckets) in buckets {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{name} {labels_of}: {buckets:?}");
        let (le, all) = *buckets.last().expect("a bucket");
        let count = family.series.iter().find(|(series, _)| {
            let (sample, labels) = labels(series);
            sample.ends_with("_count") && others(&labels) == labels_of
        });
        assert!(le.is_infinite() && count.is_some_and(|(_, count)| *count == all), "{name} {labels_of}");
    }
}
