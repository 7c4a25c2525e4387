//! The dictionaries compiled into the program.

use std::io;
use std::path::Path;
use std::sync::LazyLock;

use crate::dictionary::Dictionary;
use crate::load::{self, Source};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Our dictionaries; read once.
pub(crate) fn dictionary() -> &'static Dictionary {
    static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
        let (dictionary, report) = load::from(&Dictionary::default(), &Embedded, Path::new("dictionary"));
        debug_assert_eq!(report.errors, [], "a test reads all of them");
        dictionary
    });
    &DICTIONARY
}

/// The files compiled in, by name.
pub(crate) struct Embedded;

impl Source for Embedded {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        FILES
            .iter()
            .find(|(name, _)| Path::new(name) == path)
            .map(|(_, text)| text.as_bytes().to_vec())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_dictionaries_load_without_an_error() {
        let (dictionary, report) = load::from(&Dictionary::default(), &Embedded, Path::new("dictionary"));
        let errors: Vec<String> = report.errors.iter().map(ToString::to_string).collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
        assert!(dictionary.attribute("User-Name").is_some());
        assert_eq!(usize::try_from(report.files).unwrap(), FILES.len(), "a file that nothing includes");
    }
}
