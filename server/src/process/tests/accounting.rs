use forewarn_wire::number;
use rusqlite::Connection;

use super::*;
use crate::config::sql::SQLITE_FILE;
use crate::store::accounting::SPOOL_FOLDER;

#[test]
fn a_record_is_answered_when_it_is_on_the_disk() {
    let mut bench = Bench::new(testing::config(""));
    let ask = Ask::accounting(1, "s-1", &[(number::PROXY_STATE, b"p1")]);
    assert_eq!(bench.acct(&ask), None);
    assert_eq!(bench.acct(&ask), None, "a duplicate of one under way");
    let answer = bench.settle();
    let rows = Connection::open(bench.folder.path().join(SQLITE_FILE)).unwrap();
    let count = |sql: &str| rows.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM radacct WHERE acctsessionid = 's-1' AND username = 'alice'"), 1);
    let (code, attributes) = reply(answer.clone(), &ask);
    assert_eq!((code, attributes), (Code::ACCOUNTING_RESPONSE, vec![(number::PROXY_STATE, b"p1".to_vec())]));
    assert_eq!(bench.acct(&ask), answer, "the cached answer");
    assert_eq!(count("SELECT count(*) FROM radacct"), 1);
    assert_eq!(bench.counted(Cause::Stored), 1);
}

#[test]
fn a_record_that_says_too_little_is_not_answered() {
    let mut bench = Bench::new(testing::config(""));
    let nothing = Ask { message_authenticator: false, ..Ask::new(Code::ACCOUNTING_REQUEST, &[]) };
    let no_session = Ask { identifier: 8, ..Ask::accounting(1, "", &[]) };
    for ask in [nothing, no_session] {
        assert_eq!(bench.acct(&ask), None);
        assert_eq!(bench.settle(), None);
    }
    assert_eq!(bench.counted(Cause::BadAccounting), 2);
    let on = Ask { identifier: 9, ..Ask::accounting(7, "", &[]) };
    assert_eq!(bench.acct(&on), None);
    assert_eq!(code(bench.settle(), &on), Code::ACCOUNTING_RESPONSE, "Accounting-On needs no session");
}

#[test]
fn what_is_not_durable_is_not_answered_and_may_be_sent_again() {
    let mut bench = Bench::new(testing::config(""));
    let path = bench.folder.path().join(SQLITE_FILE);
    Connection::open(&path).unwrap().execute_batch("DROP TABLE radacct").unwrap();
    // Neither the database takes it nor the spool.
    std::fs::remove_dir_all(bench.folder.path().join(SPOOL_FOLDER)).unwrap();
    let ask = Ask::accounting(1, "s-1", &[]);
    assert_eq!(bench.acct(&ask), None);
    assert_eq!(bench.settle(), None);
    assert_eq!(bench.counted(Cause::NotStored), 1);
    // The writer opens the database anew, which mends it.
    while bench.shared.accounting().figures().away().is_some() {
        std::thread::yield_now();
    }
    assert_eq!(bench.acct(&ask), None);
    assert_eq!(code(bench.settle(), &ask), Code::ACCOUNTING_RESPONSE);
}
