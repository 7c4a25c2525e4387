//! forewarnd as its clients hear it: scripted agents that are told, ask, lie and keep silent.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use forewarn_proto::notice::verify::{Disposition, Inbox, Source};
use forewarn_proto::notice::{KeyEntry, Transport};
use forewarn_proto::time::{self, Utc};
use forewarn_tests::wait::PATIENCE;
use forewarn_tests::{Hosts, Server, config, eventually};
use forewarn_wire::notice::{
    self, Header, Identity, Kind, MAX_OCTETS, MacKind, NoticeKey, Outcome, Reason, UDP_PORT,
};
use serde_json::Value;

/// An agent's end of the notice channel to one server, by UDP.
struct Scripted {
    socket: UdpSocket,
    inbox: Inbox,
    key: NoticeKey,
    server: IpAddr,
    address: IpAddr,
}

/// What it heard.
#[derive(Debug, Clone)]
struct Heard {
    at: Instant,
    header: Header,
    slot_ms: Option<u32>,
    nonce: Option<[u8; 16]>,
    alternates: Vec<IpAddr>,
    disposition: Disposition,
}

impl Scripted {
    fn open(address: IpAddr, server: IpAddr, mac: MacKind) -> Scripted {
        let octet = |index| u8::from_str_radix(&config::NOTICE_KEY[index * 2..index * 2 + 2], 16);
        let secret: [u8; 32] = std::array::from_fn(|index| octet(index).expect("hexadecimal"));
        let key = NoticeKey::new(mac, &secret).expect("long enough");
        let keys = vec![KeyEntry { id: 1, key: key.clone(), send: true }];
        let source = Source { server: server.into(), keys, mark: None };
        let epoch = u32::try_from(utc().as_millis() / 1000).expect("before 2106");
        Scripted {
            socket: UdpSocket::bind((address, UDP_PORT)).expect("the test's own address"),
            inbox: Inbox::new(address.into(), 1, epoch, [source], time::Instant::ZERO),
            key,
            server,
            address,
        }
    }

    /// The next notice that verifies, if one comes within `limit`. Not acknowledged yet.
    fn hear(&mut self, limit: Duration) -> Option<Heard> {
        let mut buffer = [0; 2048];
        self.socket.set_read_timeout(Some(limit.max(Duration::from_millis(1)))).expect("a time-out");
        let (length, from) = self.socket.recv_from(&mut buffer).ok()?;
        assert_eq!(from, SocketAddr::new(self.server, UDP_PORT), "notices leave from the server's identity");
        let now = time::Instant::ZERO;
        let accepted = self.inbox.handle_notice(now, utc(), Transport::Udp, &buffer[..length]);
        let accepted = accepted.unwrap_or_else(|refusal| panic!("{refusal}"));
        assert!(accepted.wants_ack());
        Some(Heard {
            at: Instant::now(),
            header: *accepted.notice.header(),
            slot_ms: accepted.notice.slot_ms(),
            nonce: accepted.notice.nonce(),
            alternates: accepted.notice.alternates().map(|(_, address)| address).collect(),
            disposition: accepted.disposition,
        })
    }

    /// The next notice of this kind, acknowledged, as all before it are.
    fn obey(&mut self, kind: Kind) -> Heard {
        let start = Instant::now();
        while let Some(heard) = self.hear(PATIENCE.saturating_sub(start.elapsed())) {
            self.acknowledge(&heard);
            if heard.header.kind == kind && heard.disposition == Disposition::Accepted {
                return heard;
            }
        }
        panic!("no {kind:?} within {PATIENCE:?}");
    }

    fn acknowledge(&mut self, heard: &Heard) {
        let mark =
            forewarn_proto::notice::Mark { epoch: heard.header.epoch, sequence: heard.header.sequence };
        let mut out = [0; MAX_OCTETS];
        let len = self.inbox.acknowledge(0, mark, Outcome::Moved, utc(), &mut out).expect("keyed");
        self.send(&out[..len]);
    }

