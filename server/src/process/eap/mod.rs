//! EAP conversations: from a packet to a step of one, and from what accounts say back into it.
//!
//! What a method claims is looked at as any credentials are; the conversation at hand stands on the desk meanwhile, and
//! waits with its request where that has to wait.

pub mod expiry;
pub mod names;
#[cfg(feature = "openssl")]
pub mod openssl;
mod revocation;
pub mod rooms;
pub mod seals;
pub mod sessions;
mod taken;
pub mod tickets;
pub mod tls;
mod verified;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use forewarn_eap::{Claim, Conversation, Fingerprint, IdentityType, Keys, Proof, Reason, Step, Verdict};
use forewarn_wire::eap::{Eap, EapCode, method};
use forewarn_wire::mschap::{ErrorCode, HASH};
use forewarn_wire::number;
use rand::rngs::StdRng;
use rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

use super::access::Progress;
use super::core::{Case, Desk, Turn, WaitsFor};
use super::mailbox::{Finding, Promise};
use super::outcome::{Answer, Cause};
use super::tables::{Client, Tables};
use crate::config::eap::Eap as Offered;
use crate::policy::Groups;
use crate::users::{Account, Room};
pub(super) use write::write_success;

use rooms::{Bounds, Loan, Opened};
use seals::Refusal;

/// A conversation, and what is known of it besides what it knows itself.
#[derive(Debug)]
pub struct Underway {
    conversation: Conversation,
    /// Whose it is: nobody else goes on with it, and has the keys.
    client: Arc<str>,
    /// What the peer has claimed last.
    claim: Option<Arc<Claim>>,
    /// Whether that was found to be so.
    is_right: bool,
    /// Whether a second factor was proven with it.
    factor: bool,
    /// The user that was proven last, and whether a second factor was.
    user: Option<(Arc<Claim>, bool)>,
    /// The machine that was.
    machine: Option<Arc<Machine>>,
    /// Why the peer was told that it isn't let in.
    refused: Option<Cause>,
    /// Why the peer isn't let in, which it isn't told, and whether there is a record of that.
    withheld: Option<(Cause, bool)>,
    /// Whether there is a record of why it fails, although the peer may still say something to it.
    is_recorded: bool,
    /// The method has come to a good end, with keys or without.
    ended: Option<Option<Keys>>,
}

/// A machine that was proven, as its source has it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) name: Arc<str>,
    pub(super) groups: Groups,
}

impl Underway {
    fn new(conversation: Conversation, client: &Arc<str>) -> Self {
        Self {
            conversation,
            client: Arc::clone(client),
            claim: None,
            is_right: false,
            factor: false,
            user: None,
            machine: None,
            refused: None,
            withheld: None,
            is_recorded: false,
            ended: None,
        }
    }

    /// What the peer has claimed last.
    pub(super) fn claim(&self) -> Option<&Arc<Claim>> {
        self.claim.as_ref()
    }

    /// The machine that was proven, alone or beside its user.
    pub(super) fn machine(&self) -> Option<&Arc<Machine>> {
        self.machine.as_ref()
    }

    /// Notes that the claim is so, of this account.
    fn prove(&mut self, account: &Account, factor: bool) {
        (self.is_right, self.factor) = (true, factor);
        let Some(claim) = &self.claim else { return };
        match IdentityType::of(&claim.user) {
            IdentityType::User => self.user = Some((Arc::clone(claim), factor)),
            IdentityType::Machine => {
                let (name, groups) = (Arc::clone(&account.name), account.groups.clone());
                self.machine = Some(Arc::new(Machine { name, groups }));
            }
        }
    }

    /// The end: with a machine and a user, it is about the user, whoever came last.
    fn end_with(&mut self, keys: Option<Keys>) {
        self.ended = Some(keys);
        if let Some((claim, factor)) = self.user.take() {
            (self.claim, self.factor) = (Some(claim), factor);
        }
    }

    /// The method's good end, once it is there.
    pub(super) fn ended(&self) -> Option<&Option<Keys>> {
        self.ended.as_ref()
    }
}

