//! The authority in a folder: `ca.pem`, `ca.key`, `ca.crl`, and of each name NAME.pem and NAME.key.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use forewarn_shell::clock;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, RevokedCertParams, RsaKeySize, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::Serialize;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;

use super::Key;

/// Who signs, as certificates show it.
const NAME: &str = "forewarn demo authority, not for production";
/// Octets of the longest name: a common name has at most 64 letters (RFC 5280 appendix A.1).
const NAME_MAX: usize = 64;
/// Clocks of clients may be slow by this.
const SKEW: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// The list of revoked certificates doesn't grow old: nobody is there to write it anew.
const LIST_DAYS: u32 = 3650;

/// A certificate and its key, in PEM.
#[derive(Debug, Serialize)]
pub(super) struct Leaf {
    /// Whose it is.
    pub(super) name: String,
    /// The certificate.
    pub(super) certificate: PathBuf,
    /// Its key.
    pub(super) key: PathBuf,
}

/// An authority that can sign.
pub(super) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

/// Whether these can be names of certificates, each of files of its own.
pub(super) fn check(names: &[&str]) -> Result<(), String> {
    for (place, name) in names.iter().enumerate() {
        let bad = |letter: char| letter.is_control() || letter == '\\';
        if name.is_empty() || name.len() > NAME_MAX || name.contains(bad) || name.starts_with('.') {
            return Err(format!(
                "{name:?} can't be a certificate's name: give 1 to {NAME_MAX} octets that don't begin with a dot, without \\"
            ));
        }
        let file = file(name);
        if file == "ca" || names[..place].iter().any(|other| self::file(other) == file) {
            return Err(format!("{name:?} would have the files of another, {file}.pem: give another name"));
        }
    }
    Ok(())
}

/// What its files are called.
fn file(name: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.@".contains(letter);
    name.chars().map(|letter| if fits(letter) { letter } else { '-' }).collect()
}

impl Authority {
    /// A new one, in a folder that has none.
    pub(super) fn make(folder: &Path, key: Key, days: u16) -> Result<Authority, String> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| format!("{} can't be made: {error}", folder.display()))?;
        let folder = absolute(folder)?;
        let pair = new_key(key)?;
        let mut params = params(NAME, days);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&pair).map_err(said)?;
        let names = ["ca.pem", "ca.key", "ca.crl"].map(|name| folder.join(name));
        vacant(&names)?;
        let [shown, hidden, list] = &names;
        write(hidden, &pair.serialize_pem(), 0o600)?;
        write(shown, &certificate.pem(), 0o644)?;
        let authority = Authority { issuer: Issuer::new(params, pair), folder };
        write(list, &authority.list(Vec::new(), 1)?, 0o644)?;
        Ok(authority)
    }

    /// The one that [`Authority::make`] made.
    pub(super) fn open(folder: &Path) -> Result<Authority, String> {
        let key = KeyPair::from_pem(&read(&folder.join("ca.key"))?).map_err(said)?;
        let folder = absolute(folder)?;
        let issuer = Issuer::from_ca_cert_pem(&read(&folder.join("ca.pem"))?, key).map_err(said)?;
        Ok(Authority { folder, issuer })
    }

    /// Its own certificate, for clients to trust.
    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The list of what it has revoked.
    pub(super) fn crl(&self) -> PathBuf {
        self.folder.join("ca.crl")
    }

    /// A server's certificate.
    pub(super) fn server(&self, name: &str, key: Key, days: u16) -> Result<Leaf, String> {
        let host = rcgen::string::Ia5String::try_from(name).map_err(said)?;
        self.leaf(name, key, days, ExtendedKeyUsagePurpose::ServerAuth, Some(SanType::DnsName(host)))
    }

    /// A client's: a user's, or a machine's by the name that Windows has for it.
    pub(super) fn client(&self, name: &str, key: Key, days: u16) -> Result<Leaf, String> {
        let text = |name: &str| rcgen::string::Ia5String::try_from(name).map_err(said);
        let other = match name.strip_prefix("host/") {
            Some(host) => Some(SanType::DnsName(text(host)?)),
            None if name.contains('@') => Some(SanType::Rfc822Name(text(name)?)),
            None => None,
        };
        self.leaf(name, key, days, ExtendedKeyUsagePurpose::ClientAuth, other)
    }

    fn leaf(
        &self,
        name: &str,
        key: Key,
        days: u16,
        usage: ExtendedKeyUsagePurpose,
        other: Option<SanType>,
    ) -> Result<Leaf, String> {
        let pair = new_key(key)?;
        let mut params = params(name, days);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if key == Key::Rsa2048 {
            // For TLS 1.2 without Diffie-Hellman.
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![usage];
        params.subject_alt_names = other.into_iter().collect();
        let certificate: Certificate = params.signed_by(&pair, &self.issuer).map_err(said)?;
        let names = ["pem", "key"].map(|kind| self.folder.join(format!("{}.{kind}", file(name))));
        vacant(&names)?;
        let [shown, hidden] = names;
        write(&hidden, &pair.serialize_pem(), 0o600)?;
        write(&shown, &certificate.pem(), 0o644)?;
        Ok(Leaf { name: name.to_owned(), certificate: shown, key: hidden })
    }

    /// Revokes these clients' certificates besides those that are revoked.
    pub(super) fn revoke(&self, names: &[String]) -> Result<(), String> {
        let wrong = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let serial = |name: &String| {
            let path = self.folder.join(format!("{}.pem", file(name)));
            let der = CertificateDer::from_pem_slice(read(&path)?.as_bytes());
            let der = der.map_err(|error| wrong(&path, &error))?;
            let certificate = x509_cert::Certificate::from_der(&der).map_err(|error| wrong(&path, &error))?;
            Ok::<_, String>(certificate.tbs_certificate.serial_number.as_bytes().to_vec())
        };
        let more = names.iter().map(serial).collect::<Result<Vec<_>, _>>()?;
        let path = self.crl();
        let der = CertificateRevocationListDer::from_pem_slice(read(&path)?.as_bytes());
        let der = der.map_err(|error| wrong(&path, &error))?;
        let before = CertificateList::from_der(&der).map_err(|error| wrong(&path, &error))?.tbs_cert_list;
        let revoked = before.revoked_certificates.unwrap_or_default();
        let mut serials: Vec<Vec<u8>> =
            revoked.iter().map(|one| one.serial_number.as_bytes().to_vec()).collect();
        serials.extend(more);
        serials.sort_unstable();
        serials.dedup();
        // Later lists have higher numbers (RFC 5280 section 5.2.3).
        let list = self.list(serials, since_1970().as_secs())?;
        let new = self.folder.join("ca.crl.new");
        // Left by a run that was interrupted.
        let _ = fs::remove_file(&new);
        write(&new, &list, 0o644)?;
        fs::rename(&new, &path).map_err(|error| wrong(&path, &error))
    }

    /// The list of certificates that are revoked, by their serial numbers.
    fn list(&self, serials: Vec<Vec<u8>>, number: u64) -> Result<String, String> {
        let now = date_time_ymd(1970, 1, 1) + since_1970();
        let revoked = |serial: Vec<u8>| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now - SKEW,
            next_update: now + DAY * LIST_DAYS,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: serials.into_iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).and_then(|list| list.pem()).map_err(said)
    }
}

