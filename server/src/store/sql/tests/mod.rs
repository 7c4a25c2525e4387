//! Look-ups in a database of the test's: the directory over it, asked as a core asks.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::schema::{Kind, parts};
use super::statements::Dialect;
use super::*;
use crate::process::mailbox::{Finding, Mailbox, Promise, Ticket};
use crate::store::directory::Directory;
use crate::users::Account;

/// How long real threads may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A database with users, and a directory over it.
struct Scene {
    folder: TempDir,
    runtime: Runtime,
    users: Arc<Users>,
    directory: Directory,
    mailbox: Arc<Mailbox>,
}

fn settings(path: &Path) -> Sql {
    Sql {
        engine: Engine::Sqlite { path: path.to_owned() },
        connections: 1,
        timeout: Duration::from_secs(2),
        users: true,
        accounting: false,
        clients: false,
        post_auth: false,
        cache: Duration::from_secs(60),
        negative_cache: Duration::from_secs(5),
        stale: Duration::from_secs(3600),
        cache_size: 1000,
        poll: Duration::from_secs(10),
    }
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("radius.sqlite");
        let database = Connection::open(&path).unwrap();
        for part in parts(Dialect::Sqlite) {
            database.execute_batch(&part.text).unwrap();
        }
        assert!(parts(Dialect::Sqlite).iter().any(|part| part.kind == Kind::Index));
        let runtime = Runtime::start("stores").unwrap();
        let dictionary = Arc::new(Dictionary::embedded().clone());
        let users = Arc::new(Users::start(&settings(&path), dictionary, &runtime).unwrap());
        let source = Arc::clone(&users) as Arc<dyn Source>;
        let directory = Directory::new(vec![source], 1000, runtime.handle().clone());
        users.tell(&directory);
        Self { folder, runtime, users, directory, mailbox: Arc::new(Mailbox::with_room(16)) }
    }

    fn run(&self, text: &str) {
        let database = Connection::open(self.path()).unwrap();
        database.busy_timeout(PATIENCE).unwrap();
        database.execute_batch(text).unwrap();
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("radius.sqlite")
    }

    fn ask(&self, slot: u32, name: &[u8]) {
        let ticket = Ticket { core: 0, slot, generation: 0 };
        self.directory.ask(name, Promise::new(ticket, Arc::clone(&self.mailbox))).unwrap();
    }

    /// What was found of so many names, by slot.
    fn found(&self, count: usize) -> Vec<Lookup> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (mut all, mut reports) = (Vec::new(), VecDeque::new());
        while all.len() < count {
            self.mailbox.take(&mut reports);
            all.extend(reports.drain(..).map(|(ticket, finding)| match finding {
                Finding::Account(lookup) => (ticket.slot, lookup),
                other => panic!("{other:?}"),
            }));
            if all.len() < count {
                runtime.block_on(async {
                    tokio::time::timeout(PATIENCE, self.mailbox.arrived()).await.expect("a report");
                });
            }
        }
        all.sort_by_key(|(slot, _)| *slot);
        all.into_iter().map(|(_, lookup)| lookup).collect()
    }

    fn look_up(&self, name: &str) -> Lookup {
        self.ask(0, name.as_bytes());
        self.found(1).remove(0)
    }

    /// Asks until the answer is so.
    fn until(&self, name: &str, is_so: impl Fn(&Lookup) -> bool) {
        let deadline = clock::now() + PATIENCE;
        while !is_so(&self.look_up(name)) {
            assert!(clock::now() < deadline, "{name} never was");
            thread::yield_now();
        }
    }
}

