//! The writer thread: batch after batch, each one transaction.

use std::path::PathBuf;
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::clock;

use super::{Entry, Inner, Record, RecordError, Sessions};
use crate::contained::contained;
use crate::process::mailbox::{Finding, Unstored};

/// After a failure the database is opened anew, at most this often.
const REOPEN_EVERY: Duration = Duration::from_secs(1);
/// One line about a store that fails, at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Writer {
    path: PathBuf,
    sessions: Option<Sessions>,
    reopen_at: Instant,
    line_at: Instant,
    failing: bool,
}

impl Writer {
    pub(super) fn new(path: PathBuf, sessions: Sessions) -> Self {
        Self {
            path,
            sessions: Some(sessions),
            reopen_at: Instant::ZERO,
            line_at: Instant::ZERO,
            failing: false,
        }
    }

    pub(super) fn run(mut self, inner: &Inner) {
        let mut batch = Vec::new();
        let mut verdicts = Vec::new();
        while inner.next_batch(&mut batch) {
            inner.gauges().begin();
            verdicts.clear();
            // After a panic the connection is dropped, which rolls its transaction back, and every record of the
            // batch is reported as not stored.
            match contained(|| self.write(&batch, &mut verdicts)) {
                Ok(Ok(())) => self.succeeded(),
                Ok(Err(error)) => self.failed(&error.to_string()),
                Err(_) => {
                    inner.gauges().panic();
                    self.failed("a panic");
                }
            }
            let durable = self.sessions.is_some();
            inner.gauges().end(batch.len() as u64);
            for (number, entry) in batch.drain(..).enumerate() {
                let verdict = verdicts.get(number).copied().unwrap_or(Err(Unstored::Failed));
                let verdict = verdict.and(if durable { Ok(()) } else { Err(Unstored::Failed) });
                entry.promise.keep(Finding::Stored(verdict, entry.request));
            }
        }
    }

    /// Writes a batch, and a verdict for each of its entries. An error: none of them is durable.
    fn write(&mut self, batch: &[Entry], verdicts: &mut Vec<Result<(), Unstored>>) -> rusqlite::Result<()> {
        let sessions = match &mut self.sessions {
            Some(sessions) => sessions,
            closed => {
                let now = clock::now();
                if now < self.reopen_at {
                    verdicts.extend(batch.iter().map(|_| Err(Unstored::Failed)));
                    return Ok(());
                }
                self.reopen_at = now + REOPEN_EVERY;
                closed.insert(Sessions::open(&self.path)?)
            }
        };
        let transaction = sessions.begin()?;
        for entry in batch {
            verdicts.push(match record(entry) {
                Ok(record) => {
                    transaction.apply(&record)?;
                    Ok(())
                }
                Err(_) => Err(Unstored::Incomplete),
            });
        }
        transaction.commit()
    }

    fn succeeded(&mut self) {
        if self.failing && self.sessions.is_some() {
            self.failing = false;
            tracing::info!("accounting is written to {} again", self.path.display());
        }
    }

    fn failed(&mut self, why: &str) {
        self.sessions = None;
        self.failing = true;
        let now = clock::now();
        if now >= self.line_at {
            self.line_at = now + LINE_EVERY;
            let path = self.path.display();
            tracing::error!(
                "accounting can't be written to {path}: {why}; Accounting-Requests are not answered until it can"
            );
        }
    }
}

fn record(entry: &Entry) -> Result<Record, RecordError> {
    match entry.request.packet() {
        Some(packet) => Record::new(&packet, entry.source, entry.received),
        None => Err(RecordError::NoStatusType),
    }
}
