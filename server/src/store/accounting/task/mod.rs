//! The writer: batch after batch, each one transaction; and the spool while there is no database.
//!
//! One batch is on its way to the database at a time (a [`Flight`]). While it is, the next one is read and, when the
//! database is away, put into the spool and answered. Once anything is in the spool, everything new goes behind it,
//! until it is empty: so the order in which records came is the order in which they are written.

mod flight;
mod ground;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use forewarn_proto::time::{Instant, Utc};
use forewarn_shell::clock;
use forewarn_wire::Packet;

use super::apply::ApplyError;
use super::refused::Refused;
use super::{BATCH_MAX, Entry, Inner, Record, RecordError, Taken};
use crate::contained::contained;
use crate::process::mailbox::{Finding, Unstored};
use crate::store::sql::connect::Backoff;
use forewarn_shell::spool::{self, Doubt, Spool};

pub(super) use flight::Database;

use flight::{Carried, Flight, Landed, fly, landing};
use ground::Ground;

/// Records read from the queue between two looks at the batch under way.
const READ_MAX: usize = 128;

pub(super) struct Task {
    ground: Rc<RefCell<Ground>>,
    inner: Arc<Inner>,
    name: String,
    database: Option<Database>,
    flight: Option<Flight>,
    /// Read, and not under way yet.
    next: Vec<Carried>,
    away: bool,
    backoff: Backoff,
    retry_at: Instant,
    /// Records in the next batch at most: fewer after one that took too long.
    batch_max: usize,
}

/// For the thread that it is given to: nothing of it is shared yet.
pub(super) struct Packed {
    inner: Arc<Inner>,
    database: Database,
    spool: Spool,
    refused: Refused,
}

impl Packed {
    pub(super) fn new(inner: Arc<Inner>, database: Database, spool: Spool, folder: &Path) -> Self {
        inner.figures.show_spool(&spool);
        Self { inner, database, spool, refused: Refused::new(folder) }
    }

    pub(super) async fn run(self) {
        let Self { inner, database, spool, refused } = self;
        let waiting = spool.records();
        let name = database.shown();
        if waiting > 0 {
            tracing::info!("{waiting} accounting records wait in the spool for {name}");
        }
        let ground = Ground { inner, spool, refused, line_at: Instant::ZERO };
        Task::new(ground, name, Some(database)).run().await;
    }
}

impl Task {
    fn new(ground: Ground, name: String, database: Option<Database>) -> Self {
        Self {
            inner: Arc::clone(&ground.inner),
            ground: Rc::new(RefCell::new(ground)),
            name,
            database,
            flight: None,
            next: Vec::new(),
            away: false,
            backoff: Backoff::default(),
            retry_at: Instant::ZERO,
            batch_max: BATCH_MAX,
        }
    }

    async fn run(mut self) {
        let mut entries = Vec::new();
        // What the spool holds comes first; and a database that is away is known to be before the first record.
        self.launch();
        loop {
            let room = if self.next.len() < BATCH_MAX { READ_MAX } else { 0 };
            let taken = self.inner.take(room, &mut entries);
            for entry in entries.drain(..) {
                self.read(entry);
            }
            if self.is_spooling() && !self.next.is_empty() && (taken != Taken::Some || room == 0) {
                let batch = std::mem::take(&mut self.next);
                self.put_aside(batch);
            }
            let ended = taken == Taken::Ended;
            if !ended || !self.next.is_empty() {
                self.launch();
            }
            if ended && self.flight.is_none() && self.next.is_empty() {
                return;
            }
            if taken == Taken::Some && room > 0 {
                // There may be more; let the batch under way go on for a moment all the same.
                if let Some(landed) = self.look().await {
                    self.land(landed);
                }
                continue;
            }
            let inner = Arc::clone(&self.inner);
            let waits = self.flight.is_none() && (self.is_spooling() || !self.next.is_empty());
            tokio::select! {
                landed = landing(&mut self.flight) => {
                    self.flight = None;
                    self.land(landed);
                }
                () = inner.ready.notified(), if room > 0 && !ended => {}
                () = clock::sleep_until(self.retry_at), if waits => {}
            }
        }
    }

