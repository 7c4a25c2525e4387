//! What one agent may do, as simply as it can be said: which notices it has to believe, whom it has left, and where
//! its requests may wait. It knows what was sent, what the agent's own probes found, and the time; nothing of how the
//! agent's machines decide.

use forewarn_proto::notice::Mark;
use forewarn_proto::notice::verify::{AGAIN, WINDOW};
use forewarn_proto::pool::ServerId;
use forewarn_proto::switch::{self, Alternates, Cause, Standing};
use forewarn_proto::time::{Instant, Utc};
use forewarn_proto::upstream::{Event, Phase};
use forewarn_wire::notice::{self, Flags, Notice};

use super::agent::{Agent, Process, Verdict};
use super::ledger::Ledger;
use super::names::{self, millis};
use super::requests::Requests;

/// One agent, since its process began.
pub(crate) struct Model {
    config: switch::Config,
    pairs: Vec<Pair>,
    pub(crate) requests: Requests,
    current: Option<ServerId>,
    /// A FAILOVER was accepted in this step.
    warned: bool,
}

/// What it knows of one server.
#[derive(Default)]
struct Pair {
    mark: Option<Mark>,
    /// It was sent in a CHALLENGE, and nothing was accepted since.
    nonce: Option<[u8; 16]>,
    /// The last one that was echoed, and when.
    echoed: Option<([u8; 16], Instant)>,
    away: Option<Away>,
}

/// A server that asked to be left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Away {
    reduction: u8,
    hard: bool,
    until: Instant,
    /// Conversations may stay until then.
    conversations: Option<Instant>,
    back: Back,
}

/// What may bring the agent back.
#[derive(Clone, Copy, Debug)]
enum Back {
    /// The slot it was given: at that time, if the server answers.
    Slot(Instant),
    /// Its own questions, unanswered, not before then.
    Asking { from: Instant, asked: u8 },
}

impl Model {
    pub(crate) fn new(agent: &Agent) -> Model {
        let pair = |mark: &Option<Mark>| Pair { mark: *mark, ..Pair::default() };
        Model {
            config: agent.config.upstream.switch.clone(),
            pairs: agent.disk.marks.iter().map(pair).collect(),
            requests: Requests::default(),
            current: None,
            warned: false,
        }
    }

    /// What a notice has to be taken for.
    pub(crate) fn expect(
        &self,
        (now, utc): (Instant, Utc),
        agent: usize,
        ledger: &Ledger,
        octets: &[u8],
    ) -> Verdict {
        let Some((server, notice)) = self.genuine(agent, ledger, octets) else { return Verdict::Refused };
        let pair = &self.pairs[server];
        let mark = mark_of(&notice);
        let nonce = notice.nonce();
        let is_echo = nonce.is_some() && nonce == pair.nonce;
        let is_known = |(echoed, at): ([u8; 16], Instant)| nonce == Some(echoed) && now < at + AGAIN;
        let is_echo_again = pair.echoed.is_some_and(is_known) && Some(mark) == pair.mark;
        let is_fresh = Utc::from_millis(notice.header().utc_ms).distance(utc) <= WINDOW;
        match () {
            () if !is_fresh && !is_echo && !is_echo_again => Verdict::Refused,
            () if is_echo || pair.mark.is_none_or(|last| mark > last) => Verdict::Accepted,
            () if pair.mark == Some(mark) => Verdict::Duplicate,
            () => Verdict::Refused,
        }
    }

