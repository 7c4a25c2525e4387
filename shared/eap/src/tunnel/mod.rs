//! What EAP-TLS (RFC 5216, RFC 9190), PEAP, EAP-TTLS (RFC 5281) and TEAP (RFC 9930) have in common: TLS's octets in fragments, and after
//! the handshake something that goes on within.

mod avp;
mod binding;
mod certificate;
mod inner;
mod keys;
mod peap;
mod teap;
mod ttls;

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::claim::{Claim, Proof, Verdict};
use crate::hello::Hello;
use crate::keys::Keys;
use crate::method::{Context, Judged, Method, Next, Reason};
use crate::settings::{Kind, Settings};
use crate::tls::{Channel, Fingerprint, Session};
use keys::Randoms;

/// Flags of a packet (RFC 5216 section 3.1).
const LENGTH: u8 = 0x80;
const MORE: u8 = 0x40;
const START: u8 = 0x20;
/// Of TEAP (RFC 9930 section 4.1): a preamble is behind TLS's octets, and the length of it before them.
const PREAMBLE: u8 = 0x10;
const VERSION: u8 = 0x07;

/// Octets of one TLS message, put together: a handshake with a chain of certificates fits, and nobody fills memory.
const MESSAGE_MAX: usize = 32_768;
/// The same for who has no certificate to show, before the handshake is over.
const HELLO_MAX: usize = 8_192;

/// What goes on within, once the handshake is over.
trait Inner: Send {
    /// Whether what the peer says next may burn CPU.
    fn is_costly(&self) -> bool {
        false
    }

    /// Why it will fail, whatever the peer answers.
    fn fails(&self) -> Option<&Reason> {
        None
    }

