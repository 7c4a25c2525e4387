//! Pools of home servers, scripted ones: who is asked, who keeps a conversation, how much may be outstanding, and what their
//! notices do.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::home::Answer;
use forewarn_tests::{HOME_SECRET, HomeServer, Hosts, Nas, NoticeDesk, Server, within};
use forewarn_wire::Code;
use forewarn_wire::notice::Outcome;

/// How long a reply may take that needs nothing but loopback.
const SOON: Duration = Duration::from_secs(5);

/// A proxy with a pool of scripted home servers, each with a desk for its notices.
struct Site {
    proxy: Server,
    homes: Vec<HomeServer>,
    desks: Vec<NoticeDesk>,
    nas: Nas,
    at: IpAddr,
    _hosts: Hosts,
}

impl Site {
    fn open(homes: usize, strategy: &str) -> Site {
        let mut hosts = Hosts::claim();
        let at = hosts.host();
        let addresses: Vec<IpAddr> = (0..homes).map(|_| hosts.host()).collect();
        let server = |(index, address): (usize, &IpAddr)| {
            let key = NoticeDesk::key_text(*address);
            format!(
                "{{ name = \"home-{index}\", address = \"{address}\", secret = \"{HOME_SECRET}\", notice_key = \"{key}\" }},\n"
            )
        };
        let servers: String = addresses.iter().enumerate().map(server).collect();
        let more = format!(
            "[[pool]]\nname = \"campus\"\nstrategy = \"{strategy}\"\nservers = [\n{servers}]\n\
             failover = {{ drain_conversations = \"1s\" }}\nreconnect = {{ ramp = \"500ms\" }}\n\
             [[realm]]\nmatch = \"NULL\"\npool = \"campus\"\n"
        );
        let homes: Vec<_> = addresses.into_iter().map(HomeServer::start).collect();
        let desks: Vec<_> = homes.iter().map(|home| NoticeDesk::open(home.address(), at)).collect();
        let proxy = Server::start(&config::server(&hosts, "proxy", at, &[], &more));
        for desk in &desks {
            // It asks at its start what is in force: nothing.
            assert!(desk.hears_anything(SOON), "a challenge");
            desk.forget_received();
        }
        Site { proxy, homes, desks, nas: Nas::with_secret(at, SECRET), at, _hosts: hosts }
    }

    /// Asks as `user`, within the conversation of `state` where there is one; that of the answer, if it goes on.
    fn ask(&self, user: &str, state: Option<&[u8]>) -> Option<Vec<u8>> {
        let request = self.nas.access(user, 7, state);
        self.nas.send_access(&request);
        let reply = self.nas.reply(&request, SOON);
        reply.unwrap_or_else(|| panic!("{user} gets no answer:\n{}", self.proxy.log())).state
    }

    /// Who has heard of `user`, and how often.
    fn heard(&self, user: &str) -> Vec<usize> {
        self.homes.iter().map(|home| home.heard_of(user).len()).collect()
    }

    /// All home servers begin a conversation with whoever asks, each with a State of its own.
    fn converse(&self) {
        for (index, home) in self.homes.iter().enumerate() {
            home.script(move |heard| match heard.code {
                Code::STATUS_SERVER => Answer::Yes,
                _ => Answer::Challenge(format!("{index}: {}", heard.user).into_bytes()),
            });
        }
    }

    fn tell(&mut self, home: usize, hard: bool) -> Option<Outcome> {
        let desk = &mut self.desks[home];
        let notice = if hard { desk.hard_failover() } else { desk.failover(&[]) };
        desk.send(&notice);
        desk.receipt(SOON)
    }
}

#[test]
fn round_robin_asks_each_in_turn_and_leaves_a_conversation_where_it_is() {
    let site = Site::open(3, "round-robin");
    for turn in 0..30 {
        site.ask(&format!("user-{turn}"), None);
    }
    let asked: Vec<_> = site.homes.iter().map(|home| home.requests().len()).collect();
    assert_eq!(asked, [10, 10, 10]);

    site.converse();
    for turn in 0..6 {
        let user = format!("talker-{turn}");
        let mut state = site.ask(&user, None);
        for _ in 0..3 {
            // Somebody else's turn in between.
            site.ask("passer-by", None);
            state = site.ask(&user, state.as_deref());
        }
        let mut heard = site.heard(&user);
        heard.sort_unstable();
        assert_eq!(heard, [0, 0, 4], "{user}");
    }
}

#[test]
fn round_robin_passes_over_who_asked_to_be_left() {
    let mut site = Site::open(3, "round-robin");
    assert_eq!(site.tell(1, false), Some(Outcome::Moved));
    for turn in 0..20 {
        site.ask(&format!("user-{turn}"), None);
    }
    let asked: Vec<_> = site.homes.iter().map(|home| home.requests().len()).collect();
    assert_eq!(asked, [10, 0, 10]);
}

