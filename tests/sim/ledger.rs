//! What the servers have really sent, and what each of them may do: its readings, its phases, its slots.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use forewarn_proto::gauge::Parameter;
use forewarn_proto::notice::issue::{REPEATS, Standing, Told, View};
use forewarn_proto::stagger;
use forewarn_proto::time::Instant;
use forewarn_proto::trend::READINGS_MIN;
use forewarn_proto::watch::{Cause, Phase};
use forewarn_server::config::Audience;
use forewarn_wire::notice::{Flags, Identity, Notice, Outcome};

use super::server::Server;

/// Server, epoch, sequence.
type Mark = (usize, u32, u32);

#[derive(Default)]
pub(crate) struct Ledger {
    sent: BTreeSet<u64>,
    /// What each mark says, and in how many datagrams it was said.
    marks: BTreeMap<Mark, (u64, usize)>,
    /// The marks that agents have accepted, and the last that was sent to each.
    accepted: BTreeSet<Mark>,
    last: BTreeMap<(usize, Identity), Mark>,
    watched: Vec<Watched>,
}

/// What a server's readings were.
#[derive(Clone, Default)]
struct Watched {
    start: u32,
    phase: Option<Phase>,
    over: u32,
    /// The last readings of queue delay: multiples of its limit.
    delays: VecDeque<f64>,
    calm: u32,
    /// When it began to send clients away.
    left: Option<Instant>,
}

impl Ledger {
    pub(crate) fn has_sent(&self, octets: &[u8]) -> bool {
        self.sent.contains(&digest(octets))
    }

    /// A mark means one thing to one client, and is said so often and no more.
    pub(crate) fn send(&mut self, server: usize, octets: &[u8], may_begin_anew: bool) {
        self.sent.insert(digest(octets));
        let notice = *Notice::parse(octets).expect("it writes notices").peek();
        let header = notice.header();
        let is_hard = header.flags.contains(Flags::HARD);
        let alternates: Vec<_> = notice.alternates().collect();
        let says = (
            header.client.0,
            header.kind as u8,
            header.reduction_percent,
            is_hard,
            notice.nonce(),
            alternates,
        );
        let says = digest(&says);
        let mark = (server, header.epoch, header.sequence);
        self.last.insert((server, header.client), mark);
        let (said, count) = self.marks.entry(mark).or_insert((says, 0));
        assert_eq!(*said, says, "{mark:?} says two things");
        *count += 1;
        assert!(*count < 2 * REPEATS.len() || may_begin_anew, "{mark:?} was sent {count} times");
    }

    /// An agent has acted on a notice.
    pub(crate) fn accept(&mut self, server: usize, octets: &[u8]) {
        let notice = *Notice::parse(octets).expect("it was accepted").peek();
        self.accepted.insert((server, notice.header().epoch, notice.header().sequence));
    }

    /// After each message of an agent's: a server thinks it told only if it has what was sent last.
    pub(crate) fn check_told(&self, server: &Server, client: Identity) {
        let Some(issuer) = server.process.as_ref().map(|process| process.campaign.issuer()) else { return };
        let view = issuer.find(client).and_then(|id| issuer.view(id));
        if let Some(Told::Told { .. }) = view.map(|view| view.told) {
            let last = self.last.get(&(server.index, client));
            assert!(last.is_some_and(|last| self.accepted.contains(last)), "{last:?} counts as told");
        }
    }

