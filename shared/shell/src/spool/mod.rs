//! Accounting records on disk while nobody takes them (the database is away, all servers are silent): segments that
//! only grow, drained in order.
//!
//! A segment is a header and frames: the length of the payload, its CRC-32 (both 32 bits, little-endian), and the
//! payload. [`Spool::append`] has returned when what it was given is on the disk. How far the segments have been
//! drained stands in a file of its own, written twice over in turns, so that one copy is always whole. A process that
//! is killed at any instant finds every record it promised to keep: a torn frame at a segment's end was never promised,
//! and is cut off.

mod frame;
mod position;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub use frame::Entry;
pub use position::{Doubt, Place};

use frame::HEADER;
use position::PositionFile;

/// Octets after which a segment is followed by the next; a drained segment is removed whole.
const SEGMENT: u64 = 16 << 20;
/// Octets read at a time, at most.
const READ: usize = 1 << 20;

/// Nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It has as much as it may.
    #[error("the spool is full: it holds {octets} octets of the {most} of {key}")]
    Full {
        /// Octets it holds.
        octets: u64,
        /// Octets it may hold.
        most: u64,
        /// What sets that in the configuration.
        key: &'static str,
    },
    /// The disk is full, or fails.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    move |error| SpoolError::Io { path: path.to_owned(), error }
}

/// One segment: its number, and the octets of it that are whole and on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    number: u64,
    length: u64,
    records: u64,
}

/// The records that wait. Used by one thread.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    most: u64,
    key: &'static str,
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// The last one, while it is being written to.
    writing: Option<File>,
    positions: PositionFile,
    /// Where the oldest record that isn't drained begins.
    place: Place,
    doubt: Option<Doubt>,
    /// Records behind `place`.
    records: u64,
    /// Of the oldest of them, milliseconds since 1970.
    oldest: Option<u64>,
    torn: u64,
}

/// Some records of the spool, in order, and where the next one begins.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records.
    pub entries: Vec<Entry>,
    /// Where each ends: where to go on when it is delivered.
    pub ends: Vec<Place>,
}

