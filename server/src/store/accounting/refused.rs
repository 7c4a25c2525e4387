//! Records that the database refuses for what they say.
//!
//! Trying them again is of no use, and what comes after them mustn't wait. They are kept for people in a file of lines,
//! each with the reason, and are answered: the NAS has no way of saying it better.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use forewarn_shell::spool::Entry;

/// The file's name in the spool's folder.
const FILE: &str = "refused";
/// Octets it may have: somebody should have looked by then.
const MOST: u64 = 64 << 20;

/// The file.
#[derive(Debug)]
pub(super) struct Refused {
    path: PathBuf,
}

impl Refused {
    pub(super) fn new(folder: &Path) -> Self {
        Self { path: folder.join(FILE) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a record; it is on the disk when this has returned.
    ///
    /// # Errors
    /// The disk is full or fails, or the file has as much as it may.
    pub(super) fn keep(&self, entry: &Entry, why: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        let length = file.metadata()?.len();
        if length > MOST {
            return Err(io::Error::other("the file of refused records has grown too long: look at it"));
        }
        let packet = entry.packet.iter().fold(String::new(), |mut digits, octet| {
            let _ = write!(digits, "{octet:02x}");
            digits
        });
        let line = serde_json::json!({
            "received_ms": entry.received, "source": entry.source, "reason": why, "packet": packet,
        });
        let mut written = file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_data());
        if length == 0 {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            written = written.and_then(|()| File::open(folder)?.sync_all());
        }
        if written.is_err() {
            let _ = file.set_len(length);
        }
        written
    }
}
