//! What a method is to its conversation.

use rand_core::Rng;

use crate::claim::{Claim, Verdict};
use crate::keys::Keys;

/// A method that waits for the peer's response. The response consumes it: what follows is in what it gives.
pub trait Method: Send {
    /// Whether taking this response burns CPU, so that it had better be done elsewhere.
    fn is_costly(&self, _response: &[u8]) -> bool {
        false
    }

    /// Why it will fail, whatever the peer answers: its request has told it so.
    fn fails(&self) -> Option<&Reason> {
        None
    }

    /// Writes what it knows besides the identity to the front of `room`, so that another server can take the response, and
    /// says how many octets that took. `None`: nobody else could, or it doesn't fit.
    fn save(&self, _identity: &[u8], _room: &mut [u8]) -> Option<usize> {
        None
    }

    /// Takes the response's octets behind its type.
    fn handle_response(self: Box<Self>, response: &[u8], context: &mut Context<'_>) -> Next;
}

/// A method that waits for a verdict on what its peer claimed.
pub trait Judged: Send {
    /// Whether taking the verdict burns CPU, so that it had better be done elsewhere.
    fn is_costly(&self) -> bool {
        false
    }

    /// Takes the verdict.
    fn handle_verdict(self: Box<Self>, verdict: &Verdict, context: &mut Context<'_>) -> Next;
}

/// What a method works with.
pub struct Context<'a> {
    /// Who the peer said it is.
    pub identity: &'a [u8],
    /// The identifier of the response at hand, or of the last one.
    pub identifier: u8,
    /// For challenges.
    pub random: &'a mut dyn Rng,
}

impl Context<'_> {
    /// A challenge of that many octets.
    pub fn challenge<const OCTETS: usize>(&mut self) -> [u8; OCTETS] {
        let mut challenge = [0; OCTETS];
        self.random.fill_bytes(&mut challenge);
        challenge
    }
}

/// What follows from a response or a verdict.
pub enum Next {
    /// A request with this data; its response is the method's.
    Ask(Box<dyn Method>, Vec<u8>),
    /// Somebody who knows accounts has to look at this.
    Verify(Box<dyn Judged>, Claim),
    /// The end: it is so. Methods without keys have none.
    Succeed(Option<Keys>),
    /// The end: it isn't so.
    Fail(Reason),
}

/// Why a conversation fails, where no verdict says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The verdict that was given before.
    Refused,
    /// The peer takes none of the methods that are offered.
    NoCommonMethod,
    /// What the peer wants to do within its tunnel isn't allowed there.
    InnerNotAllowed,
    /// The peer proves, or says that it proves, a user where a machine was asked for, or a machine where a user was.
    OtherIdentity,
    /// The peer's response isn't one of its method.
    Malformed,
    /// More rounds or octets than a conversation may have.
    TooLong,
    /// The peer wants to change its password, which nobody takes.
    PasswordChange,
    /// TLS could not be agreed on, or broke: a version, a cipher, a certificate. With why, for an operator.
    Tls(String),
    /// The peer says that the server isn't who it should be, or gives up.
    PeerRefuses,
    /// The peer doesn't bind what was proven within its tunnel to it, where that is wanted.
    Unbound,
}
