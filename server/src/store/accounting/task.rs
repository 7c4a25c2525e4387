//! The writer: batch after batch, each one transaction; and the spool while there is no database.
//!
//! One batch is on its way to the database at a time (a [`Flight`]). While it is, the next one is read and, when the
//! database is away, put into the spool and answered. Once anything is in the spool, everything new goes behind it,
//! until it is empty: so the order in which records came is the order in which they are written.

use std::cell::RefCell;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::time::{Instant, Utc};
use forewarn_shell::clock;
use forewarn_wire::Packet;

use super::apply::{ApplyError, Fate};
use super::refused::Refused;
use super::{BATCH_MAX, Entry, Inner, PostgreSql, Record, RecordError, Sqlite, Taken};
use crate::contained::contained;
use crate::process::mailbox::{Finding, Unstored};
use crate::store::spool::{self, Doubt, Place, Spool};
use crate::store::sql::connect::Backoff;

/// One line about a store that fails, at most this often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Records read from the queue between two looks at the batch under way.
const READ_MAX: usize = 128;

pub(super) enum Database {
    Sqlite(Box<Sqlite>),
    PostgreSql(Box<PostgreSql>),
}

impl Database {
    fn shown(&self) -> String {
        match self {
            Database::Sqlite(database) => database.shown(),
            Database::PostgreSql(database) => database.shown().to_owned(),
        }
    }
}

/// A record on its way.
struct Carried {
    record: Record,
    /// Whom to answer; `None`: answered already, it comes out of the spool.
    entry: Option<Entry>,
    /// As the spool keeps it.
    kept: spool::Entry,
    /// Where it ends in the spool it comes out of.
    end: Option<Place>,
}

/// A batch that was under way.
struct Landed {
    database: Database,
    batch: Vec<Carried>,
    /// So many of them, from the first on, are done with.
    done: usize,
    /// So many after those were in the transaction that failed.
    tried: usize,
    /// Why the others aren't.
    error: Option<ApplyError>,
}

type Flight = Pin<Box<dyn Future<Output = Landed>>>;

/// What the batch under way and the rest share: one thread.
struct Ground {
    inner: Arc<Inner>,
    spool: Spool,
    refused: Refused,
    line_at: Instant,
}

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

impl Task {
    #[allow(clippy::new_ret_no_self)]
    pub(super) fn new(inner: Arc<Inner>, database: Database, spool: Spool, folder: &Path) -> Packed {
        inner.figures.show_spool(&spool);
        Packed { inner, database, spool, refused: Refused::new(folder) }
    }
}

impl Packed {
    pub(super) async fn run(self) {
        let Self { inner, database, spool, refused } = self;
        let waiting = spool.records();
        let name = database.shown();
        if waiting > 0 {
            tracing::info!("{waiting} accounting records wait in the spool for {name}");
        }
        let ground = Ground { inner: Arc::clone(&inner), spool, refused, line_at: Instant::ZERO };
        let task = Task {
            ground: Rc::new(RefCell::new(ground)),
            inner,
            name,
            database: Some(database),
            flight: None,
            next: Vec::new(),
            away: false,
            backoff: Backoff::default(),
            retry_at: Instant::ZERO,
            batch_max: BATCH_MAX,
        };
        task.run().await;
    }
}

