//! TLS for EAP: rustls, in memory.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use forewarn_eap::{Broken, Certificate, Channel, Hash, Kind, Offer, Session, Tls};
use forewarn_shell::random;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, StoresServerSessions};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuite, HandshakeKind, ProtocolVersion, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};
use zeroize::Zeroizing;

use super::names::Naming;
use super::revocation;
use super::sessions::{Entry, Handshake, SESSIONS, Stored};
use super::tickets::{NAME, Ticket, Tickets};
use super::verified::Verified;

/// What peers are shown, and by whom theirs have to be signed.
pub struct Identity {
    /// The server's certificate, and those it was signed by.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// Who may have signed peers' certificates; empty: nobody.
    pub authorities: Vec<CertificateDer<'static>>,
    /// What those have revoked.
    pub revoked: Vec<CertificateRevocationListDer<'static>>,
    /// Whether TLS 1.2 is spoken, and TLS 1.3.
    pub versions: (bool, bool),
    /// What tickets are sealed with; `None`: there are none.
    pub tickets: Option<Tickets>,
    /// How a peer's certificate names its user.
    pub naming: Naming,
}

/// Why they can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Certificate and key don't fit, or aren't what rustls takes.
    #[error("certificate and key can't be used: {0}")]
    Own(rustls::Error),
    /// An authority's certificate.
    #[error("no certificate in it can be trusted, or those that can are revoked")]
    Authorities,
    /// A list of revoked certificates, or what it is of.
    #[error("peers can't be judged by it: {0}")]
    Verifier(rustls::server::VerifierBuilderError),
    /// Any of it, as OpenSSL says.
    #[error("OpenSSL can't use what is configured: {0}")]
    OpenSsl(String),
}

/// Makes connections.
#[derive(Debug)]
pub struct Connections {
    plain: Arc<ServerConfig>,
    mutual: Option<(Arc<ServerConfig>, Arc<Verified>)>,
    tickets: Option<Arc<Tickets>>,
    /// Whether TLS 1.3 is spoken.
    has_13: bool,
    guesses: Arc<Guesses>,
}

impl Connections {
    /// From what was read.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn new(identity: Identity) -> Result<Self, IdentityError> {
        let Identity { chain, key, authorities, revoked, versions, tickets, naming } = identity;
        let tickets = tickets.map(Arc::new);
        let (has_13, guesses) = (versions.1, Arc::default());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions: &[&SupportedProtocolVersion] = match versions {
            (true, false) => &[&TLS12],
            (false, _) => &[&TLS13],
            (true, true) => &[&TLS12, &TLS13],
        };
        let builder = || {
            ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(versions)
                .map_err(IdentityError::Own)
        };
        let mut plain = builder()?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(IdentityError::Own)?;
        without_resumption(&mut plain);
        if authorities.is_empty() {
            return Ok(Self { plain: Arc::new(plain), mutual: None, tickets, has_13, guesses });
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(revocation::in_force(authorities, &revoked));
        if roots.is_empty() {
            return Err(IdentityError::Authorities);
        }
        let judges = revocation::judges(roots, revoked, &provider)?;
        let verifier = Arc::new(Verified::new(judges, naming));
        let mut mutual = builder()?
            .with_client_cert_verifier(Arc::<Verified>::clone(&verifier))
            .with_single_cert(chain, key)
            .map_err(IdentityError::Own)?;
        without_resumption(&mut mutual);
        let mutual = Some((Arc::new(mutual), verifier));
        Ok(Self { plain: Arc::new(plain), mutual, tickets, has_13, guesses })
    }
}

/// Where there are tickets, each connection has its own.
fn without_resumption(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
}

impl Tls for Connections {
    fn accept(&self, kind: Kind, resumes: bool) -> Option<Box<dyn Channel>> {
        let (config, verifier) = match kind {
            Kind::Tls => self.mutual.as_ref().map(|(config, verifier)| (config, Some(verifier)))?,
            _ => (&self.plain, None),
        };
        let resumable = resumes && matches!(kind, Kind::Tls | Kind::Ttls | Kind::Peap | Kind::Teap);
        let tickets = self.tickets.as_ref().filter(|_| resumable);
        let ticketer = tickets.map(|tickets| Arc::new(Ticketer::new(Arc::clone(tickets), kind)));
        let config = match &ticketer {
            None => Arc::clone(config),
            Some(ticketer) => {
                let mut own = ServerConfig::clone(config);
                own.ticketer = Arc::<Ticketer>::clone(ticketer);
                own.session_storage = Arc::<Ticketer>::clone(ticketer);
                own.send_tls13_tickets = 1;
                Arc::new(own)
            }
        };
        let tls = ServerConnection::new(config).ok()?;
        let (verifier, guesses) = (verifier.cloned(), Arc::clone(&self.guesses));
        let has_13 = self.has_13;
        let connection = Connection {
            tls,
            ticketer,
            verifier,
            has_13,
            guesses,
            is_guessed: Cell::new(false),
            is_refused: false,
        };
        Some(Box::new(connection))
    }
}

