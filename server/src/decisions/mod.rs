//! One record for each decided request, without a core formatting anything: it puts a binary record into its ring,
//! and a thread makes lines of them. A ring that is full drops and counts.
//!
//! A request is what has passed the checks of its packet. What was dropped before that is counted, and said in
//! rate-limited lines: a flood of forged packets is no decision.

mod record;
mod ring;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use forewarn_eap::Claim;
use forewarn_shell::log;

use crate::config::{self, Decisions as Wanted};
use crate::process::outcome::{Answer, Cause};

pub use record::Decision;
use record::{Decoded, WORDS};
use ring::Ring;

/// The writer looks again after this long even if nobody woke it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Octets of lines that are written at once.
const CHUNK: usize = 16 * 1024;

/// Where cores leave their decisions. Dropping it writes what is left.
#[derive(Debug)]
pub struct Decisions {
    inner: Arc<Inner>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    wanted: AtomicU8,
    rings: Box<[Ring]>,
    /// Set by the writer before it sleeps; who clears it wakes it.
    asleep: AtomicBool,
    stopping: AtomicBool,
    /// Where the lines go; `None`: to the log.
    file: Mutex<Option<File>>,
    written: AtomicU64,
    lost: AtomicU64,
}

/// What is remembered of a request on its way, for its record.
#[derive(Debug, Default)]
pub struct Trail {
    /// How the user is to be proven, as policies name it; or what an accounting record says.
    pub method: &'static str,
    /// The name of what decided, where the cause alone doesn't say: a policy, a check item.
    pub decided_by: Option<Arc<str>>,
    /// What was claimed last in its EAP conversation.
    pub claim: Option<Arc<Claim>>,
    /// Whether its conversation has left its record already.
    pub is_recorded: bool,
}