/// Requests of this many users, from ports of 200 identifiers each.
const MANY: usize = 600;

#[test]
fn more_requests_are_outstanding_at_one_home_server_than_there_are_identifiers() {
    let site = Site::open(1, "failover");
    let home = &site.homes[0];
    home.script(|heard| match heard.code {
        Code::STATUS_SERVER => Answer::Yes,
        _ => Answer::Silence,
    });
    let ports: Vec<UdpSocket> =
        (0..MANY / 200).map(|_| UdpSocket::bind((site.at, 0)).expect("a port")).collect();
    let requests: Vec<Vec<u8>> = (0..MANY)
        .map(|index| {
            let identifier = u8::try_from(index % 200).expect("below 200");
            site.nas.access(&format!("user-{index}"), identifier, None)
        })
        .collect();
    let send_all = || {
        for (index, request) in requests.iter().enumerate() {
            ports[index / 200].send_to(request, (site.at, 1812)).expect("sent");
        }
    };
    send_all();
    // What the home server had no room for is sent again after 2 s.
    let sent = || {
        let requests = home.requests();
        let sent: BTreeSet<_> =
            requests.iter().map(|heard| (heard.from, heard.identifier, heard.bytes.clone())).collect();
        (sent.len() >= MANY).then_some(sent)
    };
    let first = within(2 * SOON, "all of them have arrived at home", sent);
    let ways: BTreeSet<(SocketAddr, u8)> =
        first.iter().map(|(from, identifier, _)| (*from, *identifier)).collect();
    assert_eq!(ways.len(), MANY, "each has an identifier of its own while it waits");

    home.script(|_| Answer::Yes);
    send_all();
    for port in &ports {
        assert_eq!(answered(port), 200, "{}", site.proxy.log());
    }
    // RFC 5080 section 2.2.1: what is sent again is the same packet, from the same port.
    for heard in home.requests() {
        assert!(first.contains(&(heard.from, heard.identifier, heard.bytes)));
    }
}

/// How many requests of this port are accepted, until all 200 are.
fn answered(port: &UdpSocket) -> usize {
    port.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out");
    let (mut identifiers, mut buffer, started) = (BTreeSet::new(), [0; 4096], Instant::now());
    while identifiers.len() < 200 && started.elapsed() < SOON {
        if port.recv(&mut buffer).is_ok() && buffer[0] == Code::ACCESS_ACCEPT.0 {
            identifiers.insert(buffer[1]);
        }
    }
    identifiers.len()
}

#[test]
fn conversations_with_a_home_server_that_asks_to_be_left_finish_there_until_the_drain_ends() {
    let mut site = Site::open(2, "failover");
    site.converse();
    let state = site.ask("talker", None);
    assert_eq!(site.tell(0, false), Some(Outcome::Moved));
    site.ask("talker", state.as_deref());
    assert_eq!(site.heard("talker"), [2, 0], "with State: where it was");
    site.ask("newcomer", None);
    assert_eq!(site.heard("newcomer"), [0, 1], "without: at the alternate");
    // drain_conversations = "1s"
    within(SOON, "the drain ends", || {
        site.ask("talker", state.as_deref());
        (site.heard("talker")[1] > 0).then_some(())
    });
}

#[test]
fn a_hard_notice_of_a_home_server_waits_for_no_conversation() {
    let mut site = Site::open(2, "failover");
    site.converse();
    let state = site.ask("talker", None);
    assert_eq!(site.tell(0, true), Some(Outcome::Moved));
    site.ask("talker", state.as_deref());
    assert_eq!(site.heard("talker"), [1, 1]);
}

#[test]
fn no_notice_makes_a_proxy_leave_its_last_usable_home_server() {
    for strategy in ["failover", "round-robin"] {
        let mut site = Site::open(2, strategy);
        assert!(site.tell(1, false).is_some(), "obeyed or noted");
        assert_eq!(site.tell(0, false), Some(Outcome::LastUsable));
        site.ask("alice", None);
        assert_eq!(site.heard("alice"), [1, 0], "{strategy}");
    }
}

#[test]
fn a_forged_notice_of_a_home_server_moves_nothing_and_is_mentioned() {
    let mut site = Site::open(2, "failover");
    site.desks[0].forget_key();
    for _ in 0..3 {
        let notice = site.desks[0].failover(&[]);
        site.desks[0].send(&notice);
    }
    site.proxy.says("compare notice_key and its mac at both ends");
    site.ask("alice", None);
    assert_eq!(site.heard("alice"), [1, 0]);
    assert_eq!(site.proxy.log().matches("was refused").count(), 1, "seldom:\n{}", site.proxy.log());
}
