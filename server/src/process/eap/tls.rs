//! TLS for EAP: rustls, in memory.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use forewarn_eap::{Broken, Channel, Tls};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::names::names;

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
}

/// Why they can't be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Certificate and key don't fit, or aren't what rustls takes.
    #[error("certificate and key can't be used: {0}")]
    Own(rustls::Error),
    /// An authority's certificate.
    #[error("no certificate in it can be trusted")]
    Authorities,
    /// A list of revoked certificates, or what it is of.
    #[error("peers can't be judged by it: {0}")]
    Verifier(rustls::server::VerifierBuilderError),
}

/// Makes connections.
#[derive(Debug)]
pub struct Connections {
    plain: Arc<ServerConfig>,
    mutual: Option<Arc<ServerConfig>>,
}

impl Connections {
    /// From what was read.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn new(identity: Identity) -> Result<Self, IdentityError> {
        let Identity { chain, key, authorities, revoked, versions } = identity;
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
            return Ok(Self { plain: Arc::new(plain), mutual: None });
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities);
        if roots.is_empty() {
            return Err(IdentityError::Authorities);
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = match revoked.is_empty() {
            true => verifier,
            false => verifier.with_crls(revoked).only_check_end_entity_revocation(),
        };
        let verifier = verifier.build().map_err(IdentityError::Verifier)?;
        let mut mutual = builder()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(IdentityError::Own)?;
        without_resumption(&mut mutual);
        Ok(Self { plain: Arc::new(plain), mutual: Some(Arc::new(mutual)) })
    }
}

/// A resumed session would look at no certificate again.
fn without_resumption(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
}

impl Tls for Connections {
    fn accept(&self, mutual: bool) -> Option<Box<dyn Channel>> {
        let config = if mutual { self.mutual.as_ref()? } else { &self.plain };
        let connection = ServerConnection::new(Arc::clone(config)).ok()?;
        Some(Box::new(Connection(connection)))
    }
}

struct Connection(ServerConnection);

impl Channel for Connection {
    fn feed(&mut self, mut octets: &[u8]) -> Result<(), Broken> {
        while !octets.is_empty() {
            let read = self.0.read_tls(&mut octets).map_err(|error| Broken { why: error.to_string() })?;
            self.0.process_new_packets().map_err(|error| Broken { why: error.to_string() })?;
            if read == 0 {
                return Err(Broken { why: "more after the end".into() });
            }
        }
        Ok(())
    }

    fn take(&mut self, out: &mut Vec<u8>) {
        while self.0.wants_write() && self.0.write_tls(out).is_ok_and(|written| written > 0) {}
    }

    fn is_established(&self) -> bool {
        !self.0.is_handshaking()
    }

    fn is_13(&self) -> bool {
        self.0.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    fn read(&mut self, out: &mut Vec<u8>) {
        // Its end is that there is no more yet.
        let _ = self.0.reader().read_to_end(out);
    }

    fn write(&mut self, octets: &[u8]) {
        // Kept in memory; what a method says is short.
        let _ = self.0.writer().write_all(octets);
    }

    fn export(&self, label: &[u8], context: Option<&[u8]>, out: &mut [u8]) -> bool {
        self.0.export_keying_material(out, label, context).is_ok()
    }

    fn names(&self) -> Vec<String> {
        self.0.peer_certificates().and_then(<[_]>::first).map(|leaf| names(leaf)).unwrap_or_default()
    }
}
