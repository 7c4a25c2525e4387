//! What a peer claims, and what becomes of it.

use std::sync::Arc;

use forewarn_wire::mschap::{self, ErrorCode};
use zeroize::Zeroizing;

use crate::tls::{Certificate, Fingerprint};

/// What a peer says of itself, to be verified by whoever knows accounts.
#[derive(Clone)]
pub struct Claim {
    /// The method that brought it, as policies and records name it.
    pub method: &'static str,
    /// Who it says it is.
    pub user: Vec<u8>,
    /// What it proves it by.
    pub proof: Proof,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What a claim is proven by.
#[derive(Clone)]
pub enum Proof {
    /// The password.
    Password(Zeroizing<Vec<u8>>),
    /// The response to a challenge, as of CHAP (RFC 1994).
    Chap {
        /// What the response was made with.
        identifier: u8,
        /// The challenge.
        challenge: Vec<u8>,
        /// The response.
        response: [u8; 16],
    },
    /// The response to a challenge, as of MS-CHAP (RFC 2433).
    MsChap1 {
        /// To be repeated in what answers it.
        identifier: u8,
        /// The challenge.
        challenge: [u8; mschap::CHALLENGE],
        /// The response; `None`: the peer answers with the LAN Manager hash only.
        response: Option<[u8; mschap::RESPONSE]>,
    },
    /// A certificate that was verified: the name is out of it.
    Certificate(Arc<Certificate>),
    /// A session of TLS that was resumed: whoever began it has proven the name, by what had this fingerprint then.
    Resumed(Fingerprint),
    /// Nothing yet. The method has to know the password itself ([`Verdict::Secret`]), and says later by
    /// [`Proof::Shown`] what came of it. One secret is one guess, whether or not anything is heard of it again.
    Secret,
    /// What came of the secret that was asked for.
    Shown {
        /// Whether the peer has shown that it knows the same.
        right: bool,
    },
    /// The response to two challenges, as of MS-CHAPv2 (RFC 2759).
    MsChap2 {
        /// To be repeated in what answers it.
        identifier: u8,
        /// The authenticator's challenge.
        challenge: [u8; mschap::CHALLENGE_2],
        /// The peer's.
        peer: [u8; mschap::CHALLENGE_2],
        /// The response.
        response: [u8; mschap::RESPONSE],
        /// The name that the peer hashed.
        name: Vec<u8>,
    },
}

/// What was found of a claim.
#[derive(Clone)]
pub enum Verdict {
    /// It is so.
    Right {
        /// Of MS-CHAP, the hash of the password's hash: the authenticator's own proof and the keys follow from it.
        hash_of_hash: Option<Zeroizing<[u8; mschap::HASH]>>,
        /// The fingerprint of what the account was verified by, where that may be taken for so later, when a session is
        /// resumed: something was shown that only they know, and nothing of it is to be shown each time.
        lasts: Option<Fingerprint>,
    },
    /// The password in clear text, for the method that asked for it ([`Proof::Secret`]).
    Secret(Zeroizing<Vec<u8>>),
    /// The password or the response is wrong; another may be right.
    Wrong,
    /// Whatever they say, they aren't let in; with what MS-CHAP calls that.
    Refused(ErrorCode),
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Right { .. } => "Right",
            Verdict::Secret(_) => "Secret",
            Verdict::Wrong => "Wrong",
            Verdict::Refused(_) => "Refused",
        })
    }
}
