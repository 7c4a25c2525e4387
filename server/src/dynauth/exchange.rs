//! One CoA-Request or Disconnect-Request on its way: sent again with the same identifier and authenticator (RFC 5176
//! section 2.3, RFC 5080 section 2.2.1) until a NAS that knows the secret answers, or the time is up.

use forewarn_proto::exchange::{Retransmission, Timing, event_timestamp, is_current};
use forewarn_proto::time::{Instant, Utc};
use forewarn_wire::{AUTHENTICATOR, Code, MessageAuthenticatorRule, Packet, RadiusKey, number};
use rand_core::CryptoRng;

/// The machine of one exchange.
#[derive(Debug)]
pub struct Exchange {
    key: RadiusKey,
    requires_message_authenticator: bool,
    request: Box<[u8]>,
    timing: Timing,
    retransmission: Retransmission,
    began: Instant,
    /// The next transmission, or the end.
    due: Instant,
    to_send: bool,
    end: Option<End>,
    seen: Seen,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The NAS has done it.
    Ack {
        /// Error-Cause 200 to 299, if it gave one.
        cause: Option<u32>,
    },
    /// The NAS has not done it.
    Nak {
        /// Error-Cause, if it gave one.
        cause: Option<u32>,
    },
    /// Nobody who knows the secret answered in time.
    TimeOut,
}

/// What came and was no answer: it moves no timer, but tells an operator what is wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Replies without Message-Authenticator, which is required.
    pub without_message_authenticator: u32,
    /// Replies that the secret doesn't fit, or of an impossible code.
    pub forged: u32,
    /// Replies whose Event-Timestamp is too far from our clock.
    pub stale: u32,
    /// Datagrams that are no packets, or packets of another exchange.
    pub stray: u32,
    /// Times the NAS's host said that nobody listens there. Anybody can say so: the exchange goes on.
    pub unreachable: u32,
}

impl Exchange {
    /// Begins: `request` is a whole packet signed with `key`. The first transmission is due at once.
    pub fn begin(
        now: Instant,
        rng: &mut dyn CryptoRng,
        key: RadiusKey,
        requires_message_authenticator: bool,
        request: &[u8],
        timing: Timing,
    ) -> Exchange {
        let retransmission = Retransmission::first(&timing, rng);
        let due = now + retransmission.wait().min(timing.duration);
        Exchange {
            key,
            requires_message_authenticator,
            request: request.into(),
            timing,
            retransmission,
            began: now,
            due,
            to_send: true,
            end: None,
            seen: Seen::default(),
        }
    }

    /// The datagram to send, if one is due.
    pub fn poll_transmit(&mut self) -> Option<&[u8]> {
        std::mem::take(&mut self.to_send).then_some(&*self.request)
    }

    /// When to call [`Exchange::handle_timeout`] next; `None`: it has ended.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.end.is_none().then_some(self.due)
    }

    /// Sends again or gives up, if it is time.
    pub fn handle_timeout(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        if self.end.is_some() || now < self.due {
            return;
        }
        let last = self.began + self.timing.duration;
        let next = self.retransmission.next(&self.timing, rng).filter(|_| now < last);
        let Some(next) = next else {
            self.end = Some(End::TimeOut);
            return;
        };
        self.retransmission = next;
        self.due = (now + next.wait()).min(last);
        self.to_send = true;
    }

    /// Judges a datagram that came from the NAS's address. What is no answer is counted and changes nothing else.
    pub fn handle_datagram(&mut self, utc: Utc, datagram: &[u8]) {
        if self.end.is_some() {
            return;
        }
        let Ok(reply) = Packet::parse(datagram) else {
            self.seen.stray += 1;
            return;
        };
        if self.requires_message_authenticator && !reply.peek().has_message_authenticator() {
            self.seen.without_message_authenticator += 1;
            return;
        }
        if reply.peek().identifier() != self.identifier() {
            self.seen.stray += 1;
            return;
        }
        let rule = MessageAuthenticatorRule::Optional;
        let Ok(reply) = reply.verify_reply(&self.key, self.code(), &self.authenticator(), rule) else {
            self.seen.forged += 1;
            return;
        };
        if event_timestamp(&reply).is_some_and(|said| !is_current(said, utc)) {
            self.seen.stale += 1;
            return;
        }
        let cause = reply.attributes().find(|attribute| attribute.number == number::ERROR_CAUSE);
        let cause = cause.and_then(|attribute| attribute.integer());
        self.end = Some(match reply.code() {
            Code::DISCONNECT_ACK | Code::COA_ACK => End::Ack { cause },
            _ => End::Nak { cause },
        });
    }

    /// The NAS's host says that nobody listens there.
    pub fn handle_unreachable(&mut self) {
        self.seen.unreachable = self.seen.unreachable.saturating_add(1);
    }

    /// How it ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// What came and was no answer.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Transmissions so far.
    pub fn transmissions(&self) -> u32 {
        self.retransmission.transmissions()
    }

    /// Transmissions before it gives up.
    pub fn transmissions_max(&self) -> u32 {
        self.timing.transmissions
    }

    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    fn code(&self) -> Code {
        Code(self.request[0])
    }

    fn identifier(&self) -> u8 {
        self.request[1]
    }

    fn authenticator(&self) -> [u8; AUTHENTICATOR] {
        *self.request[4..].first_chunk().expect("a whole packet has a header")
    }
}
