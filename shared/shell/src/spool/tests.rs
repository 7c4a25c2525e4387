use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn entry(number: u64) -> Entry {
    let packet = (0..20 + number % 60).map(|octet| (octet ^ number) as u8).collect();
    Entry { received: 1_000 + number, source: "192.0.2.1".parse().unwrap(), packet }
}

fn entries(numbers: std::ops::Range<u64>) -> Vec<Entry> {
    numbers.map(entry).collect()
}

fn all(spool: &Spool) -> Vec<Entry> {
    spool.read(usize::MAX).unwrap().entries
}

/// The folder's files and what is in them.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

#[test]
fn what_is_appended_is_read_in_order_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
    assert!(spool.is_empty() && spool.read(10).unwrap().entries.is_empty());
    spool.append(entries(0..3).iter()).unwrap();
    spool.append(entries(3..7).iter()).unwrap();
    assert_eq!((spool.records(), spool.oldest()), (7, Some(1_000)));
    let batch = spool.read(2).unwrap();
    assert_eq!(batch.entries, entries(0..2));
    spool.advance(batch.ends[1], 2).unwrap();
    assert_eq!((spool.records(), spool.oldest()), (5, Some(1_002)));
    assert_eq!(all(&spool), entries(2..7));
    drop(spool);
    let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
    assert_eq!((spool.records(), all(&spool)), (5, entries(2..7)));
    // After a start, what comes goes into a segment of its own.
    spool.append(entries(7..9).iter()).unwrap();
    let batch = spool.read(100).unwrap();
    assert_eq!(batch.entries, entries(2..9));
    spool.advance(*batch.ends.last().unwrap(), 7).unwrap();
    assert!(spool.is_empty());
    assert_eq!((spool.octets(), spool.oldest()), (0, None));
    assert_eq!(content(folder.path()).keys().collect::<Vec<_>>(), ["position"]);
    drop(spool);
    let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
    spool.append(entries(9..10).iter()).unwrap();
    assert_eq!(all(&spool), entries(9..10));
}

#[test]
fn its_folder_and_those_above_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("state/east/spool");
    let mut spool = Spool::open(&below, 1 << 20).unwrap();
    spool.append(entries(0..1).iter()).unwrap();
    assert_eq!(all(&Spool::open(&below, 1 << 20).unwrap()), entries(0..1));
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(Spool::open(&folder.path().join("file/spool"), 1 << 20).is_err());
}

#[test]
fn a_full_spool_takes_nothing_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 400).unwrap();
    spool.append(entries(0..3).iter()).unwrap();
    let error = spool.append(entries(3..9).iter()).unwrap_err();
    assert!(matches!(error, SpoolError::Full { .. }), "{error}");
    assert_eq!(all(&spool), entries(0..3));
    drop(spool);
    assert_eq!(all(&Spool::open(folder.path(), 400).unwrap()), entries(0..3));
}

#[test]
fn a_doubt_survives_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
    spool.append(entries(0..5).iter()).unwrap();
    let batch = spool.read(3).unwrap();
    let doubt = Doubt { end: batch.ends[2], records: 3, transaction: 77 };
    spool.about_to_commit(doubt).unwrap();
    drop(spool);
    let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
    assert_eq!((spool.doubt(), spool.records()), (Some(doubt), 5));
    spool.believe_doubt().unwrap();
    assert_eq!((spool.doubt(), all(&spool)), (None, entries(3..5)));
    let doubt = Doubt { end: spool.end(), records: 2, transaction: 78 };
    spool.about_to_commit(doubt).unwrap();
    spool.forget_doubt().unwrap();
    drop(spool);
    assert_eq!(all(&Spool::open(folder.path(), 1 << 30).unwrap()), entries(3..5));
}

/// The process is killed with so many octets of the last write on the disk: whatever was acknowledged is there, in
/// order, and what wasn't is there whole or not at all.
#[test]
fn a_segment_cut_at_any_octet_has_every_whole_record_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
    spool.append(entries(0..12).iter()).unwrap();
    let ends: Vec<u64> = spool.read(100).unwrap().ends.iter().map(|end| end.offset).collect();
    let files = content(folder.path());
    let (name, whole) = files.iter().find(|(name, _)| name.ends_with(".spool")).unwrap();
    for cut in 0..=whole.len() {
        let torn = tempfile::tempdir().unwrap();
        fs::write(torn.path().join(name), &whole[..cut]).unwrap();
        let mut spool = Spool::open(torn.path(), 1 << 30).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut as u64).count() as u64;
        assert_eq!(all(&spool), entries(0..kept), "cut at {cut}");
        assert_eq!(spool.records(), kept);
        // And it goes on.
        spool.append(entries(100..102).iter()).unwrap();
        let expected: Vec<_> = entries(0..kept).into_iter().chain(entries(100..102)).collect();
        assert_eq!(all(&spool), expected, "cut at {cut}");
        drop(spool);
        assert_eq!(all(&Spool::open(torn.path(), 1 << 30).unwrap()), expected, "cut at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Appends, drains and starts in any order, a crash that tears what was being written: nothing is lost and
    /// nothing comes twice.
    #[test]
    fn whatever_happens_the_records_are_a_queue(
        steps in prop::collection::vec((0u8..4, 1u64..9, any::<prop::sample::Index>()), 1..40)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 30).unwrap();
        let (mut first, mut next) = (0, 0);
        for (step, count, index) in steps {
            match step {
                0 | 1 => {
                    spool.append(entries(next..next + count).iter()).unwrap();
                    next += count;
                }
                2 => {
                    let batch = spool.read(usize::try_from(count).unwrap()).unwrap();
                    prop_assert_eq!(&batch.entries, &entries(first..next.min(first + count)));
                    if let Some(end) = batch.ends.last() {
                        spool.advance(*end, batch.entries.len() as u64).unwrap();
                        first += batch.entries.len() as u64;
                    }
                }
                _ => {
                    // The next record was being written when the process was killed.
                    let before = content(folder.path());
                    let unacknowledged = Spool::append(&mut spool, entries(next..next + 1).iter());
                    unacknowledged.unwrap();
                    let path = spool.path(spool.segments.back().unwrap().number);
                    let length = fs::metadata(&path).unwrap().len();
                    drop(spool);
                    let name = path.file_name().unwrap().to_str().unwrap();
                    let old = before.get(name).map_or(0, Vec::len);
                    let cut = old + index.index(usize::try_from(length).unwrap() - old);
                    OpenOptions::new().write(true).open(&path).unwrap().set_len(cut as u64).unwrap();
                    spool = Spool::open(folder.path(), 1 << 30).unwrap();
                }
            }
            prop_assert_eq!(spool.records(), next - first);
            prop_assert_eq!(all(&spool), entries(first..next));
            let oldest = (first < next).then_some(1_000 + first);
            prop_assert_eq!(spool.oldest(), oldest);
        }
    }
}
