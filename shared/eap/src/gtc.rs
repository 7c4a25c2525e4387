//! Generic Token Card (RFC 3748 section 5.6): a prompt, and what the user types. In the clear: it belongs into a tunnel.

use zeroize::Zeroizing;

use crate::claim::{Claim, Proof, Verdict};
use crate::method::{Context, Judged, Method, Next, Reason};

const PROMPT: &[u8] = b"Password: ";
/// As User-Password has (RFC 2865 section 5.2).
const PASSWORD_MAX: usize = 128;

struct Asked;

struct Answered;

pub(crate) fn begin() -> Next {
    Next::Ask(Box::new(Asked), PROMPT.to_vec())
}

/// As [`Method::save`] left it: there is nothing to know.
pub(crate) fn restore(saved: &[u8]) -> Option<Box<dyn Method>> {
    saved.is_empty().then(|| Box::new(Asked) as Box<dyn Method>)
}

impl Method for Asked {
    fn save(&self, _: &[u8], _: &mut [u8]) -> Option<usize> {
        Some(0)
    }

    fn handle_response(self: Box<Self>, response: &[u8], context: &mut Context<'_>) -> Next {
        if response.is_empty() || response.len() > PASSWORD_MAX {
            return Next::Fail(Reason::Malformed);
        }
        let proof = Proof::Password(Zeroizing::new(response.to_vec()));
        let claim = Claim { method: "eap-gtc", user: context.identity.to_vec(), proof };
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
