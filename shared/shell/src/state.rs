//! The state folder: one process at a time, small files written whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use forewarn_proto::time::Utc;

use crate::privilege;
use crate::udp::Holder;

/// The file that is locked, and tells by whom.
const LOCK: &str = "lock";
/// The file of [`StateDir::next_epoch`].
const EPOCH: &str = "epoch";

/// Why the state folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A process has it.
    #[error("{} is in use by {holder}: stop it, or give this one a state_dir of its own", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// Who.
        holder: Holder,
    },
    /// It can't be made, read or written.
    #[error("{}: {error}: the state folder has to be writable by this user", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

/// A state folder that belongs to this process for as long as this value lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    /// Locked; the kernel unlocks it when the process ends, however it ends.
    _lock: File,
}

impl StateDir {
    /// Makes the folder where it is missing (readable by its owner only), and locks it.
    ///
    /// # Errors
    /// When another process has it, or it can't be written to.
    pub fn open(path: &Path) -> Result<StateDir, StateError> {
        let wrong = |path: &Path| {
            let path = path.to_path_buf();
            move |error| StateError::Io { path, error }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(wrong(path))?;
        let name = path.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&name)
            .map_err(wrong(&name))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                lock.read_to_string(&mut pid).map_err(wrong(&name))?;
                let holder = Holder::of(pid.trim().parse().unwrap_or(0));
                return Err(StateError::InUse { path: path.to_path_buf(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(wrong(&name)(error)),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(wrong(&name))?;
        Ok(StateDir { path: path.to_path_buf(), _lock: lock })
    }

    /// What is wrong with who may do what here; what is in the folder nobody else may read in any case.
    pub fn complaint(&self) -> Option<String> {
        let folder = fs::metadata(&self.path).ok()?;
        let what = if folder.mode() & 0o022 != 0 {
            "may be written to by others: they could replace what is remembered; chmod go-w it".to_owned()
        } else if ![privilege::ROOT, privilege::user()].contains(&folder.uid()) {
            format!("belongs to user {}, who could replace what is remembered; chown it", folder.uid())
        } else {
            return None;
        };
        Some(format!("the state folder {} {what}", self.path.display()))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content of the file `name`; None when there is none.
    ///
    /// # Errors
    /// When there is one and it can't be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::Io { path, error }),
        }
    }

    /// Replaces the file `name` by one with this content; when it returns, it will still be there after a
    /// power failure. A crash on the way leaves the old file. Waits for the disk, twice: not for a thread
    /// that serves requests.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), StateError> {
        let new = self.path.join(format!("{name}.new"));
        self.replace(&new, &self.path.join(name), content)
            .map_err(|error| StateError::Io { path: new, error })
    }

    fn replace(&self, new: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
        match fs::remove_file(new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(new, path)?;
        File::open(&self.path)?.sync_all()
    }

    /// This start's epoch: one more than the last, and not less than the seconds since 1970, so that it grows
    /// even where the file was lost. Kept before it is returned.
    ///
    /// # Errors
    /// When it can't be kept: then it must not be used.
    pub fn next_epoch(&self, now: Utc) -> Result<u32, StateError> {
        let last =
            self.read(EPOCH)?.and_then(|content| String::from_utf8(content).ok()?.trim().parse::<u32>().ok());
        let epoch = last.map_or(0, |last| last.saturating_add(1)).max(now.as_secs_u32());
        self.write(EPOCH, format!("{epoch}\n").as_bytes())?;
        Ok(epoch)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_process_is_refused_and_told_who_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/aaa-east");
        let first = StateDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let error = StateDir::open(&path).unwrap_err();
        let StateError::InUse { holder, .. } = &error else { panic!("{error:?}") };
        assert_eq!(holder.pid, std::process::id());
        assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
        drop(first);
        StateDir::open(&path).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let state = StateDir::open(&path).unwrap();
        assert_eq!(state.complaint(), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(state.complaint(), None, "as systemd makes it");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(state.complaint().unwrap().contains("chmod go-w it"));
    }

    #[test]
    fn files_are_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        assert_eq!(state.read("marks").unwrap(), None);
        state.write("marks", b"a longer content").unwrap();
        state.write("marks", b"short").unwrap();
        assert_eq!(state.read("marks").unwrap().unwrap(), b"short");
        // What a crash left behind does no harm.
        fs::write(folder.path().join("marks.new"), "half a").unwrap();
        assert_eq!(state.read("marks").unwrap().unwrap(), b"short");
        state.write("marks", b"again").unwrap();
        assert_eq!(state.read("marks").unwrap().unwrap(), b"again");
        assert_eq!(fs::metadata(folder.path().join("marks")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn epochs_only_grow() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let now = Utc::from_millis(1_700_000_000_000);
        assert_eq!(state.next_epoch(now).unwrap(), 1_700_000_000);
        assert_eq!(state.next_epoch(now).unwrap(), 1_700_000_001);
        assert_eq!(
            state.next_epoch(Utc::from_millis(0)).unwrap(),
            1_700_000_002,
            "a clock that was set back"
        );
        fs::write(folder.path().join("epoch"), "rubbish").unwrap();
        assert_eq!(state.next_epoch(now + std::time::Duration::from_secs(9)).unwrap(), 1_700_000_009);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = StateDir::open(&file.join("state")).unwrap_err();
        assert!(error.to_string().contains("file/state"), "{error}");
    }
}