impl Decisions {
    /// Starts the writer, for so many cores.
    ///
    /// # Errors
    /// `decision_file` can't be opened, or the system has no thread to give.
    pub fn start(cores: usize, config: &config::Log) -> io::Result<Self> {
        let inner = Arc::new(Inner {
            wanted: AtomicU8::new(0),
            rings: (0..cores).map(|_| Ring::new()).collect(),
            asleep: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            file: Mutex::new(None),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        inner.apply(config)?;
        let writing = Arc::clone(&inner);
        let writer = thread::Builder::new().name("decisions".into()).spawn(move || writing.write_all())?;
        Ok(Self { inner, writer: Some(writer) })
    }

    /// Takes the configuration over. The file is opened anew: after it was renamed by whoever rotates logs, a reload
    /// begins another.
    ///
    /// # Errors
    /// `decision_file` can't be opened; then the old one goes on.
    pub fn apply(&self, config: &config::Log) -> io::Result<()> {
        self.inner.apply(config)
    }

    /// Whether requests that end so leave a record.
    pub fn wants(&self, cause: Cause) -> bool {
        let wanted = self.inner.wanted.load(Relaxed);
        if wanted == Wanted::None as u8 {
            return false;
        }
        let refuses = matches!(cause.answer(), Answer::Reject | Answer::Silence);
        wanted == Wanted::All as u8 || refuses || matches!(cause, Cause::EapWithheld | Cause::EapTlsAlert)
    }

    /// Leaves a record. Called by the core of this number alone; [`Decisions::wake`] follows at the end of its turn.
    pub fn record(&self, core: usize, decision: &Decision<'_>) {
        let mut words = [0; WORDS];
        let length = decision.encode(&mut words);
        if !self.inner.rings[core].push(&words[..length]) {
            self.inner.lost.fetch_add(1, Relaxed);
        }
    }

    /// Wakes the writer, if it sleeps.
    pub fn wake(&self) {
        // With the writer's own fence: either it sees the record, or this sees that it sleeps.
        fence(SeqCst);
        if self.inner.asleep.load(Relaxed)
            && self.inner.asleep.swap(false, Relaxed)
            && let Some(writer) = &self.writer
        {
            writer.thread().unpark();
        }
    }

    /// Records written since the start.
    pub fn written(&self) -> u64 {
        self.inner.written.load(Relaxed)
    }

    /// Records dropped because the writer was behind, or the file couldn't be written.
    pub fn lost(&self) -> u64 {
        self.inner.lost.load(Relaxed)
    }
}

impl Drop for Decisions {
    fn drop(&mut self) {
        self.inner.stopping.store(true, SeqCst);
        if let Some(writer) = self.writer.take() {
            writer.thread().unpark();
            // A panic of it has ended the process already.
            let _ = writer.join();
        }
    }
}

impl Inner {
    fn apply(&self, config: &config::Log) -> io::Result<()> {
        let file = config.decision_file.as_deref().map(open).transpose()?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        self.wanted.store(config.decisions as u8, Relaxed);
        Ok(())
    }

    fn write_all(&self) {
        let (mut record, mut lines) = (Vec::with_capacity(WORDS), String::with_capacity(2 * CHUNK));
        loop {
            // Before the look at the rings: what is left when it is set gets written.
            let last = self.stopping.load(SeqCst);
            for ring in &self.rings {
                while ring.pop(&mut record) {
                    if let Some(decoded) = Decoded::of(&record) {
                        lines.push_str(&decoded.line(log::format()));
                    }
                    if lines.len() >= CHUNK {
                        self.put(&mut lines);
                    }
                }
            }
            self.put(&mut lines);
            if last {
                return;
            }
            self.asleep.store(true, Relaxed);
            fence(SeqCst);
            if self.rings.iter().all(Ring::is_empty) && !self.stopping.load(SeqCst) {
                thread::park_timeout(LOOK_EVERY);
            }
            self.asleep.store(false, Relaxed);
        }
    }

    fn put(&self, lines: &mut String) {
        if lines.is_empty() {
            return;
        }
        let count = lines.bytes().filter(|octet| *octet == b'\n').count() as u64;
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match file.as_ref().map(|mut file| file.write_all(lines.as_bytes())) {
            None => {
                log::write(lines);
                self.written.fetch_add(count, Relaxed);
            }
            Some(Ok(())) => {
                self.written.fetch_add(count, Relaxed);
            }
            Some(Err(_)) => {
                self.lost.fetch_add(count, Relaxed);
            }
        }
        lines.clear();
    }
}

/// Nobody else may read who logged in from where.
fn open(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.map_err(|error| {
        io::Error::new(error.kind(), format!("[log] decision_file {}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use forewarn_shell::clock;

    fn decision(cause: Cause) -> Decision<'static> {
        Decision {
            cause,
            at: clock::now(),
            latency_ns: 1,
            source: "192.0.2.7:40000".parse().unwrap(),
            client: "ap-17",
            user: b"alice",
            calling_station: b"",
            method: "pap",
            decided_by: "",
        }
    }

    #[test]
    fn every_record_of_every_core_is_written_by_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("decisions");
        let config = config::Log {
            decisions: Wanted::All,
            decision_file: Some(path.clone()),
            ..config::Log::default()
        };
        let decisions = Decisions::start(2, &config).unwrap();
        for number in 0..3000 {
            decisions.record(number % 2, &decision(Cause::Password));
            decisions.wake();
        }
        let lost = decisions.lost();
        drop(decisions);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((text.lines().count(), lost), (3000, 0));
    }

    #[test]
    fn a_full_ring_drops_and_counts() {
        let decisions = Decisions::start(1, &config::Log::default()).unwrap();
        let ring = &decisions.inner.rings[0];
        let long = vec![0; ring::ROOM];
        assert!(!ring.push(&long));
        assert!(decisions.inner.rings[0].is_empty());
    }

    #[test]
    fn what_is_wanted_is_what_was_not_accepted() {
        let decisions = Decisions::start(1, &config::Log::default()).unwrap();
        let wanted = |cause| decisions.wants(cause);
        assert!(wanted(Cause::WrongPassword) && wanted(Cause::StoreFull));
        assert!(!wanted(Cause::Password) && !wanted(Cause::Stored));
        decisions.apply(&config::Log { decisions: Wanted::None, ..config::Log::default() }).unwrap();
        assert!(!decisions.wants(Cause::WrongPassword));
        decisions.apply(&config::Log { decisions: Wanted::All, ..config::Log::default() }).unwrap();
        assert!(decisions.wants(Cause::Password));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named_and_the_old_one_goes_on() {
        let decisions = Decisions::start(1, &config::Log::default()).unwrap();
        let config =
            config::Log { decision_file: Some("/nowhere/decisions".into()), ..config::Log::default() };
        let error = decisions.apply(&config).unwrap_err();
        assert!(error.to_string().contains("decision_file /nowhere/decisions"), "{error}");
    }
}