    fn ask_back(&mut self) {
        let mut out = [0; MAX_OCTETS];
        let len = self.inbox.reconnect_request(0, Reason::TIME_OUT, utc(), &mut out).expect("keyed");
        self.send(&out[..len]);
    }

    /// A message of ours as bytes, to be spoilt.
    fn message(&self, kind: Kind, sequence: u32, change: impl FnOnce(&mut Header)) -> Vec<u8> {
        let (server, client) = (Identity::from(self.server), Identity::from(self.address));
        let mut header = Header { key_id: 1, epoch: 1, sequence, ..Header::new(kind, server, client) };
        change(&mut header);
        let mut out = [0; MAX_OCTETS];
        let key = self.key.pair(header.server, header.client);
        let len = notice::write(&mut out, &header, None, &key).expect("fits");
        out[..len].to_vec()
    }

    fn send(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, (self.server, UDP_PORT)).expect("loopback");
    }

    /// Takes and acknowledges what there is until nothing comes any more.
    fn quieten(&mut self) {
        while let Some(heard) = self.hear(Duration::from_millis(700)) {
            self.acknowledge(&heard);
        }
    }
}

fn utc() -> Utc {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Utc::from_millis(u64::try_from(since.as_millis()).expect("not so far away"))
}

/// A server and scripted agents, which have acknowledged the invitation of the start.
struct Site {
    server: Server,
    agents: Vec<Scripted>,
}

impl Site {
    fn open(agents: usize) -> Site {
        Site::with(agents, MacKind::HmacSha256, |text| text + config::WELL)
    }

    fn with(agents: usize, mac: MacKind, change: impl FnOnce(String) -> String) -> Site {
        let mut hosts = Hosts::claim();
        let east = hosts.host();
        let agents: Vec<IpAddr> = (0..agents).map(|_| hosts.host()).collect();
        let folder = forewarn_tests::Folder::new();
        folder.write("well", "");
        let text = change(config::server(&hosts, "east", east, &agents, ""));
        let mut site = Site {
            agents: agents.iter().map(|agent| Scripted::open(*agent, east, mac)).collect(),
            server: Server::start_in(folder, &text, &[]),
        };
        for agent in &mut site.agents {
            agent.obey(Kind::Reconnect);
        }
        for agent in &mut site.agents {
            agent.quieten();
        }
        site
    }

    fn fail(&self) {
        std::fs::remove_file(self.server.folder().path().join("well")).expect("it was well");
    }

    fn recover(&self) {
        self.server.folder().write("well", "");
    }

    fn counted(&self, name: &str) -> u64 {
        self.server.status()["notices"][name].as_u64().unwrap_or_else(|| panic!("no counter {name}"))
    }

    fn told(&self, agent: usize) -> Value {
        let status = self.server.status();
        let clients = status["clients"].as_array().expect("a list").clone();
        let name = format!("agent-{agent}");
        let client = clients.into_iter().find(|client| client["name"] == *name);
        client.expect("a client")["notice"].clone()
    }

    fn state(&self) -> String {
        self.server.status()["watch"]["state"].as_str().expect("a state").to_owned()
    }
}

#[test]
fn told_by_udp_when_icmp_goes_unanswered_until_the_receipt() {
    let mut site = Site::open(1);
    site.fail();
    let first = site.agents[0].hear(PATIENCE).expect("a notice");
    assert_eq!((first.header.kind, first.header.reason), (Kind::Failover, Reason::MANDATORY_SERVICE));
    assert_eq!((first.header.reduction_percent, first.header.load_percent), (100, 100));
    let second = site.agents[0].hear(PATIENCE).expect("again");
    assert_eq!((second.disposition, second.header.sequence), (Disposition::Duplicate, first.header.sequence));
    assert!(second.at - first.at >= Duration::from_millis(150), "not before its time");
    assert_eq!(site.told(0)["told"], "telling");
    site.agents[0].acknowledge(&second);
    let told =
        eventually("the receipt is shown", || Some(site.told(0)).filter(|told| told["told"] == "told"));
    assert_eq!((&told["standing"], &told["outcome"]), (&"failover".into(), &"moved".into()));
    assert_eq!(told["transport"], "udp");
    assert!(site.agents[0].hear(Duration::from_secs(2)).is_none(), "nothing more is said");
    assert_eq!(site.state(), "away");
}