impl Spool {
    /// Opens, or makes, the spool in `folder`, which may take `most` octets. What a crash tore is cut off.
    ///
    /// # Errors
    /// It can't be read or made.
    pub fn open(folder: &Path, most: u64) -> Result<Self, SpoolError> {
        make(folder).map_err(at(folder))?;
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            let name = entry.map_err(at(folder))?.file_name();
            numbers.extend(name.to_str().and_then(number_of));
        }
        numbers.sort_unstable();
        let (positions, found) = PositionFile::open(folder)?;
        let (place, doubt) = found.unwrap_or_default();
        let mut spool = Self {
            folder: folder.to_owned(),
            most,
            key: "its limit",
            segments: VecDeque::new(),
            writing: None,
            positions,
            place,
            doubt,
            records: 0,
            oldest: None,
            torn: 0,
        };
        let last = numbers.last().copied();
        for number in numbers {
            // Drained whole; the process ended before it was removed.
            if number < place.segment {
                fs::remove_file(spool.path(number)).map_err(at(folder))?;
                continue;
            }
            let segment = spool.look_through(number, Some(number) == last)?;
            spool.segments.extend(segment);
        }
        // A position beyond what is there: the segments are what counts.
        let first = spool.segments.front().copied();
        spool.place = match first {
            Some(first) if first.number == place.segment => {
                Place { offset: place.offset.clamp(HEADER.len() as u64, first.length), ..place }
            }
            Some(first) => Place { segment: first.number, offset: HEADER.len() as u64 },
            None => Place { segment: place.segment.max(1), offset: HEADER.len() as u64 },
        };
        spool.records = spool.count_behind()?;
        spool.note_oldest()?;
        Ok(spool)
    }

    /// The same, with errors that name what sets its limit in the configuration.
    #[must_use]
    pub fn limited_by(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    /// Records that wait.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Octets on the disk.
    pub fn octets(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// When the oldest record that waits was received, milliseconds since 1970.
    pub fn oldest(&self) -> Option<u64> {
        self.oldest
    }

    /// Octets that were cut off because a crash had torn them, since it was opened.
    pub fn torn(&self) -> u64 {
        self.torn
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// What has to be found out before anything is drained.
    pub fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    /// Keeps these records: they are on the disk when this has returned.
    ///
    /// # Errors
    /// None of them is kept.
    pub fn append<'e>(&mut self, entries: impl Iterator<Item = &'e Entry>) -> Result<(), SpoolError> {
        let mut octets = Vec::new();
        let (mut records, mut oldest) = (0, None);
        for entry in entries {
            entry.frame(&mut octets);
            oldest = oldest.or(Some(entry.received));
            records += 1;
        }
        if records == 0 {
            return Ok(());
        }
        let held = self.octets();
        if held + octets.len() as u64 > self.most {
            return Err(SpoolError::Full { octets: held, most: self.most, key: self.key });
        }
        let segment = self.segment_to_write()?;
        if let Err(error) = self.write(segment, &octets) {
            // What the disk has of it now is unknown: nothing is written behind it.
            self.writing = None;
            return Err(error);
        }
        if let Some(last) = self.segments.back_mut() {
            last.length += octets.len() as u64;
            last.records += records;
        }
        if self.records == 0 {
            self.oldest = oldest;
        }
        self.records += records;
        Ok(())
    }

    /// The oldest records that wait, at most so many; none when nothing waits.
    ///
    /// # Errors
    /// They can't be read.
    pub fn read(&self, most: usize) -> Result<Batch, SpoolError> {
        let mut batch = Batch::default();
        let mut end = self.place;
        for segment in &self.segments {
            if end.segment != segment.number {
                end = Place { segment: segment.number, offset: HEADER.len() as u64 };
            }
            let path = self.path(segment.number);
            let file = File::open(&path).map_err(at(&path))?;
            while end.offset < segment.length && batch.entries.len() < most {
                let room = usize::try_from(segment.length - end.offset).unwrap_or(READ).min(READ);
                let room = room.min(most.saturating_mul(frame::FRAME_MAX));
                let mut octets = vec![0; room];
                file.read_exact_at(&mut octets, end.offset).map_err(at(&path))?;
                let mut rest = octets.as_slice();
                while let Some((entry, length)) = frame::next(rest).filter(|_| batch.entries.len() < most) {
                    batch.entries.push(entry);
                    end.offset += length as u64;
                    batch.ends.push(end);
                    rest = &rest[length..];
                }
                if rest.len() == octets.len() {
                    // It was whole when it was looked through: the disk has lost it since.
                    return Err(at(&path)(io::Error::other("a frame isn't what was written")));
                }
            }
            if batch.entries.len() >= most {
                break;
            }
        }
        Ok(batch)
    }

    /// Notes before a commit that its records are about to be in the database, or afterwards that they may be.
    ///
    /// # Errors
    /// It can't be noted.
    pub fn about_to_commit(&mut self, doubt: Doubt) -> Result<(), SpoolError> {
        self.positions.write(self.place, Some(doubt))?;
        self.doubt = Some(doubt);
        Ok(())
    }

    /// Notes that nothing before `place` waits any more: those records are in the database, or kept elsewhere.
    ///
    /// # Errors
    /// It can't be noted. It counts all the same until the process ends.
    pub fn advance(&mut self, place: Place, records: u64) -> Result<(), SpoolError> {
        self.place = place;
        self.doubt = None;
        self.records = self.records.saturating_sub(records);
        if self.records == 0 {
            // The next record begins a segment of its own.
            let next = self.segments.back().map_or(place.segment, |last| last.number + 1);
            self.place = Place { segment: next, offset: HEADER.len() as u64 };
            self.writing = None;
        }
        let noted = self.positions.write(self.place, None);
        while let Some(first) = self.segments.front().copied()
            && first.number < self.place.segment
        {
            // One that stays is removed at the next start.
            let _ = fs::remove_file(self.path(first.number));
            self.segments.pop_front();
        }
        self.note_oldest()?;
        noted
    }

    /// Notes that a transaction in doubt came to nothing.
    ///
    /// # Errors
    /// It can't be noted.
    pub fn forget_doubt(&mut self) -> Result<(), SpoolError> {
        self.doubt = None;
        self.positions.write(self.place, None)
    }

    /// Notes that a transaction in doubt holds the records up to its end.
    ///
    /// # Errors
    /// See [`advance`](Self::advance).
    pub fn believe_doubt(&mut self) -> Result<(), SpoolError> {
        match self.doubt {
            Some(doubt) => self.advance(doubt.end, doubt.records),
            None => Ok(()),
        }
    }

    /// Where the next record will begin, as long as none is added.
    pub fn end(&self) -> Place {
        let last = self.segments.back();
        last.map_or(self.place, |last| Place { segment: last.number, offset: last.length })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:016x}.spool"))
    }

    /// Finds how much of a segment is whole; what follows is cut off the last one, and set aside of the others.
    fn look_through(&mut self, number: u64, is_last: bool) -> Result<Option<Segment>, SpoolError> {
        let path = self.path(number);
        let octets = fs::read(&path).map_err(at(&path))?;
        let mut segment = Segment { number, length: 0, records: 0 };
        if octets.starts_with(HEADER) {
            let mut rest = &octets[HEADER.len()..];
            while let Some((_, length)) = frame::next(rest) {
                rest = &rest[length..];
                segment.records += 1;
            }
            segment.length = (octets.len() - rest.len()) as u64;
        }
        let torn = octets.len() as u64 - segment.length;
        if torn > 0 {
            self.torn += torn;
            // Whoever wants to know what it was finds it there.
            let aside = path.with_extension("torn");
            fs::write(&aside, &octets[octets.len() - usize::try_from(torn).unwrap_or(0)..])
                .map_err(at(&aside))?;
            let file = OpenOptions::new().write(true).open(&path).map_err(at(&path))?;
            file.set_len(segment.length).and_then(|()| file.sync_all()).map_err(at(&path))?;
            let name = path.display();
            let which = if is_last { "the end of" } else { "a part of" };
            tracing::warn!(
                "{which} {name} is torn: {torn} octets that a crash left unfinished are set aside in {}; \
                 no record in them was ever acknowledged, unless the disk has lost it since",
                aside.display()
            );
        }
        if segment.length == 0 {
            fs::remove_file(&path).map_err(at(&path))?;
            return Ok(None);
        }
        Ok(Some(segment))
    }

    fn count_behind(&self) -> Result<u64, SpoolError> {
        let all: u64 = self.segments.iter().map(|segment| segment.records).sum();
        let Some(first) = self.segments.front().filter(|first| first.number == self.place.segment) else {
            return Ok(all);
        };
        let path = self.path(first.number);
        let octets = fs::read(&path).map_err(at(&path))?;
        let drained = usize::try_from(self.place.offset).unwrap_or(usize::MAX).min(octets.len());
        let mut rest = octets.get(HEADER.len()..drained).unwrap_or_default();
        let mut before = 0;
        while let Some((_, length)) = frame::next(rest) {
            rest = &rest[length..];
            before += 1;
        }
        Ok(all - before)
    }

    fn note_oldest(&mut self) -> Result<(), SpoolError> {
        self.oldest = None;
        if self.records > 0 {
            self.oldest = self.read(1)?.entries.first().map(|entry| entry.received);
        }
        Ok(())
    }

    /// The segment to write to: the last one, or a new one.
    fn segment_to_write(&mut self) -> Result<Segment, SpoolError> {
        if self.writing.is_some()
            && let Some(last) = self.segments.back().filter(|last| last.length < SEGMENT)
        {
            return Ok(*last);
        }
        // After a start too: what is behind the whole frames of an old segment may not be what it seems.
        let number = self.segments.back().map_or(self.place.segment, |last| last.number + 1);
        let path = self.path(number);
        let make = || -> io::Result<File> {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(HEADER)?;
            file.sync_all()?;
            File::open(&self.folder)?.sync_all()?;
            Ok(file)
        };
        self.writing = Some(make().map_err(at(&path))?);
        let segment = Segment { number, length: HEADER.len() as u64, records: 0 };
        if self.records == 0 {
            self.place = Place { segment: number, offset: segment.length };
        }
        self.segments.push_back(segment);
        Ok(segment)
    }

    fn write(&self, segment: Segment, octets: &[u8]) -> Result<(), SpoolError> {
        let path = self.path(segment.number);
        let Some(file) = &self.writing else {
            return Err(at(&path)(io::Error::other("the segment isn't open")));
        };
        let written = file.write_all_at(octets, segment.length).and_then(|()| file.sync_data());
        if written.is_err() {
            // So that the room is free again, and a reader finds no half.
            let _ = file.set_len(segment.length);
        }
        written.map_err(at(&path))
    }
}

/// Makes a folder, and those above it, so that they are still there after a power failure.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(above)?;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(above)?.sync_all()
}

fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".spool").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}
