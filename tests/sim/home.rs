//! A home server: answers by a script, keeps replies for duplicates, and tells its client when it is unwell.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::dedup::{self, Check, Dedup};
use forewarn_proto::notice::issue::{self, ClientId, Invitation, Issuer, Leave, Origin, Path, Standing};
use forewarn_proto::notice::{KeyEntry, Transport};
use forewarn_proto::pool::Kind;
use forewarn_proto::time::{Instant, Utc};
use forewarn_wire::notice::{Identity, MAX_OCTETS, MacKind, NoticeKey, Reason};
use forewarn_wire::{Code, MAX_PACKET, MessageAuthenticatorRule, Packet, RadiusKey, Writer, number};

use super::nas::number_of;

pub(super) const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 21));

pub(super) fn address(index: usize) -> IpAddr {
    IpAddr::from([127, 0, 0, 11 + index as u8])
}

pub(super) fn secret(index: usize) -> RadiusKey {
    RadiusKey::new(format!("the secret of server {index}").as_bytes()).unwrap()
}

pub(super) fn notice_keys(index: usize) -> Vec<KeyEntry> {
    let key = NoticeKey::new(MacKind::HmacSha256, &[index as u8 + 1; 32]).unwrap();
    vec![KeyEntry { id: 1, key, send: true }]
}

/// How it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Health {
    /// It answers.
    Well,
    /// It answers nothing but Status-Server for now, and says so by a notice.
    Overloaded,
    /// It is gone, without a word.
    Killed,
}

pub(super) struct Home {
    pub(super) index: usize,
    pub(super) health: Health,
    /// Since when it has been so.
    pub(super) since: Instant,
    /// It has asked its client to leave at some time.
    pub(super) has_warned: bool,
    /// How long an ordinary answer takes.
    pub(super) pace: Duration,
    /// Rejects take a second, and every so many requests are rejected: 0 for none.
    pub(super) rejects: u64,
    /// Every so many are challenged: 0 for none.
    pub(super) challenges: u64,
    pub(super) issuer: Issuer,
    client: ClientId,
    key: RadiusKey,
    dedup: Dedup,
    starts: u32,
    /// Accounting that is on disk, by request number.
    pub(super) recorded: BTreeSet<u64>,
    /// Requests seen, with whether they carried State.
    pub(super) seen: BTreeSet<u64>,
}

