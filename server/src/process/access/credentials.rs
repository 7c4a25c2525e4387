//! What a request brings to prove who asks.

use forewarn_eap::{Claim, Fingerprint, Proof};
use forewarn_wire::attribute::VendorSpecific;
use forewarn_wire::hide::{chap_matches, user_password};
use forewarn_wire::mschap::{self, Answer, MICROSOFT, attribute};
use forewarn_wire::{Attribute, Packet, RadiusKey, VendorFormat, number};
use subtle::ConstantTimeEq as _;

use crate::process::eap::sessions::SESSIONS;
use crate::process::outcome::Cause;
use crate::users::{AuthType, NtHash, Passwords};

/// One of the methods, with what it takes.
pub(super) enum Credentials<'a> {
    Pap(&'a [u8]),
    Chap {
        identifier: u8,
        response: &'a [u8; 16],
        challenge: &'a [u8],
    },
    MsChap(Answer<'a>),
    /// A certificate, which was verified.
    Certificate,
    /// Those of an earlier conversation, whose session of TLS is resumed, and the fingerprint of what they were verified by.
    Resumed(&'a Fingerprint),
    /// None yet: the method wants to know the password.
    Secret,
    /// Whether the method has found that both sides know the same password.
    Shown {
        right: bool,
    },
}

impl<'a> Credentials<'a> {
    /// Finds them; a password is revealed into `clear`.
    pub(super) fn find(
        request: &Packet<'a>,
        key: &RadiusKey,
        clear: &'a mut [u8; user_password::MAX],
    ) -> Result<Self, Cause> {
        let (mut password, mut chap, mut challenge) = (None, None, None);
        let mut microsoft = Microsoft::default();
        for attribute in request.attributes() {
            let Attribute { number, value, .. } = attribute;
            match number {
                number::USER_PASSWORD => password = password.or(Some(value)),
                number::CHAP_PASSWORD => chap = chap.or(Some(value)),
                number::CHAP_CHALLENGE => challenge = challenge.or(Some(value)),
                number::EAP_MESSAGE => return Err(Cause::EapNotOffered),
                number::VENDOR_SPECIFIC => microsoft.take(attribute.vendor()),
                _ => {}
            }
        }
        if let Some(hidden) = password {
            let password = user_password::reveal(key, request.authenticator(), hidden, clear);
            return password.map(Credentials::Pap).map_err(|_| Cause::BadCredentials);
        }
        if microsoft.changes {
            return Err(Cause::PasswordChange);
        }
        if let Some((version, response)) = microsoft.response {
            let challenge = microsoft.challenge.ok_or(Cause::BadCredentials)?;
            let answer = match version {
                attribute::RESPONSE_2 => Answer::version2(challenge, response),
                _ => Answer::version1(challenge, response),
            };
            return answer.map(Credentials::MsChap).ok_or(Cause::BadCredentials);
        }
        // RFC 2865 section 5.3: one octet of identifier, sixteen of response.
        let (identifier, response) =
            chap.ok_or(Cause::NoCredentials)?.split_first().ok_or(Cause::BadCredentials)?;
        let response = response.try_into().map_err(|_| Cause::BadCredentials)?;
        let challenge = challenge.unwrap_or(request.authenticator());
        Ok(Credentials::Chap { identifier: *identifier, response, challenge })
    }

    /// Those that a peer has brought in an EAP conversation.
    pub(super) fn of(claim: &'a Claim) -> Self {
        match &claim.proof {
            Proof::Password(given) => Credentials::Pap(given),
            Proof::Chap { identifier, challenge, response } => {
                Credentials::Chap { identifier: *identifier, response, challenge }
            }
            Proof::MsChap1 { identifier, challenge, response } => Credentials::MsChap(Answer::Version1 {
                identifier: *identifier,
                challenge,
                response: response.as_ref(),
            }),
            Proof::Certificate(_) => Credentials::Certificate,
            Proof::Resumed(fingerprint) => Credentials::Resumed(fingerprint),
            Proof::Secret => Credentials::Secret,
            Proof::Shown { right } => Credentials::Shown { right: *right },
            Proof::MsChap2 { identifier, challenge, peer, response, .. } => {
                let identifier = *identifier;
                Credentials::MsChap(Answer::Version2 { identifier, challenge, peer, response })
            }
        }
    }

    /// As policies and records name the method.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Credentials::Pap(_) => "pap",
            Credentials::Chap { .. } => "chap",
            Credentials::MsChap(Answer::Version1 { .. }) => "mschap",
            Credentials::MsChap(Answer::Version2 { .. }) => "mschapv2",
            Credentials::Certificate => "eap-tls",
            Credentials::Resumed(_) => "eap",
            Credentials::Secret | Credentials::Shown { .. } => "eap-pwd",
        }
    }

    /// A password as it was given.
    pub(super) fn given_password(&self) -> Option<&'a [u8]> {
        match self {
            Credentials::Pap(given) => Some(given),
            _ => None,
        }
    }

    /// As Auth-Type names the method.
    pub(super) fn auth_type(&self) -> AuthType {
        match self {
            Credentials::Pap(_) => AuthType::Pap,
            Credentials::Chap { .. } => AuthType::Chap,
            Credentials::MsChap(_) => AuthType::MsChap,
            Credentials::Certificate
            | Credentials::Resumed(_)
            | Credentials::Secret
            | Credentials::Shown { .. } => AuthType::Eap,
        }
    }

    /// The cause of an accept.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Credentials::Pap(_) => Cause::Password,
            Credentials::Chap { .. } => Cause::Chap,
            Credentials::MsChap(Answer::Version1 { .. }) => Cause::MsChap,
            Credentials::MsChap(Answer::Version2 { .. }) => Cause::MsChap2,
            Credentials::Certificate
            | Credentials::Resumed(_)
            | Credentials::Secret
            | Credentials::Shown { .. } => Cause::Eap,
        }
    }

    /// Whether they fit one of the stored passwords; PAP's, one of those that are quick to verify. `name` is User-Name.
    pub(super) fn fit(&self, passwords: &Passwords<'_>, name: &[u8]) -> Result<bool, Cause> {
        if passwords.is_empty() && !matches!(self, Credentials::Certificate) {
            return Err(Cause::NoPassword);
        }
        match self {
            Credentials::Pap(given) => {
                Ok(passwords.for_pap().any(|password| !password.is_slow() && password.matches(given)))
            }
            Credentials::Certificate => Ok(true),
            Credentials::Resumed(fingerprint) => {
                let is_same = fingerprint.ct_eq(&SESSIONS.fingerprint(passwords));
                if bool::from(is_same) { Ok(true) } else { Err(Cause::EapPasswordChanged) }
            }
            // Nothing is shown by asking.
            Credentials::Secret => Ok(false),
            Credentials::Shown { right } => {
                passwords.clear_texts().next().ok_or(Cause::PwdNeedsClearText)?;
                Ok(*right)
            }
            Credentials::Chap { identifier, response, challenge } => {
                let mut texts = passwords.clear_texts().peekable();
                texts.peek().ok_or(Cause::ChapNeedsClearText)?;
                Ok(texts.any(|text| chap_matches(*identifier, text, challenge, response)))
            }
            Credentials::MsChap(answer) => {
                passwords.nt_hashes().next().ok_or(Cause::MsChapNeedsNtHash)?;
                if let Answer::Version1 { response: None, .. } = answer {
                    return Err(Cause::LanManagerOnly);
                }
                Ok(fitting_hash(answer, passwords, name).is_some())
            }
        }
    }
}

