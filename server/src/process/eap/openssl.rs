//! TLS for EAP by OpenSSL, in memory: for supplicants that need what rustls refuses (TLS 1.0 and 1.1, key exchange by RSA,
//! SHA-1 in signatures, short keys). Only with the feature `openssl`, and only where `[eap.tls] library` asks for it.
//!
//! It resumes no session.

use std::io::{self, Read, Write};
use std::sync::Arc;

use forewarn_eap::{Broken, Certificate, Channel, Hash, Kind, Session, Tls};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{CrlStatus, X509, X509Crl, X509NameRef, X509Ref, X509StoreContextRef, X509VerifyResult};

use super::names::{self, Naming};
use super::sessions::{Handshake, SESSIONS};
use super::tls::{Identity, IdentityError};

/// Everything that OpenSSL still knows of: who wants less asks rustls.
const CIPHERS: &str = "DEFAULT:@SECLEVEL=0";

/// Makes connections.
#[derive(Debug)]
pub struct Connections {
    plain: SslContext,
    mutual: Option<SslContext>,
    naming: Arc<Naming>,
}

impl Connections {
    /// From what was read, for TLS 1.`least` to TLS 1.`most`; the versions that rustls is to speak are left aside.
    ///
    /// # Errors
    /// [`IdentityError::OpenSsl`], of certificate, key, authorities or lists.
    pub fn new(identity: &Identity, least: u8, most: u8) -> Result<Self, IdentityError> {
        let plain = context(identity, least, most)?.build();
        let naming = Arc::new(identity.naming.clone());
        if identity.authorities.is_empty() {
            return Ok(Self { plain, mutual: None, naming });
        }
        let authorities = identity
            .authorities
            .iter()
            .map(|der| X509::from_der(der))
            .collect::<Result<Vec<_>, ErrorStack>>()?;
        let mut store = X509StoreBuilder::new()?;
        for authority in &authorities {
            store.add_cert(authority.clone())?;
        }
        // As with rustls: whoever is named is trusted, whether somebody else signed them or not.
        store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
        let lists = lists(identity, &authorities)?;
        let mut mutual = context(identity, least, most)?;
        mutual.set_verify_cert_store(store.build())?;
        for authority in &authorities {
            mutual.add_client_ca(authority)?;
        }
        let mode = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
        mutual.set_verify_callback(mode, move |is_good, chain| is_good && is_in_force(chain, &lists));
        Ok(Self { plain, mutual: Some(mutual.build()), naming })
    }
}

/// What both kinds of connections have.
fn context(identity: &Identity, least: u8, most: u8) -> Result<SslContextBuilder, ErrorStack> {
    let version = |minor| match minor {
        0 => SslVersion::TLS1,
        1 => SslVersion::TLS1_1,
        2 => SslVersion::TLS1_2,
        _ => SslVersion::TLS1_3,
    };
    let mut context = SslContextBuilder::new(SslMethod::tls_server())?;
    context.set_security_level(0);
    context.set_cipher_list(CIPHERS)?;
    context.set_min_proto_version(Some(version(least)))?;
    context.set_max_proto_version(Some(version(most)))?;
    context.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION | SslOptions::NO_COMPRESSION);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_num_tickets(0)?;
    let mut chain = identity.chain.iter().map(|der| X509::from_der(der));
    if let Some(own) = chain.next() {
        context.set_certificate(own?.as_ref())?;
    }
    for other in chain {
        context.add_extra_chain_cert(other?)?;
    }
    let key = PKey::private_key_from_der(identity.key.secret_der())?;
    context.set_private_key(key.as_ref())?;
    context.check_private_key()?;
    Ok(context)
}

/// The lists of revoked certificates. Those of an authority of `client_ca` are signed by it; by whom others are, is seen
/// when a chain has their issuer.
fn lists(identity: &Identity, authorities: &[X509]) -> Result<Vec<X509Crl>, IdentityError> {
    let mut lists = Vec::new();
    for der in &identity.revoked {
        let list = X509Crl::from_der(der)?;
        let (mut is_ours, mut is_signed) = (false, false);
        for authority in authorities.iter().filter(|authority| is_of(authority.subject_name(), &list)) {
            is_ours = true;
            is_signed |= list.verify(authority.public_key()?.as_ref())?;
        }
        if is_ours && !is_signed {
            let issuer = list.issuer_name();
            return Err(IdentityError::OpenSsl(format!(
                "nobody of `client_ca` signed the list of {issuer:?}"
            )));
        }
        lists.push(list);
    }
    Ok(lists)
}

impl From<ErrorStack> for IdentityError {
    fn from(error: ErrorStack) -> Self {
        IdentityError::OpenSsl(error.to_string())
    }
}