    /// Lets the batch under way go on, without waiting for it.
    async fn look(&mut self) -> Option<Landed> {
        tokio::select! {
            biased;
            landed = landing(&mut self.flight) => {
                self.flight = None;
                Some(landed)
            }
            () = tokio::task::yield_now() => None,
        }
    }

    /// Whether what is new has to go behind what is in the spool.
    fn is_spooling(&self) -> bool {
        self.away || !self.ground.borrow().spool.is_empty()
    }

    fn read(&mut self, entry: Entry) {
        // A panic costs this one record.
        let record = contained(|| {
            let packet = entry.request.packet().ok_or(RecordError::NoStatusType)?;
            let record = Record::new(&packet, entry.source, entry.received)?;
            let received = entry.received.as_millis();
            Ok((record, spool::Entry { received, source: entry.source, packet: packet.bytes().to_vec() }))
        });
        let verdict = match record {
            Ok(Ok((record, kept))) => {
                self.next.push(Carried { record, entry: Some(entry), kept, end: None });
                return;
            }
            Ok(Err::<_, RecordError>(_)) => {
                self.inner.figures.incomplete();
                Unstored::Incomplete
            }
            Err(_) => {
                self.inner.gauges().panic();
                Unstored::Failed
            }
        };
        self.inner.gauges().begin();
        self.inner.gauges().end(1);
        entry.promise.keep(Finding::Stored(Err(verdict), entry.request));
    }

    /// Sends the next batch to the database, if there is any and it is time.
    fn launch(&mut self) {
        let now = clock::now();
        if self.flight.is_some() || now < self.retry_at {
            return;
        }
        let batch = if self.is_spooling() {
            match self.oldest_spooled() {
                Ok(batch) => batch,
                Err(error) => {
                    self.ground.borrow_mut().complain(&error.to_string());
                    self.retry_at = now + self.backoff.next_wait();
                    return;
                }
            }
        } else {
            if self.next.is_empty() {
                return;
            }
            let count = self.next.len().min(self.batch_max);
            self.next.drain(..count).collect()
        };
        let Some(database) = self.database.take() else { return };
        self.inner.gauges().begin();
        self.flight = Some(Box::pin(fly(database, batch, Rc::clone(&self.ground))));
    }

    fn oldest_spooled(&self) -> Result<Vec<Carried>, spool::SpoolError> {
        let mut ground = self.ground.borrow_mut();
        let read = ground.spool.read(self.batch_max)?;
        let mut batch = Vec::with_capacity(read.entries.len());
        for (kept, end) in read.entries.into_iter().zip(read.ends) {
            let received = Utc::from_millis(kept.received);
            let packet = Packet::parse(&kept.packet).ok();
            // A key vouched for it before it was kept, and the checksum does for what was kept.
            let record = packet.and_then(|packet| Record::new(packet.peek(), kept.source, received).ok());
            match record {
                Some(record) => batch.push(Carried { record, entry: None, kept, end: Some(end) }),
                // It was read once before it was kept: only a version that reads more strictly can't use it. What
                // comes before it goes first, and what is in doubt.
                None if !batch.is_empty() || ground.spool.doubt().is_some() => break,
                None => ground.set_aside(&kept, end)?,
            }
        }
        Ok(batch)
    }

    fn land(&mut self, landed: Landed) {
        let Landed { database, mut batch, done, tried, error } = landed;
        self.database = Some(database);
        let rest = batch.split_off(done);
        let from_spool = batch.first().or(rest.first()).is_none_or(|carried| carried.entry.is_none());
        // What comes out of the spool was done with when it went in.
        self.inner.gauges().end(if from_spool { 0 } else { batch.len() as u64 });
        for carried in batch {
            answer(carried, Ok(()));
        }
        match error {
            None => self.succeeded(),
            Some(error) => self.failed(&error, rest, tried, from_spool),
        }
        self.inner.figures.show_spool(&self.ground.borrow().spool);
    }

