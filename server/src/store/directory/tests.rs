//! The directory over a source that the test answers by hand.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::process::mailbox::{Mailbox, Ticket};
use crate::testing;

const KEEP: Keep = Keep {
    found: Duration::from_secs(60),
    negative: Duration::from_secs(5),
    stale: Duration::from_secs(3600),
};

/// Keeps every query until the test answers it.
#[derive(Debug, Default)]
struct Hand {
    queries: Mutex<Vec<Query>>,
    away: AtomicBool,
    found: Mutex<Option<Duration>>,
}

impl Source for Hand {
    fn look_up(&self, query: Query) {
        self.queries.lock().unwrap().push(query);
    }

    fn is_away(&self) -> bool {
        self.away.load(Relaxed)
    }

    fn keep(&self) -> Keep {
        Keep { found: self.found.lock().unwrap().unwrap_or(KEEP.found), ..KEEP }
    }
}

impl Hand {
    fn next(&self) -> Query {
        self.queries.lock().unwrap().remove(0)
    }

    fn asked(&self) -> usize {
        self.queries.lock().unwrap().len()
    }
}

/// The directory over some sources, and the mailbox to which it reports.
struct Scene {
    hands: Vec<Arc<Hand>>,
    directory: Directory,
    mailbox: Arc<Mailbox>,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new(sources: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let hands: Vec<_> = (0..sources).map(|_| Arc::new(Hand::default())).collect();
        let sources = hands.iter().map(|hand| Arc::clone(hand) as Arc<dyn Source>).collect();
        let directory = Directory::new(sources, 100, runtime.handle().clone());
        Self { hands, directory, mailbox: Arc::new(Mailbox::with_room(16)), runtime }
    }

    fn ask(&self, name: &[u8], slot: u32) {
        let ticket = Ticket { core: 0, slot, generation: 0 };
        self.directory.ask(name, Promise::new(ticket, Arc::clone(&self.mailbox))).unwrap();
    }

    /// The reports since the last time: the slot, and what was found.
    fn reports(&self) -> Vec<(u32, &'static str)> {
        let mut reports = VecDeque::new();
        self.mailbox.take(&mut reports);
        let said = |finding| match finding {
            Finding::Account(Lookup::Known(_)) => "known",
            Finding::Account(Lookup::Unknown) => "unknown",
            Finding::Account(Lookup::Away) => "away",
            _ => "something else",
        };
        reports.into_iter().map(|(ticket, finding)| (ticket.slot, said(finding))).collect()
    }

    /// The next reports, when there are any.
    fn wait_for_reports(&self) -> Vec<(u32, &'static str)> {
        loop {
            let reports = self.reports();
            if !reports.is_empty() {
                return reports;
            }
            self.runtime.block_on(async {
                let arrived = self.mailbox.arrived();
                tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("a report");
            });
        }
    }

    fn known(&self, name: &str) -> Option<&'static str> {
        self.directory.known(name.as_bytes()).map(|lookup| match lookup {
            Lookup::Known(_) => "known",
            Lookup::Unknown => "unknown",
            Lookup::Away => "away",
        })
    }
}

fn alice() -> Lookup {
    Lookup::Known(Arc::new(Account::from(&testing::config("").users[0])))
}

#[test]
fn without_sources_everybody_is_unknown_at_once() {
    let directory = Directory::default();
    assert!(matches!(directory.known(b"alice"), Some(Lookup::Unknown)));
}

#[test]
fn one_name_is_asked_for_once_however_many_want_it() {
    let scene = Scene::new(1);
    assert_eq!(scene.known("alice"), None);
    (0..5).for_each(|slot| scene.ask(b"alice", slot));
    assert_eq!(scene.hands[0].asked(), 1);
    scene.hands[0].next().answer(alice());
    assert_eq!(scene.reports(), [0, 1, 2, 3, 4].map(|slot| (slot, "known")));
    assert_eq!(scene.known("alice"), Some("known"));
    assert_eq!(scene.directory.under_way(), 0);
}

