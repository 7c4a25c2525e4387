//! Which server a request goes to: the decision of an agent, and of a proxy towards its home servers.
//!
//! A server is left because it says so in a verified notice, or because it stopped answering; nothing else
//! moves traffic away. It comes back in the slot it gave us, when it grants our request, when a probe says it
//! can, or when its notice is taken back; then with a ramp.
//!
//! ```text
//!             FAILOVER                     slot begins, notice ended,
//!  Open ------------------> Away ----------- asked and probed --------> Ramping ---> Open
//!    ^                       |  ^                                          |
//!    |   silent: Doubtful,   |  +------------------ FAILOVER --------------+
//!    +-- Dead, and back by --+
//!        probes with a ramp
//! ```

mod call;
mod config;
mod legacy;
mod notices;
mod state;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use call::Call;
pub use config::{Alternates, Config, Strategy};
use forewarn_wire::notice::Reason;
pub(crate) use legacy::Legacy;
pub use state::{Back, Conversations, InForce, Life, Standing};
use state::{Place, RAMP_FROM_PERCENT, WHOLE};

use crate::pool::{Pool, ServerId};
use crate::time::Instant;

/// Why traffic goes where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// It is the preferred server.
    Preferred,
    /// The server before it asked to be left.
    Notice {
        /// The server's reason.
        reason: Reason,
        /// Whether it is about to stop.
        hard: bool,
    },
    /// The server before it left a probe unanswered.
    Unanswered,
    /// The slot it gave us began.
    Invited,
    /// It took its notice back.
    NoticeEnded,
    /// `after` had passed, it answered no question, but it answered a probe.
    After,
    /// It was silent and answers again.
    Revived,
}

/// Where a request goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The server.
    pub server: ServerId,
    /// No server had a share left for it: this is the least bad one.
    pub last_resort: bool,
}

/// What happened that somebody may want to hear of or act upon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Most of the traffic goes elsewhere from the next packet on.
    Switched {
        /// From here.
        from: ServerId,
        /// To here.
        to: ServerId,
        /// Why.
        cause: Cause,
    },
    /// Send a RECONNECT-REQUEST to this server.
    AskReconnect {
        /// The server.
        server: ServerId,
    },
    /// Conversations no longer stay with this server, which asked to be left.
    DrainEnded {
        /// The server.
        server: ServerId,
    },
    /// This server has all its traffic again.
    Settled {
        /// The server.
        server: ServerId,
    },
}

/// Servers whose requests have to be looked at again, as sets of bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Errands {
    /// What waits there may have to go elsewhere.
    pub(crate) left: u32,
    /// Even what carries State.
    pub(crate) drained: u32,
    /// A Status-Server has to say whether they answer.
    pub(crate) probe: u32,
}

/// The decision. See the [module](self).
#[derive(Debug)]
pub struct Switch {
    config: Config,
    places: Vec<Place>,
    /// The servers in the order in which traffic is offered to them now.
    order: Vec<ServerId>,
    /// A server that called, whose slot hasn't begun.
    call: Option<Call>,
    /// The one that called last and comes before the configured order.
    first: Option<ServerId>,
    /// By round-robin: whose turn it is, and who had the last turn that another passed on.
    turn: usize,
    passed_to: usize,
    current: ServerId,
    since: Instant,
    cause: Cause,
    errands: Errands,
    events: VecDeque<Event>,
}

/// Events kept for a slow reader; the oldest goes first.
const MAX_EVENTS: usize = 64;

impl Switch {
    /// All servers alive, nobody warned: traffic goes to the first.
    pub fn new(config: Config, pool: &Pool, now: Instant) -> Switch {
        let places = pool.iter().map(|(_, server)| Place {
            identity: server.identity,
            life: Life::Alive,
            standing: Standing::Open,
            alternates: Vec::with_capacity(pool.len()),
            credit: 0,
        });
        let first = pool.ids().next().expect("a pool is never empty");
        Switch {
            config,
            places: places.collect(),
            order: pool.ids().collect(),
            call: None,
            first: None,
            turn: 0,
            passed_to: 0,
            current: first,
            since: now,
            cause: Cause::Preferred,
            errands: Errands::default(),
            events: VecDeque::with_capacity(MAX_EVENTS),
        }
    }

