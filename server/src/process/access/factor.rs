//! The second factor: a one-time code behind the password, or in the answer to an Access-Challenge.

use forewarn_shell::clock;
use forewarn_wire::{Code, Writer, number};
use rand_core::Rng;

use super::Progress;
use super::credentials::Credentials;
use crate::config::limits::FactorMode;
use crate::process::core::{Case, Desk, Turn};
use crate::process::factors::{Number, Opened};
use crate::process::outcome::Cause;
use crate::process::tables::Tables;
use crate::users::Authorization;

/// The credentials without the code, and the code.
pub(super) struct Proof<'a> {
    pub(super) credentials: Credentials<'a>,
    /// The step of a code that is right, if one was given.
    step: Option<u64>,
    /// Whether a code has proven them too.
    pub(super) is_twofold: bool,
}

impl Desk {
    /// Looks at what the request has of a second factor, before the password: a hash is dearer than a code. A State of
    /// ours stands for the password.
    pub(super) fn factor<'a>(
        &mut self,
        tables: &Tables,
        case: Case<'_>,
        authorization: &Authorization<'_>,
        credentials: Credentials<'a>,
        progress: &mut Progress,
    ) -> Result<Proof<'a>, Cause> {
        let Some(totp) = authorization.totp else {
            return Ok(Proof { credentials, step: None, is_twofold: progress.factor });
        };
        if progress.factor {
            return Ok(Proof { credentials, step: None, is_twofold: progress.factor });
        }
        // By the moment it arrived: it may have waited since.
        let now_s = clock::micros_since_1970(case.arrived) / 1_000_000;
        if let Some(number) = self.answered(case)? {
            let Credentials::Pap(code) = credentials else { return Err(Cause::FactorNeedsPap) };
            if !self.shared.factors().take(number, case.arrived) {
                return Err(Cause::StaleChallenge);
            }
            let step = totp.step_of(code, now_s).ok_or(Cause::WrongCode)?;
            progress.password = Some(true);
            return Ok(Proof { credentials, step: Some(step), is_twofold: false });
        }
        match (tables.second_factor().mode, credentials) {
            // An Access-Challenge of ours would end the conversation.
            (FactorMode::Challenge, _) if self.eap.is_some() => Err(Cause::FactorNeedsPap),
            (FactorMode::Append, Credentials::Pap(given)) => {
                let (password, code) = totp.split(given).ok_or(Cause::WrongPassword)?;
                let step = totp.step_of(code, now_s).ok_or(Cause::WrongCode)?;
                Ok(Proof { credentials: Credentials::Pap(password), step: Some(step), is_twofold: false })
            }
            (FactorMode::Append, _) | (FactorMode::Challenge, Credentials::MsChap(_)) => {
                Err(Cause::FactorNeedsPap)
            }
            (FactorMode::Challenge, credentials) => {
                Ok(Proof { credentials, step: None, is_twofold: progress.factor })
            }
        }
    }

    /// The number of the State this request brings back, if it is one of a second factor.
    fn answered(&self, case: Case<'_>) -> Result<Option<Number>, Cause> {
        let Some(state) = case.request.find(number::STATE) else { return Ok(None) };
        let name = case.request.find(number::USER_NAME).unwrap_or_default();
        let address = case.route.to.ip().to_canonical();
        match self.shared.factors().open(state, name, address, case.arrived) {
            Opened::Foreign => Ok(None),
            Opened::Stale => Err(Cause::StaleChallenge),
            Opened::Good(number) => Ok(Some(number)),
        }
    }

    /// With the password right, takes the code, so that nobody can use it again. False: somebody has.
    pub(super) fn use_code(&self, name: &[u8], proof: &mut Proof<'_>, progress: &mut Progress) -> bool {
        let Some(step) = proof.step.take() else { return true };
        progress.factor = self.shared.factors().use_code(name, step);
        proof.is_twofold = progress.factor;
        progress.factor
    }

    /// The Access-Challenge that asks for a code (RFC 2865 section 4.4).
    pub(super) fn ask_for_code(&mut self, tables: &Tables, case: Case<'_>, out: &mut [u8]) -> Turn {
        let client = tables.client(case.client);
        let factor = tables.second_factor();
        let name = case.request.find(number::USER_NAME).unwrap_or_default();
        let address = case.route.to.ip().to_canonical();
        let until = case.arrived + factor.timeout;
        let state = self.shared.factors().seal(name, address, until, self.random.next_u64());
        let mut write = || {
            let mut writer = Writer::new(out, Code::ACCESS_CHALLENGE, case.request.identifier());
            writer.message_authenticator()?;
            writer.attribute(number::REPLY_MESSAGE, factor.prompt.as_bytes())?;
            writer.attribute(number::STATE, &state)?;
            writer.proxy_states(case.request)?;
            writer.reply(&client.key, case.request.authenticator()).map(<[u8]>::len)
        };
        match write() {
            Ok(length) => Turn::Reply(Cause::CodeAsked, length),
            Err(_) => Turn::Silence(Cause::ReplyTooLong),
        }
    }
}
