//! Supplicants that mean harm, in live conversations of each method, and others' requests beside them.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use forewarn_tests::authority::{Authority, Key, Usage};
use forewarn_tests::config::{self, SECRET};
use forewarn_tests::hostile::{Blow, METHODS, Means, Peer};
use forewarn_tests::load::{Latencies, usage};
use forewarn_tests::{Folder, Hosts, Nas, Server};
use forewarn_wire::eap::method;
use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer, number,
};
use rand::Rng as _;

/// Sequences of each method, unless FOREWARN_HOSTILE says otherwise.
const SEQUENCES: u64 = 1000;
/// At one time.
const AT_ONCE: usize = 256;
/// How long a peer waits for an answer before it goes on without.
const SILENCE: Duration = Duration::from_millis(300);
/// How long another client is served before they come, to compare.
const ALONE: Duration = Duration::from_secs(1);
/// States of others that a peer may take.
const KNOWN: usize = 64;
/// How much more memory may be resident at the end than after the first quarter, KiB. It levels off at about 13 MiB more: what
/// is remembered of sessions and duplicates fills up. Four kilobytes lost in each conversation would be more.
const GROWTH_KIB: u64 = 24 * 1024;

/// A server with all methods, which counts no failures, so that each conversation goes as far as it can.
fn site(hosts: &Hosts, host: IpAddr, folder: &Folder, eap: &str) -> (Server, Authority) {
    let authority = Authority::make(&folder.path().join("authority"), Key::Ecdsa);
    let leaf = authority.leaf("east.example.org", Usage::Server);
    let methods = METHODS.map(|(_, name)| format!("\"{name}\"")).join(", ");
    let more = format!(
        "[limits]\nfailures = 0\n[eap]\nmethods = [{methods}]\n{eap}\n[eap.tls]\n\
         certificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n[log]\ndecisions = \"none\"\n",
        leaf.certificate.display(),
        leaf.key.display(),
        authority.certificate().display(),
    );
    (Server::start(&config::server(hosts, "east", host, &[], &more)), authority)
}

/// A port, and who is there.
struct Place {
    socket: UdpSocket,
    key: RadiusKey,
    identifier: u8,
    authenticator: [u8; 16],
    peer: Option<Peer>,
    /// The number of its sequence, and its method.
    sequence: (u64, &'static str),
    /// The last request, and the State that came with it.
    heard: (Vec<u8>, Vec<u8>),
    sent: Instant,
}

/// What came back.
enum Heard {
    Challenge,
    Reject,
    Accept,
}

impl Place {
    fn new(to: SocketAddr) -> Place {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a source port");
        socket.connect(to).expect("a way there");
        socket.set_nonblocking(true).expect("a socket");
        let key = RadiusKey::new(SECRET.as_bytes()).expect("a secret");
        let heard = (Vec::new(), Vec::new());
        Place {
            socket,
            key,
            identifier: 0,
            authenticator: [0; 16],
            peer: None,
            sequence: (0, ""),
            heard,
            sent: Instant::now(),
        }
    }

    fn send(&mut self, name: &str, blow: &Blow) {
        rand::rng().fill_bytes(&mut self.authenticator);
        self.identifier = self.identifier.wrapping_add(1);
        let mut room = [0; 4096];
        let mut writer = Writer::new(&mut room, Code::ACCESS_REQUEST, self.identifier);
        let mut write = || {
            writer.message_authenticator()?;
            writer.attribute(number::USER_NAME, name.as_bytes())?;
            writer.eap_message(&blow.message)?;
            if let Some(state) = &blow.state {
                writer.attribute(number::STATE, state)?;
            }
            Ok::<_, forewarn_wire::WriteError>(())
        };
        // What no packet can carry isn't sent.
        if write().is_ok()
            && let Ok(octets) = writer.request(&self.key, RequestAuthenticator::Chosen(self.authenticator))
        {
            // What the kernel drops is as good as not answered.
            let _ = self.socket.send(octets);
        }
        self.sent = Instant::now();
    }