fn known(lookup: &Lookup) -> &Account {
    match lookup {
        Lookup::Known(account) => account,
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_that_come_together_are_looked_up_together_and_each_gets_its_own() {
    let scene = Scene::new();
    for number in 0..=20 {
        scene.run(&format!(
            "INSERT INTO radcheck (username, attribute, op, value) VALUES ('user-{number}', 'Cleartext-Password', ':=', 'secret-{number}');"
        ));
    }
    for number in 0..300 {
        scene.ask(number, format!("user-{number}").as_bytes());
    }
    let found = scene.found(300);
    for (number, lookup) in found.iter().enumerate() {
        match number <= 20 {
            true => assert_eq!(&*known(lookup).name, format!("user-{number}")),
            false => assert!(matches!(lookup, Lookup::Unknown), "{number}"),
        }
    }
    let counts = scene.users.counts();
    assert_eq!((counts.names, counts.live), (300, 1));
    assert!(counts.batches < 300, "{counts:?}");
}

#[test]
fn writing_ahead_begins_beside_a_busy_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("radius.sqlite");
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("CREATE TABLE log (number INTEGER)").unwrap();
    let reader = Connection::open(&path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(write_ahead(&reader, Duration::ZERO).is_err(), "somebody else has it");
    thread::scope(|scope| {
        let waiting = scope.spawn(move || write_ahead(&reader, PATIENCE));
        writer.execute_batch("INSERT INTO log VALUES (1); COMMIT").unwrap();
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn hostile_names_are_data() {
    let scene = Scene::new();
    let names =
        ["'; DROP TABLE radcheck; --", "\"x\" OR 1=1", "%", "al_ce", "\u{202e}evil", "a\nb\\", "[\"alice\"]"];
    let database = Connection::open(scene.path()).unwrap();
    for name in names {
        assert!(matches!(scene.look_up(name), Lookup::Unknown), "{name:?}");
        scene.directory.forget(name);
        let insert = "INSERT INTO radcheck (username, attribute, op, value) VALUES (?1, 'Cleartext-Password', ':=', ?1)";
        database.execute(insert, [name]).unwrap();
        assert_eq!(&*known(&scene.look_up(name)).name, name);
    }
    for name in [&b"al\0ice"[..], b"\xff", &[b'a'; 254]] {
        scene.ask(0, name);
        assert!(matches!(scene.found(1)[..], [Lookup::Unknown]));
    }
    assert_eq!(scene.users.counts().names, 2 * names.len() as u64, "the impossible ones were not asked for");
}

#[test]
fn a_database_without_tables_is_away_and_comes_back_by_itself() {
    let scene = Scene::new();
    scene.run(
        "INSERT INTO radcheck (username, attribute, op, value) VALUES ('alice', 'Cleartext-Password', ':=', 'x');
         ALTER TABLE radcheck RENAME TO elsewhere;",
    );
    scene.until("bob", |lookup| matches!(lookup, Lookup::Away));
    assert!(scene.users.standing().is_away());
    // It may have come upon the renaming itself first.
    scene.until("bob", |_| scene.users.standing().state().0.contains("radcheck"));
    assert!(scene.users.probe().blocking_recv().unwrap().is_err());
    scene.run("ALTER TABLE elsewhere RENAME TO radcheck;");
    scene.until("alice", |lookup| matches!(lookup, Lookup::Known(_)));
    assert!(!scene.users.standing().is_away());
    assert_eq!(scene.users.probe().blocking_recv().unwrap(), Ok(()));
}

#[test]
fn a_change_is_seen_without_being_told() {
    let scene = Scene::new();
    scene.run(&schema::notify(Dialect::Sqlite));
    assert!(matches!(scene.look_up("alice"), Lookup::Unknown));
    scene.run("INSERT INTO radcheck (username, attribute, op, value) VALUES ('alice', 'Cleartext-Password', ':=', 'x');");
    // Believed to be nobody for five seconds, but for this.
    let began = clock::now();
    while !matches!(scene.directory.known(b"alice"), None | Some(Lookup::Known(_))) {
        assert!(clock::now().since(began) < PATIENCE);
        thread::yield_now();
    }
    assert_eq!(&*known(&scene.look_up("alice")).name, "alice");
    assert_eq!(scene.users.counts().changes, 1);
}

#[test]
fn dropping_it_answers_whoever_waits() {
    let scene = Scene::new();
    let Scene { users, directory, mailbox, runtime, .. } = scene;
    drop(users);
    let ticket = Ticket { core: 0, slot: 0, generation: 0 };
    directory.ask(b"alice", Promise::new(ticket, Arc::clone(&mailbox))).unwrap();
    drop(directory);
    drop(runtime);
    let mut reports = VecDeque::new();
    let deadline = clock::now() + PATIENCE;
    while reports.is_empty() {
        mailbox.take(&mut reports);
        assert!(clock::now() < deadline);
        thread::yield_now();
    }
}
