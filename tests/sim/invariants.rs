//! What must hold after every step (ARCHITECTURE, "Invariants").

use std::collections::BTreeMap;

use forewarn_proto::notice::Mark;
use forewarn_proto::pool::{Kind, ServerId};
use forewarn_proto::switch::{self, Cause, Standing};
use forewarn_proto::time::Instant;
use forewarn_proto::upstream::{Event, Phase, Purpose, Transmit};
use forewarn_wire::Packet;
use forewarn_wire::notice;

use super::agent::Agent;
use super::nas::{Nas, number_of};

/// Server, kind, source port, identifier.
type Name = (ServerId, Kind, u16, u8);

/// What was seen so far.
#[derive(Default)]
pub(super) struct Invariants {
    marks: Vec<Option<Mark>>,
    current: Option<ServerId>,
    /// Which request used a name last, with which authenticator.
    names: BTreeMap<Name, (u64, [u8; 16])>,
    /// How many names a request has had.
    legs: BTreeMap<u64, usize>,
    /// Where a request with State was sent.
    conversations: BTreeMap<u64, ServerId>,
}

impl Invariants {
    /// No identifier is reused while outstanding; nothing with State is sent to two servers but when its first one is
    /// being left.
    pub(super) fn check_transmit(
        &mut self,
        now: Instant,
        agent: &Agent,
        nas: &Nas,
        transmit: &Transmit,
        octets: &[u8],
    ) {
        if transmit.purpose == Purpose::Probe {
            return;
        }
        let packet = Packet::parse(octets).unwrap();
        let packet = packet.peek();
        let number = number_of(packet).expect("a request of the NAS's");
        let name = (transmit.server, transmit.kind, transmit.port, packet.identifier());
        let user = (number, *packet.authenticator());
        let before = self.names.insert(name, user);
        if before != Some(user) {
            *self.legs.entry(number).or_insert(0) += 1;
        }
        if let Some(before) = before.filter(|before| *before != user) {
            // The ninth leg of a request closes its first.
            let is_outstanding =
                self.legs[&before.0] <= 8 && !agent.ended.contains(&nas.asked[before.0 as usize].name());
            assert!(!is_outstanding, "{name:?} of request {} is used again for {number}", before.0);
        }
        if nas.asked[number as usize].in_conversation
            && let Some(first) = self.conversations.insert(number, transmit.server)
            && first != transmit.server
        {
            let standing = agent.upstream.status(now, first).standing;
            assert!(
                matches!(standing, Standing::Away { .. }),
                "at {now:?} request {number} with State left {first} ({standing:?}) for {}",
                transmit.server
            );
        }
    }

    /// After each step of the agent's.
    pub(super) fn check_step(&mut self, now: Instant, agent: &mut Agent) {
        self.check_marks(agent);
        self.check_switches(now, agent);
        let counters = agent.upstream.counters();
        assert_eq!(counters.unknown_sender, 0);
        assert_eq!(counters.unforwardable, 0);
        assert_eq!(agent.upstream.in_flight(), agent.dedup.in_progress(), "a request was forgotten");
    }

    /// A stored mark never goes back. (Servers of this simulation keep their epoch.)
    fn check_marks(&mut self, agent: &Agent) {
        let servers = agent.upstream.pool().len();
        self.marks.resize(servers, None);
        for (server, last) in self.marks.iter_mut().enumerate() {
            let mark = agent.inbox.mark(server);
            assert!(mark >= *last, "the mark of server {server} went back from {last:?} to {mark:?}");
            *last = mark;
        }
    }

    /// No switch without a verified notice or the agent's own detection; none from the last usable server because of a
    /// notice.
    fn check_switches(&mut self, now: Instant, agent: &mut Agent) {
        let accepted = std::mem::take(&mut agent.accepted);
        let events = std::mem::take(&mut agent.events);
        let mut current =
            self.current.unwrap_or_else(|| agent.upstream.pool().ids().next().expect("a server"));
        for event in events {
            let Event::Switch(switch::Event::Switched { from, to, cause }) = event else { continue };
            assert_eq!(from, current, "every switch is told");
            current = to;
            let status = |server| agent.upstream.status(now, server);
            let had = |kind| accepted.iter().any(|&(_, accepted)| accepted == kind);
            match cause {
                Cause::Notice { .. } => {
                    assert!(had(notice::Kind::Failover), "a switch by a notice nobody sent");
                    let is_loss = status(to).phase > Phase::Suspect && status(from).phase <= Phase::Suspect;
                    assert!(!is_loss, "a notice moved traffic from a living server to a silent one");
                }
                Cause::Unanswered => assert!(status(from).phase > Phase::Suspect, "left though it answered"),
                Cause::Revived | Cause::After | Cause::Invited | Cause::NoticeEnded => {
                    assert!(status(to).phase <= Phase::Suspect, "returned to a silent server");
                }
                Cause::Preferred => panic!("nobody switches for no reason"),
            }
        }
        assert_eq!(current, agent.current(), "a switch that was not told");
        self.current = Some(current);
    }
}
