//! A peer's side of TLS: versions, a certificate of its own, the sessions it may resume.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use crate::authority::Leaf;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::Tls12 => "TLS 1.2",
            Version::Tls13 => "TLS 1.3",
        })
    }
}

/// What a peer's connections are made with. It believes any server: whether the server shows what it should is
/// eapol_test's to say, and nobody is to wait here for what only peers compute.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// One version of TLS, with a certificate or without; no session is kept.
    ///
    /// # Panics
    /// When the certificate can't be read.
    pub fn new(version: Version, leaf: Option<&Leaf>) -> Trust {
        let version = match version {
            Version::Tls12 => &TLS12,
            Version::Tls13 => &TLS13,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .expect("rustls has both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody));
        let mut config = match leaf {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let chain = CertificateDer::pem_file_iter(&leaf.certificate).expect("a certificate");
                let chain = chain.collect::<Result<_, _>>().expect("certificates in PEM");
                let key = PrivateKeyDer::from_pem_file(&leaf.key).expect("a key in PEM");
                builder.with_client_auth_cert(chain, key).expect("key and certificate fit")
            }
        };
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Trust(Arc::new(config))
    }

    /// The same with sessions of its own: what shares this (a clone does) resumes what the others have begun, at
    /// whichever server.
    #[must_use]
    pub fn resuming(&self) -> Trust {
        let mut config = ClientConfig::clone(&self.0);
        config.resumption = Resumption::in_memory_sessions(8);
        Trust(Arc::new(config))
    }

    /// A new connection.
    pub(super) fn connect(&self) -> ClientConnection {
        let name = ServerName::try_from("server.invalid").expect("a name");
        ClientConnection::new(Arc::clone(&self.0), name).expect("a configuration that was built")
    }
}

/// Believes anybody.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls12_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