/// When a hello was last taken for one that goes on with a session, and wasn't: seconds since 1970. The whole handshake was
/// a core's then, whose others waited for it; so that nobody makes it a habit, none is taken for one within a second of it.
#[derive(Debug, Default)]
struct Guesses {
    wrong: AtomicU64,
}

/// Octets of a session of TLS 1.2 that is kept for who takes no tickets.
const STORED_MAX: usize = 4096;

/// The tickets of one connection: they have its name, and so what is proven within it is theirs.
#[derive(Debug)]
struct Ticketer {
    tickets: Arc<Tickets>,
    kind: Kind,
    name: [u8; NAME],
    /// The session that was opened last.
    opened: Mutex<Option<Opened>>,
}

/// A session that may be resumed.
#[derive(Debug, Clone)]
struct Opened {
    name: [u8; NAME],
    /// When there was a whole handshake, seconds since 1970.
    since: u64,
    /// What was proven in it.
    entry: Option<Entry>,
}

impl Ticketer {
    fn new(tickets: Arc<Tickets>, kind: Kind) -> Self {
        let mut name = [0; NAME];
        random::fill(&mut name);
        Self { tickets, kind, name, opened: Mutex::default() }
    }

    /// Whether a session of this name proves somebody; who, is kept.
    fn is_proven(&self, now: u64, name: [u8; NAME], since: u64) -> bool {
        let entry = SESSIONS.of(&name);
        let entry = entry.filter(|entry| now.saturating_sub(entry.since) < self.tickets.lifetime());
        // A certificate in it is looked at anew; all else was said within the tunnel.
        let is_proven = entry.is_some() || self.kind == Kind::Tls;
        let opened = is_proven.then_some(Opened { name, since, entry });
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = opened;
        is_proven
    }

    /// Whether an offer is of a session that is known, and not too old.
    fn goes_on(&self, offer: &Offer) -> bool {
        match offer.ticket.is_empty() {
            true => self.get(&offer.session).is_some(),
            false => self.decrypt(&offer.ticket).is_some(),
        }
    }

    /// When the whole handshake was of what is sealed now.
    fn since(&self) -> u64 {
        self.opened().map_or_else(|| UnixTime::now().as_secs(), |opened| opened.since)
    }

    fn opened(&self) -> Option<Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(self.tickets.lifetime()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let session = plain.to_vec().into();
        let ticket = Ticket { name: self.name, since: self.since(), session };
        self.tickets.seal(UnixTime::now().as_secs(), self.kind.number(), &ticket)
    }

    /// `None` makes it a whole handshake: the ticket isn't ours, or proves nothing.
    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let now = UnixTime::now().as_secs();
        let Ticket { name, since, session } = self.tickets.open(now, self.kind.number(), ticket)?;
        self.is_proven(now, name, since).then(|| session.to_vec())
    }
}

/// Sessions by their ID, as TLS 1.2 resumes them for who takes no tickets (wpa_supplicant doesn't unless told to).
impl StoresServerSessions for Ticketer {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        let (since, session) = (self.since(), Zeroizing::new(session));
        // A chain of certificates is in it, as long as its owner likes.
        if session.len() > STORED_MAX {
            return false;
        }
        SESSIONS.store(id, Stored { kind: self.kind, name: self.name, session, since });
        true
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        let now = UnixTime::now().as_secs();
        let stored = SESSIONS.stored(id).filter(|stored| stored.kind == self.kind)?;
        let is_young = now.saturating_sub(stored.since) < self.tickets.lifetime();
        (is_young && self.is_proven(now, stored.name, stored.since)).then(|| stored.session.to_vec())
    }

    /// TLS 1.3 has tickets only.
    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn can_cache(&self) -> bool {
        true
    }
}

struct Connection {
    tls: ServerConnection,
    ticketer: Option<Arc<Ticketer>>,
    /// Who judges the peer's certificate.
    verifier: Option<Arc<Verified>>,
    has_13: bool,
    guesses: Arc<Guesses>,
    /// Whether the hello was taken for one that goes on with a session.
    is_guessed: Cell<bool>,
    /// It resumes what isn't good any more: nothing leaves, a ticket least of all.
    is_refused: bool,
}

impl Connection {
    fn process(&mut self, mut octets: &[u8]) -> Result<(), rustls::Error> {
        while !octets.is_empty() {
            let read =
                self.tls.read_tls(&mut octets).map_err(|error| rustls::Error::General(error.to_string()))?;
            self.tls.process_new_packets()?;
            if read == 0 {
                return Err(rustls::Error::General("more after the end".into()));
            }
        }
        Ok(())
    }

    fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// rustls takes the certificate of a session that is resumed as it was: it may have run out since, or be revoked.
    fn verify_again(&self) -> Result<(), rustls::Error> {
        let Some(verifier) = &self.verifier else { return Ok(()) };
        let chain = self.tls.peer_certificates().unwrap_or_default();
        let (leaf, others) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        verifier.verify_client_cert(leaf, others, UnixTime::now()).map(|_| ())
    }

    /// The handshake is over.
    fn established(&mut self) -> Result<(), Broken> {
        if !self.is_resumed() {
            SESSIONS.count(Handshake::Full);
            return Ok(());
        }
        match self.verify_again() {
            Ok(()) => SESSIONS.count(Handshake::Resumed),
            Err(error) => {
                SESSIONS.count(Handshake::Failed);
                self.is_refused = true;
                return Err(Broken { why: format!("its session isn't resumed: {error}") });
            }
        }
        Ok(())
    }
}

impl Channel for Connection {
    fn is_costly(&self) -> bool {
        match self.tls.handshake_kind() {
            // Only the peer's certificate is left to look at.
            Some(HandshakeKind::Resumed) => {
                let chain = self.tls.peer_certificates().unwrap_or_default();
                self.verifier.as_ref().is_some_and(|verifier| !verifier.knows(chain, UnixTime::now()))
            }
            // Nothing but the end of it is left (RFC 8446 section 2).
            Some(HandshakeKind::Full) if self.is_13() => self.verifier.is_some(),
            _ => true,
        }
    }

    /// With TLS 1.2 (RFC 5246 section 7.3, RFC 5077 section 3.1): TLS 1.3 agrees upon a key in any case.
    fn goes_on(&self, offer: &Offer) -> bool {
        let now = UnixTime::now().as_secs();
        let Some(ticketer) = &self.ticketer else { return false };
        if self.tls.handshake_kind().is_some()
            || offer.is_13 && self.has_13
            || self.guesses.wrong.load(Relaxed) == now
        {
            return false;
        }
        self.is_guessed.set(ticketer.goes_on(offer));
        self.is_guessed.get()
    }

    fn feed(&mut self, octets: &[u8]) -> Result<(), Broken> {
        let was_established = self.is_established();
        let processed = self.process(octets);
        if self.is_guessed.take() && self.tls.handshake_kind() != Some(HandshakeKind::Resumed) {
            self.guesses.wrong.store(UnixTime::now().as_secs(), Relaxed);
        }
        if let Err(error) = processed {
            if !was_established {
                SESSIONS.count(Handshake::Failed);
            }
            return Err(Broken { why: error.to_string() });
        }
        match self.is_established() && !was_established {
            true => self.established(),
            false => Ok(()),
        }
    }

    fn take(&mut self, out: &mut Vec<u8>) {
        while !self.is_refused
            && self.tls.wants_write()
            && self.tls.write_tls(out).is_ok_and(|written| written > 0)
        {}
    }

    fn is_established(&self) -> bool {
        !self.tls.is_handshaking()
    }

    fn is_13(&self) -> bool {
        self.tls.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    fn read(&mut self, out: &mut Vec<u8>) {
        // Its end is that there is no more yet.
        let _ = self.tls.reader().read_to_end(out);
    }

    fn write(&mut self, octets: &[u8]) {
        // Kept in memory; what a method says is short.
        let _ = self.tls.writer().write_all(octets);
    }

    fn export(&self, label: &[u8], context: Option<&[u8]>, out: &mut [u8]) -> bool {
        self.tls.export_keying_material(out, label, context).is_ok()
    }

    fn resumed(&self) -> Vec<Session> {
        let opened = self.ticketer.as_ref().filter(|_| self.is_resumed()).and_then(|it| it.opened());
        opened.and_then(|opened| opened.entry).map(|entry| entry.proven).unwrap_or_default()
    }

    fn keep(&mut self, proven: Vec<Session>) {
        let Some(ticketer) = &self.ticketer else { return };
        // Resuming is no proof: it makes no session last longer.
        let earlier = ticketer.opened().filter(|_| self.is_resumed()).and_then(|opened| opened.entry);
        let since = earlier.map_or_else(|| UnixTime::now().as_secs(), |entry| entry.since);
        if ticketer.kind != Kind::Tls {
            SESSIONS.keep(ticketer.name, Entry { proven, since });
        }
    }

    fn forget(&mut self) {
        let resumed = self.ticketer.as_ref().filter(|_| self.is_resumed());
        if let Some(opened) = resumed.and_then(|ticketer| ticketer.opened()) {
            SESSIONS.forget(&opened.name);
        }
    }

    fn hash(&self) -> Hash {
        match self.tls.negotiated_cipher_suite().map(|suite| suite.suite()) {
            Some(
                CipherSuite::TLS13_AES_256_GCM_SHA384
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            ) => Hash::Sha384,
            _ => Hash::Sha256,
        }
    }

    fn certificate(&self) -> Option<Certificate> {
        let chain = self.tls.peer_certificates()?;
        self.verifier.as_ref()?.certificate(chain, UnixTime::now())
    }
}