impl Home {
    pub(super) fn new(index: usize) -> Home {
        let (issuer, client) = issuer(index, 1);
        Home {
            index,
            health: Health::Well,
            since: Instant::ZERO,
            has_warned: false,
            pace: Duration::from_micros(400),
            rejects: 0,
            challenges: 0,
            issuer,
            client,
            key: secret(index),
            dedup: Dedup::new(dedup::Config::default()),
            starts: 1,
            recorded: BTreeSet::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Takes a datagram from `from`; what it says to it, and after how long.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        kind: Kind,
        from: SocketAddr,
        octets: &[u8],
    ) -> Option<(Vec<u8>, Duration)> {
        if self.health == Health::Killed {
            return None;
        }
        let request = Packet::parse(octets).unwrap();
        let request =
            request.verify_request(&self.key, MessageAuthenticatorRule::Required).expect("verified");
        if request.code() == Code::STATUS_SERVER {
            let code = if kind == Kind::Auth { Code::ACCESS_ACCEPT } else { Code::ACCOUNTING_RESPONSE };
            return Some((self.write(&request, code), Duration::from_micros(50)));
        }
        if self.health == Health::Overloaded {
            return None;
        }
        let key = dedup::Key { source: from, identifier: request.identifier(), socket: kind as u16 };
        let slot = match self.dedup.check(now, key, request.authenticator()) {
            Check::New { slot, .. } => slot,
            Check::Replay(octets) => return Some((octets.to_vec(), Duration::from_micros(20))),
            Check::InProgress(_) | Check::Full => return None,
        };
        let number = number_of(&request).expect("a request of ours");
        self.seen.insert(number);
        let every = |every: u64| every != 0 && number % every == every - 1;
        let (code, delay) = match kind {
            Kind::Acct => {
                self.recorded.insert(number);
                (Code::ACCOUNTING_RESPONSE, self.pace)
            }
            Kind::Auth if request.find(number::STATE).is_some() => (Code::ACCESS_ACCEPT, self.pace),
            Kind::Auth if every(self.challenges) => (Code::ACCESS_CHALLENGE, self.pace),
            Kind::Auth if every(self.rejects) => (Code::ACCESS_REJECT, Duration::from_secs(1)),
            Kind::Auth => (Code::ACCESS_ACCEPT, self.pace),
        };
        let reply = self.write(&request, code);
        self.dedup.complete(now, slot, &reply);
        Some((reply, delay))
    }

    fn write(&self, request: &Packet<'_>, code: Code) -> Vec<u8> {
        let mut buffer = [0; MAX_PACKET];
        let mut writer = Writer::new(&mut buffer, code, request.identifier());
        if code != Code::ACCOUNTING_RESPONSE {
            writer.message_authenticator().unwrap();
        }
        if code == Code::ACCESS_CHALLENGE {
            let state = [&[self.index as u8][..], request.authenticator()].concat();
            writer.attribute(number::STATE, &state).unwrap();
        }
        writer.reply(&self.key, request.authenticator()).unwrap().to_vec()
    }

    pub(super) fn become_so(&mut self, now: Instant, health: Health) {
        if self.health != health {
            (self.health, self.since) = (health, now);
        }
    }

    /// It is unwell, and says so: `reduction` per cent are to leave.
    pub(super) fn warn(&mut self, now: Instant, reduction: u8, hard: bool, load: u8) {
        self.has_warned = true;
        let leave = Leave {
            reduction,
            hard,
            validity: Duration::from_secs(30),
            reason: Reason::QUEUE_DELAY,
            load,
            alternates: Arc::from([]),
        };
        self.issuer.set(now, self.client, Standing::Leave(leave));
    }

    /// It is well again and wants its client back in a slot.
    pub(super) fn invite(&mut self, now: Instant, slot: Duration) {
        self.become_so(now, Health::Well);
        let invitation = Invitation {
            at: now + slot,
            window: Duration::from_secs(10),
            reason: Reason::RECOVERED,
            load: 10,
        };
        self.issuer.set(now, self.client, Standing::Invited(invitation));
    }

    /// Another process under the same name: it remembers nothing but what is on disk.
    pub(super) fn restart(&mut self, now: Instant) {
        self.starts += 1;
        (self.issuer, self.client) = issuer(self.index, self.starts);
        self.dedup = Dedup::new(dedup::Config::default());
        self.become_so(now, Health::Well);
    }

    /// Takes a message of the agent's; a request to come back is granted or refused.
    pub(super) fn handle_message(&mut self, now: Instant, payload: &[u8]) {
        let from = SocketAddr::new(CLIENT, 3798);
        if let Ok(issue::Heard::ReconnectRequest { .. }) =
            self.issuer.handle_message(now, Origin::Udp { from }, payload)
        {
            if self.health == Health::Well {
                self.invite(now, Duration::from_secs(1));
            } else {
                self.issuer.refuse(now, self.client, Duration::from_secs(5), Reason::QUEUE_DELAY, 90);
            }
        }
    }

    /// The next notice to be sent.
    pub(super) fn poll_notice(&mut self, now: Instant, utc: Utc) -> Option<Vec<u8>> {
        if self.health == Health::Killed {
            return None;
        }
        let mut buffer = [0; MAX_OCTETS];
        let transmit = self.issuer.poll_transmit(now, utc, &mut buffer)?;
        assert!(matches!(transmit.to, Path::Udp(_)));
        Some(buffer[..transmit.len].to_vec())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.health == Health::Killed { None } else { self.issuer.poll_timeout() }
    }
}

fn issuer(index: usize, epoch: u32) -> (Issuer, ClientId) {
    let mut issuer = Issuer::new(issue::Config {
        server: Identity::from(address(index)),
        sender: index as u32,
        epoch,
        transports: vec![Transport::Udp],
        udp_port: 3798,
        rate: 20_000,
        clients_max: 16,
    });
    let client = issuer.add(Identity::from(CLIENT), &notice_keys(index)).expect("there is room");
    (issuer, client)
}