/// What all certificates have.
fn params(name: &str, days: u16) -> CertificateParams {
    let now = date_time_ymd(1970, 1, 1) + since_1970();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = now - SKEW;
    params.not_after = now + DAY * u32::from(days);
    params
}

fn new_key(key: Key) -> Result<KeyPair, String> {
    let made = match key {
        Key::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        Key::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    };
    made.map_err(said)
}

fn since_1970() -> Duration {
    Duration::from_nanos(clock::utc_nanos())
}

/// Configurations name files from wherever they stand.
fn absolute(folder: &Path) -> Result<PathBuf, String> {
    fs::canonicalize(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Before anything is written: that nothing is there.
fn vacant(paths: &[PathBuf]) -> Result<(), String> {
    match paths.iter().find(|path| fs::symlink_metadata(path).is_ok()) {
        Some(path) => Err(format!(
            "{} is there already and stays as it is: name another folder with --output, another client, or remove it",
            path.display()
        )),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => {
                ": `forewarn pki make` makes an authority, `forewarn pki client` a client"
            }
            _ => "",
        };
        format!("{} can't be read: {error}{hint}", path.display())
    })
}

/// Never over something that is there.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("{} can't be written: {error}", path.display()))
}

#[allow(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn said(error: rcgen::Error) -> String {
    format!("the certificate can't be made: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_can_be_certificates_and_files() {
        assert!(check(&["radius.example.org", "alice", "bob@example.org", "host/laptop-1"]).is_ok());
        for bad in [&[""][..], &["../x", "..x"], &["a\\b"], &["ca"], &["alice", "alice"], &["a b", "a/b"]] {
            let complaint = check(bad).unwrap_err();
            assert!(complaint.contains("give"), "{complaint}");
        }
        assert!(check(&["x".repeat(65).as_str()]).is_err());
        assert_eq!(file("host/laptop-1"), "host-laptop-1");
    }
}