impl Task {
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

/// The batch under way has landed; never while there is none.
async fn landing(flight: &mut Option<Flight>) -> Landed {
    match flight {
        Some(flight) => flight.await,
        None => std::future::pending().await,
    }
}

/// Brings a batch to the database. A record that is refused for what it says is found by halves, and set aside.
async fn fly(mut database: Database, mut batch: Vec<Carried>, ground: Rc<RefCell<Ground>>) -> Landed {
    if let Err(error) = settle(&mut database, &mut batch, &ground).await {
        return Landed { database, batch, done: 0, tried: 0, error: Some(error) };
    }
    let mut records: Vec<Record> =
        batch.iter_mut().map(|carried| std::mem::take(&mut carried.record)).collect();
    let mut done = 0;
    let mut most = records.len();
    loop {
        let count = most.min(records.len());
        let rest = records.split_off(count);
        let end = batch.get((done + count).wrapping_sub(1)).and_then(|carried| carried.end);
        let error = match database.apply(&mut records, end, &ground).await {
            Ok(()) => {
                ground.borrow_mut().done(count, end);
                done += count;
                None
            }
            Err(ApplyError::Refused(why)) if count == 1 => {
                match ground.borrow_mut().refuse(&batch[done].kept, end, &why) {
                    Ok(()) => done += 1,
                    Err(error) => return Landed { database, batch, done, tried: 0, error: Some(error) },
                }
                None
            }
            Err(error) => Some(error),
        };
        match error {
            None => {
                records = rest;
                most = records.len();
            }
            Some(ApplyError::Refused(_)) => {
                most = count / 2;
                records.extend(rest);
            }
            Some(error) => return Landed { database, batch, done, tried: count, error: Some(error) },
        }
        if records.is_empty() {
            return Landed { database, batch, done, tried: 0, error: None };
        }
    }
}

/// Finds out what became of a transaction in doubt, before its records are written again.
async fn settle(
    database: &mut Database,
    batch: &mut Vec<Carried>,
    ground: &Rc<RefCell<Ground>>,
) -> Result<(), ApplyError> {
    let Some(doubt) = ground.borrow().spool.doubt() else { return Ok(()) };
    let fate = match database {
        Database::Sqlite(_) => Fate::Unknown,
        Database::PostgreSql(database) => database.fate(doubt.transaction).await?,
    };
    let mut ground = ground.borrow_mut();
    let noted = match fate {
        Fate::Committed => {
            batch.retain(|carried| carried.end.is_none_or(|end| end > doubt.end));
            ground.inner.figures.drained(doubt.records);
            ground.spool.believe_doubt()
        }
        Fate::Aborted | Fate::Unknown => ground.spool.forget_doubt(),
    };
    noted.map_err(|error| ApplyError::Full(error.to_string()))
}

impl Database {
    /// The records come back whatever becomes of them.
    async fn apply(
        &mut self,
        records: &mut Vec<Record>,
        end: Option<Place>,
        ground: &Rc<RefCell<Ground>>,
    ) -> Result<(), ApplyError> {
        match self {
            Database::PostgreSql(database) => {
                let count = records.len() as u64;
                let noted = end.map(|end| {
                    move |transaction| {
                        let doubt = Doubt { end, records: count, transaction };
                        let noted = ground.borrow_mut().spool.about_to_commit(doubt);
                        noted.map_err(|error| ApplyError::Full(error.to_string()))
                    }
                });
                database.apply(records, noted).await
            }
            Database::Sqlite(database) => {
                // SQLite waits for the disk and for others' locks: on a thread where nobody else waits.
                let mut given = database.take();
                let taken = std::mem::take(records);
                let work = move || {
                    // After a panic the connection is dropped, which rolls its transaction back.
                    let applied = contained(|| given.apply(&taken));
                    let applied = applied.unwrap_or_else(|panicked| {
                        given = given.take();
                        Err(ApplyError::Away(panicked.to_string()))
                    });
                    (given, taken, applied)
                };
                match tokio::task::spawn_blocking(work).await {
                    Ok((given, taken, applied)) => {
                        **database = given;
                        *records = taken;
                        applied
                    }
                    Err(error) => Err(ApplyError::Away(error.to_string())),
                }
            }
        }
    }
}

impl Ground {
    /// So many records are in the database.
    fn done(&mut self, records: usize, end: Option<Place>) {
        if records > 0 {
            self.inner.figures.stored(records as u64);
        }
        if let Some(end) = end {
            self.inner.figures.drained(records as u64);
            self.advance(end, records as u64);
        }
    }

    fn advance(&mut self, end: Place, records: u64) {
        if let Err(error) = self.spool.advance(end, records) {
            self.complain(&format!("how far the spool has been drained can't be noted: {error}"));
        }
        self.inner.figures.show_spool(&self.spool);
    }

