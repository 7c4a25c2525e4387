//! EAP-PWD's messages in fragments (RFC 5931 sections 3.1 and 4).

use crate::method::{Context, Method, Next, Reason};

/// Flags of a packet; the rest of that octet says which exchange it belongs to.
const LENGTH: u8 = 0x80;
const MORE: u8 = 0x40;

/// Octets of one message of a peer, put together: an identity as long as may be, or what the largest group has.
const MESSAGE_MAX: usize = 512;

/// What waits for a whole message of the peer.
pub(super) trait Stage: Send {
    /// PWD-Exch of what it waits for, and of the request that asked for it.
    fn exchange(&self) -> u8;

    /// Whether taking the message burns CPU.
    fn is_costly(&self) -> bool {
        false
    }

    /// Takes the message.
    fn handle_message(self: Box<Self>, message: &[u8], context: &mut Context<'_>) -> Next;
}

/// A message of ours, of which a part may still have to leave, and what waits for its answer.
struct Framed {
    stage: Box<dyn Stage>,
    outgoing: Vec<u8>,
    sent: usize,
    fragment: usize,
    incoming: Vec<u8>,
    /// Total-Length, if the peer said so.
    promised: Option<usize>,
}

/// Sends a message, in fragments of at most so many octets; the answer is the stage's.
pub(super) fn ask(stage: Box<dyn Stage>, outgoing: Vec<u8>, fragment: usize) -> Next {
    Box::new(Framed { stage, outgoing, sent: 0, fragment, incoming: Vec::new(), promised: None }).send()
}

impl Method for Framed {
    fn is_costly(&self, response: &[u8]) -> bool {
        let is_last = response.first().is_some_and(|flags| flags & MORE == 0);
        is_last && self.sent == self.outgoing.len() && self.stage.is_costly()
    }

    fn handle_response(mut self: Box<Self>, response: &[u8], context: &mut Context<'_>) -> Next {
        let exchange = self.stage.exchange();
        if self.sent < self.outgoing.len() {
            // The peer has the fragment before, and nothing to say yet.
            return match response.is_empty() || response == [exchange] {
                true => self.send(),
                false => Next::Fail(Reason::Malformed),
            };
        }
        let Some((flags, mut rest)) = response.split_first() else { return Next::Fail(Reason::Malformed) };
        if flags & !(LENGTH | MORE) != exchange {
            return Next::Fail(Reason::Malformed);
        }
        if flags & LENGTH != 0 {
            let Some((length, behind)) = rest.split_first_chunk() else {
                return Next::Fail(Reason::Malformed);
            };
            self.promised = Some(usize::from(u16::from_be_bytes(*length)));
            rest = behind;
        }
        let octets = self.incoming.len() + rest.len();
        if octets.max(self.promised.unwrap_or(0)) > MESSAGE_MAX {
            return Next::Fail(Reason::TooLong);
        }
        self.incoming.extend(rest);
        if flags & MORE != 0 {
            // A fragment of nothing would go on for ever.
            return if rest.is_empty() {
                Next::Fail(Reason::Malformed)
            } else {
                Next::Ask(self, vec![exchange])
            };
        }
        if self.promised.is_some_and(|promised| promised != octets) {
            return Next::Fail(Reason::Malformed);
        }
        self.stage.handle_message(&self.incoming, context)
    }
}

impl Framed {
    /// The next fragment, the first with the length of it all.
    fn send(mut self: Box<Self>) -> Next {
        let left = self.outgoing.len() - self.sent;
        let octets = left.min(self.fragment);
        let mut request = vec![self.stage.exchange()];
        if octets < left {
            request[0] |= MORE;
            if self.sent == 0 {
                request[0] |= LENGTH;
                request.extend((self.outgoing.len() as u16).to_be_bytes());
            }
        }
        request.extend(&self.outgoing[self.sent..self.sent + octets]);
        self.sent += octets;
        Next::Ask(self, request)
    }
}