impl Desk {
    /// Takes a packet with EAP-Message: to its conversation, and on.
    pub(super) fn eap(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        room: &mut Room,
        out: &mut [u8],
    ) -> Turn {
        let client = tables.client(case.client);
        self.trail.method = "eap";
        let Some(offered) = tables.eap() else {
            return self.reject(client, case, Cause::EapNotOffered, out);
        };
        let mut message = Zeroizing::new(Vec::new());
        if let Some(parts) = case.request.eap_message() {
            // All at once: what grows leaves copies behind.
            message.reserve_exact(parts.octets());
            parts.chunks().for_each(|part| message.extend(part));
        }
        let message = message.as_slice();
        let (loan, step) = match case.request.find(number::STATE) {
            // A peer that says who it is begins anew, whatever its NAS remembers.
            Some(state) if !begins(message) => {
                let opened = match self.shared.conversations().open(state, case.arrived, offered.timeout) {
                    Opened::Foreign(number) => self.take_over(tables, case, offered, (number, state)),
                    opened => opened,
                };
                match opened {
                    Opened::Stray | Opened::Foreign(_) => return self.reject_stray(client, case, out),
                    Opened::Busy => return Turn::Silence(Cause::InProgress),
                    Opened::Loan(loan) if loan.client != client.name => {
                        self.shared.conversations().count_stray(Some(Refusal::OtherClient));
                        return self.reject_stray(client, case, out);
                    }
                    Opened::Loan(loan) if loan.conversation.is_costly(message) => {
                        return self.eap_elsewhere(tables, case, loan, message);
                    }
                    Opened::Loan(mut loan) => {
                        let step = loan.conversation.handle_response(message, &mut self.random);
                        (loan, step)
                    }
                }
            }
            _ => match self.first(client, case, offered, message) {
                Some(first) => first,
                None => return self.reject_stray(client, case, out),
            },
        };
        self.trail.method = loan.conversation.method();
        // Its last answer was lost on the way, after the end.
        let step = match (&step, &loan.ended) {
            (Step::Ignored, Some(keys)) => Step::Success(keys.clone()),
            _ => step,
        };
        self.eap = Some(loan);
        self.eap_step(tables, case, step, room, out)
    }

    /// A response that burns CPU, such as the end of a handshake: on the pool.
    fn eap_elsewhere(&mut self, tables: &Arc<Tables>, case: Case<'_>, loan: Loan, message: &[u8]) -> Turn {
        let message = message.to_vec();
        self.advance_elsewhere(tables, case, loan, move |conversation, random| {
            conversation.handle_response(&message, random)
        })
    }

    /// A verdict that does.
    pub(super) fn eap_verdict_elsewhere(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        loan: Loan,
        verdict: Verdict,
    ) -> Turn {
        self.advance_elsewhere(tables, case, loan, move |conversation, random| {
            conversation.handle_verdict(&verdict, random)
        })
    }

    fn advance_elsewhere(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        mut loan: Loan,
        advance: impl FnOnce(&mut Conversation, &mut StdRng) -> Step + Send + 'static,
    ) -> Turn {
        let taken_up = Arc::new(AtomicBool::new(false));
        let waits_for = WaitsFor::Worker(Arc::clone(&taken_up));
        let Some(ticket) = self.wait(tables, case, waits_for, Progress::default()) else {
            return Turn::Silence(Cause::TooManyInFlight);
        };
        let promise = Promise::new(ticket, Arc::clone(self.shared.mailbox(self.number.into())));
        let mut random = StdRng::from_rng(&mut self.random);
        let job = move || {
            taken_up.store(true, Relaxed);
            let step = advance(&mut loan.conversation, &mut random);
            promise.keep(Finding::Eap(Box::new(loan), Box::new(step)));
        };
        match self.shared.workers().submit(case.arrived.as_nanos(), job) {
            Ok(()) => Turn::Waits,
            Err(_) => {
                self.abandon(ticket);
                Turn::Silence(Cause::WorkersFull)
            }
        }
    }

