//! EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2): MS-CHAPv2 (RFC 2759) in EAP's requests and responses, with the
//! server's own proof, and keys (RFC 3079).

use forewarn_wire::mschap::{self, ErrorCode};
use zeroize::Zeroizing;

use crate::claim::{Claim, Proof, Verdict};
use crate::conversation::put;
use crate::keys::Keys;
use crate::method::{Context, Judged, Method, Next, Reason};

const CHALLENGE: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;
const CHANGE_PASSWORD: u8 = 7;

/// Octets of a response's value: the peer's challenge, eight of nothing, the NT response, flags.
const VALUE: usize = 49;

/// Whether the name that the peer hashed is its identity, as it is with most.
const OTHER_NAME: u8 = 0;
const OWN_NAME: u8 = 1;

type Challenge = [u8; mschap::CHALLENGE_2];

/// A challenge is out.
struct Asked {
    identifier: u8,
    challenge: Challenge,
    tries: u8,
}

/// What the peer has answered.
struct Answer {
    identifier: u8,
    challenge: Challenge,
    peer: Challenge,
    response: [u8; mschap::RESPONSE],
    name: Vec<u8>,
}

/// It is being looked at.
struct Answered {
    answer: Answer,
    tries: u8,
}

/// The peer is to look at the server's proof.
struct Proven {
    answer: Answer,
    keys: Keys,
}

/// The same, and the proof is another server's. Its keys are none of what went with the conversation: they follow from
/// the answer, which is looked at once more.
struct ProvenElsewhere(Answer);

/// The peer has believed that proof.
struct Believed(Answer);

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

/// As [`Method::save`] left it; no more tries than these settings have.
pub(crate) fn restore(saved: &[u8], user: &[u8], tries: u8) -> Option<Box<dyn Method>> {
    let (&[step, identifier], rest) = saved.split_first_chunk()?;
    let (challenge, rest) = rest.split_first_chunk()?;
    match (step, rest) {
        (CHALLENGE, &[left]) => {
            Some(Box::new(Asked { identifier, challenge: *challenge, tries: left.min(tries) }))
        }
        (SUCCESS, rest) => {
            let (peer, rest) = rest.split_first_chunk()?;
            let (response, rest) = rest.split_first_chunk()?;
            let name = match rest.split_first()? {
                (&OWN_NAME, []) => user.to_vec(),
                (&OTHER_NAME, name) => name.to_vec(),
                _ => return None,
            };
            let (challenge, peer, response) = (*challenge, *peer, *response);
            Some(Box::new(ProvenElsewhere(Answer { identifier, challenge, peer, response, name })))
        }
        _ => None,
    }
}

impl Method for Asked {
    fn save(&self, _: &[u8], room: &mut [u8]) -> Option<usize> {
        put(room, &[&[CHALLENGE, self.identifier], &self.challenge, &[self.tries]])
    }

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
        let answer = Answer { identifier, challenge, peer, response, name };
        let claim = answer.claim(context);
        Next::Verify(Box::new(Answered { answer, tries }), claim)
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

impl Answer {
    fn claim(&self, context: &Context<'_>) -> Claim {
        let Answer { identifier, challenge, peer, response, ref name } = *self;
        let proof = Proof::MsChap2 { identifier, challenge, peer, response, name: name.clone() };
        Claim { method: "eap-mschapv2", user: context.identity.to_vec(), proof }
    }

    fn keys(&self, hash_of_hash: &[u8; mschap::HASH]) -> Keys {
        let keys = mschap::StartKeys::new(hash_of_hash, &self.response);
        Keys::new(Zeroizing::new([keys.receive.as_slice(), keys.send.as_slice()].concat()))
    }
}

impl Answered {
    fn succeed(self, hash_of_hash: &[u8; mschap::HASH]) -> Next {
        let answer = self.answer;
        let hash = mschap::challenge_hash(&answer.peer, &answer.challenge, mschap::bare_name(&answer.name));
        let proof = mschap::authenticator_response(hash_of_hash, &answer.response, &hash);
        let text = [&proof[..], b" M=OK"].concat();
        let request = message(SUCCESS, answer.identifier, &text);
        let keys = answer.keys(hash_of_hash);
        Next::Ask(Box::new(Proven { answer, keys }), request)
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
        let request = message(FAILURE, self.answer.identifier, text.as_bytes());
        // RFC 2759 section 6: the identifier of another try is the next one.
        let identifier = self.answer.identifier.wrapping_add(1);
        let next = may_retry.then_some(Asked { identifier, challenge, tries });
        Next::Ask(Box::new(Failed { next }), request)
    }
}

impl Method for Proven {
    fn save(&self, identity: &[u8], room: &mut [u8]) -> Option<usize> {
        let Answer { identifier, challenge, peer, response, name } = &self.answer;
        let name: [&[u8]; 2] = match name == identity {
            true => [&[OWN_NAME], &[]],
            false => [&[OTHER_NAME], name],
        };
        put(room, &[&[SUCCESS, *identifier], challenge, peer, response, name[0], name[1]])
    }

    fn handle_response(self: Box<Self>, response: &[u8], _: &mut Context<'_>) -> Next {
        acknowledged(response, || Next::Succeed(Some(self.keys)))
    }
}

impl Method for ProvenElsewhere {
    fn handle_response(self: Box<Self>, response: &[u8], context: &mut Context<'_>) -> Next {
        acknowledged(response, || {
            let claim = self.0.claim(context);
            Next::Verify(Box::new(Believed(self.0)), claim)
        })
    }
}

impl Judged for Believed {
    fn handle_verdict(self: Box<Self>, verdict: &Verdict, _: &mut Context<'_>) -> Next {
        match verdict {
            Verdict::Right { hash_of_hash: Some(hash), .. } => Next::Succeed(Some(self.0.keys(hash))),
            // It was told that it is in: there is no other request for that.
            _ => Next::Fail(Reason::Refused),
        }
    }
}

/// What the peer thinks of the server's proof.
fn acknowledged(response: &[u8], then: impl FnOnce() -> Next) -> Next {
    match response {
        [SUCCESS, ..] => then(),
        [FAILURE, ..] => Next::Fail(Reason::PeerRefuses),
        _ => Next::Fail(Reason::Malformed),
    }
}

/// A peer that failed has nothing to take elsewhere: with no tries left it is refused there as here, and else it begins
/// anew.
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
