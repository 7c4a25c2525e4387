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
    /// Access-Challenge.
    Challenge,
    /// Accounting-Response.
    Accounted,
    /// The same octets as before.
    Repeated,
    /// Protocol-Error (RFC 7930 section 4).
    ProtocolError,
}

impl Answer {
    /// All of them.
    pub const ALL: [Answer; 7] = [
        Answer::Silence,
        Answer::Accept,
        Answer::Reject,
        Answer::Challenge,
        Answer::Accounted,
        Answer::Repeated,
        Answer::ProtocolError,
    ];

    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Answer::Silence => "silence",
            Answer::Accept => "access-accept",
            Answer::Reject => "access-reject",
            Answer::Challenge => "access-challenge",
            Answer::Accounted => "accounting-response",
            Answer::Repeated => "repeated",
            Answer::ProtocolError => "protocol-error",
        }
    }

    /// The code of its packet. `None`: no packet, or an earlier one.
    pub fn code(self) -> Option<Code> {
        match self {
            Answer::Silence | Answer::Repeated => None,
            Answer::Accept => Some(Code::ACCESS_ACCEPT),
            Answer::Reject => Some(Code::ACCESS_REJECT),
            Answer::Challenge => Some(Code::ACCESS_CHALLENGE),
            Answer::Accounted => Some(Code::ACCOUNTING_RESPONSE),
            Answer::ProtocolError => Some(Code::PROTOCOL_ERROR),
        }
    }
}

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $answer:ident $(, $hint:literal)?;)*) => {
        /// Why. The table gives each cause its stable name, its answer and, where somebody could change something, the
        /// hint what.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Cause {
            $($(#[doc = $doc])+ $variant,)*
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

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Cause::$variant => concat!($($doc),+).trim_ascii(),)*
                }
            }

            /// What an operator would change for another outcome; empty where there is nothing to change.
            pub fn hint(self) -> &'static str {
                match self {
                    $(Cause::$variant => concat!($($hint)?),)*
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
    /// The MS-CHAP response (version 1) is right.
    MsChap, "mschap", Accept;
    /// The MS-CHAPv2 response is right.
    MsChap2, "mschapv2", Accept;
    /// An EAP method has come to a good end; the record's method says which.
    Eap, "eap", Accept;
    /// Auth-Type := Accept: let in without a look at the credentials.
    AuthTypeAccept, "auth-type", Accept;
    /// A home server accepts.
    HomeAccepted, "home-server", Accept;
    /// A home server rejects.
    HomeRejected, "home-server", Reject,
        "ask whoever runs the home server: it has decided";
    /// A home server has taken the record.
    HomeStored, "home-server", Accounted;
    /// A home server asks for more.
    HomeChallenged, "home-server", Challenge;
    /// Status-Server on an authentication socket (RFC 5997).
    StatusOfAuth, "status-server", Accept;

    /// The password is right, and a one-time code is asked for.
    CodeAsked, "code-asked", Challenge;
    /// An EAP conversation goes on.
    EapContinues, "eap-continues", Challenge;
    /// An EAP peer is told that it isn't let in; it acknowledges that, or tries another password.
    EapRefused, "eap-refused", Challenge,
        "the record that ends the conversation says why";
    /// A peer is told by an alert that TLS can't be agreed on within EAP, or that its certificate isn't taken: the one record
    /// of it, since some peers say nothing more.
    EapTlsAlert, "eap-tls-alert", Challenge,
        "the record says why: a certificate to renew, an authority or a list of revoked ones to add, a version or cipher the device lacks";
    /// An EAP-PWD peer that isn't let in goes on with a password of nobody's, and finds out at the end.
    EapWithheld, "eap-withheld", Challenge,
        "decided_by in the record says why, as the cause of a reject would";

    /// The record is on disk.
    Stored, "stored", Accounted;
    /// Status-Server on an accounting socket.
    StatusOfAcct, "status-server", Accounted;

    /// Nobody of this name.
    UnknownUser, "unknown-user", Reject,
        "add the user to one of the sources, or look at how the device writes the name";
    /// The password, or the response to a challenge, is wrong.
    WrongPassword, "wrong-password", Reject,
        "the user types it again; if it is right, compare what is stored, and the client's secret (PAP)";
    /// No User-Name.
    NoUserName, "no-user-name", Reject,
        "the device sends none: look at its RADIUS settings";
    /// No credentials: neither a password nor the response to a challenge.
    NoCredentials, "no-credentials", Reject,
        "make the device send PAP, CHAP or another method this server speaks";
    /// The credentials have an impossible length, or MS-CHAP's challenge is missing.
    BadCredentials, "bad-credentials", Reject,
        "the device builds the attribute wrongly: update it";
    /// CHAP, but the stored password is a hash.
    ChapNeedsClearText, "chap-needs-clear-text", Reject,
        "store the password in clear text, or make the device send PAP";
    /// MS-CHAP, but neither the clear text nor the NT hash of the password is stored.
    MsChapNeedsNtHash, "mschap-needs-nt-hash", Reject,
        "store the password in clear text or its NT hash, or make the device send PAP";
    /// EAP-PWD, but the stored password is a hash: both sides have to know it.
    PwdNeedsClearText, "pwd-needs-clear-text", Reject,
        "store the password in clear text, or have the device use another method";
    /// MS-CHAP with a LAN Manager response only.
    LanManagerOnly, "lan-manager-only", Reject,
        "the device is outdated: make it send MS-CHAPv2, or PAP";
    /// MS-CHAP with a new password: no store takes changes.
    PasswordChange, "password-change-not-offered", Reject,
        "let users change their password where it is stored";
    /// EAP: no method is configured.
    EapNotOffered, "eap-not-offered", Reject,
        "name the methods in [eap] methods, or make the device send PAP or CHAP";
    /// The EAP peer takes none of the methods that are allowed here.
    EapNoCommonMethod, "eap-no-common-method", Reject,
        "add its method to [eap] methods, or configure one of them on the device";
    /// What an EAP peer wants to do within its tunnel isn't allowed there.
    EapInnerNotAllowed, "eap-inner-not-allowed", Reject,
        "add the method within to [eap] inner, or configure another on the device";
    /// TEAP: the EAP peer proves a user where a machine was asked for, or a machine where a user was.
    EapOtherIdentity, "eap-other-identity", Reject,
        "give the device what [eap] teap_identities asks for: a machine's name is host/NAME or NAME$";
    /// An EAP packet of no conversation: it is over, was too slow, or another server's. Answered at once.
    EapStray, "eap-stray", Reject,
        "nothing after a restart or a switch: EAP peers begin anew; otherwise raise [eap] timeout, or keep State with one server";
    /// An EAP response that isn't one of its method.
    EapMalformed, "eap-malformed", Reject,
        "the device, or who uses it, builds EAP wrongly: update it";
    /// An EAP conversation of more rounds or octets than may be.
    EapTooLong, "eap-too-long", Reject,
        "raise [eap] rounds or octets if an EAP peer with large certificates or small fragments needs it";
    /// TLS could not be agreed on within EAP, or a certificate isn't taken; the record says which of it.
    EapTls, "eap-tls", Reject,
        "the record says why: a certificate to renew, an authority or a list of revoked ones to add, a version or cipher the device lacks";
    /// A session of TLS would be resumed, and the account's password is another by now.
    EapPasswordChanged, "eap-password-changed", Reject,
        "nothing: the device begins anew, with a whole handshake and the password that it has";
    /// The EAP peer gives up: it doesn't believe the server, or its user doesn't.
    EapPeerRefuses, "eap-peer-refuses", Reject,
        "the device's log says why: most likely its time, or whom it trusts";
    /// PEAP or EAP-TTLS: what the EAP peer proves isn't bound to the tunnel, and `[eap] tunnel_binding` wants it.
    EapUnbound, "eap-unbound", Reject,
        "have the device send crypto-binding (PEAP) or use MSCHAPv2 without EAP (TTLS); or, where it can't and all check the server's certificate, [eap] tunnel_binding = \"optional\"";
    /// The account has no password that counts for this request.
    NoPassword, "no-password", Reject,
        "give the account a password for this kind of request";
    /// A row of the account's isn't understood.
    BadRow, "bad-row", Reject,
        "mend the row that the record names: its operator, its attribute or its value";
    /// The account's Expiration has passed.
    Expired, "expired", Reject,
        "set a later Expiration, or remove it";
    /// The account's Login-Time doesn't allow it at this hour.
    OutsideLoginTime, "outside-login-time", Reject,
        "widen Login-Time; it is read by the server's own clock and time zone";
    /// The account is disabled or locked.
    AccountDisabled, "account-disabled", Reject,
        "enable it where it is kept: its SMB-Account-CTRL-TEXT says D (disabled) or L (locked)";
    /// Auth-Type := Reject.
    AuthTypeReject, "auth-type-reject", Reject,
        "remove Auth-Type := Reject from the user and its groups";
    /// The credentials aren't of the method that the account's Auth-Type asks for.
    AuthTypeOther, "auth-type-other", Reject,
        "remove Auth-Type, so that the credentials decide, or set the one the device sends";
    /// The one-time code is wrong, or was used before.
    WrongCode, "wrong-code", Reject,
        "the user waits for the next code; if none fits, compare the clocks and the `totp` secret";
    /// The answer to an Access-Challenge is too late, was given before, or isn't to one of ours.
    StaleChallenge, "stale-challenge", Reject,
        "the user logs in again; raise [second_factor] timeout if people need longer";
    /// The user needs a one-time code, and this method has no place for one.
    FactorNeedsPap, "second-factor-needs-pap", Reject,
        "make the device send PAP; CHAP does too where [second_factor] mode = \"challenge\"";
    /// Too many failures of this user from this address: nothing was looked at.
    TooManyFailures, "too-many-failures", Reject,
        "somebody guesses, or a device has an old password: the log names them; see [limits]";
    /// A policy requires a second factor, and the user has none.
    NoSecondFactor, "no-second-factor", Reject,
        "give the user a `totp` secret, or change the [[policy]] that the record names";
    /// The user has as many sessions as Simultaneous-Use allows.
    TooManySessions, "too-many-sessions", Reject,
        "`forewarn sessions --user NAME` shows them; a session that ended without a Stop stays counted until one comes";
    /// The pool has no address left.
    PoolEmpty, "pool-empty", Reject,
        "add addresses to the pool in radippool, or shorten [accounting] lease";
    /// A policy rejects.
    Policy, "policy", Reject,
        "the record names the [[policy]]: change its `when`, or what the request or the user has";
    /// A policy's condition could not be evaluated.
    PolicyFailed, "policy-failed", Reject,
        "mend the condition of the [[policy]] that the log names";

    /// A duplicate of an answered request.
    Duplicate, "duplicate", Repeated;

    /// This server asks its clients to leave, and the client has no agent that could be told (without_agent).
    Leaving, "leaving", ProtocolError,
        "`forewarn resume` ends a drain; take \"protocol-error\" out of without_agent if the client can't take it";
    /// Status-Server while this server asks its clients to leave, so that the client looks for another (without_agent).
    LeavingStatus, "leaving-status-server", Silence,
        "`forewarn resume` ends a drain; take \"status-server\" out of without_agent if it isn't wanted";
    /// The second half of a drain, and the client has no agent that could be told (without_agent).
    LeavingSilence, "leaving", Silence,
        "`forewarn resume` ends a drain; take \"silence\" out of without_agent if it isn't wanted";

    /// Fewer octets than a header has.
    TooShort, "too-short", Silence,
        "something that isn't RADIUS sends here, or the network cuts packets off";
    /// The Length field is wrong, or promises more than was received.
    BadLength, "bad-length", Silence,
        "the network cuts packets off, or the device builds them wrongly";
    /// An attribute's length is wrong.
    BadAttribute, "bad-attribute-length", Silence,
        "the device builds packets wrongly: update it";
    /// From no client.
    UnknownClient, "unknown-client", Silence,
        "add a [[client]] with this address, if it should be one";
    /// Not a request, or not one for this socket.
    UnknownCode, "unknown-code", Silence,
        "the device asks the wrong port, or for what this server doesn't do";
    /// Message-Authenticator is wrong: most likely another secret.
    WrongMessageAuthenticator, "wrong-message-authenticator", Silence,
        "set the same secret on both ends";
    /// The Request Authenticator is wrong: most likely another secret.
    WrongAuthenticator, "wrong-authenticator", Silence,
        "set the same secret on both ends";
    /// `require_message_authenticator`.
    NoMessageAuthenticator, "no-message-authenticator", Silence,
        "update the device or make it send the attribute; if it can't: require_message_authenticator = \"no\" for this client";
    /// EAP-Message without Message-Authenticator (RFC 3579 section 3.1).
    EapWithoutMessageAuthenticator, "eap-without-message-authenticator", Silence,
        "the device is at fault: update it";
    /// `limit_proxy_state`.
    ProxyState, "proxy-state-without-message-authenticator", Silence,
        "make the proxy send Message-Authenticator, or set limit_proxy_state = \"no\" for this client";
    /// An EAP packet that isn't an answer to the request that is out (RFC 3748 section 4.1).
    EapIgnored, "eap-ignored", Silence,
        "the device answers out of turn: update it";
    /// A duplicate of a request still being worked on.
    InProgress, "duplicate-in-progress", Silence,
        "nothing; if there are many, the device repeats sooner than the answer can be there";
    /// Its sender has replaced it by another.
    Replaced, "replaced", Silence,
        "raise the device's time-out: it gave up before the answer was there";
    /// Every remembered request is still in progress.
    DuplicateTableFull, "duplicate-table-full", Silence,
        "more arrives than is answered: look at queue_delay, the worker pool and the stores";
    /// The bound of requests in flight is reached.
    TooManyInFlight, "too-many-in-flight", Silence,
        "raise [workers] in_flight, or look at what the requests wait for";
    /// The worker pool's queue is full.
    WorkersFull, "workers-full", Silence,
        "raise [workers] max, or use a quicker password hash";
    /// More passwords of this user wait to be verified than may.
    UserBusy, "user-busy", Silence,
        "somebody guesses, or a device repeats itself: the record names the user";
    /// The worker failed on it.
    WorkerFailed, "worker-failed", Silence,
        "a defect of ours: please report what the log says";
    /// A source that might know the user can't be asked.
    SourceAway, "source-away", Silence,
        "look at the database or directory: `forewarn status` says since when it is away";
    /// The pool of the session's address can't be asked.
    PoolAway, "pool-away", Silence,
        "look at the database of [sql]: radippool can't be asked";
    /// Too many wait for a source.
    SourceFull, "source-full", Silence,
        "the database or directory is slower than requests come: look at it";
    /// It has come back to this proxy: two send each other the same realm (RFC 2865 section 5.33).
    ProxyLoop, "proxy-loop", Silence,
        "two servers send each other this realm: take it out of [[realm]] on one of them";
    /// No home server answered in time.
    HomeSilent, "home-silent", Silence,
        "look at the pool's home servers in `forewarn status`, and at the way to them";
    /// Too many wait for home servers.
    HomeFull, "home-full", Silence,
        "the home servers are slower than requests come in: give the pool more of them";
    /// The request, or its reply, can't be written for the other side.
    NotForwarded, "not-forwarded", Silence,
        "it would be too long, or what is hidden in it was hidden with another secret: compare the secrets";
    /// The accounting queue is full.
    StoreFull, "store-full", Silence,
        "the accounting store is slower than records come: look at its disk or database";
    /// The record could not be made durable.
    NotStored, "not-stored", Silence,
        "the log says why: look at the accounting store's disk or database";
    /// An Accounting-Request that says too little to be stored.
    BadAccounting, "bad-accounting", Silence,
        "the device leaves out Acct-Status-Type or Acct-Session-Id: update it";
    /// The reply doesn't fit into a packet.
    ReplyTooLong, "reply-too-long", Silence,
        "give fewer or shorter reply attributes: a packet has 4096 octets";
    /// The drain has ended.
    Drained, "drained", Silence,
        "`forewarn resume` takes requests again";
}