#[test]
fn a_client_that_keeps_silent_is_not_told() {
    let mut site = Site::open(2);
    site.fail();
    site.agents[0].obey(Kind::Failover);
    eventually("the silent one is given up", || (site.told(1)["told"] == "not-told").then_some(()));
    assert_eq!(site.told(0)["told"], "told");
    let log = site.server.says("1 clients gave no receipt");
    assert!(log.contains("agent-1"), "{log}");
}

#[test]
fn away_and_invited_back_each_in_a_slot_of_its_own() {
    let mut site = Site::open(4);
    site.fail();
    for agent in &mut site.agents {
        agent.obey(Kind::Failover);
    }
    let left = Instant::now();
    site.recover();
    let mut slots: Vec<u32> =
        site.agents.iter_mut().map(|agent| agent.obey(Kind::Reconnect).slot_ms.expect("a slot")).collect();
    assert!(left.elapsed() >= Duration::from_millis(400), "away_min is 500 ms");
    slots.sort_unstable();
    // The window is 500 ms; what is told late is told what is left of its slot.
    assert!(slots.iter().zip([0, 125, 250, 375]).all(|(slot, at)| *slot <= at), "{slots:?}");
    eventually("it serves again", || (site.state() == "serving").then_some(()));
    assert_eq!(site.server.status()["watch"]["cause"], "every client's slot has passed");
}

#[test]
fn a_request_to_come_back_is_refused_while_away_and_granted_while_serving() {
    let mut site = Site::open(1);
    site.agents[0].ask_back();
    let granted = site.agents[0].obey(Kind::Reconnect);
    assert_eq!(granted.slot_ms, Some(0));
    site.fail();
    site.agents[0].obey(Kind::Failover);
    site.agents[0].ask_back();
    let refused = site.agents[0].obey(Kind::Refused);
    assert!(refused.slot_ms >= Some(4_000), "{refused:?}");
}

#[test]
fn a_challenge_is_answered_at_once_with_what_is_in_force() {
    let mut site = Site::open(1);
    site.fail();
    site.agents[0].obey(Kind::Failover);
    let agent = &mut site.agents[0];
    let mut out = [0; MAX_OCTETS];
    agent.inbox.challenge(0, time::Instant::ZERO);
    let mut rng = rand::rng();
    let sent = agent.inbox.poll_transmit(time::Instant::ZERO, utc(), &mut rng, &mut out).expect("due");
    agent.send(&out[..sent.len]);
    let asked = Instant::now();
    let answer = agent.obey(Kind::Failover);
    assert!(answer.nonce.is_some() && answer.header.reduction_percent == 100);
    assert!(answer.at - asked < Duration::from_secs(1));
    assert_eq!(site.counted("challenges-answered"), 1);
}