    /// Where a request with this hash goes. By failover, equal hashes go the same way as long as nothing changes, and
    /// shares come out right over evenly spread hashes; by round-robin it is whoever's turn it is. Always answers:
    /// somebody gets the request.
    pub fn choose(&mut self, now: Instant, hash: u64) -> Choice {
        if self.config.strategy == Strategy::RoundRobin {
            return self.next_in_turn(now);
        }
        for &id in &self.order {
            let share = self.place(id).share(now, &self.config);
            if share != 0 && (share >= WHOLE || draw(hash, id) < share) {
                return Choice { server: id, last_resort: false };
            }
        }
        Choice { server: self.last_resort(now), last_resort: true }
    }

    /// Whether requests of conversations with this server still go to it.
    pub fn keeps_conversations(&self, now: Instant, server: ServerId) -> bool {
        match self.place(server).standing {
            Standing::Away { conversations: Conversations::Until(until), .. } => now < until,
            Standing::Away { conversations: Conversations::Elsewhere, .. } => false,
            Standing::Away { .. } | Standing::Open | Standing::Ramping { .. } => true,
        }
    }

    /// The server most traffic goes to, since when, and why.
    pub fn current(&self) -> (ServerId, Instant, Cause) {
        (self.current, self.since, self.cause)
    }

    /// Whether a server answers.
    pub fn life(&self, server: ServerId) -> Life {
        self.place(server).life
    }

    /// How much traffic a server is to get, and why.
    pub fn standing(&self, server: ServerId) -> Standing {
        self.place(server).standing
    }

    /// The percentage of the traffic offered to a server that it gets now.
    pub fn share_percent(&self, now: Instant, server: ServerId) -> u8 {
        ((self.place(server).share(now, &self.config) * 100 + WHOLE / 2) / WHOLE) as u8
    }

    /// A server left a probe unanswered: it gets nothing until it answers again.
    pub(crate) fn handle_unanswered(&mut self, now: Instant, server: ServerId, life: Life) {
        self.place_mut(server).life = life;
        self.errands.left |= server.bit();
        self.reconsider(now, Cause::Unanswered);
    }

    /// A silent server answered enough probes, or the only one there was.
    pub(crate) fn handle_revived(&mut self, now: Instant, server: ServerId) {
        let alone = !self.others_carry(now, server);
        let place = self.place_mut(server);
        place.life = Life::Alive;
        let back = match place.standing {
            Standing::Open | Standing::Ramping { .. } => true,
            Standing::Away { notice, back, .. } => back == Back::Probed || notice.until <= now,
        };
        match (back, alone) {
            (true, true) => place.standing = Standing::Open,
            (true, false) => place.standing = ramping(now, RAMP_FROM_PERCENT),
            (false, _) => {}
        }
        self.call_away(now);
        self.reconsider(now, Cause::Revived);
    }

    /// A server answered the probe that [`Errands::probe`] asked for.
    pub(crate) fn handle_probed(&mut self, now: Instant, server: ServerId) {
        if matches!(self.place(server).standing, Standing::Away { back: Back::Probed, .. }) {
            self.start_return(now, server, Cause::After);
        }
    }