    /// After each step of a server's; `read` when it took a reading.
    pub(crate) fn check_server(&mut self, now: Instant, server: &Server, read: bool) {
        self.watched.resize(self.watched.len().max(server.index + 1), Watched::default());
        let watched = &mut self.watched[server.index];
        let Some(process) = &server.process else { return };
        if watched.start != server.starts {
            *watched = Watched { start: server.starts, ..Watched::default() };
        }
        let phase = process.campaign.watch().phase();
        let before = watched.phase.replace(phase).unwrap_or(Phase::Serving);
        let health = &server.setup.config.health;
        let leaves = |phase: Phase| matches!(phase, Phase::Shedding { .. } | Phase::Away { .. });
        if read {
            let (value, urgent) = (process.load.value(), process.load.urgent());
            let run = |run: u32, goes_on: bool| if goes_on { run + 1 } else { 0 };
            watched.over = run(watched.over, value > health.failover_threshold);
            watched.calm = run(watched.calm, value < health.connection_threshold && urgent.is_none());
            let must_warn = urgent.is_some() || watched.over >= health.failover_after;
            let may_stay = leaves(phase) || matches!(phase, Phase::Draining { .. } | Phase::Drained);
            assert!(!must_warn || may_stay, "server {} is {phase} at load {value}", server.index);
            let delay = process.load.part(Parameter::QueueDelay).unwrap_or(0.0);
            watched.delays.push_back(delay);
            if watched.delays.len() > READINGS_MIN {
                watched.delays.pop_front();
            }
            if leaves(phase) && !leaves(before) {
                let cause = process.campaign.watch().cause();
                let has_risen = watched.delays.iter().any(|then| *then < delay);
                let may_warn = match cause {
                    Cause::Foreseen { parameter: Parameter::QueueDelay, remaining, readings } => {
                        let run = readings >= health.failover_after;
                        run && has_risen && health.lead.is_some_and(|lead| remaining < lead)
                    }
                    _ => must_warn,
                };
                assert!(may_warn, "server {} warns at load {value}: {cause}", server.index);
                watched.left = Some(now);
            }
            let by_itself = matches!(process.campaign.watch().cause(), Cause::Recovered { .. });
            if leaves(before) && matches!(phase, Phase::Returning { .. }) && by_itself {
                let left = watched.left.expect("it has left");
                assert!(now >= left + health.away_min, "server {} returns too early", server.index);
                assert!(watched.calm >= health.connection_after, "server {} isn't calm", server.index);
                check_slots(now, server);
            }
        }
        assert_eq!(process.taking, phase != Phase::Drained, "server {} is {phase}", server.index);
        if phase != before && matches!(phase, Phase::Returning { paused: true } | Phase::Quiesced) {
            let knows = |told| matches!(told, Told::Told { outcome: Outcome::Noted, .. });
            let is_admitted = |view: View<'_>| {
                matches!(view.standing, Standing::Invited(one) if one.at > now) && !knows(view.told)
            };
            let mut views = process.campaign.issuer().clients();
            assert!(!views.any(is_admitted), "server {} admits", server.index);
        }
        if (read || phase != before)
            && matches!(phase, Phase::Away { .. })
            && server.setup.config.notice.audience == Audience::All
        {
            let views = process.campaign.issuer().clients();
            let stay = views.filter(|view| !matches!(view.standing, Standing::Leave(_))).count();
            let without_room = process.campaign.staying();
            assert!(stay <= without_room, "server {} is away, and {stay} may stay", server.index);
        }
    }
}

/// Each client that is invited has a slot of its own, and the slots are evenly spread.
fn check_slots(now: Instant, server: &Server) {
    let Some(process) = &server.process else { return };
    let slot = |view: View<'_>| match (view.standing, view.told) {
        (Standing::Invited(invitation), Told::Telling { since }) if since == now => {
            Some(invitation.at.since(now))
        }
        _ => None,
    };
    let mut slots: Vec<_> = process.campaign.issuer().clients().filter_map(slot).collect();
    slots.sort_unstable();
    let reconnect = server.setup.config.reconnect;
    let config = stagger::Config { window: reconnect.window, rate: reconnect.rate };
    let by_rate = slots.len() as f64 / f64::from(reconnect.rate);
    let window = config.window.as_secs_f64().max(by_rate);
    for (rank, slot) in slots.iter().enumerate() {
        let even = window * rank as f64 / slots.len() as f64;
        assert!((slot.as_secs_f64() - even).abs() < 1e-6, "slots of server {}: {slots:?}", server.index);
    }
}

fn digest(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
