//! Certificates for servers of the tests: an authority made for one test, and a server's certificate signed by it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    /// Makes them in `folder` with openssl, for a server called by `address` or as "localhost", valid for two days.
    ///
    /// # Panics
    /// When openssl isn't installed.
    pub fn make(folder: &Path, address: IpAddr) -> Certificate {
        let file = |name: &str| folder.join(name);
        let openssl = |arguments: &[&str]| {
            let output = Command::new("openssl")
                .args(arguments)
                .current_dir(folder)
                .stdin(Stdio::null())
                .output()
                .expect("openssl is installed");
            assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        };
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let authority = ["req", "-x509", "-days", "2", "-subj", "/CN=authority of a test"];
        let files = ["-keyout", "authority.key", "-out", "authority.pem"];
        openssl(&[&authority[..], &key[..], &files[..]].concat());
        let names = format!("subjectAltName=IP:{address},DNS:localhost");
        let server = ["req", "-x509", "-days", "2", "-subj", "/CN=localhost", "-addext", &names];
        let constraints = ["-addext", "basicConstraints=critical,CA:FALSE"];
        let signed = ["-CA", "authority.pem", "-CAkey", "authority.key"];
        let files = ["-keyout", "server.key", "-out", "server.pem"];
        openssl(&[&server[..], &constraints[..], &key[..], &signed[..], &files[..]].concat());
        Certificate {
            authority: file("authority.pem"),
            certificate: file("server.pem"),
            key: file("server.key"),
        }
    }
}