#[test]
fn what_agents_did_not_send_moves_nothing_and_is_counted_apart() {
    let mut site = Site::open(1);
    let state = site.told(0);
    let agent = &site.agents[0];
    let good = agent.message(Kind::ReconnectRequest, 1, |_| {});
    let before = |name| site.counted(name);
    let names = ["malformed", "bad-mac", "replay", "unknown-key", "unknown-sender", "wrong-kind", "received"];
    let counts = names.map(before);
    // Its epoch lies behind what this agent has sent already.
    agent.send(&good);
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        agent.send(&flipped);
    }
    for len in [0, 3, 71, 72, good.len() - 1] {
        agent.send(&good[..len]);
    }
    agent.send(&agent.message(Kind::Failover, 9, |_| {}));
    agent.send(&agent.message(Kind::Hello, 9, |header| header.key_id = 7));
    agent.send(&agent.message(Kind::Hello, 9, |header| header.client = Identity([9; 16])));
    agent.send(&agent.message(Kind::Hello, 9, |header| header.server = Identity([9; 16])));
    let total = 1 + good.len() + 5 + 4;
    let moved = || -> Vec<u64> {
        names.iter().zip(counts).map(|(name, before)| site.counted(name) - before).collect()
    };
    let moved = eventually("all have been looked at", || {
        Some(moved()).filter(|moved| moved.iter().sum::<u64>() as usize >= total)
    });
    let [malformed, bad_mac, replay, unknown_key, unknown_sender, wrong_kind, received] = moved[..] else {
        panic!("{moved:?}")
    };
    assert_eq!((replay, received), (1, 0), "{moved:?}");
    assert!(malformed >= 5 && bad_mac > 16 && unknown_key >= 1 && unknown_sender >= 2, "{moved:?}");
    assert!(wrong_kind >= 1, "{moved:?}");
    assert_eq!(moved.iter().sum::<u64>() as usize, total, "{moved:?}");
    assert_eq!(site.told(0), state, "nothing was moved");
    assert!(site.agents[0].hear(Duration::from_millis(300)).is_none(), "nothing was answered");
}

#[test]
fn the_audience_and_the_alternates_are_the_configuration_s() {
    let audience = |text: String| {
        let table = "[notice]\n";
        let more = "audience = { groups = [\"wifi/branch-[0]\", \"wifi/branch-1*\"] }\nalternates = [\"192.0.2.7\"]\n";
        text.replace(table, &format!("{table}{more}")) + config::WELL
    };
    let mut site = Site::with(3, MacKind::HmacSha256, audience);
    site.fail();
    let told = site.agents[1].obey(Kind::Failover);
    assert_eq!(told.alternates, ["192.0.2.7".parse::<IpAddr>().expect("an address")]);
    assert!(site.agents[0].hear(Duration::from_millis(500)).is_none(), "brackets are no pattern");
    assert!(site.agents[2].hear(Duration::from_millis(1)).is_none());
    assert_eq!(site.told(2)["standing"], "nothing");
    assert!(site.server.forewarn(&["drain"]).status.success());
    site.agents[2].obey(Kind::Failover);
}

#[test]
fn shares_leave_one_after_another() {
    let shed = |text: String| {
        let more = "shed = \"50%\"\nshed_every = \"300ms\"\n";
        let text = text.replace("[notice]\n", &format!("[notice]\n{more}"));
        // A failed dependent service is overload; a mandatory one would send all away at once.
        text + &config::WELL.replace("\"mandatory\"", "\"dependent\"\nweight = 1.0")
    };
    let site = Site::with(4, MacKind::HmacSha256, shed);
    site.fail();
    let told = |site: &Site| (0..4).filter(|agent| site.told(*agent)["standing"] == "failover").count();
    eventually("the first half is told", || (told(&site) == 2).then_some(()));
    assert_eq!(site.state(), "shedding");
    eventually("then the others", || (told(&site) == 4).then_some(()));
    assert_eq!(site.state(), "away");
}

#[test]
fn each_kind_of_mac_is_the_key_s_configuration() {
    for mac in [MacKind::HmacMd5, MacKind::Md5] {
        let with_mac = |text: String| {
            let key = format!("notice_key = \"{}\"\n", config::NOTICE_KEY);
            assert!(text.contains(&key));
            text.replace(&key, &format!("{key}notice_mac = \"{}\"\n", mac.name())) + config::WELL
        };
        let mut site = Site::with(1, mac, with_mac);
        site.fail();
        site.agents[0].obey(Kind::Failover);
    }
}

#[test]
fn sigterm_tells_everybody_why_and_ends_when_they_know() {
    let mut site = Site::open(2);
    site.server.signal("TERM");
    for agent in &mut site.agents {
        assert_eq!(agent.obey(Kind::Failover).header.reason, Reason::SHUTDOWN);
    }
    assert!(site.server.ended().success());
}
