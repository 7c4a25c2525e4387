//! The same stream of accounting into two databases, and every column of every row compared.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use forewarn_dict::{Dictionary, Value};
use forewarn_tests::config::{self, SECRET};
use forewarn_tests::freeradius::Options;
use forewarn_tests::{FreeRadius, Hosts, Postgres, Server};
use forewarn_wire::{
    Attributes, Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer,
};

use super::SHOWN;
use super::differences::Reasons;
use super::stories::{Record, told};

/// After this a record isn't answered any more.
const SILENCE: Duration = Duration::from_millis(1500);

/// Columns compared, in seconds where they are times.
const COLUMNS: [&str; 28] = [
    "acctsessionid",
    "acctuniqueid",
    "username",
    "realm",
    "nasipaddress",
    "nasportid",
    "nasporttype",
    "extract(epoch from acctstarttime)",
    "extract(epoch from acctupdatetime)",
    "extract(epoch from acctstoptime)",
    "acctinterval",
    "acctsessiontime",
    "acctauthentic",
    "connectinfo_start",
    "connectinfo_stop",
    "acctinputoctets",
    "acctoutputoctets",
    "calledstationid",
    "callingstationid",
    "acctterminatecause",
    "servicetype",
    "framedprotocol",
    "framedipaddress",
    "framedipv6address",
    "framedipv6prefix",
    "framedinterfaceid",
    "delegatedipv6prefix",
    "class",
];

/// The rows, by session, user and unique session.
type Rows = BTreeMap<[String; 3], Vec<String>>;

#[test]
fn the_same_stream_leaves_the_same_rows() {
    let mut hosts = Hosts::claim();
    let (their_database, our_database) =
        (Postgres::with_schema(hosts.host()), Postgres::with_schema(hosts.host()));
    // As shipped: what isn't plain is written in `=XX`.
    let options = Options { auto_escape: false, ..Options::default() };
    let theirs = FreeRadius::start_with(hosts.host(), &their_database, options);
    let (address, nas) = (hosts.host(), hosts.host());
    let sql = our_database.section() + "users = false\n[log]\ndecisions = \"none\"\n";
    let _server = Server::start(&config::server(&hosts, "ours", address, &[], &sql));
    let stories = told();
    let (their_answers, our_answers) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| report(theirs.acct(), nas, &stories));
        let ours = report((address, 1813).into(), nas, &stories);
        (theirs.join().expect("FreeRADIUS is told everything"), ours)
    });
    let mut reasons = Reasons::for_accounting();
    let mut unexplained = Vec::new();
    for ((story, _), (theirs, ours)) in stories.iter().zip(their_answers.iter().zip(&our_answers)) {
        if theirs != ours && !reasons.explain(&format!("answers, {story}")) {
            unexplained.push(format!("{story}: answered by theirs {theirs:?}, by ours {ours:?}"));
        }
    }
    let (theirs, ours) = (rows(&their_database), rows(&our_database));
    let mut keys: Vec<_> = theirs.keys().chain(ours.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut same = 0;
    for key in keys {
        let about = format!("{} / {}", key[0], key[1]);
        match (theirs.get(key), ours.get(key)) {
            (Some(theirs), Some(ours)) => {
                for (column, (theirs, ours)) in COLUMNS.iter().zip(theirs.iter().zip(ours)) {
                    if alike(column, theirs, ours) {
                        same += 1;
                    } else if !reasons.explain(&format!("{column}, {about}")) {
                        unexplained.push(format!("{about}: {column}: theirs {theirs:?}, ours {ours:?}"));
                    }
                }
            }
            (theirs, _) if !reasons.explain(&format!("row, {about}")) => {
                let whose = if theirs.is_some() { "theirs" } else { "ours" };
                unexplained.push(format!("{about}: a row of {whose} only"));
            }
            _ => {}
        }
    }
    assert!(
        unexplained.is_empty(),
        "{} differences of {same} values:\n{}",
        unexplained.len(),
        unexplained[..unexplained.len().min(SHOWN)].join("\n")
    );
    assert!(same > 2000, "{same}");
    assert_eq!(reasons.unused(), Vec::<&str>::new(), "reasons that explain nothing any more");
}

/// Times that aren't of the stories are of the moment of sending.
fn alike(column: &str, theirs: &str, ours: &str) -> bool {
    const NOW: f64 = 1_780_000_000.0;
    let near = |(theirs, ours): (f64, f64)| theirs == ours || (theirs > NOW && (theirs - ours).abs() < 120.0);
    let seconds = theirs.parse().ok().zip(ours.parse().ok());
    theirs == ours || (column.starts_with("extract") && seconds.is_some_and(near))
        // What has gone by since a time of the stories, until now.
        || (column.starts_with("acct") && seconds.is_some_and(|(theirs, ours): (f64, f64)| theirs > 1e7 && (theirs - ours).abs() < 120.0))
}

fn rows(database: &Postgres) -> Rows {
    let query = format!("SELECT {} FROM radacct", COLUMNS.join(", "));
    let rows = database.rows(&query).into_iter();
    let keyed: Vec<_> = rows.map(|row| ([0, 2, 1].map(|at: usize| row[at].clone()), row)).collect();
    let count = keyed.len();
    let rows: Rows = keyed.into_iter().collect();
    assert_eq!(rows.len(), count, "a unique session with two rows");
    rows
}

/// Tells the stories, each record after the last one's answer; which of them were answered.
fn report(to: SocketAddr, from: IpAddr, stories: &[(String, Vec<Record>)]) -> Vec<Vec<bool>> {
    let socket = UdpSocket::bind((from, 0)).expect("a free port");
    socket.connect(to).expect("a way there");
    let mut identifier = 0;
    let mut tell = |record: &Record| {
        identifier = u8::wrapping_add(identifier, 1);
        send(&socket, identifier, record)
    };
    stories.iter().map(|(_, records)| records.iter().map(&mut tell).collect()).collect()
}

fn send(socket: &UdpSocket, identifier: u8, record: &Record) -> bool {
    let key = RadiusKey::new(SECRET.as_bytes()).expect("a secret");
    let dictionary = Dictionary::embedded();
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer, Code::ACCOUNTING_REQUEST, identifier);
    for (name, value) in record {
        let pair = dictionary
            .pair(name, Value::Text(value))
            .unwrap_or_else(|error| panic!("{name} {value}: {error}"));
        let wire = pair.wire().expect("an attribute that isn't hidden");
        writer.attributes(Attributes::parse(&wire).expect("attributes")).expect("room");
    }
    let request = writer.request(&key, RequestAuthenticator::Computed).expect("room");
    let mut authenticator = [0; 16];
    authenticator.copy_from_slice(&request[4..20]);
    socket.send(request).expect("the server's port is open");
    socket.set_read_timeout(Some(SILENCE)).expect("a time-out");
    let mut octets = [0; 4096];
    loop {
        let Ok(length) = socket.recv(&mut octets) else { return false };
        let packet = Packet::parse(&octets[..length]).expect("a framed answer");
        if packet.peek().identifier() != identifier {
            continue;
        }
        let rule = MessageAuthenticatorRule::Optional;
        packet
            .verify_reply(&key, Code::ACCOUNTING_REQUEST, &authenticator, rule)
            .expect("an answer that verifies");
        return true;
    }
}
