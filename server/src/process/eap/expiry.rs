//! When what EAP needs of certificates runs out.

use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;

/// How long before its end something is warned of, seconds: 30 days.
const AHEAD: u64 = 30 * DAY;
const DAY: u64 = 86_400;

/// What runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server's certificate, or one that it was signed by.
    Server,
    /// An authority of peers' certificates.
    ClientAuthority,
    /// A list of revoked certificates.
    Revoked,
}

impl Kind {
    /// Its name in metrics and in a status: the key of `[eap.tls]`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Server => "certificate",
            Kind::ClientAuthority => "client_ca",
            Kind::Revoked => "crl",
        }
    }

    /// What follows, and what to do.
    fn advice(self) -> &'static str {
        match self {
            Kind::Server => "devices won't believe this server then: renew it, and reload",
            Kind::ClientAuthority => {
                "certificates it has signed are refused then: add its successor, and reload"
            }
            Kind::Revoked => {
                "it is taken as it is, without what was revoked since: fetch the next one, and reload"
            }
        }
    }
}

/// Something that runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// What it is.
    pub kind: Kind,
    /// Whose: the subject, or who issued the list (RFC 4514).
    pub subject: String,
    /// When, seconds since 1970.
    pub at: u64,
}

impl Expiry {
    /// Of a certificate. `None`: it can't be read.
    pub fn of_certificate(kind: Kind, der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
        let at = certificate.validity.not_after.to_unix_duration().as_secs();
        Some(Self { kind, subject: certificate.subject.to_string(), at })
    }

    /// Of a list of revoked certificates. `None`: it can't be read, or never runs out.
    pub fn of_list(der: &[u8]) -> Option<Self> {
        let list = CertificateList::from_der(der).ok()?.tbs_cert_list;
        let at = list.next_update?.to_unix_duration().as_secs();
        Some(Self { kind: Kind::Revoked, subject: list.issuer.to_string(), at })
    }

    /// What an operator should hear of it at this time, seconds since 1970; `None`: there is time yet.
    pub fn complaint(&self, now: u64) -> Option<String> {
        let (name, subject, advice) = (self.kind.name(), &self.subject, self.kind.advice());
        match self.at.checked_sub(now) {
            Some(left) if left > AHEAD => None,
            Some(left) if left >= DAY => {
                Some(format!("[eap.tls] {name}: {subject:?} runs out in {} days; {advice}", left / DAY))
            }
            Some(_) => Some(format!("[eap.tls] {name}: {subject:?} runs out within a day; {advice}")),
            None => Some(format!("[eap.tls] {name}: {subject:?} has run out; {advice}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_days_ahead_an_operator_hears_of_it() {
        let expiry = Expiry { kind: Kind::Server, subject: "CN=east".into(), at: 100 * DAY };
        assert_eq!(expiry.complaint(69 * DAY), None);
        let said = |now| expiry.complaint(now).unwrap_or_default();
        assert!(said(70 * DAY).contains("\"CN=east\" runs out in 30 days"), "{}", said(70 * DAY));
        assert!(said(100 * DAY - 1).contains("within a day"));
        assert!(said(100 * DAY + 1).contains("has run out"));
    }

    #[test]
    fn the_end_is_read_from_a_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["east.example.org".into()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let der = params.self_signed(&key).unwrap();
        let expiry = Expiry::of_certificate(Kind::Server, der.der()).unwrap();
        assert_eq!(expiry.at, 1_893_456_000);
        assert_eq!(Expiry::of_certificate(Kind::Server, b"\x30\x03"), None);
    }
}
