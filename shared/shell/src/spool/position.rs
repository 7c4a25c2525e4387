//! How far the spool has been drained.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{SpoolError, at};

/// The file's name in the spool's folder.
const FILE: &str = "position";
/// Octets of one copy: count, place, the doubt's records (0: there is none), place and transaction, CRC.
const COPY: usize = 8 + 16 + 8 + 16 + 8 + 4;
/// Each copy begins on a block of its own, so that writing one can't tear the other.
const APART: u64 = 4096;

/// A place in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The segment's number.
    pub segment: u64,
    /// Octets into it.
    pub offset: u64,
}

/// Records that may be in the database already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// Where they end.
    pub end: Place,
    /// How many they are.
    pub records: u64,
    /// The database's number of the transaction that knows.
    pub transaction: i64,
}

/// Two copies, written in turns.
#[derive(Debug)]
pub(super) struct PositionFile {
    file: File,
    path: PathBuf,
    count: u64,
}

impl PositionFile {
    /// Opens, or makes, it; and gives what the newest whole copy says.
    #[allow(clippy::type_complexity)]
    pub(super) fn open(folder: &Path) -> Result<(Self, Option<(Place, Option<Doubt>)>), SpoolError> {
        let path = folder.join(FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(at(&path))?;
        let copies = [0, 1].map(|turn| {
            let mut octets = [0; COPY];
            file.read_exact_at(&mut octets, turn * APART).ok().and_then(|()| decode(&octets))
        });
        let newest = copies.into_iter().flatten().max_by_key(|(count, _)| *count);
        let count = newest.map_or(0, |(count, _)| count);
        Ok((Self { file, path, count }, newest.map(|(_, said)| said)))
    }

    /// On the disk when this has returned.
    pub(super) fn write(&mut self, place: Place, doubt: Option<Doubt>) -> Result<(), SpoolError> {
        let count = self.count + 1;
        let octets = encode(count, place, doubt);
        let written = self.file.write_all_at(&octets, count % 2 * APART);
        written.and_then(|()| self.file.sync_data()).map_err(at(&self.path))?;
        self.count = count;
        Ok(())
    }
}

fn encode(count: u64, place: Place, doubt: Option<Doubt>) -> [u8; COPY] {
    let none = Doubt { end: Place::default(), records: 0, transaction: 0 };
    let Doubt { end, records, transaction } = doubt.unwrap_or(none);
    let words =
        [count, place.segment, place.offset, records, end.segment, end.offset, transaction.cast_unsigned()];
    let mut octets = [0; COPY];
    for (to, word) in octets.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    let check = crc32fast::hash(&octets[..COPY - 4]);
    octets[COPY - 4..].copy_from_slice(&check.to_le_bytes());
    octets
}

fn decode(octets: &[u8; COPY]) -> Option<(u64, (Place, Option<Doubt>))> {
    let (words, told) = octets.split_at(COPY - 4);
    if crc32fast::hash(words).to_le_bytes() != told {
        return None;
    }
    let mut words = words.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
    let mut word = || words.next().unwrap_or_default();
    let count = word();
    let place = Place { segment: word(), offset: word() };
    let records = word();
    let end = Place { segment: word(), offset: word() };
    let transaction = word().cast_signed();
    Some((count, (place, (records > 0).then_some(Doubt { end, records, transaction }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_torn_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let (mut file, said) = PositionFile::open(folder.path()).unwrap();
        assert_eq!(said, None);
        let first = Place { segment: 3, offset: 700 };
        let doubt = Doubt { end: Place { segment: 4, offset: 9 }, records: 3, transaction: -7 };
        file.write(first, Some(doubt)).unwrap();
        file.write(Place { segment: 4, offset: 8 }, None).unwrap();
        for cut in 0..COPY {
            // The second copy went to the beginning of the file.
            let mut octets = std::fs::read(folder.path().join(FILE)).unwrap();
            octets[cut] ^= 1;
            let torn = tempfile::tempdir().unwrap();
            std::fs::write(torn.path().join(FILE), octets).unwrap();
            assert_eq!(PositionFile::open(torn.path()).unwrap().1, Some((first, Some(doubt))), "octet {cut}");
        }
        let (_, said) = PositionFile::open(folder.path()).unwrap();
        assert_eq!(said, Some((Place { segment: 4, offset: 8 }, None)));
    }
}
