//! EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2): MS-CHAPv2 (RFC 2759) in EAP's requests and responses, with the
//! server's own proof, and keys (RFC 3079).

use forewarn_wire::mschap::{self, ErrorCode};
use zeroize::Zeroizing;

use crate::claim::{Claim, Proof, Verdict};
use crate::keys::Keys;
use crate::method::{Context, Judged, Method, Next, Reason};

const CHALLENGE: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;
const CHANGE_PASSWORD: u8 = 7;

/// Octets of a response's value: the peer's challenge, eight of nothing, the NT response, flags.
const VALUE: usize = 49;

type Challenge = [u8; mschap::CHALLENGE_2];

/// A challenge is out.
struct Asked {
    identifier: u8,
    challenge: Challenge,
    tries: u8,
}

/// Its response is being looked at.
struct Answered {
    identifier: u8,
    challenge: Challenge,
    peer: Challenge,
    response: [u8; mschap::RESPONSE],
    name: Vec<u8>,
    tries: u8,
}

/// The peer is to look at the server's proof.
struct Proven(Keys);

/// The peer is to see that it failed. With tries left, it may answer `next` instead.
struct Failed {
    next: Option<Asked>,
}

pub(crate) fn begin(server_name: &str, tries: u8, context: &mut Context<'_>) -> Next {
    let challenge: Challenge = context.challenge();
    let identifier = context.identifier.wrapping_add(1);
    let mut value = vec![mschap::CHALLENGE_2 as u8];
    value.extend(challenge);
    value.extend(server_name.as_bytes());
    let request = message(CHALLENGE, identifier, &value);
    Next::Ask(Box::new(Asked { identifier, challenge, tries }), request)
}

/// Code, identifier, length of it all, the rest.
fn message(code: u8, identifier: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + rest.len()).unwrap_or(u16::MAX);
    let mut message = vec![code, identifier];
    message.extend(length.to_be_bytes());
    message.extend(rest);
    message
}

impl Method for Asked {
    fn handle_response(self: Box<Self>, response: &[u8], context: &mut Context<'_>) -> Next {
        let Asked { identifier, challenge, tries } = *self;
        match response {
            [CHANGE_PASSWORD, ..] => return Next::Fail(Reason::PasswordChange),
            [RESPONSE, given, _, _, size, ..] if *given == identifier && usize::from(*size) == VALUE => {}
            _ => return Next::Fail(Reason::Malformed),
        }
        let parts = response[5..].split_at_checked(VALUE);
        let fields = parts.and_then(|(value, name)| {
            Some((*value.first_chunk()?, *value.get(24..48)?.first_chunk()?, name.to_vec()))
        });
        let Some((peer, response, name)) = fields else { return Next::Fail(Reason::Malformed) };
        let proof = Proof::MsChap2 { identifier, challenge, peer, response, name: name.clone() };
        let claim = Claim { method: "eap-mschapv2", user: context.identity.to_vec(), proof };
        Next::Verify(Box::new(Answered { identifier, challenge, peer, response, name, tries }), claim)
    }
}

impl Judged for Answered {
    fn handle_verdict(self: Box<Self>, verdict: &Verdict, context: &mut Context<'_>) -> Next {
        match verdict {
            Verdict::Right { hash_of_hash: Some(hash), .. } => self.succeed(hash),
            // Nothing to prove the server by: somebody let them in without a look at the password, and a peer would
            // not believe it.
            Verdict::Right { hash_of_hash: None, .. } | Verdict::Secret(_) => {
                self.fail(ErrorCode::NoDialIn, context)
            }
            Verdict::Wrong => self.fail(ErrorCode::Wrong, context),
            Verdict::Refused(code) => self.fail(*code, context),
        }
    }
}

impl Answered {
    fn succeed(self, hash_of_hash: &[u8; mschap::HASH]) -> Next {
        let hash = mschap::challenge_hash(&self.peer, &self.challenge, mschap::bare_name(&self.name));
        let proof = mschap::authenticator_response(hash_of_hash, &self.response, &hash);
        let keys = mschap::StartKeys::new(hash_of_hash, &self.response);
        let msk = [keys.receive.as_slice(), keys.send.as_slice()].concat();
        let text = [&proof[..], b" M=OK"].concat();
        let request = message(SUCCESS, self.identifier, &text);
        Next::Ask(Box::new(Proven(Keys::new(Zeroizing::new(msk)))), request)
    }

    fn fail(self, code: ErrorCode, context: &mut Context<'_>) -> Next {
        let tries = self.tries.saturating_sub(1);
        let may_retry = code == ErrorCode::Wrong && tries > 0;
        let challenge: Challenge = context.challenge();
        let text = format!(
            "E={} R={} C={:032X} V=3 M=Authentication failed",
            code as u16,
            u8::from(may_retry),
            u128::from_be_bytes(challenge)
        );
        let request = message(FAILURE, self.identifier, text.as_bytes());
        // RFC 2759 section 6: the identifier of another try is the next one.
        let identifier = self.identifier.wrapping_add(1);
        let next = may_retry.then_some(Asked { identifier, challenge, tries });
        Next::Ask(Box::new(Failed { next }), request)
    }
}

impl Method for Proven {
    fn handle_response(self: Box<Self>, response: &[u8], _: &mut Context<'_>) -> Next {
        match response {
            [SUCCESS, ..] => Next::Succeed(Some(self.0)),
            [FAILURE, ..] => Next::Fail(Reason::PeerRefuses),
            _ => Next::Fail(Reason::Malformed),
        }
    }
}

impl Method for Failed {
    fn handle_response(self: Box<Self>, response: &[u8], context: &mut Context<'_>) -> Next {
        match (response, self.next) {
            ([FAILURE, ..], _) => Next::Fail(Reason::Refused),
            ([CHANGE_PASSWORD, ..], _) => Next::Fail(Reason::PasswordChange),
            ([RESPONSE, given, ..], Some(mut next)) => {
                // Some peers count on, some don't.
                if *given == next.identifier.wrapping_sub(1) {
                    next.identifier = *given;
                }
                Box::new(next).handle_response(response, context)
            }
            _ => Next::Fail(Reason::Malformed),
        }
    }
}