fn is_of(issuer: &X509NameRef, list: &X509Crl) -> bool {
    issuer.try_cmp(list.issuer_name()).is_ok_and(std::cmp::Ordering::is_eq)
}

/// Whether no certificate of a chain is revoked. Where there are lists, there has to be one of the authority of the peer's
/// own; those between need none.
fn is_in_force(chain: &mut X509StoreContextRef, lists: &[X509Crl]) -> bool {
    if lists.is_empty() {
        return true;
    }
    let depth = chain.error_depth() as usize;
    let issuer = chain.chain().and_then(|chain| chain.get(depth + 1)).and_then(|it| it.public_key().ok());
    let is_good = chain.current_cert().map(X509Ref::to_owned).is_some_and(|certificate| {
        let signed = |list: &&X509Crl| issuer.as_ref().is_some_and(|key| list.verify(key).unwrap_or(false));
        let mut own =
            lists.iter().filter(|list| is_of(certificate.issuer_name(), list)).filter(signed).peekable();
        let is_known = own.peek().is_some() || depth > 0;
        is_known && own.all(|list| matches!(list.get_by_cert(&certificate), CrlStatus::NotRevoked))
    });
    if !is_good {
        chain.set_error(X509VerifyResult::APPLICATION_VERIFICATION);
    }
    is_good
}

impl Tls for Connections {
    fn accept(&self, kind: Kind, _: bool) -> Option<Box<dyn Channel>> {
        let context = if kind == Kind::Tls { self.mutual.as_ref()? } else { &self.plain };
        let stream = SslStream::new(Ssl::new(context).ok()?, Octets::default()).ok()?;
        Some(Box::new(Connection {
            stream,
            naming: Arc::clone(&self.naming),
            is_established: false,
            said: Vec::new(),
        }))
    }
}

/// What comes in and goes out.
#[derive(Default)]
struct Octets {
    incoming: Vec<u8>,
    /// How much of it was read.
    read: usize,
    outgoing: Vec<u8>,
}

impl Read for Octets {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut rest = &self.incoming[self.read..];
        if rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let octets = rest.read(room)?;
        self.read += octets;
        if self.read == self.incoming.len() {
            self.incoming.clear();
            self.read = 0;
        }
        Ok(octets)
    }
}

impl Write for Octets {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.outgoing.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Connection {
    stream: SslStream<Octets>,
    naming: Arc<Naming>,
    is_established: bool,
    /// Said within, and not read yet.
    said: Vec<u8>,
}

impl Connection {
    fn go_on(&mut self) -> Result<(), openssl::ssl::Error> {
        if !self.is_established {
            match self.stream.accept() {
                Ok(()) => {
                    self.is_established = true;
                    SESSIONS.count(Handshake::Full);
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(()),
                Err(error) => {
                    SESSIONS.count(Handshake::Failed);
                    return Err(error);
                }
            }
        }
        let mut room = [0; 4096];
        loop {
            match self.stream.ssl_read(&mut room) {
                Ok(octets) => self.said.extend(&room[..octets]),
                Err(error) if matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::ZERO_RETURN) => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Channel for Connection {
    fn feed(&mut self, octets: &[u8]) -> Result<(), Broken> {
        self.stream.get_mut().incoming.extend(octets);
        self.go_on().map_err(|error| Broken { why: error.to_string() })
    }

    fn take(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.stream.get_mut().outgoing);
    }

    fn is_established(&self) -> bool {
        self.is_established
    }

    fn is_13(&self) -> bool {
        self.stream.ssl().version2() == Some(SslVersion::TLS1_3)
    }

    fn read(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.said);
    }

    fn write(&mut self, octets: &[u8]) {
        // Kept in memory; what a method says is short.
        let _ = self.stream.write_all(octets);
    }

    fn resumed(&self) -> Vec<Session> {
        Vec::new()
    }

    fn keep(&mut self, _: Vec<Session>) {}

    fn export(&self, label: &[u8], context: Option<&[u8]>, out: &mut [u8]) -> bool {
        let label = std::str::from_utf8(label);
        label.is_ok_and(|label| self.stream.ssl().export_keying_material(out, label, context).is_ok())
    }

    fn hash(&self) -> Hash {
        let digest = self.stream.ssl().current_cipher().and_then(|cipher| cipher.handshake_digest());
        match digest.map(|digest| digest.type_()) {
            Some(Nid::SHA384) => Hash::Sha384,
            _ => Hash::Sha256,
        }
    }

    fn certificate(&self) -> Option<Certificate> {
        let leaf = self.stream.ssl().peer_certificate()?.to_der().ok()?;
        names::read(&leaf, &self.naming)
    }
}
