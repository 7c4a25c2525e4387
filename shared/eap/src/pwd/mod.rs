//! EAP-PWD (RFC 5931): both sides prove to each other that they know the password, and neither says anything by which it
//! could be guessed offline. Whoever guesses has one guess in each exchange.
//!
//! ```text
//! server                                      peer
//!   Identity: group, token, server's name  ->
//!                                          <- the same, and the user
//!   (the account's password is asked for; who has none of use has one of nobody's)
//!   Commit: element, scalar                ->
//!                                          <- element, scalar
//!   Confirm                                ->
//!                                          <- Confirm
//!   (whether that fitted is told to whoever asked)
//! ```

mod frame;
mod group;

use std::sync::Arc;

use forewarn_wire::eap::method;
use p256::NistP256;
use p384::NistP384;
use p521::NistP521;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::claim::{Claim, Proof, Verdict};
use crate::keys::Keys;
use crate::method::{Context, Judged, Next, Reason};
use crate::settings::{PwdGroup, Settings};
use frame::{Stage, ask};
use group::{Commit, Curve, HASH, derive, password_element, random_function};

/// PWD-Exch (section 3.1).
const IDENTITY: u8 = 1;
const COMMIT: u8 = 2;
const CONFIRM: u8 = 3;

/// HMAC-SHA-256, as random function and as PRF; passwords are taken as they are (section 3.2.1).
const RANDOM_FUNCTION: u8 = 1;
const PRF: u8 = 1;
const AS_IT_IS: u8 = 0;

const TOKEN: usize = 4;
/// Group, random function, PRF.
const CIPHERSUITE: usize = 4;
/// In front of an identity.
const HEADER: usize = CIPHERSUITE + TOKEN + 1;
/// As a User-Name carries.
const IDENTITY_MAX: usize = 253;
const KEY: usize = 64;

/// What both sides have agreed on before they say who they are.
struct Terms {
    settings: Arc<Settings>,
    /// Ciphersuite, token and preparation, as they were sent and have to come back.
    header: [u8; HEADER],
}

impl Terms {
    fn ciphersuite(&self) -> &[u8] {
        &self.header[..CIPHERSUITE]
    }

    fn token(&self) -> &[u8] {
        &self.header[CIPHERSUITE..CIPHERSUITE + TOKEN]
    }
}

/// The peer is to say who it is.
struct Asked(Terms);

/// Somebody looks for its password.
struct Named {
    terms: Terms,
    peer: Vec<u8>,
}

/// The peer is to commit itself, too.
struct Committed<C: Curve> {
    terms: Terms,
    peer: Vec<u8>,
    commit: Commit<C>,
    is_decoy: bool,
}

/// The peer is to prove that it knows the password: by this, and then these are the keys.
struct Confirmed {
    peer: Vec<u8>,
    expected: Zeroizing<[u8; HASH]>,
    keys: Keys,
    is_decoy: bool,
}

/// The keys, if it has.
struct Shown(Option<Keys>);

pub(crate) fn begin(settings: &Arc<Settings>, context: &mut Context<'_>) -> Next {
    let [high, low] = settings.pwd.group.number().to_be_bytes();
    let token: [u8; TOKEN] = context.challenge();
    let mut header = [high, low, RANDOM_FUNCTION, PRF, 0, 0, 0, 0, AS_IT_IS];
    header[CIPHERSUITE..CIPHERSUITE + TOKEN].copy_from_slice(&token);
    let request = [&header, settings.pwd.server_id.as_bytes()].concat();
    let fragment = settings.fragment;
    ask(Box::new(Asked(Terms { settings: Arc::clone(settings), header })), request, fragment)
}

impl Stage for Asked {
    fn exchange(&self) -> u8 {
        IDENTITY
    }

    fn handle_message(self: Box<Self>, message: &[u8], _: &mut Context<'_>) -> Next {
        let Asked(terms) = *self;
        // A peer that doesn't want the group, or passwords as they are, refuses the method (section 2.8.5.1).
        let peer = message.strip_prefix(&terms.header).unwrap_or_default();
        if peer.is_empty() || peer.len() > IDENTITY_MAX {
            return Next::Fail(Reason::Malformed);
        }
        let claim = Claim { method: "eap-pwd", user: peer.to_vec(), proof: Proof::Secret };
        Next::Verify(Box::new(Named { terms, peer: peer.to_vec() }), claim)
    }
}