    fn succeeded(&mut self) {
        self.backoff.reset();
        self.retry_at = Instant::ZERO;
        self.batch_max = (self.batch_max * 2).min(BATCH_MAX);
        if std::mem::take(&mut self.away) {
            let waiting = self.ground.borrow().spool.records();
            tracing::info!(
                "accounting is written to {} again; {waiting} records wait in the spool",
                self.name
            );
            self.inner.figures.set_away(None);
        }
    }

    fn failed(&mut self, error: &ApplyError, mut rest: Vec<Carried>, tried: usize, from_spool: bool) {
        self.inner.figures.failure();
        self.retry_at = clock::now() + self.backoff.next_wait();
        self.batch_max = (self.batch_max / 2).max(1);
        if let ApplyError::Full(_) = error {
            // Each record tries for itself: there may be room again at any time.
            if !from_spool {
                self.retry_at = Instant::ZERO;
            }
            self.ground.borrow_mut().complain(&format!(
                "accounting can't be written to {}: {error}; Accounting-Requests are not answered until it can",
                self.name
            ));
            // Nobody is told that it is kept: it would have to be on the same disk.
            self.give_up(rest);
            let next = std::mem::take(&mut self.next);
            if !from_spool {
                self.give_up(next);
            }
            return;
        }
        if !std::mem::replace(&mut self.away, true) {
            tracing::error!(
                "accounting can't be written to {}: {error}; records are kept in the spool until it can",
                self.name
            );
        }
        self.inner.figures.set_away(Some(error.to_string()));
        if from_spool {
            return;
        }
        // Only what was in the transaction is in doubt; the others are in the database under no circumstances.
        let others = rest.split_off(tried.min(rest.len()));
        let count = rest.len() as u64;
        let kept = self.put_aside(rest);
        if let (true, ApplyError::InDoubt { transaction: Some(transaction), .. }) = (kept, error) {
            let mut ground = self.ground.borrow_mut();
            let end = ground.spool.end();
            let doubt = Doubt { end, records: count, transaction: *transaction };
            // If it can't be noted, they are written again: that leaves the same rows.
            let _ = ground.spool.about_to_commit(doubt);
        }
        self.put_aside(others);
    }

    /// Puts records into the spool and answers them. False: they couldn't be kept, and aren't answered.
    fn put_aside(&mut self, batch: Vec<Carried>) -> bool {
        let count = batch.len() as u64;
        let kept = {
            let mut ground = self.ground.borrow_mut();
            let kept = ground.spool.append(batch.iter().map(|carried| &carried.kept));
            self.inner.figures.show_spool(&ground.spool);
            kept
        };
        match kept {
            Ok(()) => {
                self.inner.gauges().begin();
                self.inner.gauges().end(count);
                for carried in batch {
                    answer(carried, Ok(()));
                }
                self.inner.figures.spooled(count);
                true
            }
            Err(error) => {
                self.ground.borrow_mut().complain(&format!(
                    "an accounting record can't be kept: {error}; Accounting-Requests are not answered until it can"
                ));
                self.give_up(batch);
                false
            }
        }
    }

    fn give_up(&self, batch: Vec<Carried>) {
        let count = batch.len() as u64;
        self.inner.gauges().begin();
        self.inner.gauges().end(count);
        for carried in batch {
            answer(carried, Err(Unstored::Failed));
        }
        self.inner.figures.unstored(count);
    }
}

fn answer(carried: Carried, verdict: Result<(), Unstored>) {
    if let Some(entry) = carried.entry {
        entry.promise.keep(Finding::Stored(verdict, entry.request));
    }
}
