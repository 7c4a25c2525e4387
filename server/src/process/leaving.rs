//! The ladder for clients without the agent, while this server wants to be left (`[[client]] without_agent`).
//!
//! Nobody can tell them, so they are let notice: each rung makes one more kind of client look for another server.
//! Conversations under way, and repetitions of what was answered, are answered as always.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use forewarn_proto::time::Instant;
use forewarn_wire::{Code, Packet, Verified, WriteError, Writer, number};

use super::core::{Case, Desk, Turn};
use super::eap::rooms::PAUSE;
use super::outcome::Cause;
use super::tables::Client;

/// How far this server is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Leaving {
    /// It isn't.
    No,
    /// It asks all its clients to leave: it is away, or drains.
    Asked,
    /// The second half of a drain.
    Soon,
}

/// Which rungs a client is led down. The default: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rungs {
    /// Status-Server isn't answered (RFC 5997): who probes takes this server for dead before it is.
    pub status_server: bool,
    /// Requests are answered by Protocol-Error (RFC 7930 section 4).
    pub protocol_error: bool,
    /// In the second half of a drain they aren't answered at all.
    pub silence: bool,
}

impl Rungs {
    /// Whether there is any.
    pub fn any(self) -> bool {
        self != Rungs::default()
    }
}

/// What the announcer and the cores tell each other about it.
#[derive(Debug, Default)]
pub struct Departure {
    leaving: AtomicU8,
    asked_ns: AtomicU64,
    /// Access-Challenges of conversations that have no room here: when one last began such a conversation, and when
    /// one last went on with it.
    began_ns: AtomicU64,
    went_on_ns: AtomicU64,
}

impl Departure {
    /// How far it is.
    pub fn leaving(&self) -> Leaving {
        match self.leaving.load(Relaxed) {
            0 => Leaving::No,
            1 => Leaving::Asked,
            _ => Leaving::Soon,
        }
    }

    /// It is this far now.
    pub fn set(&self, leaving: Leaving) {
        self.leaving.store(leaving as u8, Relaxed);
    }

    /// When a client on the ladder last asked for something, if one ever has.
    pub fn asked(&self) -> Instant {
        Instant::from_nanos(self.asked_ns.load(Relaxed))
    }

    /// A client is asked for more by somebody else than EAP here: by a home server, or for a one-time code.
    /// `has_begun`: its request belonged to a conversation already.
    pub(super) fn challenged(&self, now: Instant, has_begun: bool) {
        let last = if has_begun { &self.went_on_ns } else { &self.began_ns };
        last.store(now.as_nanos(), Relaxed);
    }

    /// 1 if such a conversation goes on that began before this, as far as times tell: who says nothing for three seconds
    /// has gone.
    pub fn going_on(&self, now: Instant, before: Instant) -> u64 {
        let [began, went_on] =
            [&self.began_ns, &self.went_on_ns].map(|last| Instant::from_nanos(last.load(Relaxed)));
        let is_late = |last: Instant| last > Instant::ZERO && now.since(last) < PAUSE;
        u64::from(is_late(went_on) || (is_late(began) && began < before))
    }
}

impl Desk {
    /// How far this server is on its way out, as far as this client is to notice it.
    pub(super) fn leaving(&self, client: &Client, source: IpAddr) -> Leaving {
        let leaving = self.shared.vitals().departure().leaving();
        if leaving == Leaving::No || !client.rungs.any() {
            return Leaving::No;
        }
        // Who has the agent was told, unless it doesn't answer.
        if client.gets_notices && !self.shared.is_untold(source.to_canonical()) {
            return Leaving::No;
        }
        leaving
    }

    /// The rung that a new request meets. `None`: it is answered as always.
    pub(super) fn rung(
        &mut self,
        now: Instant,
        leaving: Leaving,
        client: &Client,
        case: Case<'_>,
        out: &mut [u8],
    ) -> Option<Turn> {
        let departure = self.shared.vitals().departure();
        if client.rungs.any() && departure.leaving() != Leaving::No {
            departure.asked_ns.store(now.as_nanos(), Relaxed);
        }
        if leaving == Leaving::No {
            return None;
        }
        if case.request.find(number::STATE).is_some() {
            return None;
        }
        if client.rungs.silence && leaving == Leaving::Soon {
            return Some(Turn::Silence(Cause::LeavingSilence));
        }
        if !client.rungs.protocol_error {
            return None;
        }
        Some(match protocol_error(out, client, case.request) {
            Ok(length) => Turn::Reply(Cause::Leaving, length),
            Err(_) => Turn::Silence(Cause::ReplyTooLong),
        })
    }
}

/// Original-Packet-Code, Extended-Attribute-1's type 4 (RFC 7930 section 4).
const ORIGINAL_PACKET_CODE: u8 = 4;
/// Error-Cause: Resources Unavailable (RFC 5176 section 3.5).
const RESOURCES_UNAVAILABLE: u32 = 506;

fn protocol_error(
    out: &mut [u8],
    client: &Client,
    request: &Verified<Packet<'_>>,
) -> Result<usize, WriteError> {
    let mut writer = Writer::new(out, Code::PROTOCOL_ERROR, request.identifier());
    if request.code() == Code::ACCESS_REQUEST {
        writer.message_authenticator()?;
    }
    let code = u32::from(request.code().0).to_be_bytes();
    writer.extended(number::EXTENDED_1, ORIGINAL_PACKET_CODE, &code)?;
    writer.integer(number::ERROR_CAUSE, RESOURCES_UNAVAILABLE)?;
    writer.proxy_states(request)?;
    writer.reply(&client.key, request.authenticator()).map(<[u8]>::len)
}