    /// The answer to what was sent last.
    fn hear(&mut self) -> Option<Heard> {
        let mut room = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut room) {
            let packet = Packet::parse(&room[..length]).expect("a framed reply");
            if packet.peek().identifier() != self.identifier {
                continue;
            }
            let rule = MessageAuthenticatorRule::Required;
            let reply = packet
                .verify_reply(&self.key, Code::ACCESS_REQUEST, &self.authenticator, rule)
                .expect("a reply that verifies");
            if reply.code() != Code::ACCESS_CHALLENGE {
                return Some(if reply.code() == Code::ACCESS_REJECT { Heard::Reject } else { Heard::Accept });
            }
            let mut request = [0; 4096];
            let request = reply.eap_message().and_then(|message| message.copy_to(&mut request));
            let state = reply.find(number::STATE).expect("a State");
            self.heard = (request.unwrap_or_default().to_vec(), state.to_vec());
            return Some(Heard::Challenge);
        }
        None
    }
}

/// Another client's requests, one after the other, until told to stop.
fn probe(host: IpAddr, stop: &AtomicBool) -> Latencies {
    let nas = Nas::with_secret(host, SECRET);
    let mut latencies = Latencies::default();
    for identifier in (0..=u8::MAX).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let reply = nas.ask("alice", identifier, Duration::from_secs(10)).expect("others are answered");
        assert_eq!(reply.code, Code::ACCESS_ACCEPT);
        latencies.record(reply.took);
        std::thread::sleep(Duration::from_millis(5));
    }
    latencies
}

/// All sequences; how much memory was resident after the first quarter of them.
fn attack(server: &Server, to: SocketAddr, means: &Means, seed: u64, sequences: u64) -> u64 {
    let mut places: Vec<Place> = (0..AT_ONCE).map(|_| Place::new(to)).collect();
    let all = sequences * METHODS.len() as u64;
    let (mut begun, mut over, mut settled) = (0, 0, 0);
    let mut known: VecDeque<Vec<u8>> = VecDeque::new();
    while over < all {
        let mut idle = true;
        for place in &mut places {
            let Some(mut peer) = place.peer.take() else {
                if begun < all {
                    let (number, method) = METHODS[(begun % METHODS.len() as u64) as usize];
                    place.sequence = (begun, method);
                    let mut peer = Peer::new(seed.wrapping_add(begun), number, means);
                    place.heard = (Vec::new(), Vec::new());
                    place.send(peer.name(), &peer.begin());
                    place.peer = Some(peer);
                    begun += 1;
                }
                continue;
            };
            let next = match place.hear() {
                Some(Heard::Accept) => {
                    panic!("let in: {:?}", place.sequence)
                }
                None if place.sent.elapsed() < SILENCE => {
                    place.peer = Some(peer);
                    continue;
                }
                // The end, said or not: what comes now is out of turn, as long as there is more of it.
                Some(Heard::Reject | Heard::Challenge) | None => {
                    if known.len() == KNOWN {
                        known.pop_front();
                    }
                    known.push_back(place.heard.1.clone());
                    peer.next(&place.heard.0, &place.heard.1, &known[known.len() / 2])
                }
            };
            idle = false;
            match next {
                Some(blow) => {
                    place.send(peer.name(), &blow);
                    place.peer = Some(peer);
                }
                None => over += 1,
            }
            if over == all / 4 && settled == 0 {
                settled = resident(server);
            }
        }
        if idle {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    settled
}

fn resident(server: &Server) -> u64 {
    usage(server.pid()).expect("the server runs").resident_kib
}

#[test]
fn whatever_supplicants_say_nobody_is_let_in_and_others_are_served() {
    let read = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = read("FOREWARN_TEST_SEED").unwrap_or_else(|| rand::rng().next_u64());
    let sequences = read("FOREWARN_HOSTILE").unwrap_or(SEQUENCES);
    eprintln!("FOREWARN_TEST_SEED={seed} FOREWARN_HOSTILE={sequences}");
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let folder = Folder::new();
    let (server, _authority) = site(&hosts, host, &folder, "conversations = 1000\ntries = 3\nfragment = 400");
    let foreign = Authority::make(&folder.path().join("foreign"), Key::Ecdsa);
    let means = Means::new(&foreign.leaf("alice", Usage::Client));
    let meanwhile = |work: &dyn Fn() -> u64| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let probing = scope.spawn(|| probe(host, &stop));
            let done = work();
            stop.store(true, Ordering::Relaxed);
            (done, probing.join().expect("the other client is served"))
        })
    };
    let (_, alone) = meanwhile(&|| {
        std::thread::sleep(ALONE);
        0
    });
    let (before, started) = (resident(&server), Instant::now());
    let (settled, latencies) = meanwhile(&|| attack(&server, (host, 1812).into(), &means, seed, sequences));
    let (after, status) = (resident(&server), server.status());
    println!(
        "{} sequences of each of {} methods in {:?}; another client's {} requests: p50 {:?}, p99 {:?} (alone {:?}, {:?}); \
         memory {before} KiB before, {settled} KiB after a quarter, {after} KiB at the end\n{}",
        sequences,
        METHODS.len(),
        started.elapsed(),
        latencies.count(),
        latencies.percentile(50.0),
        latencies.percentile(99.0),
        alone.percentile(50.0),
        alone.percentile(99.0),
        status["requests"],
    );
    let requests = status["requests"].as_object().expect("outcomes");
    for (outcome, times) in requests {
        let harmless = !outcome.starts_with("access-accept") || outcome == "access-accept.password";
        assert!(harmless && outcome != "silence.worker-failed", "{outcome}: {times}");
    }
    assert_eq!(requests["access-accept.password"], alone.count() + latencies.count());
    assert!(!server.log().contains("panicked"), "{}", server.log());
    assert!(after < settled + GROWTH_KIB, "{settled} KiB grew to {after} KiB");
}

