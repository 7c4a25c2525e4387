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
    Task::new(Ground { inner, spool, refused, line_at: Instant::ZERO }, String::new(), None)
}

fn kept(number: u64) -> spool::Entry {
    spool::Entry { received: number, source: Ipv4Addr::LOCALHOST.into(), packet: vec![4; 20] }
}

#[test]
fn only_what_was_in_the_transaction_is_in_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = task(folder.path());
    let ground = Rc::clone(&task.ground);
    let carried = |number| Carried { record: Record::default(), entry: None, kept: kept(number), end: None };
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
