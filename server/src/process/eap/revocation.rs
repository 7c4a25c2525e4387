//! Who has revoked what, along the whole chain of a peer's certificate.
//!
//! A peer's own certificate needs a list of its authority's, where there are lists at all. An authority between needs
//! none, but counts no more once a list of its issuer's has it.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{Error, RootCertStore};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;

use super::tls::IdentityError;

/// Judges peers' certificates by who may have signed them, and by what those have revoked.
///
/// # Errors
/// A list can't be used.
pub(super) fn judges(
    roots: RootCertStore,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Judges, IdentityError> {
    let roots = Arc::new(roots);
    let builder = || WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));
    if revoked.is_empty() {
        return Ok(Judges { own: builder().build().map_err(IdentityError::Verifier)?, chain: None });
    }
    let own = builder().with_crls(revoked.clone()).only_check_end_entity_revocation();
    let chain = builder().with_crls(revoked).allow_unknown_revocation_status();
    Ok(Judges {
        own: own.build().map_err(IdentityError::Verifier)?,
        chain: Some(chain.build().map_err(IdentityError::Verifier)?),
    })
}

/// Those that no list has, of the authorities that are trusted as such: their issuers aren't asked about them again.
pub(super) fn in_force(
    authorities: Vec<CertificateDer<'static>>,
    revoked: &[CertificateRevocationListDer<'_>],
) -> Vec<CertificateDer<'static>> {
    let lists: Vec<_> = revoked.iter().filter_map(|der| CertificateList::from_der(der).ok()).collect();
    let has = |list: &CertificateList, der: &CertificateDer<'_>| {
        let Ok(Certificate { tbs_certificate: authority, .. }) = Certificate::from_der(der) else {
            return false;
        };
        let entries = list.tbs_cert_list.revoked_certificates.iter().flatten();
        list.tbs_cert_list.issuer == authority.issuer
            && entries.into_iter().any(|entry| entry.serial_number == authority.serial_number)
    };
    let is_revoked = |der: &CertificateDer<'_>| lists.iter().any(|list| has(list, der));
    authorities.into_iter().filter(|der| !is_revoked(der)).collect()
}

/// Two rules, both of which have to hold.
#[derive(Debug)]
pub(super) struct Judges {
    /// For the peer's own certificate: where there are lists, it has to be known not to be revoked.
    pub(super) own: Arc<dyn ClientCertVerifier>,
    /// For those between it and who is trusted, where there are lists: none of them may be known to be revoked.
    chain: Option<Arc<dyn ClientCertVerifier>>,
}

impl Judges {
    /// Verifies a chain by both.
    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.own.verify_client_cert(leaf, others, now)?;
        match &self.chain {
            Some(chain) if !others.is_empty() => chain.verify_client_cert(leaf, others, now),
            _ => Ok(verified),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
    };
    use rustls::crypto::aws_lc_rs;

    use super::*;

    /// Somebody who signs.
    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        der: CertificateDer<'static>,
        serial: u64,
    }

    fn params(name: &str, serial: u64) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(serial.into());
        params
    }

    impl Authority {
        fn new(name: &str, serial: u64, by: Option<&Authority>) -> Authority {
            let mut params = params(name, serial);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let key = KeyPair::generate().unwrap();
            let signed = match by {
                None => params.self_signed(&key),
                Some(by) => params.signed_by(&key, &by.issuer),
            };
            Authority { der: signed.unwrap().der().clone(), issuer: Issuer::new(params, key), serial }
        }

        fn leaf(&self, serial: u64) -> CertificateDer<'static> {
            let key = KeyPair::generate().unwrap();
            params("alice", serial).signed_by(&key, &self.issuer).unwrap().der().clone()
        }

        fn revokes(&self, serials: &[u64]) -> CertificateRevocationListDer<'static> {
            let entry = |serial: &u64| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            };
            let list = CertificateRevocationListParams {
                this_update: date_time_ymd(2024, 1, 1),
                next_update: date_time_ymd(2124, 1, 1),
                crl_number: 1.into(),
                issuing_distribution_point: None,
                revoked_certs: serials.iter().map(entry).collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            list.signed_by(&self.issuer).unwrap().der().clone()
        }
    }

    /// Whether that chain lets in, with those trusted and these lists.
    fn lets_in(
        chain: &[&CertificateDer<'static>],
        trusted: &[&Authority],
        lists: &[CertificateRevocationListDer<'static>],
    ) -> bool {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let trusted = trusted.iter().map(|authority| authority.der.clone()).collect();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(in_force(trusted, lists));
        let others: Vec<_> = chain[1..].iter().map(|der| (*der).clone()).collect();
        let judges = judges(roots, lists.to_vec(), &provider).unwrap();
        judges.verify(chain[0], &others, UnixTime::now()).is_ok()
    }

    #[test]
    fn an_authority_that_its_issuer_has_revoked_counts_no_more() {
        let root = Authority::new("root", 1, None);
        let middle = Authority::new("middle", 2, Some(&root));
        let low = Authority::new("low", 3, Some(&middle));
        let leaf = low.leaf(4);
        let chain = [&leaf, &low.der, &middle.der];
        let lets_in = |lists: &[_]| lets_in(&chain, &[&root], lists);
        assert!(lets_in(&[]));
        assert!(!lets_in(&[root.revokes(&[])]), "nothing is known of the leaf");
        assert!(lets_in(&[low.revokes(&[])]), "nothing is known of those between, which need no list");
        assert!(lets_in(&[low.revokes(&[5]), middle.revokes(&[7]), root.revokes(&[8])]));
        assert!(!lets_in(&[low.revokes(&[4])]));
        assert!(!lets_in(&[low.revokes(&[]), middle.revokes(&[low.serial])]));
        assert!(!lets_in(&[low.revokes(&[]), root.revokes(&[middle.serial])]));
        assert!(lets_in(&[low.revokes(&[]), low.revokes(&[middle.serial])]), "who isn't its issuer");
    }

    #[test]
    fn nor_does_one_that_is_trusted_as_such() {
        let root = Authority::new("root", 1, None);
        let middle = Authority::new("middle", 2, Some(&root));
        let leaf = middle.leaf(4);
        let lists = |revoked: &[u64]| [middle.revokes(&[]), root.revokes(revoked)];
        for chain in [&[&leaf][..], &[&leaf, &middle.der]] {
            assert!(lets_in(chain, &[&root, &middle], &lists(&[])));
            assert!(!lets_in(chain, &[&root, &middle], &lists(&[middle.serial])));
        }
    }
}
