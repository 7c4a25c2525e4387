//! What `forewarn dict check` reports.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::dictionary::Dictionary;
use crate::error::{DictError, DictErrorKind};
use crate::load;

/// What was found in dictionary files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Files read, included ones too.
    pub files: u32,
    /// The numbers of the vendors the files define.
    pub vendors: BTreeSet<u32>,
    /// ATTRIBUTE lines taken.
    pub attributes: u32,
    /// VALUE lines taken.
    pub values: u32,
    /// Names that meant something else before these files: an operator's definition wins over ours.
    pub redefined: u32,
    /// Every error, in the order of reading.
    pub errors: Vec<DictError>,
}

impl Report {
    /// True when nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.errors.is_empty()
    }
}

/// Reads dictionaries as the server would, each file on top of the embedded dictionary and of the files before it,
/// and reports what is there and what is wrong. A folder stands for its file `dictionary`, or, when it has none,
/// for all its files `dictionary.*` in the order of their names.
pub fn check(paths: &[PathBuf]) -> Report {
    let mut before: Option<Dictionary> = None;
    let mut total = Report::default();
    for path in paths {
        let files = match files_of(path) {
            Ok(files) => files,
            Err(error) => {
                total.errors.push(error);
                continue;
            }
        };
        for file in files {
            let base = before.as_ref().unwrap_or(Dictionary::embedded());
            let (dictionary, report) = load::on_top(base, &file);
            before = Some(dictionary);
            total.files += report.files;
            total.vendors.extend(report.vendors);
            total.attributes += report.attributes;
            total.values += report.values;
            total.redefined += report.redefined;
            total.errors.extend(report.errors);
        }
    }
    total
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, DictError> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let root = path.join("dictionary");
    if root.is_file() {
        return Ok(vec![root]);
    }
    let wrong = |what: String| DictError {
        file: path.display().to_string().into(),
        line: 0,
        column: 0,
        kind: DictErrorKind::Unreadable,
        what,
        hint: "name a dictionary file, or a folder with a file dictionary or dictionary.* in it".to_owned(),
    };
    let entries =
        std::fs::read_dir(path).map_err(|error| wrong(format!("can't read the folder: {error}")))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("dictionary."))
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    if files.is_empty() { Err(wrong("no dictionary in this folder".to_owned())) } else { Ok(files) }
}