    /// The handshake is over.
    fn begin(&mut self, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside;

    /// The peer has said this; empty: it has only acknowledged.
    fn handle_message(&mut self, message: &[u8], outer: &Outer<'_>, context: &mut Context<'_>) -> Inside;

    /// What was found of its claim.
    fn handle_verdict(&mut self, verdict: &Verdict, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside;
}

/// The tunnel, as what goes on within sees it.
struct Outer<'a> {
    channel: &'a dyn Channel,
    randoms: &'a Randoms,
    /// Of TEAP: what both sides said in the clear, the server first.
    preamble: &'a [u8],
}

/// What follows within.
enum Inside {
    /// To say; the peer's answer is looked at.
    Say(Vec<u8>),
    /// To say, and when the peer has acknowledged it: the end.
    SayLast(Vec<u8>, Keys),
    /// Nothing to say: it is the peer's turn.
    Listen,
    Verify(Claim),
    Succeed(Keys),
    /// By what somebody else's tunnel may have carried here: once, and no session is resumed as this.
    SucceedUnbound(Keys),
    Fail(Reason),
}

/// What follows when the peer has acknowledged all that was sent.
enum Then {
    Listen,
    Succeed(Keys),
    Fail(Reason),
}

/// A method over TLS that waits for its peer.
struct Tunnel {
    channel: Box<dyn Channel>,
    randoms: Randoms,
    /// Of TEAP; others take any and say 0.
    version: u8,
    /// Of TEAP: what both sides said in the clear, the server first.
    preamble: Vec<u8>,
    /// Whether the peer has said anything yet.
    is_open: bool,
    inner: Box<dyn Inner>,
    /// Whether `inner` has begun.
    begun: bool,
    /// The method and the name of the last claim, where whoever resumes may be taken for it.
    claimed: Option<(&'static str, Vec<u8>)>,
    /// Whoever was proven. `None`: by what doesn't last.
    proven: Option<Vec<Session>>,
    /// Of a message that comes in fragments.
    incoming: Vec<u8>,
    /// Octets of one, before the handshake is over.
    hello_max: usize,
    /// Octets that the channel was fed and that haven't been read out of it; TLS's own are among them.
    unread: usize,
    /// What leaves, and how much of it has left.
    outgoing: Vec<u8>,
    sent: usize,
    fragment: usize,
    /// See [`Settings::binds`].
    binds: bool,
    then: Then,
}

/// With a claim that is being looked at.
struct Judging(Tunnel);

/// Begins one of the methods over TLS.
pub(crate) fn begin(kind: Kind, settings: &Arc<Settings>) -> Next {
    let channel = settings.tls.as_ref().and_then(|tls| tls.accept(kind, settings.resumes));
    let Some(channel) = channel else {
        return Next::Fail(Reason::Tls("a connection can't be made".into()));
    };
    let inner: Box<dyn Inner> = match kind {
        Kind::Peap => Box::new(peap::Peap::new(settings)),
        Kind::Ttls => Box::new(ttls::Ttls::new(settings)),
        Kind::Teap => Box::new(teap::Teap::new(settings)),
        _ => Box::new(certificate::Certificate),
    };
    let (version, preamble) = match kind {
        Kind::Teap => (teap::VERSION, teap::preamble(settings)),
        _ => (0, Vec::new()),
    };
    let start = start(version, &preamble);
    let tunnel = Tunnel {
        channel,
        randoms: Randoms::default(),
        version,
        preamble,
        is_open: false,
        inner,
        begun: false,
        claimed: None,
        proven: Some(Vec::new()),
        incoming: Vec::new(),
        hello_max: if kind == Kind::Tls { MESSAGE_MAX } else { HELLO_MAX },
        unread: 0,
        outgoing: Vec::new(),
        sent: 0,
        fragment: settings.fragment,
        binds: settings.binds,
        then: Then::Listen,
    };
    Next::Ask(Box::new(tunnel), start)
}

/// The first request: flags, and TEAP's preamble behind its length.
fn start(version: u8, preamble: &[u8]) -> Vec<u8> {
    let mut start = vec![START | version];
    if !preamble.is_empty() {
        start[0] |= PREAMBLE;
        start.extend((preamble.len() as u32).to_be_bytes());
        start.extend(preamble);
    }
    start
}

/// A packet's flags, the length of the message it promises, and what is behind them. `None`: the length is cut off.
fn parts(packet: &[u8]) -> Option<(u8, Option<usize>, &[u8])> {
    let (flags, rest) = packet.split_first().map_or((0, packet), |(flags, rest)| (*flags, rest));
    if flags & LENGTH == 0 {
        return Some((flags, None, rest));
    }
    let (length, rest) = rest.split_first_chunk()?;
    Some((flags, Some(u32::from_be_bytes(*length) as usize), rest))
}

impl Method for Tunnel {
    /// Before its peer has said anything there is nothing to know, and any server has the other half of a handshake. Not
    /// so TEAP's, whose preamble is bound to what follows.
    fn save(&self, _: &[u8], _: &mut [u8]) -> Option<usize> {
        (!self.is_open && self.preamble.is_empty()).then_some(0)
    }

    fn is_costly(&self, response: &[u8]) -> bool {
        let Some((flags, _, rest)) = parts(response) else { return false };
        // The last fragment of a message.
        let ends_message = (!rest.is_empty() || !self.incoming.is_empty()) && flags & MORE == 0;
        if self.begun || !ends_message {
            return ends_message && self.inner.is_costly();
        }
        // A hello in one piece may go on with a session, and a preamble isn't one.
        let hello = (self.incoming.is_empty() && self.version == 0).then(|| Hello::parse(rest)).flatten();
        self.channel.is_costly() && !hello.is_some_and(|hello| self.channel.goes_on(&hello.offer()))
    }

    fn fails(&self) -> Option<&Reason> {
        match &self.then {
            Then::Fail(reason) => Some(reason),
            Then::Listen | Then::Succeed(_) => self.inner.fails(),
        }
    }

