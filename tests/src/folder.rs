//! Temporary folders.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A temporary folder that is removed at the end of the test.
#[derive(Debug)]
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// A new one.
    ///
    /// # Panics
    /// When there is no room for one.
    pub fn new() -> Folder {
        Folder(tempfile::Builder::new().prefix("forewarn-test-").tempdir().expect("a temporary folder"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file into it that only its owner may read, making folders on the way; gives its path.
    ///
    /// # Panics
    /// When it can't.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("folders can be made");
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("the file can be written");
        path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Folder::new()
    }
}
