//! The way of a datagram, up to who answers it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::dedup::{self, Check};
use forewarn_proto::time::Instant;
use forewarn_wire::{Code, MessageAuthenticatorRule, Packet, Verified, WriteError, Writer, number};
use rand_core::Rng;

use crate::config::ListenKind;
use crate::decisions::Trail;
use crate::metrics::latency::Kind;
use crate::process::leaving::Leaving;
use crate::process::ledger::Complaint;
use crate::process::outcome::Cause;
use crate::process::tables::{Client, Tables, ledger_key};

use super::Arrival;
use super::desk::{Case, Desk, Turn};

/// From receipt to an Access-Reject, at least: what guessing passwords costs.
pub const REJECT_DELAY: Duration = Duration::from_secs(1);
/// And up to this much more, at random, so that the time tells nothing and bursts are spread.
pub const REJECT_JITTER: Duration = Duration::from_millis(100);

impl Desk {
    /// The whole way of a datagram; the length of the reply that goes out at once.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        tables: &Arc<Tables>,
        arrival: &Arrival<'_>,
        out: &mut [u8],
    ) -> Option<usize> {
        self.eap = None;
        if !self.shared.vitals().taking() {
            return self.drained(now, tables, arrival, out);
        }
        let Some(index) = tables.client_at(arrival.source.ip()) else {
            self.tell_client(arrival.source.ip(), None);
            self.stranger(arrival.source.ip(), now);
            return None;
        };
        let client = tables.client(index);
        self.tell_client(arrival.source.ip(), Some(client));
        client.ledger.count_request(self.number.into());
        // Before it teaches.
        let rule = self.story.as_ref().map(|_| client.rule());
        let request = match self.verified(client, arrival) {
            Ok(request) => request,
            Err(cause) => {
                self.tell_authenticity(client, rule, Err(cause));
                self.count(cause);
                self.complain(client, cause, arrival, now);
                return None;
            }
        };
        self.tell_authenticity(client, rule, Ok(&request));
        // An Access-Request without Message-Authenticator is signed by nobody (RFC 2865 section 3).
        let is_signed = request.code() != Code::ACCESS_REQUEST || request.has_message_authenticator();
        if is_signed {
            client.ledger.vouched();
        }
        if is_signed && !client.is_single() {
            let address = arrival.source.ip().to_canonical();
            self.ear.hear(self.shared.heard(), &client.name, address, now);
        }
        let leaving = self.leaving(client, arrival.source.ip());
        if request.code() == Code::STATUS_SERVER && leaving != Leaving::No && client.rungs.status_server {
            self.count(Cause::LeavingStatus);
            return None;
        }
        if request.code() == Code::STATUS_SERVER {
            return self.status(client, arrival, &request, out);
        }
        let slot = match self.fresh(now, arrival, &request, out) {
            Ok(slot) => slot,
            Err(repeated) => return repeated,
        };
        let route = arrival.route();
        let case = Case { client: index, request: &request, slot, route, arrived: arrival.arrived };
        let turn = match self.rung(now, leaving, client, case, out) {
            Some(turn) => turn,
            None => match arrival.kind {
                ListenKind::Auth => self.access(tables, case, out),
                ListenKind::Acct => self.accounting(tables, case),
            },
        };
        self.conclude(now, tables, case, turn, out)
    }

    /// Frames and verifies (RFC 2865 section 3, RFC 2866 section 3), and learns.
    fn verified<'a>(
        &mut self,
        client: &Client,
        arrival: &Arrival<'a>,
    ) -> Result<Verified<Packet<'a>>, Cause> {
        let packet = Packet::parse(arrival.octets)?;
        let code = packet.peek().code();
        match (arrival.kind, code) {
            (ListenKind::Auth, Code::ACCESS_REQUEST | Code::STATUS_SERVER) => {}
            (ListenKind::Acct, Code::ACCOUNTING_REQUEST | Code::STATUS_SERVER) => {}
            _ => return Err(Cause::UnknownCode),
        }
        let rule = match code {
            Code::ACCESS_REQUEST => client.rule(),
            _ => MessageAuthenticatorRule::Required,
        };
        let core = self.number.into();
        let has_eap = packet.peek().has_eap_message();
        if code == Code::ACCESS_REQUEST && !packet.peek().has_message_authenticator() && !has_eap {
            client.ledger.note_without_message_authenticator(core, arrival.arrived);
        }
        let request = packet.verify_request(&client.key, rule)?;
        if code != Code::ACCESS_REQUEST || !request.has_message_authenticator() {
            return Ok(request);
        }
        if has_eap {
            client.ledger.count_eap(core);
            return Ok(request);
        }
        client.ledger.note_with_message_authenticator(core, arrival.arrived);
        if client.is_learning() && client.ledger.learn() {
            self.keep_learnt(client);
        }
        Ok(request)
    }

    /// Nothing is taken any more. Who lost the reply to what was taken before is sent it again.
    fn drained(
        &mut self,
        now: Instant,
        tables: &Tables,
        arrival: &Arrival<'_>,
        out: &mut [u8],
    ) -> Option<usize> {
        let client = tables.client_at(arrival.source.ip()).map(|index| tables.client(index));
        let request = client.and_then(|client| self.verified(client, arrival).ok());
        let length = request.and_then(|request| {
            let octets = self.dedup.replay(now, arrival.key(&request), request.authenticator())?;
            out.get_mut(..octets.len())?.copy_from_slice(octets);
            Some(octets.len())
        });
        self.count(if length.is_some() { Cause::Duplicate } else { Cause::Drained });
        length
    }

    /// Once per client.
    fn keep_learnt(&self, client: &Client) {
        let name = &client.name;
        tracing::info!("client {name:?} sends Message-Authenticator: from now on it is required of it");
        self.shared.keep_learnt(ledger_key(name, client.network));
    }

    /// RFC 5997: answered at once, and not remembered, since asking again is harmless.
    fn status(
        &mut self,
        client: &Client,
        arrival: &Arrival<'_>,
        request: &Verified<Packet<'_>>,
        out: &mut [u8],
    ) -> Option<usize> {
        let (cause, code) = match arrival.kind {
            ListenKind::Auth => (Cause::StatusOfAuth, Code::ACCESS_ACCEPT),
            ListenKind::Acct => (Cause::StatusOfAcct, Code::ACCOUNTING_RESPONSE),
        };
        let written = write_plain(out, code, client, request);
        self.count(if written.is_ok() { cause } else { Cause::ReplyTooLong });
        if written.is_ok() {
            self.departs(arrival.arrived, Kind::Status, cause.answer());
        }
        written.ok()
    }

    /// RFC 5080 section 2.2.2. An error is a duplicate, with the length of its reply if it has one already.
    fn fresh(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_>,
        request: &Packet<'_>,
        out: &mut [u8],
    ) -> Result<dedup::Slot, Option<usize>> {
        let key = arrival.key(request);
        let (cause, length) = match self.dedup.check(now, key, request.authenticator()) {
            Check::New { slot, .. } => return Ok(slot),
            Check::Replay(octets) => match out.get_mut(..octets.len()) {
                Some(room) => {
                    room.copy_from_slice(octets);
                    (Cause::Duplicate, Some(octets.len()))
                }
                None => (Cause::ReplyTooLong, None),
            },
            Check::InProgress(_) => (Cause::InProgress, None),
            Check::Full => (Cause::DuplicateTableFull, None),
        };
        self.count(cause);
        Err(length)
    }

    /// Turns what became of a request into what goes out now.
    pub(in crate::process) fn conclude(
        &mut self,
        now: Instant,
        tables: &Tables,
        case: Case<'_>,
        turn: Turn,
        out: &[u8],
    ) -> Option<usize> {
        if let Turn::Silence(cause) | Turn::Reply(cause, _) | Turn::Reject(cause, _) = turn {
            self.tell_end(cause);
        }
        // Goes back to its room at the end.
        let conversation = self.eap.take();
        if self.trail.claim.is_none() {
            self.trail.claim = conversation.as_ref().and_then(|loan| loan.claim().cloned());
        }
        let claim = self.trail.claim.clone();
        let user = claim.as_ref().map(|claim| claim.user.as_slice());
        let user = user.or(case.request.find(number::USER_NAME)).unwrap_or_default();
        match turn {
            Turn::Waits => {
                self.trail = Trail::default();
                None
            }
            Turn::Silence(cause) => {
                self.count(cause);
                self.record(tables, case, user, cause);
                // Not answered, so that its sender's next try is a new request.
                self.dedup.forget(case.slot);
                None
            }
            Turn::Reply(cause, length) => {
                let current = self.dedup.complete(now, case.slot, &out[..length]);
                let cause = if current { cause } else { Cause::Replaced };
                self.count(cause);
                self.record(tables, case, user, cause);
                if current {
                    self.post_auth(case, user, cause, &out[..length]);
                    if let Cause::HomeChallenged | Cause::CodeAsked = cause {
                        let has_begun = case.request.find(number::STATE).is_some();
                        self.shared.vitals().departure().challenged(now, has_begun);
                    }
                    self.departs(case.arrived, Kind::of(case.request.code()), cause.answer());
                }
                current.then_some(length)
            }
            Turn::Reject(cause, length) => {
                let jitter = REJECT_JITTER.as_nanos() as u64;
                let jitter = Duration::from_nanos(self.random.next_u64() % jitter);
                let due = case.arrived + REJECT_DELAY + jitter;
                let room = self.in_flight() < self.in_flight_max;
                let reply = (case.route, case.slot, cause, case.arrived);
                let waits = room && self.delayed.insert(due, reply, &out[..length]);
                let cause = if waits { cause } else { Cause::TooManyInFlight };
                self.record(tables, case, user, cause);
                if waits {
                    self.post_auth(case, user, cause, &out[..length]);
                }
                if !waits {
                    self.count(cause);
                    self.dedup.forget(case.slot);
                }
                None
            }
        }
    }

    fn stranger(&mut self, address: IpAddr, now: Instant) {
        self.count(Cause::UnknownClient);
        let address = address.to_canonical();
        if self.ear.hear_stranger(self.shared.strangers(), address, now) {
            tracing::warn!(
                "packet from {address}, which is no client: dropped; if it should be one, add [[client]] with address = \"{address}\""
            );
        }
    }

    /// Tells the operator which setting dropped a packet and what to do, at most once a minute for each client.
    fn complain(&self, client: &Client, cause: Cause, arrival: &Arrival<'_>, now: Instant) {
        let complaint = match cause {
            Cause::WrongMessageAuthenticator | Cause::WrongAuthenticator if client.ledger.forged() => {
                Complaint::WrongSecret
            }
            Cause::NoMessageAuthenticator => Complaint::NoMessageAuthenticator,
            Cause::ProxyState => Complaint::ProxyState,
            Cause::EapWithoutMessageAuthenticator => Complaint::EapWithoutMessageAuthenticator,
            _ => return,
        };
        if !client.ledger.may_complain(complaint, now.as_nanos()) {
            return;
        }
        let (name, source) = (&client.name, arrival.source);
        match complaint {
            Complaint::WrongSecret => tracing::warn!(
                "the secret of client {name:?} looks wrong: {source} has sent several packets that it doesn't fit; set the same secret on both ends"
            ),
            Complaint::NoMessageAuthenticator => tracing::warn!(
                "Access-Request of client {name:?} ({source}) without Message-Authenticator: dropped by require_message_authenticator; update the device or make it send the attribute, or, if it can't, set require_message_authenticator = \"no\" for this client (open to CVE-2024-3596)"
            ),
            Complaint::ProxyState => tracing::warn!(
                "Access-Request of client {name:?} ({source}) with Proxy-State and without Message-Authenticator: dropped by limit_proxy_state; if it is a proxy, make it send Message-Authenticator"
            ),
            Complaint::EapWithoutMessageAuthenticator => tracing::warn!(
                "Access-Request of client {name:?} ({source}) with EAP-Message and without Message-Authenticator: dropped, as RFC 3579 section 3.1 demands; the device is at fault"
            ),
        }
    }
}

/// A reply with nothing in it but what every reply has.
pub(in crate::process) fn write_plain(
    out: &mut [u8],
    code: Code,
    client: &Client,
    request: &Packet<'_>,
) -> Result<usize, WriteError> {
    let mut writer = Writer::new(out, code, request.identifier());
    if code.is_access_reply() || request.code() == Code::STATUS_SERVER {
        writer.message_authenticator()?;
    }
    writer.proxy_states(request)?;
    writer.reply(&client.key, request.authenticator()).map(<[u8]>::len)
}