    fn handle_response(mut self: Box<Self>, response: &[u8], context: &mut Context<'_>) -> Next {
        let Some((flags, promised, rest)) = parts(response) else { return Next::Fail(Reason::Malformed) };
        let Some(rest) = self.without_preamble(flags, rest) else { return Next::Fail(Reason::Malformed) };
        if self.sent < self.outgoing.len() {
            // The peer has the fragment before, and nothing to say yet.
            return match rest.is_empty() && flags & MORE == 0 {
                true => self.send(),
                false => Next::Fail(Reason::Malformed),
            };
        }
        if rest.is_empty() && self.incoming.is_empty() {
            match std::mem::replace(&mut self.then, Then::Listen) {
                Then::Succeed(keys) => return self.succeed(keys),
                Then::Fail(reason) => return Next::Fail(reason),
                Then::Listen => {}
            }
        }
        let octets = self.incoming.len() + rest.len();
        let most = if self.begun { MESSAGE_MAX } else { self.hello_max };
        if octets > most || promised.is_some_and(|promised| promised > most) {
            return Next::Fail(Reason::TooLong);
        }
        self.incoming.extend(rest);
        if flags & MORE != 0 {
            // A fragment of nothing would go on for ever.
            return if rest.is_empty() { Next::Fail(Reason::Malformed) } else { self.acknowledge() };
        }
        let message = std::mem::take(&mut self.incoming);
        // Whatever it has to say to that.
        if let Then::Fail(reason) = self.then {
            return Next::Fail(reason);
        }
        self.randoms.hear(&message);
        self.unread += message.len();
        if let Err(broken) = self.channel.feed(&message) {
            let why = match Hello::parse(&message) {
                Some(hello) => format!("{}; {hello}", broken.why),
                None => broken.why,
            };
            return self.fail(Reason::Tls(why));
        }
        // Where the end was said already, only an acknowledgement brings it about: this is an alert, or nonsense.
        if let Then::Succeed(_) = self.then {
            return Next::Fail(Reason::PeerRefuses);
        }
        self.advance(context)
    }
}

impl Tunnel {
    /// The octets of TLS: the version is right, and the preamble taken or, after the first response, left out (RFC 9930
    /// sections 3.1 and 4.3.1).
    fn without_preamble<'r>(&mut self, flags: u8, rest: &'r [u8]) -> Option<&'r [u8]> {
        let was_open = std::mem::replace(&mut self.is_open, true);
        if self.version == 0 {
            return Some(rest);
        }
        (flags & VERSION == self.version).then_some(())?;
        if flags & PREAMBLE == 0 {
            return Some(rest);
        }
        let (length, rest) = rest.split_first_chunk()?;
        let (rest, preamble) = rest.split_at(rest.len().checked_sub(u32::from_be_bytes(*length) as usize)?);
        if !was_open {
            self.preamble.extend(preamble);
        }
        Some(rest)
    }

    /// The peer is told by an alert, if there is one.
    fn fail(mut self: Box<Self>, reason: Reason) -> Next {
        let mut alert = Vec::new();
        self.channel.take(&mut alert);
        if alert.is_empty() {
            return Next::Fail(reason);
        }
        self.put(alert);
        self.then = Then::Fail(reason);
        self.send()
    }

    /// Goes on by what was fed.
    fn advance(mut self: Box<Self>, context: &mut Context<'_>) -> Next {
        // TLS 1.3's tickets leave with what is said next, or the peer would have to acknowledge them first.
        if !self.channel.is_established() || !self.channel.is_13() {
            let mut out = Vec::new();
            self.channel.take(&mut out);
            self.randoms.say(&out);
            if !out.is_empty() || !self.channel.is_established() {
                self.put(out);
                return self.send();
            }
        }
        // There may be a password in it, so that it mustn't have to grow: there is never more than came.
        let mut message = Zeroizing::new(Vec::with_capacity(self.unread));
        self.channel.read(&mut message);
        self.unread -= message.len().min(self.unread);
        if message.len() > MESSAGE_MAX {
            return Next::Fail(Reason::TooLong);
        }
        let mut inside = Inside::Listen;
        let Self { channel, randoms, preamble, inner, begun, .. } = &mut *self;
        let outer = Outer { channel: &**channel, randoms, preamble };
        let begins = !std::mem::replace(begun, true);
        if begins {
            inside = inner.begin(&outer, context);
        }
        if !begins || (matches!(inside, Inside::Listen) && !message.is_empty()) {
            inside = inner.handle_message(&message, &outer, context);
        }
        self.follow(inside)
    }

