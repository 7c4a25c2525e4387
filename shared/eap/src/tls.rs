//! TLS as methods need it: one connection's server side, in memory. Whoever links a library of TLS gives it.

use crate::claim::{Claim, Proof};
use crate::settings::Kind;

/// What makes connections.
pub trait Tls: std::fmt::Debug + Send + Sync {
    /// The server's side of a new one, for this method: whether the peer has to show a certificate, and which sessions
    /// may be resumed, follow from it. Unless it `resumes`, none is, and there are no tickets. `None`: it can't be made.
    fn accept(&self, kind: Kind, resumes: bool) -> Option<Box<dyn Channel>>;
}

/// A keyed digest of what an account's credentials are verified by: it is another when the password is. Its key is the
/// business of whoever knows accounts.
pub type Fingerprint = [u8; 32];

/// Who was proven within a connection, so that another that resumes its session needs no more proof.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The method that proved them, as policies and records name it.
    pub method: &'static str,
    /// Who they said they are.
    pub user: Vec<u8>,
    /// By what they were verified.
    pub fingerprint: Fingerprint,
}

impl Session {
    /// What whoever resumes it claims.
    pub(crate) fn claim(self) -> Claim {
        let Session { method, user, fingerprint } = self;
        Claim { method, user, proof: Proof::Resumed(fingerprint) }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What a peer's ClientHello would go on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Whether it offers TLS 1.3.
    pub is_13: bool,
    /// The session's ID; empty: none.
    pub session: Vec<u8>,
    /// The ticket of TLS 1.2 (RFC 5077); empty: none.
    pub ticket: Vec<u8>,
}

/// What a peer's certificate says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// The names it may be a user's by; the most telling first.
    pub users: Vec<String>,
    /// Whom it is for (RFC 4514).
    pub subject: String,
    /// Who signed it (RFC 4514).
    pub issuer: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// Its alternative names, each behind its kind: `dns:`, `email:`, `upn:`, `uri:`.
    pub alternatives: Vec<String>,
    /// Until when it is good, seconds since 1970.
    pub not_after: u64,
}

/// The server's side of one connection: octets in, octets out.
pub trait Channel: Send {
    /// Takes octets of the peer; the handshake goes on by them.
    ///
    /// # Errors
    /// The connection is broken. An alert may be in [`Channel::take`].
    fn feed(&mut self, octets: &[u8]) -> Result<(), Broken>;

    /// Whether the next message of the handshake burns CPU: signatures, or a key agreed upon.
    fn is_costly(&self) -> bool {
        true
    }

    /// Whether a ClientHello with this offer burns none, since a session is gone on with.
    fn goes_on(&self, _: &Offer) -> bool {
        false
    }

    /// Appends what the peer has to get.
    fn take(&mut self, out: &mut Vec<u8>);

    /// Whether the handshake is over.
    fn is_established(&self) -> bool;

    /// Whether it is TLS 1.3.
    fn is_13(&self) -> bool;

    /// Appends what the peer has said within the connection.
    fn read(&mut self, out: &mut Vec<u8>);

    /// Says something within it.
    fn write(&mut self, octets: &[u8]);

    /// Who was proven in the session that this connection resumes, one after the other. Empty: it resumes none.
    fn resumed(&self) -> Vec<Session>;

    /// The conversation has come to a good end: from now on this connection's session may be resumed as these.
    fn keep(&mut self, proven: Vec<Session>);

    /// The session that this connection resumes isn't to be resumed again.
    fn forget(&mut self) {}

    /// Keying material (RFC 5705, RFC 8446 section 7.5). False: there is none.
    fn export(&self, label: &[u8], context: Option<&[u8]>, out: &mut [u8]) -> bool;

    /// The hash of the cipher suite, once the handshake is over.
    fn hash(&self) -> Hash;

    /// The peer's certificate, which was verified.
    fn certificate(&self) -> Option<Certificate>;
}

/// A hash of TLS's cipher suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
}

/// A connection is broken: what the peer sent isn't TLS, or isn't what this server takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Why, for an operator.
    pub why: String,
}