    /// Goes on with what the pool has found.
    pub(super) fn eap_found(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        loan: Loan,
        step: Step,
        out: &mut [u8],
    ) -> Turn {
        self.trail.method = loan.conversation.method();
        self.eap = Some(loan);
        let mut room = std::mem::take(&mut self.room);
        let turn = self.eap_step(tables, case, step, &mut room, out);
        self.room = room;
        self.eap_turn(tables, case, turn, out)
    }

    /// A new conversation. `None`: what the peer says belongs into one that isn't here.
    fn first(
        &mut self,
        client: &Client,
        case: Case<'_>,
        offered: &Offered,
        message: &[u8],
    ) -> Option<(Loan, Step)> {
        let settings = Arc::clone(&offered.settings);
        let (conversation, step) = if message.is_empty() {
            // EAP-Start (RFC 3579 section 2.1).
            (Conversation::greet(settings, self.random.next_u32() as u8), Step::Request)
        } else {
            Conversation::begin(settings, message, &mut self.random)?
        };
        let bounds = Bounds { conversations: offered.conversations, timeout: offered.timeout };
        let underway = Underway::new(conversation, &client.name);
        let rooms = self.shared.conversations();
        Some((rooms.begin(self.number, case.arrived, bounds, &mut self.random, underway), step))
    }

    /// Does what follows from a response or a verdict; the conversation stands on the desk.
    fn eap_step(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        step: Step,
        room: &mut Room,
        out: &mut [u8],
    ) -> Turn {
        let client = tables.client(case.client);
        let Some(loan) = &mut self.eap else { return Turn::Silence(Cause::WorkerFailed) };
        match step {
            Step::Request => {
                // Some peers say nothing more to either, so that no other record says it.
                let cause = match (&loan.withheld, loan.conversation.fails(), loan.refused) {
                    (Some((withheld, false)), ..) => {
                        self.trail.decided_by = Some(withheld.name().into());
                        loan.withheld = Some((*withheld, true));
                        Cause::EapWithheld
                    }
                    (_, Some(Reason::Tls(why)), _) if !loan.is_recorded => {
                        self.trail.decided_by = Some(why.as_str().into());
                        loan.is_recorded = true;
                        Cause::EapTlsAlert
                    }
                    (.., Some(_)) => Cause::EapRefused,
                    _ => Cause::EapContinues,
                };
                self.challenge_eap(tables, case, cause, out)
            }
            Step::Verify(claim) => {
                (loan.is_right, loan.factor, loan.refused) = (false, false, None);
                if matches!(claim.proof, Proof::Secret) {
                    // Its last time came to nothing.
                    loan.withheld = None;
                }
                loan.claim = Some(Arc::new(claim));
                self.proceed_in(tables, case, Progress::default(), room, out)
            }
            // Nobody has verified anything.
            Step::Success(_) if !loan.is_right => self.reject(client, case, Cause::WorkerFailed, out),
            Step::Success(keys) => {
                loan.end_with(keys);
                let progress = Progress { factor: loan.factor, ..Progress::proven() };
                self.proceed_in(tables, case, progress, room, out)
            }
            Step::Failure(reason) => {
                let cause = loan.refused.unwrap_or_else(|| cause_of(&reason));
                self.trail.is_recorded = loan.is_recorded;
                if let Reason::Tls(why) = reason {
                    self.trail.decided_by = Some(why.into());
                }
                self.reject(client, case, cause, out)
            }
            Step::Ignored => Turn::Silence(Cause::EapIgnored),
        }
    }