    fn genuine<'o>(&self, agent: usize, ledger: &Ledger, octets: &'o [u8]) -> Option<(usize, Notice<'o>)> {
        let notice = *Notice::parse(octets).ok()?.peek();
        let is_mine = notice.header().client == names::identity(names::agent_address(agent));
        let of = |server: &usize| notice.header().server == names::identity(names::server_address(*server));
        let server = (0..self.pairs.len()).find(of)?;
        (is_mine && ledger.has_sent(octets)).then_some((server, notice))
    }

    /// A notice was accepted, and this is in force now.
    pub(crate) fn accept(&mut self, now: Instant, agent: usize, ledger: &Ledger, octets: &[u8]) {
        let (server, notice) = self.genuine(agent, ledger, octets).expect("it was expected to be accepted");
        let pair = &mut self.pairs[server];
        pair.mark = Some(mark_of(&notice));
        let nonce = pair.nonce.take();
        if nonce.is_some() && notice.nonce() == nonce {
            pair.echoed = nonce.map(|nonce| (nonce, now));
        }
        let header = *notice.header();
        let slot = now + millis(notice.slot_ms().unwrap_or(0).into());
        match header.kind {
            notice::Kind::Failover if header.reduction_percent > 0 && header.validity_s > 0 => {
                self.warned = true;
                let whole = header.reduction_percent == 100;
                let running = pair.away.and_then(|away| away.conversations);
                let drained = running.unwrap_or(now + self.config.drain_conversations);
                let is_hard = header.flags.contains(Flags::HARD);
                let later = now + self.config.after * 9 / 10;
                // What was asked for and says what is so already puts no question off; with other reasons, or other alternates,
                // it is news, and a question comes as if there had been none before.
                let same = |away: &Away| (away.reduction, away.hard) == (header.reduction_percent, is_hard);
                let back = match pair.away.filter(same) {
                    Some(Away { back: Back::Asking { from, asked }, .. }) if notice.nonce().is_some() => {
                        Back::Asking { from: from.min(later), asked }
                    }
                    _ => Back::Asking { from: later, asked: 0 },
                };
                pair.away = Some(Away {
                    hard: is_hard,
                    reduction: header.reduction_percent,
                    until: now + millis(1000 * u64::from(header.validity_s)),
                    conversations: if is_hard { Some(now) } else { whole.then_some(drained) },
                    back,
                });
            }
            notice::Kind::Failover | notice::Kind::Reconnect => {
                if let Some(away) = &mut pair.away {
                    away.back = Back::Slot(slot);
                }
            }
            notice::Kind::Refused => {
                if let Some(away) = &mut pair.away {
                    let from = now + slot.since(now).max(millis(1000)) * 9 / 10;
                    away.back = Back::Asking { from, asked: 0 };
                }
            }
            _ => {}
        }
    }

    /// The agent said something to a server.
    pub(crate) fn said(&mut self, server: usize, octets: &[u8]) {
        let message = *Notice::parse(octets).expect("it writes notices").peek();
        if message.header().kind == notice::Kind::Challenge {
            self.pairs[server].nonce = message.nonce();
        }
    }

    /// Whether requests that carry State may leave a server.
    pub(crate) fn frees_conversations(&self, now: Instant, server: usize) -> bool {
        self.pairs[server].away.is_some_and(|away| away.conversations.is_some_and(|until| until <= now))
    }

    /// After each step.
    pub(crate) fn check(&mut self, now: Instant, process: &mut Process) {
        let events = std::mem::take(&mut process.events);
        for event in &events {
            if let Event::Switch(switch::Event::AskReconnect { server }) = event {
                self.asked(now, server.index());
            }
        }
        self.check_standings(now, process, &events);
        self.check_switches(now, process, &events);
        self.check_places(now, process);
        self.warned = false;
        let counters = process.upstream.counters();
        assert_eq!(counters.unknown_sender, 0);
        assert_eq!(counters.unforwardable, 0);
        assert_eq!(process.upstream.in_flight(), process.dedup.in_progress(), "a request was forgotten");
        assert_eq!(process.upstream.in_flight(), self.requests.waiting(), "a request was never sent");
        for (server, pair) in self.pairs.iter().enumerate() {
            assert_eq!(process.inbox.mark(server), pair.mark, "the mark of server {server}");
        }
    }

    fn asked(&mut self, now: Instant, server: usize) {
        let Some(Away { back: Back::Asking { from, asked }, .. }) = &mut self.pairs[server].away else {
            panic!("asks server {server} to come back though nothing is in the way");
        };
        assert!(*from <= now, "asks server {server} too early");
        *asked += 1;
    }

    /// A server that asked to be left is left until its slot, or until questions had no answer; no other is.
    fn check_standings(&mut self, now: Instant, process: &Process, events: &[Event]) {
        let is_late = is_late(now, process);
        for id in process.upstream.pool().ids() {
            let server = id.index();
            let status = process.upstream.status(now, id);
            let answers = status.phase <= Phase::Suspect;
            let is_away = matches!(status.standing, Standing::Away { .. });
            let Some(away) = self.pairs[server].away else {
                assert!(!is_away, "server {server} is left though it didn't ask for it");
                continue;
            };
            let revived = |event: &Event| matches!(event, Event::Life { server, phase: Phase::Up, .. } if *server == id);
            let is_revived = events.iter().any(revived);
            let may = match away.back {
                Back::Slot(at) => at <= now,
                Back::Asking { asked, .. } => asked >= self.config.ask_tries,
            };
            let must = matches!(away.back, Back::Slot(at) if at <= now) && answers && !is_late;
            match is_away {
                true => assert!(!must, "server {server} is still left though its slot has begun: {away:?}"),
                false => {
                    let may = answers && (may || is_revived && away.until <= now);
                    assert!(may, "server {server} is returned to too early: {away:?}, {:?}", status.phase);
                    self.pairs[server].away = None;
                }
            }
        }
    }

    /// No switch without a notice or the agent's own detection; none from the last usable server because of a notice.
    fn check_switches(&mut self, now: Instant, process: &Process, events: &[Event]) {
        let first = || process.upstream.pool().ids().next().expect("a server");
        let mut current = self.current.unwrap_or_else(first);
        for event in events {
            let Event::Switch(switch::Event::Switched { from, to, cause }) = event else { continue };
            assert_eq!(*from, current, "every switch is told");
            current = *to;
            let phase = |server| process.upstream.status(now, server).phase;
            match cause {
                Cause::Notice { .. } => {
                    assert!(self.warned, "a switch by a notice nobody sent");
                    let is_loss = phase(*to) > Phase::Suspect && phase(*from) <= Phase::Suspect;
                    assert!(!is_loss, "a notice moved traffic from a living server to a silent one");
                }
                Cause::Unanswered => assert!(phase(*from) > Phase::Suspect, "left though it answered"),
                Cause::Revived | Cause::After | Cause::Invited | Cause::NoticeEnded => {
                    assert!(phase(*to) <= Phase::Suspect, "returned to a silent server");
                }
                Cause::Preferred => panic!("nobody switches for no reason"),
            }
        }
        assert_eq!(current, process.upstream.current().0, "a switch that was not told");
        self.current = Some(current);
    }

    /// Nothing waits at a server that asked to be left, or that is silent, while another would take it.
    fn check_places(&self, now: Instant, process: &Process) {
        if self.config.alternates == Alternates::Notice || process.upstream.counters().stuck > 0 {
            return;
        }
        let answers = |server: usize| {
            let id = ServerId::new(server).expect("few servers");
            process.upstream.status(now, id).phase <= Phase::Suspect
        };
        let asked_for = |server: usize| self.pairs[server].away.map_or(0, |away| away.reduction);
        let takes = |server: usize| answers(server) && asked_for(server) <= 50;
        for (number, waiting) in self.requests.iter() {
            let at = waiting.server;
            let leaves = match waiting.in_conversation {
                false => !answers(at) || asked_for(at) == 100,
                true => self.frees_conversations(now, at) && answers(at) && !is_late(now, process),
            };
            let other = (0..self.pairs.len()).find(|&other| leaves && other != at && takes(other));
            if let Some(other) = other {
                panic!(
                    "{number:?} waits at server {at} ({:?}) though {other} would take it",
                    self.pairs[at].away
                );
            }
        }
    }
}

/// After a pause it may read what came before it looks at the time.
fn is_late(now: Instant, process: &Process) -> bool {
    process.upstream.poll_timeout().is_some_and(|(at, _)| at <= now)
}

fn mark_of(notice: &Notice<'_>) -> Mark {
    Mark { epoch: notice.header().epoch, sequence: notice.header().sequence }
}
