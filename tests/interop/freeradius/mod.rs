//! FreeRADIUS 3.2 and forewarnd over the same database, asked the same, answer the same; accounted to alike, they leave
//! the same rows. Where they don't, `differences` says why.

mod accounting;
mod cases;
mod catalogue;
mod client;
mod compare;
mod differences;
mod mschap;
mod stories;

use cases::Book;
use client::{Question, ask};
use compare::{differing, told};
use differences::Reasons;
use forewarn_tests::freeradius::Options;
use forewarn_tests::{FreeRadius, Hosts, Postgres, Server, config};

/// How many unexplained differences are printed.
const SHOWN: usize = 200;

#[test]
fn the_same_database_means_the_same_answers() {
    let mut hosts = Hosts::claim();
    let database = Postgres::with_schema(hosts.host());
    let book = Book::written();
    database.execute(&book.sql());
    // One thread: several lose track of each other's Login-Time where it has commas.
    let options = Options { threads: 1, ..Options::default() };
    let theirs = FreeRadius::start_with(hosts.host(), &database, options);
    let (address, nas) = (hosts.host(), hosts.host());
    let sql = database.section()
        + "[users]\nsources = [\"sql\"]\n[limits]\nfailures = 0\n[log]\ndecisions = \"none\"\n";
    let _server = Server::start(&config::server(&hosts, "ours", address, &[], &sql));
    let questions: Vec<Question> = book.questions.iter().map(|(_, question)| question.clone()).collect();
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| ask(theirs.auth(), nas, &questions));
        let ours = ask((address, 1812).into(), nas, &questions);
        (theirs.join().expect("FreeRADIUS is asked everything"), ours)
    });
    let mut equal = 0;
    let mut unexplained = Vec::new();
    let mut reasons = Reasons::for_answers();
    for (((about, _), theirs), ours) in book.questions.iter().zip(&theirs).zip(&ours) {
        let theirs = theirs.as_ref().unwrap_or_else(|| panic!("{about}: FreeRADIUS is silent"));
        let differing = differing(about, theirs, ours.as_ref());
        // Each has to be in the list, and what is in the list is noted as used.
        let without: Vec<_> =
            differing.iter().filter(|what| !reasons.explain(&format!("{what}, {about}"))).collect();
        match (differing.is_empty(), without.is_empty()) {
            (true, _) => equal += 1,
            (false, true) => {}
            (false, false) => unexplained.push(told(about, &differing, theirs, ours.as_ref())),
        }
    }
    println!("{} asked, {equal} answered alike", questions.len());
    reasons.counts().for_each(|(differences, why)| println!("{differences:4} {why}"));
    assert!(
        unexplained.is_empty(),
        "{} of {} differ:\n{}",
        unexplained.len(),
        questions.len(),
        unexplained[..unexplained.len().min(SHOWN)].join("\n")
    );
    assert!(equal > 2000, "{equal}");
    assert_eq!(reasons.unused(), Vec::<&str>::new(), "reasons that explain nothing any more");
}