    /// The claim at hand is right: what the method makes of it. `None`: it has come to its end.
    pub(super) fn eap_is_right(
        &mut self,
        tables: &Tables,
        case: Case<'_>,
        account: &Account,
        hash_of_hash: Option<Zeroizing<[u8; HASH]>>,
        (factor, lasts): (bool, Option<Fingerprint>),
        out: &mut [u8],
    ) -> Option<Turn> {
        let client = tables.client(case.client);
        let loan = self.eap.as_mut().filter(|loan| loan.ended.is_none())?;
        loan.prove(account, factor);
        let verdict = Verdict::Right { hash_of_hash, lasts };
        match loan.conversation.handle_verdict(&verdict, &mut self.random) {
            Step::Success(keys) => {
                loan.end_with(keys);
                None
            }
            Step::Request => Some(self.challenge_eap(tables, case, Cause::EapContinues, out)),
            Step::Failure(reason) => Some(self.reject(client, case, cause_of(&reason), out)),
            Step::Verify(_) | Step::Ignored => Some(Turn::Silence(Cause::EapIgnored)),
        }
    }

    /// What a reject means to the conversation at hand: the peer may have to be told first.
    pub(super) fn eap_turn(
        &mut self,
        tables: &Arc<Tables>,
        case: Case<'_>,
        turn: Turn,
        out: &mut [u8],
    ) -> Turn {
        let Some(mut loan) = self.eap.take() else { return turn };
        match turn {
            Turn::Reject(cause, _) if loan.conversation.is_verdict_costly() => {
                loan.withheld = Some((cause, false));
                return self.eap_verdict_elsewhere(tables, case, loan, verdict_of(cause));
            }
            Turn::Reject(cause, length) if loan.conversation.is_judged() => {
                loan.is_right = false;
                let step = loan.conversation.handle_verdict(&verdict_of(cause), &mut self.random);
                if let Step::Request = step {
                    loan.refused = Some(cause);
                    self.eap = Some(loan);
                    return self.challenge_eap(tables, case, Cause::EapRefused, out);
                }
                let cause = loan.withheld.map_or(cause, |(withheld, _)| withheld);
                self.end_eap(loan);
                return Turn::Reject(cause, length);
            }
            Turn::Reject(..) => self.end_eap(loan),
            Turn::Reply(cause, _) if cause.answer() != Answer::Challenge => {
                self.end_eap(loan);
            }
            // It goes on with the peer's next packet.
            _ => self.eap = Some(loan),
        }
        turn
    }

    /// The name is kept for the record.
    fn end_eap(&mut self, loan: Loan) {
        self.trail.claim = loan.claim.clone();
        loan.end();
    }
}

/// Whether a message begins a conversation.
fn begins(message: &[u8]) -> bool {
    message.is_empty()
        || Eap::parse(message).is_some_and(|response| {
            response.code == EapCode::Response && response.method == Some(method::IDENTITY)
        })
}

/// What the peer is told.
fn verdict_of(cause: Cause) -> Verdict {
    match cause {
        // Who isn't known isn't told so.
        Cause::WrongPassword | Cause::UnknownUser | Cause::WrongCode => Verdict::Wrong,
        // Nor what is known of who is.
        Cause::NoPassword | Cause::MsChapNeedsNtHash | Cause::ChapNeedsClearText => Verdict::Wrong,
        Cause::FactorNeedsPap | Cause::TooManyFailures => Verdict::Wrong,
        Cause::Expired | Cause::AccountDisabled => Verdict::Refused(ErrorCode::AccountDisabled),
        Cause::OutsideLoginTime => Verdict::Refused(ErrorCode::RestrictedHours),
        _ => Verdict::Refused(ErrorCode::NoDialIn),
    }
}

fn cause_of(reason: &Reason) -> Cause {
    match reason {
        Reason::Refused => Cause::WrongPassword,
        Reason::NoCommonMethod => Cause::EapNoCommonMethod,
        Reason::InnerNotAllowed => Cause::EapInnerNotAllowed,
        Reason::OtherIdentity => Cause::EapOtherIdentity,
        Reason::Malformed => Cause::EapMalformed,
        Reason::TooLong => Cause::EapTooLong,
        Reason::Tls(_) => Cause::EapTls,
        Reason::PasswordChange => Cause::PasswordChange,
        Reason::PeerRefuses => Cause::EapPeerRefuses,
        Reason::Unbound => Cause::EapUnbound,
    }
}