impl Judged for Named {
    fn is_costly(&self) -> bool {
        true
    }

    /// Who isn't let in finds that out by being wrong, as anybody else.
    fn handle_verdict(self: Box<Self>, verdict: &Verdict, context: &mut Context<'_>) -> Next {
        let decoy: [u8; 32] = context.challenge();
        let (password, is_decoy) = match verdict {
            Verdict::Secret(password) => (password.as_slice(), false),
            Verdict::Right { .. } | Verdict::Wrong | Verdict::Refused(_) => (decoy.as_slice(), true),
        };
        match self.terms.settings.pwd.group {
            PwdGroup::P256 => self.commit::<NistP256>(password, is_decoy, context),
            PwdGroup::P384 => self.commit::<NistP384>(password, is_decoy, context),
            PwdGroup::P521 => self.commit::<NistP521>(password, is_decoy, context),
        }
    }
}

impl Named {
    fn commit<C: Curve>(self, password: &[u8], is_decoy: bool, context: &mut Context<'_>) -> Next {
        let Named { terms, peer } = self;
        let server = terms.settings.pwd.server_id.as_bytes();
        let Some(element) = password_element::<C>(terms.token(), &peer, server, password) else {
            return Next::Fail(Reason::Refused);
        };
        let commit = Commit::<C>::new(element, context.random);
        let (request, fragment) = (commit.sent().to_vec(), terms.settings.fragment);
        ask(Box::new(Committed { terms, peer, commit, is_decoy }), request, fragment)
    }
}

impl<C: Curve> Stage for Committed<C> {
    fn exchange(&self) -> u8 {
        COMMIT
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn handle_message(self: Box<Self>, message: &[u8], _: &mut Context<'_>) -> Next {
        let Committed { terms, peer, commit, is_decoy } = *self;
        let Some(shared) = commit.share(message) else { return Next::Fail(Reason::Malformed) };
        let (ours, theirs, suite) = (commit.sent(), message, terms.ciphersuite());
        let own = random_function(&[&shared, ours, theirs, suite]);
        let expected = random_function(&[&shared, theirs, ours, suite]);
        let master = random_function(&[&shared, &*expected, &*own]);
        // Section 2.9.
        let scalar = |commit: &'_ [u8]| commit[2 * C::OCTETS..].to_vec();
        let name = random_function(&[suite, &scalar(theirs), &scalar(ours)]);
        let session = [&[method::PWD], &name[..]].concat();
        let mut keys = Zeroizing::new(vec![0; 2 * KEY]);
        derive(&*master, &session, 2 * KEY * 8, &mut keys);
        let extended = Zeroizing::new(keys[KEY..].to_vec());
        keys.truncate(KEY);
        let keys = Keys::new(keys).with_emsk(extended).with_session_id(session);
        let confirmed = Confirmed { peer, expected, keys, is_decoy };
        ask(Box::new(confirmed), own.to_vec(), terms.settings.fragment)
    }
}

impl Stage for Confirmed {
    fn exchange(&self) -> u8 {
        CONFIRM
    }

    fn handle_message(self: Box<Self>, message: &[u8], _: &mut Context<'_>) -> Next {
        let Confirmed { peer, expected, keys, is_decoy } = *self;
        if message.len() != HASH {
            return Next::Fail(Reason::Malformed);
        }
        let right = bool::from(expected.ct_eq(message)) && !is_decoy;
        let claim = Claim { method: "eap-pwd", user: peer, proof: Proof::Shown { right } };
        Next::Verify(Box::new(Shown(right.then_some(keys))), claim)
    }
}

impl Judged for Shown {
    fn handle_verdict(self: Box<Self>, verdict: &Verdict, _: &mut Context<'_>) -> Next {
        match (verdict, self.0) {
            (Verdict::Right { .. }, Some(keys)) => Next::Succeed(Some(keys)),
            _ => Next::Fail(Reason::Refused),
        }
    }
}

#[cfg(test)]
mod tests;
