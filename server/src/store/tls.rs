//! TLS towards databases and directories: rustls, with the roots of the configuration or of the system.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// What is wrong with the certificates a server is to be judged by: the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file can't be read, or isn't PEM.
    #[error("{} can't be read as PEM certificates: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: rustls::pki_types::pem::Error,
    },
    /// There is nobody to trust.
    #[error("no certificate authority is known ({0}); install ca-certificates, or name a file with `ca`")]
    NoRoots(String),
    /// rustls refuses it.
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// A client's configuration that trusts the authorities in the PEM file `ca`; `None`: the system's.
///
/// # Errors
/// See [`TlsError`].
pub fn client(ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let said = match ca {
        Some(path) => {
            let read = || -> Result<Vec<_>, rustls::pki_types::pem::Error> {
                CertificateDer::pem_file_iter(path)?.collect()
            };
            let certificates = read().map_err(|cause| TlsError::File { path: path.to_owned(), cause })?;
            roots.add_parsable_certificates(certificates);
            format!("none in {}", path.display())
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            found.errors.first().map_or_else(|| "the system has none".to_owned(), ToString::to_string)
        }
    };
    if roots.is_empty() {
        return Err(TlsError::NoRoots(said));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
