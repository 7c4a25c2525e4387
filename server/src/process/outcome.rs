//! What became of each request: an answer and a cause, both counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use forewarn_wire::{Code, Forgery, FrameError};

/// What went back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Answer {
    /// Nothing.
    Silence,
    /// Access-Accept.
    Accept,
    /// Access-Reject, after its delay.
    Reject,
    /// Accounting-Response.
    Accounted,
    /// The same octets as before.
    Repeated,
}

impl Answer {
    /// All of them.
    pub const ALL: [Answer; 5] =
        [Answer::Silence, Answer::Accept, Answer::Reject, Answer::Accounted, Answer::Repeated];

    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Answer::Silence => "silence",
            Answer::Accept => "access-accept",
            Answer::Reject => "access-reject",
            Answer::Accounted => "accounting-response",
            Answer::Repeated => "repeated",
        }
    }

    /// The code of its packet. `None`: no packet, or an earlier one.
    pub fn code(self) -> Option<Code> {
        match self {
            Answer::Silence | Answer::Repeated => None,
            Answer::Accept => Some(Code::ACCESS_ACCEPT),
            Answer::Reject => Some(Code::ACCESS_REJECT),
            Answer::Accounted => Some(Code::ACCOUNTING_RESPONSE),
        }
    }
}

macro_rules! causes {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $answer:ident;)*) => {
        /// Why. The table gives each cause its stable name and its answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Cause {
            $($(#[$doc])* $variant,)*
        }

        impl Cause {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Cause] = &[$(Cause::$variant,)*];

            /// Its stable name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Cause::$variant => $name,)*
                }
            }

            /// The answer it has.
            pub fn answer(self) -> Answer {
                match self {
                    $(Cause::$variant => Answer::$answer,)*
                }
            }
        }
    };
}

// The outcome table.
causes! {
    /// The password is right.
    Password, "password", Accept;
    /// The CHAP response is right.
    Chap, "chap", Accept;
    /// Status-Server on an authentication socket (RFC 5997).
    StatusOfAuth, "status-server", Accept;

    /// The record is on disk.
    Stored, "stored", Accounted;
    /// Status-Server on an accounting socket.
    StatusOfAcct, "status-server", Accounted;

    /// Nobody of this name.
    UnknownUser, "unknown-user", Reject;
    /// The password or the CHAP response is wrong.
    WrongPassword, "wrong-password", Reject;
    /// No User-Name.
    NoUserName, "no-user-name", Reject;
    /// Neither User-Password nor CHAP-Password.
    NoCredentials, "no-credentials", Reject;
    /// User-Password or CHAP-Password has an impossible length.
    BadCredentials, "bad-credentials", Reject;
    /// CHAP, but the stored password is a hash.
    ChapNeedsClearText, "chap-needs-clear-text", Reject;
    /// EAP: no method is configured.
    EapNotOffered, "eap-not-offered", Reject;
    /// The account has no password that counts for this request.
    NoPassword, "no-password", Reject;
    /// A policy requires a second factor, and the user has none.
    NoSecondFactor, "no-second-factor", Reject;
    /// A policy rejects.
    Policy, "policy", Reject;
    /// A policy's condition could not be evaluated.
    PolicyFailed, "policy-failed", Reject;

    /// A duplicate of an answered request.
    Duplicate, "duplicate", Repeated;

    /// Fewer octets than a header has.
    TooShort, "too-short", Silence;
    /// The Length field is wrong, or promises more than was received.
    BadLength, "bad-length", Silence;
    /// An attribute's length is wrong.
    BadAttribute, "bad-attribute-length", Silence;
    /// From no client.
    UnknownClient, "unknown-client", Silence;
    /// Not a request, or not one for this socket.
    UnknownCode, "unknown-code", Silence;
    /// Message-Authenticator is wrong: most likely another secret.
    WrongMessageAuthenticator, "wrong-message-authenticator", Silence;
    /// The Request Authenticator is wrong: most likely another secret.
    WrongAuthenticator, "wrong-authenticator", Silence;
    /// `require_message_authenticator`.
    NoMessageAuthenticator, "no-message-authenticator", Silence;
    /// EAP-Message without Message-Authenticator (RFC 3579 section 3.1).
    EapWithoutMessageAuthenticator, "eap-without-message-authenticator", Silence;
    /// `limit_proxy_state`.
    ProxyState, "proxy-state-without-message-authenticator", Silence;
    /// A duplicate of a request still being worked on.
    InProgress, "duplicate-in-progress", Silence;
    /// Its sender has replaced it by another.
    Replaced, "replaced", Silence;
    /// Every remembered request is still in progress.
    DuplicateTableFull, "duplicate-table-full", Silence;
    /// The bound of requests in flight is reached.
    TooManyInFlight, "too-many-in-flight", Silence;
    /// The worker pool's queue is full.
    WorkersFull, "workers-full", Silence;
    /// The worker failed on it.
    WorkerFailed, "worker-failed", Silence;
    /// A source that might know the user can't be asked.
    SourceAway, "source-away", Silence;
    /// Too many wait for a source.
    SourceFull, "source-full", Silence;
    /// The accounting queue is full.
    StoreFull, "store-full", Silence;
    /// The record could not be made durable.
    NotStored, "not-stored", Silence;
    /// An Accounting-Request that says too little to be stored.
    BadAccounting, "bad-accounting", Silence;
    /// The reply doesn't fit into a packet.
    ReplyTooLong, "reply-too-long", Silence;
    /// The drain has ended.
    Drained, "drained", Silence;
}