/// The NT hash that an answer was made with.
pub(super) fn fitting_hash<'a>(
    answer: &Answer<'_>,
    passwords: &Passwords<'a>,
    name: &[u8],
) -> Option<NtHash<'a>> {
    match answer {
        Answer::Version1 { challenge, response, .. } => {
            let response = (*response)?;
            passwords.nt_hashes().find(|hash| mschap::response_matches(challenge, hash, response))
        }
        Answer::Version2 { challenge, peer, response, .. } => {
            let challenge = mschap::challenge_hash(peer, challenge, mschap::bare_name(name));
            passwords.nt_hashes().find(|hash| mschap::response_matches(&challenge, hash, response))
        }
    }
}

/// Microsoft's attributes in a request.
#[derive(Default)]
pub(super) struct Microsoft<'a> {
    challenge: Option<&'a [u8]>,
    /// MS-CHAP-Response or MS-CHAP2-Response, with its number.
    response: Option<(u32, &'a [u8])>,
    /// Whether it asks for another password.
    changes: bool,
    /// The identifier of whatever asks.
    identifier: Option<u8>,
    is_version2: bool,
}

impl<'a> Microsoft<'a> {
    /// Of the whole request.
    pub(super) fn of(request: &Packet<'a>) -> Self {
        let mut microsoft = Self::default();
        let inner = request.attributes().filter(|attribute| attribute.number == number::VENDOR_SPECIFIC);
        inner.for_each(|attribute| microsoft.take(attribute.vendor()));
        microsoft
    }

    fn take(&mut self, inner: Option<VendorSpecific<'a>>) {
        let inner = inner.filter(|inner| inner.vendor == MICROSOFT);
        let attributes = inner.and_then(|inner| inner.attributes(VendorFormat::STANDARD));
        for each in attributes.into_iter().flatten() {
            match each.number {
                attribute::CHALLENGE_ATTRIBUTE => self.challenge = self.challenge.or(Some(each.value)),
                // Version 2 goes first where somebody sends both.
                attribute::RESPONSE_1 | attribute::RESPONSE_2
                    if self.response.is_none() || each.number == attribute::RESPONSE_2 =>
                {
                    self.response = Some((each.number, each.value));
                    self.asked(each.number == attribute::RESPONSE_2, each.value.first());
                }
                // RFC 2548 sections 2.1.5, 2.1.6 and 2.3.5: a code, then the identifier.
                attribute::CHANGE_1 | attribute::CHANGE_2 | attribute::CHANGE_2_2 => {
                    self.changes = true;
                    self.asked(each.number == attribute::CHANGE_2_2, each.value.get(1));
                }
                _ => {}
            }
        }
    }

    fn asked(&mut self, is_version2: bool, identifier: Option<&u8>) {
        (self.is_version2, self.identifier) = (is_version2, identifier.copied());
    }

    /// The identifier and whether it is version 2, where MS-CHAP was tried: its reject says why.
    pub(super) fn tried(&self) -> Option<(u8, bool)> {
        self.identifier.map(|identifier| (identifier, self.is_version2))
    }
}
