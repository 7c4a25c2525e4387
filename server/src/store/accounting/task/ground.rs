//! What the batch under way and the rest of the writer share: one thread.

use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::clock;

use crate::store::accounting::Inner;
use crate::store::accounting::apply::ApplyError;
use crate::store::accounting::refused::Refused;
use forewarn_shell::spool::{self, Place, Spool};

/// One line about a store that fails, at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The spool, and what is counted and said.
pub(super) struct Ground {
    pub(super) inner: Arc<Inner>,
    pub(super) spool: Spool,
    pub(super) refused: Refused,
    pub(super) line_at: Instant,
}

impl Ground {
    /// So many records are in the database.
    pub(super) fn done(&mut self, records: usize, end: Option<Place>) {
        if records > 0 {
            self.inner.figures.stored(records as u64);
        }
        if let Some(end) = end {
            self.inner.figures.drained(records as u64);
            self.advance(end, records as u64);
        }
    }

    pub(super) fn advance(&mut self, end: Place, records: u64) {
        if let Err(error) = self.spool.advance(end, records) {
            self.complain(&format!("how far the spool has been drained can't be noted: {error}"));
        }
        self.inner.figures.show_spool(&self.spool);
    }

    /// The oldest record of the spool can't be read any more: once, it is kept for people instead.
    pub(super) fn set_aside(&mut self, kept: &spool::Entry, end: Place) -> Result<(), spool::SpoolError> {
        let path = self.refused.path().to_owned();
        let aside = self.refused.keep(kept, "it can't be read any more");
        aside.map_err(|error| spool::SpoolError::Io { path: path.clone(), error })?;
        self.inner.figures.refused();
        self.complain(&format!(
            "an accounting record can't be read any more; it is kept in {}",
            path.display()
        ));
        self.advance(end, 1);
        Ok(())
    }

    pub(super) fn refuse(
        &mut self,
        kept: &spool::Entry,
        end: Option<Place>,
        why: &str,
    ) -> Result<(), ApplyError> {
        self.refused.keep(kept, why).map_err(|error| ApplyError::Full(error.to_string()))?;
        self.inner.figures.refused();
        let path = self.refused.path().display().to_string();
        self.complain(&format!("the database refuses an accounting record: {why}; it is kept in {path}"));
        if let Some(end) = end {
            self.advance(end, 1);
        }
        Ok(())
    }

    pub(super) fn complain(&mut self, line: &str) {
        let now = clock::now();
        if now >= self.line_at {
            self.line_at = now + LINE_EVERY;
            tracing::error!("{line}");
        }
    }
}