impl From<FrameError> for Cause {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Short { .. } => Cause::TooShort,
            FrameError::AttributeLength { .. } => Cause::BadAttribute,
            _ => Cause::BadLength,
        }
    }
}

impl From<Forgery> for Cause {
    fn from(forgery: Forgery) -> Self {
        match forgery {
            Forgery::MissingMessageAuthenticator => Cause::NoMessageAuthenticator,
            Forgery::EapWithoutMessageAuthenticator => Cause::EapWithoutMessageAuthenticator,
            Forgery::ProxyStateWithoutMessageAuthenticator => Cause::ProxyState,
            Forgery::BadMessageAuthenticator => Cause::WrongMessageAuthenticator,
            Forgery::BadAuthenticator => Cause::WrongAuthenticator,
            Forgery::CodeUnexpected => Cause::UnknownCode,
        }
    }
}

/// How often each outcome came to pass on one core. Only that core writes.
#[derive(Debug)]
#[repr(align(128))]
pub struct Outcomes([AtomicU64; Cause::ALL.len()]);

impl Default for Outcomes {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; Cause::ALL.len()])
    }
}

impl Outcomes {
    /// Counts one. A plain load and store: there is one writer.
    pub fn count(&self, cause: Cause) {
        let counter = &self.0[cause as usize];
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }

    /// How often.
    pub fn of(&self, cause: Cause) -> u64 {
        self.0[cause as usize].load(Relaxed)
    }
}

/// All outcomes that came to pass, summed over the cores: `(answer, cause, times)`.
pub fn sum(cores: &[Outcomes]) -> impl Iterator<Item = (Answer, Cause, u64)> {
    let total = |cause: Cause| cores.iter().map(|outcomes| outcomes.of(cause)).sum::<u64>();
    let all = Cause::ALL.iter().map(move |cause| (cause.answer(), *cause, total(*cause)));
    all.filter(|(_, _, times)| *times > 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_outcomes_have_the_same_name() {
        let names: BTreeSet<_> =
            Cause::ALL.iter().map(|cause| (cause.answer().name(), cause.name())).collect();
        assert_eq!(names.len(), Cause::ALL.len());
    }

    #[test]
    fn outcomes_are_summed_over_the_cores() {
        let cores = [Outcomes::default(), Outcomes::default()];
        cores[0].count(Cause::Password);
        cores[1].count(Cause::Password);
        cores[1].count(Cause::UnknownClient);
        let sums: Vec<_> = sum(&cores).collect();
        assert_eq!(sums, [(Answer::Accept, Cause::Password, 2), (Answer::Silence, Cause::UnknownClient, 1)]);
    }
}