#[test]
fn the_first_source_that_knows_decides_and_one_that_is_away_ends_the_search() {
    let scene = Scene::new(2);
    scene.ask(b"alice", 0);
    scene.hands[0].next().answer(Lookup::Unknown);
    scene.hands[1].next().answer(alice());
    scene.ask(b"bob", 1);
    scene.hands[0].next().answer(Lookup::Unknown);
    scene.hands[1].next().answer(Lookup::Unknown);
    scene.ask(b"carol", 2);
    scene.hands[0].next().answer(Lookup::Away);
    assert_eq!(scene.reports(), [(0, "known"), (1, "unknown"), (2, "away")]);
    assert_eq!(scene.hands[1].asked(), 0);
    assert_eq!((scene.known("bob"), scene.known("carol")), (Some("unknown"), None));
}

#[test]
fn a_query_that_is_lost_was_not_answered_with_no() {
    let scene = Scene::new(1);
    scene.ask(b"alice", 0);
    drop(scene.hands[0].next());
    assert_eq!(scene.reports(), [(0, "away")]);
}

#[test]
fn what_nobody_can_be_called_is_never_asked_for() {
    let scene = Scene::new(1);
    let names: [&[u8]; 4] = [b"", b"al\0ice", b"\xff\xfe", &[b'a'; 254]];
    for (slot, name) in (0..).zip(names) {
        assert!(matches!(scene.directory.known(name), Some(Lookup::Unknown)), "{name:?}");
        scene.ask(name, slot);
    }
    assert_eq!(scene.hands[0].asked(), 0);
    assert_eq!(scene.reports().len(), 4);
    scene.ask(&[b'a'; 253], 9);
    assert_eq!(scene.hands[0].asked(), 1);
}

#[test]
fn while_the_source_is_away_those_in_memory_go_on_and_others_wait_for_nothing() {
    let scene = Scene::new(1);
    *scene.hands[0].found.lock().unwrap() = Some(Duration::ZERO);
    scene.ask(b"alice", 0);
    scene.hands[0].next().answer(alice());
    assert_eq!(scene.known("alice"), None, "its time is over at once");
    scene.hands[0].away.store(true, Relaxed);
    assert_eq!((scene.known("alice"), scene.known("bob")), (Some("known"), Some("away")));
    scene.hands[0].away.store(false, Relaxed);
    // The source is lost while it is asked: the same.
    scene.ask(b"alice", 1);
    scene.hands[0].next().answer(Lookup::Away);
    assert_eq!(scene.reports()[1..], [(1, "known")]);
    assert_eq!(scene.directory.cache().counts.stale.load(Relaxed), 2);
}

#[test]
fn a_source_that_takes_long_makes_nobody_wait_whose_account_is_in_memory() {
    let scene = Scene::new(1);
    *scene.hands[0].found.lock().unwrap() = Some(Duration::ZERO);
    scene.ask(b"alice", 0);
    scene.hands[0].next().answer(alice());
    scene.reports();
    scene.ask(b"alice", 1);
    assert_eq!(scene.wait_for_reports(), [(1, "known")]);
    scene.ask(b"alice", 2);
    assert_eq!(scene.reports(), [(2, "known")]);
    assert_eq!(scene.hands[0].asked(), 1, "the look-up goes on");
    // Its answer counts from now on.
    scene.hands[0].next().answer(Lookup::Unknown);
    assert_eq!((scene.reports(), scene.known("alice")), (vec![], Some("unknown")));
}

#[test]
fn what_changed_while_it_was_looked_up_is_looked_up_again() {
    let scene = Scene::new(1);
    for change in [
        (|directory: &Directory| assert!(!directory.forget("alice"))) as fn(&Directory),
        |directory| assert_eq!(directory.clear(), 0),
        Directory::expire,
    ] {
        scene.ask(b"alice", 0);
        change(&scene.directory);
        scene.hands[0].next().answer(alice());
        assert_eq!(scene.reports(), [(0, "known")]);
        assert_eq!(scene.known("alice"), None);
    }
    scene.ask(b"alice", 0);
    scene.directory.forget("bob");
    scene.hands[0].next().answer(alice());
    assert_eq!(scene.known("alice"), Some("known"));
}

#[test]
fn names_under_way_are_bounded() {
    let scene = Scene::new(1);
    for number in 0..FLIGHTS_MAX {
        scene.ask(format!("user-{number}").as_bytes(), 0);
    }
    let ticket = Ticket { core: 0, slot: 0, generation: 0 };
    let refused = scene.directory.ask(b"one-too-many", Promise::new(ticket, Arc::clone(&scene.mailbox)));
    refused.unwrap_err().release();
    assert_eq!(scene.directory.counts().refused.load(Relaxed), 1);
}
