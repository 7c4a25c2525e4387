//! The marks: the last notice of each server that was acted on, kept over a restart.
//!
//! A mark is saved *after* acting: its fsync must not stand between a notice and the first request on the alternate.
//! So a thread of its own writes; it always writes the newest state and skips what was overtaken. A crash between
//! acting and saving lets the same notice be acted on again, which changes nothing.
//!
//! The file has a line per server: identity, epoch, sequence.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::state::StateDir;
use forewarn_proto::notice::Mark;
use forewarn_wire::notice::Identity;
use tracing::error;

/// The file in the state folder.
const FILE: &str = "marks";

/// Marks by server.
pub type Marks = Vec<(Identity, Mark)>;

/// Reads the marks; a file that isn't there holds none. Lines that can't be read are named and skipped: without its
/// mark a server is asked by CHALLENGE, so nothing is lost but the refusal of replays younger than 30 s.
pub fn read(state: &StateDir) -> Marks {
    let text = match state.read(FILE) {
        Ok(Some(octets)) => String::from_utf8_lossy(&octets).into_owned(),
        Ok(None) => return Marks::new(),
        Err(problem) => {
            error!(
                "{problem}; replays are known by their age only, until the servers have answered our challenges"
            );
            return Marks::new();
        }
    };
    let mut marks = Marks::new();
    for line in text.lines() {
        match parse(line) {
            Some(mark) => marks.push(mark),
            None => error!("{}: a line that is no mark was skipped", state.path().join(FILE).display()),
        }
    }
    marks
}

fn parse(line: &str) -> Option<(Identity, Mark)> {
    let mut words = line.split_ascii_whitespace();
    let address: IpAddr = words.next()?.parse().ok()?;
    let epoch = words.next()?.parse().ok()?;
    let sequence = words.next()?.parse().ok()?;
    words.next().is_none().then_some((Identity::from(address), Mark { epoch, sequence }))
}

fn format(marks: &Marks) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (identity, mark) in marks {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{identity} {} {}", mark.epoch, mark.sequence);
    }
    text
}

/// The thread that saves.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Arc<StateDir>,
    wanted: Mutex<Wanted>,
    changed: Condvar,
    saved: AtomicU64,
    failed: AtomicU64,
}

/// Marks that matter to nobody but a replay are saved within this time.
const RENEWAL: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Wanted {
    text: Option<String>,
    /// To be saved within [`RENEWAL`], if nothing else is meanwhile.
    renewal: Option<String>,
    stop: bool,
}

impl Keeper {
    /// Starts it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(state: Arc<StateDir>) -> std::io::Result<Keeper> {
        let shared = Arc::new(Shared {
            state,
            wanted: Mutex::default(),
            changed: Condvar::new(),
            saved: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let saver = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("marks".to_owned())
            .stack_size(STACK_OCTETS)
            .spawn(move || saver.run())?;
        Ok(Keeper { shared, thread: Some(thread) })
    }

    /// Has these marks saved, soon. Never waits.
    pub fn save(&self, marks: &Marks) {
        let mut wanted = self.shared.lock();
        (wanted.text, wanted.renewal) = (Some(format(marks)), None);
        self.shared.changed.notify_one();
    }

    /// Has these marks saved within ten seconds: what they stand for was in force before. Never waits.
    pub fn renew(&self, marks: &Marks) {
        let mut wanted = self.shared.lock();
        if wanted.text.is_some() {
            wanted.text = Some(format(marks));
        } else if wanted.renewal.replace(format(marks)).is_none() {
            self.shared.changed.notify_one();
        }
    }

    /// How often saving succeeded and failed.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.shared.saved.load(Ordering::Relaxed), self.shared.failed.load(Ordering::Relaxed))
    }
}

impl Drop for Keeper {
    /// Waits for what is still to be saved.
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It never panics; there would be nothing left to do about it.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut wanted = self.lock();
        loop {
            if let Some(text) = wanted.text.take() {
                drop(wanted);
                self.write(&text);
                wanted = self.lock();
            } else if wanted.renewal.is_some() {
                let is_early = |wanted: &mut Wanted| !wanted.stop && wanted.text.is_none();
                let waited = self.changed.wait_timeout_while(wanted, RENEWAL, is_early);
                wanted = waited.unwrap_or_else(PoisonError::into_inner).0;
                wanted.text = wanted.text.take().or(wanted.renewal.take());
            } else if wanted.stop {
                return;
            } else {
                wanted = self.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn write(&self, text: &str) {
        match self.state.write(FILE, text.as_bytes()) {
            Ok(()) => {
                self.saved.fetch_add(1, Ordering::Relaxed);
            }
            Err(problem) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                error!("{problem}; until then, notices younger than 30 s could be replayed after a restart");
            }
        }
    }
}

/// Writing a small file needs little.
const STACK_OCTETS: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(address: &str, epoch: u32, sequence: u32) -> (Identity, Mark) {
        (Identity::from(address.parse::<IpAddr>().unwrap()), Mark { epoch, sequence })
    }

    #[test]
    fn what_is_saved_last_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(StateDir::open(folder.path()).unwrap());
        assert_eq!(read(&state), Marks::new());
        let keeper = Keeper::start(Arc::clone(&state)).unwrap();
        for sequence in 1..50 {
            keeper.save(&vec![mark("127.0.0.11", 7, sequence), mark("2001:db8::1", u32::MAX, 1)]);
        }
        drop(keeper);
        assert_eq!(read(&state), [mark("127.0.0.11", 7, 49), mark("2001:db8::1", u32::MAX, 1)]);
    }

    #[test]
    fn what_is_only_renewed_is_saved_later_and_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(StateDir::open(folder.path()).unwrap());
        let keeper = Keeper::start(Arc::clone(&state)).unwrap();
        for sequence in 1..50 {
            keeper.renew(&vec![mark("127.0.0.11", 7, sequence)]);
        }
        assert_eq!(read(&state), Marks::new());
        let shared = Arc::clone(&keeper.shared);
        drop(keeper);
        assert_eq!(read(&state), [mark("127.0.0.11", 7, 49)]);
        assert_eq!(shared.saved.load(Ordering::Relaxed), 1, "once for all of them");
    }

    #[test]
    fn a_damaged_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        state.write(FILE, b"127.0.0.11 7 4\nnonsense\n127.0.0.12 8\n127.0.0.13 9 1\n").unwrap();
        assert_eq!(read(&state), [mark("127.0.0.11", 7, 4), mark("127.0.0.13", 9, 1)]);
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error_that_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let state = Arc::new(StateDir::open(&path).unwrap());
        std::fs::remove_dir_all(&path).unwrap();
        let keeper = Keeper::start(state).unwrap();
        keeper.save(&vec![mark("127.0.0.11", 7, 4)]);
        for _ in 0..500 {
            if keeper.counts() == (0, 1) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{:?}", keeper.counts());
    }
}