/// One conversation that nobody goes on with, after the other.
#[test]
fn half_open_conversations_keep_nobody_out() {
    const CONVERSATIONS: usize = 20_000;
    const MORE: usize = 2_000;
    let mut hosts = Hosts::claim();
    let host = hosts.host();
    let folder = Folder::new();
    let eap = format!("conversations = {CONVERSATIONS}\ntimeout = \"5m\"");
    let (server, _authority) = site(&hosts, host, &folder, &eap);
    let before = resident(&server);
    let mut places: Vec<Place> = (0..200).map(|_| Place::new((host, 1812).into())).collect();
    let name = "alice";
    let hello = [&[2, 1, 0, 10, method::IDENTITY][..], name.as_bytes()].concat();
    let hello = Blow { message: hello, state: None };
    let mut oldest = None;
    for _ in 0..(CONVERSATIONS + MORE) / places.len() {
        for place in &mut places {
            place.send(name, &hello);
        }
        for place in &mut places {
            let until = Instant::now() + Duration::from_secs(10);
            while !matches!(place.hear(), Some(Heard::Challenge)) {
                assert!(Instant::now() < until, "each is begun");
                std::thread::yield_now();
            }
        }
        oldest.get_or_insert_with(|| places[0].heard.1.clone());
    }
    let open = resident(&server);
    let nas = Nas::with_secret(host, SECRET);
    let reply = nas.ask(name, 1, Duration::from_secs(10)).expect("others are answered");
    assert_eq!(reply.code, Code::ACCESS_ACCEPT);
    println!(
        "with {CONVERSATIONS} half-open conversations a password took {:?}; memory {before} KiB before, {open} KiB then",
        reply.took
    );
    let counters = &server.status()["counters"];
    assert_eq!(
        (&counters["eap.begun"], &counters["eap.evicted"]),
        (&(CONVERSATIONS + MORE).into(), &MORE.into())
    );
    // The oldest had to make way, the youngest not.
    let answer = |place: &mut Place, state: Vec<u8>| {
        let message = vec![2, place.heard.0[1], 0, 6, method::NAK, method::GTC];
        place.send(name, &Blow { message, state: Some(state) });
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            assert!(Instant::now() < until, "answered");
            if let Some(heard) = place.hear() {
                return matches!(heard, Heard::Challenge);
            }
        }
    };
    let youngest = places[199].heard.1.clone();
    assert!(!answer(&mut places[0], oldest.expect("the first")));
    assert!(answer(&mut places[199], youngest));
}
