//! Configuration: layers merged by figment, read by a walk that reports everything wrong at once, each with
//! file, line and column.
//!
//! A walk reads like a table of its keys:
//!
//! ```
//! # use std::time::Duration;
//! # use forewarn_shell::config::{Document, Diagnostics, Layers, Value};
//! # #[derive(Debug)] struct Health { interval: Duration, threshold: f64, memory: Option<f64> }
//! fn health(document: &Document) -> Health {
//!     let root = document.root();
//!     let table = root.table("health");
//!     let health = Health {
//!         interval: table.duration("interval").within(Duration::from_millis(10), Duration::from_secs(60)).or(Duration::from_secs(1)),
//!         threshold: table.fraction("failover_threshold").or(0.90),
//!         memory: table.unless_off("memory", Value::fraction).or(Some(0.92)),
//!     };
//!     table.finish();
//!     root.finish();
//!     health
//! }
//! # let folder = tempfile::tempdir().unwrap();
//! # let file = folder.path().join("server.toml");
//! # std::fs::write(&file, "[health]\ninterval = \"0s\"\nmemori = 1\n").unwrap();
//! let document = Document::load(&Layers::file(&file)).unwrap();
//! health(&document);
//! let found = document.diagnostics();
//! assert_eq!(found.errors().count(), 2);
//! assert!(found.to_string().ends_with("server.toml:3:1: unknown key `memori` in [health]; did you mean `memory`?"));
//! ```

mod diagnostic;
mod layers;
mod secret;
mod suggest;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod value;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

pub use diagnostic::{Diagnostic, Diagnostics, Severity, Wrong};
pub use layers::Layers;
pub use secret::Secret;
pub use suggest::nearest;
pub use table::{Entry, Field, Measure, Table};
pub use tree::Place;
pub use value::{Kind, Value, parse_duration};

/// At most so many findings are kept; a file that is wrong throughout needs no more.
const MAX_FINDINGS: usize = 1000;

/// A merged configuration, and what was found wrong with it so far.
pub struct Document {
    root: tree::Node,
    sources: tree::Sources,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    findings: RefCell<Vec<(Place, Severity, Wrong)>>,
    /// Files that hold secrets, so that each is judged once.
    secretive: RefCell<Vec<PathBuf>>,
}

impl fmt::Debug for Document {
    /// Without values, any of which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Document {
    /// Reads and merges the layers. Fails, with every reason, when a file can't be read or isn't TOML.
    pub fn load(layers: &Layers) -> Result<Document, Diagnostics> {
        let merged = layers::merge(layers)?;
        Ok(Document {
            root: merged.root,
            sources: merged.sources,
            folder: layers.folder(),
            environment: layers.environment.clone(),
            findings: RefCell::default(),
            secretive: RefCell::default(),
        })
    }

    /// The outermost table.
    pub fn root(&self) -> Table<'_> {
        Table::new(self, &self.root, "this file")
    }

    /// Whether the outermost table has `key`: what kind of configuration it is.
    pub fn root_has(&self, key: &str) -> bool {
        matches!(&self.root.shape, tree::Shape::Table(entries) if entries.iter().any(|(name, _)| name == key))
    }

    /// What relative paths are relative to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The files it was read from.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.sources.files()
    }

    /// Reports an error at a place kept from before.
    pub fn error(&self, place: Place, wrong: Wrong) {
        self.report(Severity::Error, place, wrong);
    }

    /// Reports a warning at a place kept from before.
    pub fn warning(&self, place: Place, wrong: Wrong) {
        self.report(Severity::Warning, place, wrong);
    }

    /// File, line and column of a place, as in `server.toml:3:1`.
    pub fn locate(&self, place: Place) -> String {
        let (file, line, column) = self.sources.resolve(place);
        if line == 0 { file.display().to_string() } else { format!("{}:{line}:{column}", file.display()) }
    }

    /// The place `octets` into the text of the string at `place`; that of the string itself where its text
    /// isn't written as it reads (escapes, the environment).
    pub fn within(&self, place: Place, octets: usize) -> Place {
        self.sources.within(place, octets).unwrap_or(place)
    }

    /// Everything found wrong so far, in the order of files, lines and columns.
    pub fn diagnostics(&self) -> Diagnostics {
        let mut findings = self.findings.borrow().clone();
        findings.sort_by_key(|(place, severity, _)| (*place, *severity));
        findings.dedup();
        let diagnostic = |(place, severity, wrong): (Place, Severity, Wrong)| {
            let (file, line, column) = self.sources.resolve(place);
            Diagnostic { severity, file, line, column, what: wrong.what, hint: wrong.hint }
        };
        Diagnostics(findings.into_iter().map(diagnostic).collect())
    }

    /// The file of `place` when this is the first secret seen in it.
    fn first_secret_in(&self, place: Place) -> Option<PathBuf> {
        let file = self.sources.file(place)?;
        let mut secretive = self.secretive.borrow_mut();
        if secretive.contains(file) {
            return None;
        }
        secretive.push(file.clone());
        Some(file.clone())
    }

    fn report(&self, severity: Severity, place: Place, wrong: Wrong) {
        let mut findings = self.findings.borrow_mut();
        if findings.len() < MAX_FINDINGS {
            findings.push((place, severity, wrong));
        }
    }
}