impl Cause {
    /// Whether it says that somebody tried what isn't so: enough of them, and they are held off.
    pub fn is_failure(self) -> bool {
        matches!(self, Cause::UnknownUser | Cause::WrongPassword | Cause::WrongCode)
    }
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
    fn whatever_goes_wrong_has_a_hint_and_a_meaning() {
        for cause in Cause::ALL {
            let wrong = matches!(cause.answer(), Answer::Reject | Answer::Silence);
            assert!(!wrong || !cause.hint().is_empty(), "{cause:?}: what would an operator change?");
            assert!(cause.meaning().ends_with('.'), "{cause:?}");
        }
    }

    #[test]
    fn the_manual_has_the_table() {
        const MANUAL: &str = include_str!("../../../docs/operating.md");
        let mut table =
            String::from("| answer | cause | what it means | what to change |\n|---|---|---|---|\n");
        for cause in Cause::ALL {
            let (answer, name) = (cause.answer().name(), cause.name());
            let hint = cause.hint().replace('|', "\\|");
            table.push_str(&format!("| `{answer}` | `{name}` | {} | {hint} |\n", cause.meaning()));
        }
        let (_, rest) = MANUAL.split_once("<!-- causes: begin -->\n").unwrap();
        let (written, _) = rest.split_once("<!-- causes: end -->").unwrap();
        assert!(written == table, "docs/operating.md has another table; this is it:\n{table}");
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