    fn follow(mut self: Box<Self>, inside: Inside) -> Next {
        let (text, then) = match inside {
            Inside::Say(text) => (text, Then::Listen),
            Inside::SayLast(text, keys) => (text, Then::Succeed(keys)),
            Inside::Listen => (Vec::new(), Then::Listen),
            Inside::Verify(claim) => {
                // A certificate may run out and be revoked, and one that was shown within isn't in the ticket.
                let lasts = !matches!(claim.proof, Proof::Certificate(_));
                self.claimed = lasts.then(|| (claim.method, claim.user.clone()));
                return Next::Verify(Box::new(Judging(*self)), claim);
            }
            Inside::Succeed(keys) => return self.succeed(keys),
            Inside::SucceedUnbound(_) if self.binds => return Next::Fail(Reason::Unbound),
            Inside::SucceedUnbound(keys) => {
                self.proven = None;
                return self.succeed(keys);
            }
            Inside::Fail(reason) => {
                // Who was refused on resuming has to prove all of it again.
                self.channel.forget();
                return Next::Fail(reason);
            }
        };
        let mut out = Vec::new();
        if !text.is_empty() {
            self.channel.write(&text);
        }
        self.channel.take(&mut out);
        self.then = then;
        self.put(out);
        self.send()
    }

    /// The end, from which on the session may be resumed.
    fn succeed(mut self: Box<Self>, keys: Keys) -> Next {
        if let Some(proven) = self.proven.take().filter(|proven| !proven.is_empty()) {
            self.channel.keep(proven);
        }
        Next::Succeed(Some(keys))
    }

    /// What was claimed is so. One that doesn't last, and resuming can't stand for them all.
    fn prove(&mut self, lasts: Option<Fingerprint>) {
        match (&mut self.proven, self.claimed.take(), lasts) {
            (Some(proven), Some((method, user)), Some(fingerprint)) => {
                proven.push(Session { method, user, fingerprint });
            }
            _ => self.proven = None,
        }
    }

    fn acknowledge(self: Box<Self>) -> Next {
        let flags = self.version;
        Next::Ask(self, vec![flags])
    }

    fn put(&mut self, out: Vec<u8>) {
        (self.outgoing, self.sent) = (out, 0);
    }

    /// The next fragment, the first with the length of it all; or nothing, which acknowledges.
    fn send(mut self: Box<Self>) -> Next {
        let left = self.outgoing.len() - self.sent;
        let is_first = self.sent == 0;
        let octets = left.min(self.fragment);
        let mut flags = self.version | if octets < left { MORE } else { 0 };
        let mut request = Vec::with_capacity(5 + octets);
        if is_first && octets < left {
            flags |= LENGTH;
        }
        request.push(flags);
        if flags & LENGTH != 0 {
            let length = u32::try_from(self.outgoing.len()).unwrap_or(u32::MAX);
            request.extend(length.to_be_bytes());
        }
        request.extend(&self.outgoing[self.sent..self.sent + octets]);
        self.sent += octets;
        if self.sent == self.outgoing.len() {
            self.put(Vec::new());
        }
        Next::Ask(self, request)
    }
}

impl Judged for Judging {
    fn handle_verdict(self: Box<Self>, verdict: &Verdict, context: &mut Context<'_>) -> Next {
        let Judging(mut tunnel) = *self;
        let Tunnel { channel, randoms, preamble, inner, .. } = &mut tunnel;
        let outer = Outer { channel: &**channel, randoms, preamble };
        let inside = inner.handle_verdict(verdict, &outer, context);
        match verdict {
            Verdict::Right { lasts, .. } => tunnel.prove(*lasts),
            // Who is refused on resuming has to prove all of it again.
            Verdict::Wrong | Verdict::Refused(_) => tunnel.channel.forget(),
            Verdict::Secret(_) => {}
        }
        Box::new(tunnel).follow(inside)
    }
}

#[cfg(test)]
mod tests;
