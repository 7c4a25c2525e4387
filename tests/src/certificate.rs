//! Certificates for servers of the tests: an authority made for one test, and a server's certificate signed by it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::authority::{Authority, Key, Leaf, Usage};

/// The files, in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The authority, for a client to trust.
    pub authority: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes them in `folder`, for a server called by `address` or as "localhost", valid for two days.
    ///
    /// # Panics
    /// When openssl isn't installed.
    pub fn make(folder: &Path, address: IpAddr) -> Certificate {
        let authority = Authority::make(folder, Key::Ecdsa);
        let names = format!("IP:{address},DNS:localhost");
        let Leaf { certificate, key } = authority.named("localhost", Usage::Server, &names);
        Certificate { authority: authority.certificate(), certificate, key }
    }
}
