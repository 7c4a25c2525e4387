//! Chains of certificates that were verified here: devices come again and again with the same one, and a signature of an
//! authority costs more than all else of a session that is resumed.
//!
//! Nothing of it is taken on trust: a chain is known by its hash, counts until the first of its certificates runs out, and is
//! forgotten whenever authorities or lists of revoked certificates are read anew, since each configuration has a memory of
//! its own. That the peer has the key is shown in each whole handshake all the same.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use forewarn_eap::Certificate;
use quick_cache::sync::Cache;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::names::{self, Naming};
use super::revocation::Judges;

/// Chains that are remembered, a kilobyte or two each; beyond, those that come seldom are verified again.
const MOST: usize = 10_000;

/// Verifies peers' certificates, each chain once.
#[derive(Debug)]
pub(super) struct Verified {
    judges: Judges,
    naming: Naming,
    chains: Cache<[u8; 32], Arc<Chain>>,
}

/// A chain that was found to be good.
#[derive(Debug)]
struct Chain {
    /// Whose it is.
    certificate: Certificate,
    /// When it was verified, and until when it is good, seconds since 1970.
    from: u64,
    until: u64,
}

impl Verified {
    /// With nothing verified yet.
    pub(super) fn new(judges: Judges, naming: Naming) -> Self {
        Self { judges, naming, chains: Cache::new(MOST) }
    }

    /// Whether to verify this chain costs nothing.
    pub(super) fn knows(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> bool {
        chain.split_first().is_some_and(|(leaf, others)| self.known(leaf, others, now).is_some())
    }

    /// What the first certificate of a chain says. `None`: it can't be read.
    pub(super) fn certificate(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Option<Certificate> {
        let (leaf, others) = chain.split_first()?;
        match self.known(leaf, others, now) {
            Some(chain) => Some(chain.certificate.clone()),
            None => names::read(leaf, &self.naming),
        }
    }

    fn known(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<Arc<Chain>> {
        let chain = self.chains.get(&name(leaf, others))?;
        (chain.from..=chain.until).contains(&now.as_secs()).then_some(chain)
    }

    fn remember(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>], now: UnixTime) {
        let Some(certificate) = names::read(leaf, &self.naming) else { return };
        let ends = others.iter().map(|other| names::not_after(other));
        // One that can't be read may end any time.
        let Some(until) = ends.chain([Some(certificate.not_after)]).min().flatten() else { return };
        let chain = Chain { certificate, from: now.as_secs(), until };
        self.chains.insert(name(leaf, others), Arc::new(chain));
    }
}

/// What a chain is known by.
fn name(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    for certificate in std::iter::once(leaf).chain(others) {
        hash.update(&(certificate.len() as u64).to_be_bytes());
        hash.update(certificate);
    }
    let mut name = [0; 32];
    name.copy_from_slice(hash.finish().as_ref());
    name
}

impl ClientCertVerifier for Verified {
    fn offer_client_auth(&self) -> bool {
        self.judges.own.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.judges.own.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.judges.own.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.known(leaf, others, now).is_some() {
            return Ok(ClientCertVerified::assertion());
        }
        let verified = self.judges.verify(leaf, others, now)?;
        self.remember(leaf, others, now);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judges.own.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judges.own.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judges.own.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        date_time_ymd,
    };
    use rustls::RootCertStore;
    use rustls::crypto::aws_lc_rs;

    use super::*;
    use crate::process::eap::revocation::judges;

    /// 2030-01-01.
    const END: u64 = 1_893_456_000;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn leaf(authority: &CertifiedIssuer<'static, KeyPair>) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["alice.example.org".into()]).unwrap();
        params.not_after = date_time_ymd(2030, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.signed_by(&KeyPair::generate().unwrap(), authority).unwrap().der().clone()
    }

    fn verified(authority: &CertifiedIssuer<'static, KeyPair>) -> Verified {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        Verified::new(judges(roots, Vec::new(), &provider).unwrap(), Naming::default())
    }

    #[test]
    fn what_was_verified_is_known_until_it_runs_out() {
        let authority = authority();
        let (verified, chain) = (verified(&authority), [leaf(&authority)]);
        assert!(!verified.knows(&chain, at(END - 10)));
        verified.verify_client_cert(&chain[0], &[], at(END - 10)).unwrap();
        assert!(verified.knows(&chain, at(END - 10)) && verified.knows(&chain, at(END)));
        assert!(!verified.knows(&chain, at(END - 11)), "a clock that went back");
        assert!(!verified.knows(&chain, at(END + 1)));
        verified.verify_client_cert(&chain[0], &[], at(END + 1)).unwrap_err();
        let known = verified.certificate(&chain, at(END)).unwrap();
        assert_eq!(Some(known), names::read(&chain[0], &Naming::default()));
    }

    #[test]
    fn what_was_refused_isnt_known() {
        let (ours, theirs) = (authority(), authority());
        let (verified, chain) = (verified(&ours), [leaf(&theirs)]);
        verified.verify_client_cert(&chain[0], &[], at(END - 10)).unwrap_err();
        assert!(!verified.knows(&chain, at(END - 10)));
        // Nor is one that comes in another's company.
        let own = leaf(&ours);
        verified.verify_client_cert(&own, &[], at(END - 10)).unwrap();
        assert!(!verified.knows(&[own.clone(), chain[0].clone()], at(END - 10)));
        assert!(!verified.knows(&[chain[0].clone(), own], at(END - 10)));
    }

    #[test]
    fn a_chain_is_good_no_longer_than_the_first_of_it_to_run_out() {
        let authority = authority();
        let (verified, own) = (verified(&authority), leaf(&authority));
        let mut params = CertificateParams::new(vec!["short.example.org".into()]).unwrap();
        params.not_after = date_time_ymd(2029, 1, 1);
        let short = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone();
        let (chain, early) = ([own, short], END - 366 * 86_400);
        verified.verify_client_cert(&chain[0], &chain[1..], at(early)).unwrap();
        assert!(verified.knows(&chain, at(early + 10)));
        assert!(!verified.knows(&chain, at(END - 10)));
    }
}
