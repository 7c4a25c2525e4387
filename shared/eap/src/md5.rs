//! MD5-Challenge (RFC 3748 section 5.4): CHAP, carried by EAP. It proves nothing of the server and leaves no keys.

use crate::claim::{Claim, Proof, Verdict};
use crate::conversation::put;
use crate::method::{Context, Judged, Method, Next, Reason};

const CHALLENGE: usize = 16;
const RESPONSE: usize = 16;

struct Asked([u8; CHALLENGE]);

struct Answered;

/// The challenge: its length, then it.
pub(crate) fn begin(context: &mut Context<'_>) -> Next {
    let challenge: [u8; CHALLENGE] = context.challenge();
    let mut request = vec![CHALLENGE as u8];
    request.extend(challenge);
    Next::Ask(Box::new(Asked(challenge)), request)
}

/// As [`Method::save`] left it.
pub(crate) fn restore(saved: &[u8]) -> Option<Box<dyn Method>> {
    Some(Box::new(Asked(saved.try_into().ok()?)))
}

impl Method for Asked {
    fn save(&self, _: &[u8], room: &mut [u8]) -> Option<usize> {
        put(room, &[&self.0])
    }

    fn handle_response(self: Box<Self>, response: &[u8], context: &mut Context<'_>) -> Next {
        // Length, response, and a name that nobody looks at.
        let value = response.split_first().filter(|(length, _)| usize::from(**length) == RESPONSE);
        let Some(response) = value.and_then(|(_, rest)| rest.first_chunk::<RESPONSE>()) else {
            return Next::Fail(Reason::Malformed);
        };
        let proof =
            Proof::Chap { identifier: context.identifier, challenge: self.0.to_vec(), response: *response };
        let claim = Claim { method: "eap-md5", user: context.identity.to_vec(), proof };
        Next::Verify(Box::new(Answered), claim)
    }
}

impl Judged for Answered {
    fn handle_verdict(self: Box<Self>, verdict: &Verdict, _: &mut Context<'_>) -> Next {
        match verdict {
            Verdict::Right { .. } => Next::Succeed(None),
            Verdict::Secret(_) | Verdict::Wrong | Verdict::Refused(_) => Next::Fail(Reason::Refused),
        }
    }
}