    /// The oldest record of the spool can't be read any more: once, it is kept for people instead.
    fn set_aside(&mut self, kept: &spool::Entry, end: Place) -> Result<(), spool::SpoolError> {
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

    fn refuse(&mut self, kept: &spool::Entry, end: Option<Place>, why: &str) -> Result<(), ApplyError> {
        self.refused.keep(kept, why).map_err(|error| ApplyError::Full(error.to_string()))?;
        self.inner.figures.refused();
        let path = self.refused.path().display().to_string();
        self.complain(&format!("the database refuses an accounting record: {why}; it is kept in {path}"));
        if let Some(end) = end {
            self.advance(end, 1);
        }
        Ok(())
    }

    fn complain(&mut self, line: &str) {
        let now = clock::now();
        if now >= self.line_at {
            self.line_at = now + LINE_EVERY;
            tracing::error!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::Ipv4Addr;
    use std::sync::Mutex;

    use tokio::sync::Notify;

    use super::super::{Figures, State};
    use super::*;
    use crate::testing::Ask;
    use crate::vitals::Vitals;

    fn task(folder: &Path) -> Task {
        let state = State { entries: VecDeque::new(), stopping: false };
        let inner = Arc::new(Inner {
            state: Mutex::new(state),
            ready: Notify::new(),
            queue_max: 1,
            vitals: Arc::new(Vitals::new(1)),
            figures: Figures::default(),
        });
        let spool = Spool::open(folder, 1 << 20).unwrap();
        let refused = Refused::new(folder);
        let ground = Ground { inner: Arc::clone(&inner), spool, refused, line_at: Instant::ZERO };
        Task {
            ground: Rc::new(RefCell::new(ground)),
            inner,
            name: String::new(),
            database: None,
            flight: None,
            next: Vec::new(),
            away: false,
            backoff: Backoff::default(),
            retry_at: Instant::ZERO,
            batch_max: BATCH_MAX,
        }
    }

    fn kept(number: u64) -> spool::Entry {
        spool::Entry { received: number, source: Ipv4Addr::LOCALHOST.into(), packet: vec![4; 20] }
    }

    #[test]
    fn only_what_was_in_the_transaction_is_in_doubt() {
        let folder = tempfile::tempdir().unwrap();
        let mut task = task(folder.path());
        let ground = Rc::clone(&task.ground);
        let carried =
            |number| Carried { record: Record::default(), entry: None, kept: kept(number), end: None };
        // A record of the batch was refused before, so a half of it was tried.
        let error = ApplyError::InDoubt { what: "cut".to_owned(), transaction: Some(7) };
        task.failed(&error, (0..4).map(carried).collect(), 2, false);
        let spool = &mut ground.borrow_mut().spool;
        assert_eq!(spool.doubt().map(|doubt| (doubt.records, doubt.transaction)), Some((2, 7)));
        spool.believe_doubt().unwrap();
        let waiting = spool.read(9).unwrap().entries;
        assert_eq!(waiting.iter().map(|entry| entry.received).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn what_can_not_be_read_any_more_is_set_aside_once_and_in_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        let aside =
            || std::fs::read_to_string(folder.path().join("refused")).map_or(0, |text| text.lines().count());
        let readable = spool::Entry { packet: Ask::accounting(1, "s", &[]).octets(), ..kept(2) };
        let before = task(folder.path());
        {
            let spool = &mut before.ground.borrow_mut().spool;
            spool.append([kept(0), kept(1), readable, kept(3)].iter()).unwrap();
            let end = spool.end();
            spool.about_to_commit(Doubt { end, records: 4, transaction: 7 }).unwrap();
        }
        assert_eq!((before.oldest_spooled().unwrap().len(), aside()), (0, 0), "the doubt goes first");
        before.ground.borrow_mut().spool.forget_doubt().unwrap();
        for _ in 0..3 {
            let batch = before.oldest_spooled().unwrap();
            assert_eq!(batch.iter().map(|carried| carried.kept.received).collect::<Vec<_>>(), [2]);
            assert_eq!(aside(), 2);
        }
        drop(before);
        let after = task(folder.path());
        let batch = after.oldest_spooled().unwrap();
        assert_eq!((batch.len(), aside()), (1, 2), "nor again after a start");
        let end = batch[0].end.unwrap();
        after.ground.borrow_mut().advance(end, 1);
        assert_eq!((after.oldest_spooled().unwrap().len(), aside()), (0, 3));
        assert!(after.ground.borrow().spool.is_empty());
    }
}
