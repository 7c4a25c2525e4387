//! The operator's half: blocking, since a person waits for it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{MAX_REPLY, Reachable, Reply, Request};

/// How deep below a folder sockets are looked for.
const DEPTH: usize = 6;
/// How many folder entries are looked at, so that a large tree ends the search and not the operator's patience.
const ENTRIES: usize = 50_000;

/// Asks the program behind `socket`, and hands each line of the answer to `on_reply` as it comes.
///
/// `patience` bounds the wait for each line.
///
/// # Errors
/// When nobody listens there, or the answer is cut short or isn't one.
pub fn ask(
    socket: &Path,
    request: &Request,
    patience: Duration,
    mut on_reply: impl FnMut(Reply),
) -> io::Result<()> {
    let stream = UnixStream::connect(&Reachable::new(socket)?.path)?;
    stream.set_read_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    (&stream).write_all(&line)?;
    let mut lines = BufReader::new(stream.take(MAX_REPLY));
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the program ended in the middle of its answer",
            ));
        }
        let reply: Reply = serde_json::from_slice(&line)?;
        let last = reply.is_last();
        on_reply(reply);
        if last {
            return Ok(());
        }
    }
}

/// Every control socket below these folders, in the order of their paths.
pub fn discover(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut budget = ENTRIES;
    for folder in folders {
        search(folder, DEPTH, &mut budget, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn search(folder: &Path, depth: usize, budget: &mut usize, found: &mut Vec<PathBuf>) {
    // A folder that may not be read holds no socket this operator could use.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if *budget == 0 {
            return;
        }
        *budget -= 1;
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_socket() && path.file_name().is_some_and(|name| name == "control.sock") {
            found.push(path.canonicalize().unwrap_or(path));
        } else if kind.is_dir() && depth > 0 {
            search(&path, depth - 1, budget, found);
        }
    }
}
