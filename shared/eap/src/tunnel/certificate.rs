//! EAP-TLS (RFC 5216, RFC 9190): the peer's certificate is all there is.

use std::sync::Arc;

use crate::claim::{Claim, Proof, Verdict};
use crate::method::{Context, Reason};
use crate::settings::Kind;

use super::keys::{keys, no_keys};
use super::{Inner, Inside, Outer};

/// TLS 1.3: no more of the handshake will follow (RFC 9190 section 2.5).
const COMMITMENT: u8 = 0;

pub(super) struct Certificate;

impl Inner for Certificate {
    /// The user is who the peer says it is where the certificate says so too, else who the certificate says.
    fn begin(&mut self, outer: &Outer<'_>, context: &mut Context<'_>) -> Inside {
        let certificate = outer.channel.certificate().unwrap_or_default();
        let names = &certificate.users;
        let said = names.iter().find(|name| name.as_bytes() == context.identity);
        let Some(user) = said.or(names.first()) else {
            return Inside::Fail(Reason::Tls("the certificate has no name that may be a user's".into()));
        };
        let user = user.clone().into_bytes();
        Inside::Verify(Claim { method: "eap-tls", user, proof: Proof::Certificate(Arc::new(certificate)) })
    }

    fn handle_message(&mut self, _: &[u8], _: &Outer<'_>, _: &mut Context<'_>) -> Inside {
        Inside::Fail(Reason::Malformed)
    }

    fn handle_verdict(&mut self, verdict: &Verdict, outer: &Outer<'_>, _: &mut Context<'_>) -> Inside {
        match (verdict, keys(Kind::Tls, outer)) {
            (Verdict::Right { .. }, Some(keys)) if outer.channel.is_13() => {
                Inside::SayLast(vec![COMMITMENT], keys)
            }
            (Verdict::Right { .. }, Some(keys)) => Inside::Succeed(keys),
            (Verdict::Right { .. }, None) => Inside::Fail(no_keys()),
            (Verdict::Secret(_) | Verdict::Wrong | Verdict::Refused(_), _) => Inside::Fail(Reason::Refused),
        }
    }
}