    /// Does what is due: slots, questions, the end of drains and ramps.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.follow_call(now);
        for id in self.ids() {
            match self.place(id).standing {
                Standing::Ramping { since, .. } if since + self.config.ramp <= now => {
                    self.place_mut(id).standing = Standing::Open;
                    self.push(Event::Settled { server: id });
                }
                Standing::Away { back, conversations, .. } => {
                    if matches!(conversations, Conversations::Until(until) if until <= now) {
                        self.end_drain(id);
                    }
                    self.handle_back(now, id, back);
                }
                Standing::Open | Standing::Ramping { .. } => {}
            }
        }
    }

    /// When the next thing is due, and what.
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let call = self.call.map(|call| (call.at, Timer::Slot));
        self.places.iter().filter_map(|place| self.deadline(place)).chain(call).min()
    }

    /// What happened since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes the servers whose requests have to be looked at again.
    pub(crate) fn take_errands(&mut self) -> Errands {
        std::mem::take(&mut self.errands)
    }

    /// Whether a server other than this one can take its traffic.
    pub(crate) fn others_carry(&self, now: Instant, server: ServerId) -> bool {
        self.order.iter().any(|&id| id != server && self.place(id).share(now, &self.config) > 0)
    }
}

/// What a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// Conversations with a server that was left have had their time.
    Drain,
    /// A server's slot for us begins.
    Slot,
    /// A server is to be asked whether we may come back.
    Ask,
    /// A server has all its traffic again.
    Ramp,
}

impl Switch {
    fn place(&self, id: ServerId) -> &Place {
        &self.places[id.index()]
    }

    fn place_mut(&mut self, id: ServerId) -> &mut Place {
        &mut self.places[id.index()]
    }

    fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.places.len()).filter_map(ServerId::new)
    }

    fn push(&mut self, event: Event) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// The turns go round. A server takes as many of its own as its share is, evenly spread, and the others have the
    /// rest in turn: one that sheds 40 % loses 40 % of what it had, whatever the others' shares are.
    fn next_in_turn(&mut self, now: Instant) -> Choice {
        let servers = self.places.len();
        let own = self.turn;
        self.turn = (own + 1) % servers;
        if self.takes_turn(now, own) {
            return self.chosen(own);
        }
        for least in [WHOLE, 1] {
            let next = (1..=servers).map(|step| (self.passed_to + step) % servers);
            let carries = |&index: &usize| self.places[index].share(now, &self.config) >= least;
            if let Some(index) = next.filter(|&index| index != own || least < WHOLE).find(carries) {
                self.passed_to = index;
                return self.chosen(index);
            }
        }
        Choice { server: self.last_resort(now), last_resort: true }
    }

    fn takes_turn(&mut self, now: Instant, index: usize) -> bool {
        let place = &mut self.places[index];
        place.credit += place.share(now, &self.config);
        let takes = place.credit >= WHOLE;
        place.credit -= if takes { WHOLE } else { 0 };
        takes
    }

    fn chosen(&self, index: usize) -> Choice {
        let server = ServerId::new(index).expect("a pool has no more servers than there are names");
        Choice { server, last_resort: false }
    }

    fn last_resort(&self, now: Instant) -> ServerId {
        self.ids()
            .min_by_key(|&id| self.place(id).resort(now, id, self.current, self.order.contains(&id)))
            .expect("a pool is never empty")
    }

    /// Works out the order anew, and where most of the traffic goes in it.
    fn reconsider(&mut self, now: Instant, cause: Cause) {
        self.reorder();
        let half = self.order.iter().copied().find(|&id| self.place(id).goal() >= WHOLE / 2);
        let to = half.unwrap_or_else(|| self.last_resort(now));
        if to != self.current {
            let from = std::mem::replace(&mut self.current, to);
            (self.since, self.cause) = (now, cause);
            self.push(Event::Switched { from, to, cause });
        }
    }

    /// The configured order behind a server that called, but what the notice of a server names comes right after that server.
    fn reorder(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        for id in self.first.into_iter().chain(self.ids()) {
            if order.contains(&id) {
                continue;
            }
            order.push(id);
            let in_turn = self.config.strategy == Strategy::RoundRobin;
            if !in_turn && matches!(self.place(id).standing, Standing::Away { .. }) {
                match self.config.alternates {
                    Alternates::Configured => continue,
                    Alternates::Notice | Alternates::NoticeThenConfigured => {}
                }
                for &alternate in &self.place(id).alternates {
                    if !order.contains(&alternate) {
                        order.push(alternate);
                    }
                }
                if self.config.alternates == Alternates::Notice {
                    break;
                }
            }
        }
        self.order = order;
    }

    /// Begins the return to a server that was left, or has it probed first when it is silent.
    fn start_return(&mut self, now: Instant, server: ServerId, cause: Cause) {
        let alone = !self.others_carry(now, server);
        let place = self.place_mut(server);
        let Standing::Away { notice, ref mut back, .. } = place.standing else { return };
        if place.life != Life::Alive {
            *back = Back::Probed;
            self.errands.probe |= server.bit();
            return;
        }
        let from = RAMP_FROM_PERCENT.max(100 - notice.reduction_percent.min(100));
        place.standing = if alone { Standing::Open } else { ramping(now, from) };
        self.call_away(now);
        self.reconsider(now, cause);
    }

    /// A server is back: what waits for servers that are silent, or that asked to be left when there was no other,
    /// may now be answered there.
    fn call_away(&mut self, now: Instant) {
        for id in self.ids() {
            let place = self.place(id);
            if place.life == Life::Alive && !matches!(place.standing, Standing::Away { .. }) {
                continue;
            }
            self.errands.left |= id.bit();
            if !self.keeps_conversations(now, id) {
                self.errands.drained |= id.bit();
            }
        }
    }

    fn handle_back(&mut self, now: Instant, server: ServerId, due: Back) {
        let next = match due {
            Back::Invited { at } if at <= now => return self.start_return(now, server, Cause::Invited),
            Back::Ask { at } if at <= now => Back::Asking { tries: 1, at: now + self.config.ask_interval },
            Back::Asking { tries, at } if at <= now && tries < self.config.ask_tries => {
                Back::Asking { tries: tries + 1, at: now + self.config.ask_interval }
            }
            Back::Asking { at, .. } if at <= now => {
                self.errands.probe |= server.bit();
                Back::Probed
            }
            Back::Ask { .. } | Back::Asking { .. } | Back::Invited { .. } | Back::Probed => return,
        };
        if matches!(next, Back::Asking { .. }) {
            self.push(Event::AskReconnect { server });
        }
        if let Standing::Away { back, .. } = &mut self.place_mut(server).standing {
            *back = next;
        }
    }

    fn end_drain(&mut self, server: ServerId) {
        let Standing::Away { conversations, .. } = &mut self.place_mut(server).standing else { return };
        *conversations = Conversations::Elsewhere;
        self.errands.left |= server.bit();
        self.errands.drained |= server.bit();
        self.push(Event::DrainEnded { server });
    }

    fn deadline(&self, place: &Place) -> Option<(Instant, Timer)> {
        match place.standing {
            Standing::Open => None,
            Standing::Ramping { since, .. } => Some((since + self.config.ramp, Timer::Ramp)),
            Standing::Away { back, conversations, .. } => {
                let back = match back {
                    Back::Invited { at } => Some((at, Timer::Slot)),
                    Back::Ask { at } | Back::Asking { at, .. } => Some((at, Timer::Ask)),
                    Back::Probed => None,
                };
                let drain = match conversations {
                    Conversations::Until(until) => Some((until, Timer::Drain)),
                    Conversations::Stay | Conversations::Elsewhere => None,
                };
                back.into_iter().chain(drain).min()
            }
        }
    }
}

fn ramping(now: Instant, from_percent: u8) -> Standing {
    Standing::Ramping { since: now, from_percent }
}

/// A number below [`WHOLE`] for a hash and a server: independent for each server.
fn draw(hash: u64, server: ServerId) -> u32 {
    let mut word = hash ^ (server.index() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word >> 48) as u32
}
