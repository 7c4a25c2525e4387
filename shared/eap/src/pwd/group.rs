//! Arithmetic of EAP-PWD: its groups (RFC 5931 section 2.2.2), its random function and its key derivation. Whatever
//! depends on the password takes the same time with each.

use elliptic_curve::ff::{Field, PrimeField};
use elliptic_curve::group::{Curve as _, Group as _};
use elliptic_curve::point::{AffineCoordinates, DecompressPoint};
use elliptic_curve::subtle::{Choice, ConditionallySelectable};
use elliptic_curve::{CurveArithmetic, FieldBytes};
use hmac::{Hmac, KeyInit, Mac};
use p256::NistP256;
use p384::NistP384;
use p521::NistP521;
use rand_core::Rng;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Octets of what the random function gives.
pub(super) const HASH: usize = 32;

/// Points that are tried for the password's, always all of them: each second one is none, so that one password in 2^40
/// has none among them.
const TRIES: u8 = 40;

/// A curve, and what EAP-PWD has to know of it besides.
pub(super) trait Curve: CurveArithmetic<AffinePoint: DecompressPoint<Self>> + Send + 'static {
    /// Of its prime.
    const BITS: usize;
    /// Octets of a coordinate, and of a scalar.
    const OCTETS: usize = Self::BITS.div_ceil(8);
}

impl Curve for NistP256 {
    const BITS: usize = 256;
}

impl Curve for NistP384 {
    const BITS: usize = 384;
}

impl Curve for NistP521 {
    const BITS: usize = 521;
}

/// The password's point (section 2.8.3.1). `None`: it has none, which one in 2^40 hasn't.
pub(super) fn password_element<C: Curve>(
    token: &[u8],
    peer: &[u8],
    server: &[u8],
    password: &[u8],
) -> Option<Zeroizing<C::AffinePoint>> {
    let mut found = Choice::from(0);
    let mut element = Zeroizing::new(C::AffinePoint::default());
    for counter in 1..=TRIES {
        let seed = random_function(&[token, peer, server, password, &[counter]]);
        let x = abscissa::<C>(&*seed);
        let candidate = C::AffinePoint::decompress(&x, Choice::from(seed[HASH - 1] & 1));
        let is_first = candidate.is_some() & !found;
        element.conditional_assign(&candidate.unwrap_or(C::AffinePoint::default()), is_first);
        found |= is_first;
    }
    bool::from(found).then_some(element)
}

/// As many bits of the seed's expansion as the prime has.
fn abscissa<C: Curve>(seed: &[u8]) -> Zeroizing<FieldBytes<C>> {
    let mut value = Zeroizing::new(vec![0; C::OCTETS]);
    derive(seed, b"EAP-pwd Hunting And Pecking", C::BITS, &mut value);
    // The bits stand at the beginning of the octets; a number has them at the end.
    let spare = C::OCTETS * 8 - C::BITS;
    let mut x = Zeroizing::new(FieldBytes::<C>::default());
    let mut before = 0;
    for (to, octet) in x.iter_mut().zip(value.iter()) {
        *to = (u16::from_be_bytes([before, *octet]) >> spare) as u8;
        before = *octet;
    }
    x
}

/// One side's half of the exchange (section 2.8.4.1).
pub(super) struct Commit<C: Curve> {
    password: Zeroizing<C::AffinePoint>,
    random: Zeroizing<C::Scalar>,
    sent: Vec<u8>,
}

impl<C: Curve> Commit<C> {
    pub(super) fn new(password: Zeroizing<C::AffinePoint>, random: &mut dyn Rng) -> Self {
        loop {
            let own = Zeroizing::new(C::Scalar::random(random));
            let mask = Zeroizing::new(C::Scalar::random(random));
            let scalar = *own + *mask;
            // All of these are greater than one, as good as always.
            if [*own, *mask, scalar].iter().any(is_small) {
                continue;
            }
            let element = (-(C::ProjectivePoint::from(*password) * *mask)).to_affine();
            let sent = [element.x(), element.y(), scalar.to_repr()].concat();
            return Self { password, random: own, sent };
        }
    }

    /// Element and scalar, as they are sent (section 3.2.2).
    pub(super) fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// The coordinate that both sides share if they know the same password, from the other side's element and scalar.
    /// `None`: they aren't what they have to be (sections 2.8.5.2 and 2.8.5.2.2).
    pub(super) fn share(&self, other: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if other.len() != self.sent.len() {
            return None;
        }
        let (element, scalar) = other.split_at(2 * C::OCTETS);
        let (own_element, own_scalar) = self.sent.split_at(2 * C::OCTETS);
        // Our own, sent back.
        if element == own_element || scalar == own_scalar {
            return None;
        }
        let (x, y) = element.split_at(C::OCTETS);
        if [x, y].iter().any(|coordinate| coordinate.iter().all(|octet| *octet == 0)) {
            return None;
        }
        let scalar = Option::<C::Scalar>::from(C::Scalar::from_repr(octets::<C>(scalar)))?;
        if is_small(&scalar) {
            return None;
        }
        let element = C::AffinePoint::from_coordinates(&octets::<C>(x), &octets::<C>(y));
        let element = Option::<C::AffinePoint>::from(element)?;
        let shared = (C::ProjectivePoint::from(*self.password) * scalar + element) * *self.random;
        let shared = Zeroizing::new(shared);
        if bool::from(shared.is_identity()) {
            return None;
        }
        let shared = Zeroizing::new(shared.to_affine());
        Some(Zeroizing::new(shared.x().to_vec()))
    }
}

fn is_small<S: Field>(scalar: &S) -> bool {
    bool::from(scalar.is_zero() | scalar.ct_eq(&S::ONE))
}

/// Of a slice that is as long as they are.
fn octets<C: Curve>(slice: &[u8]) -> FieldBytes<C> {
    let mut octets = FieldBytes::<C>::default();
    octets.copy_from_slice(slice);
    octets
}

/// H (section 2.4): HMAC-SHA-256 with a key of nothing.
pub(super) fn random_function(parts: &[&[u8]]) -> Zeroizing<[u8; HASH]> {
    keyed(&[0; HASH], parts)
}

/// The key derivation function (section 2.5): fills `out`, whose first `bits` count.
pub(super) fn derive(key: &[u8], label: &[u8], bits: usize, out: &mut [u8]) {
    let length = (bits as u16).to_be_bytes();
    let mut before = Zeroizing::new([0; HASH]);
    for (number, part) in (1_u16..).zip(out.chunks_mut(HASH)) {
        let chained: &[u8] = if number == 1 { &[] } else { &*before };
        before = keyed(key, &[chained, &number.to_be_bytes(), label, &length]);
        part.copy_from_slice(&before[..part.len()]);
    }
}

fn keyed(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; HASH]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    Zeroizing::new(mac.finalize().into_bytes().into())
}
