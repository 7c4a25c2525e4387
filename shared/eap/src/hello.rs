//! What a peer offers in its ClientHello (RFC 5246 section 7.4.1.2, RFC 8446 section 4.1.2): for whoever has to find out
//! why it can't be served, and for a guess at what serving it costs.

use std::fmt;

use crate::tls::Offer;

/// The type of a record, and of a message within (RFC 8446 sections 4 and 5.1).
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// Extensions (IANA, "TLS ExtensionType Values").
const GROUPS: u16 = 10;
const SIGNATURES: u16 = 13;
const TICKET: u16 = 35;
const VERSIONS: u16 = 43;
/// The least that is spoken here.
const TLS_12: u16 = 0x0303;
const TLS_13: u16 = 0x0304;
/// Names that are put in to keep servers from minding (RFC 8701), and the one that means renegotiation (RFC 5746).
const RENEGOTIATION: u16 = 0x00ff;
/// How many of each are shown.
const SHOWN: usize = 24;

/// What it offers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hello {
    versions: Vec<u16>,
    ciphers: Vec<u16>,
    groups: Vec<u16>,
    signatures: Vec<u16>,
    session: Vec<u8>,
    ticket: Vec<u8>,
}

impl Hello {
    /// From the octets of a connection's beginning. `None`: it begins with something else.
    pub(crate) fn parse(mut octets: &[u8]) -> Option<Self> {
        let mut message = Vec::new();
        while let Some(([HANDSHAKE, _, _, high, low], rest)) = octets.split_first_chunk::<5>() {
            let (fragment, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
            message.extend(fragment);
            octets = rest;
        }
        let ([CLIENT_HELLO, a, b, c], body) = message.split_first_chunk::<4>()? else { return None };
        let mut body = Cut(body.get(..u32::from_be_bytes([0, *a, *b, *c]) as usize)?);
        let version = body.number()?;
        body.take(32)?;
        let session = body.short()?.to_vec();
        let ciphers = numbers(body.long()?);
        body.short()?;
        let mut hello = Self { versions: vec![version], ciphers, session, ..Self::default() };
        // Old ones have no extensions.
        let mut extensions = Cut(body.long().unwrap_or_default());
        while let (Some(kind), Some(data)) = (extensions.number(), extensions.long()) {
            let mut data = Cut(data);
            match kind {
                TICKET => hello.ticket = data.0.to_vec(),
                GROUPS => hello.groups = numbers(data.long()?),
                SIGNATURES => hello.signatures = numbers(data.long()?),
                VERSIONS => hello.versions = numbers(data.short()?),
                _ => {}
            }
        }
        Some(hello)
    }

    /// The session it would go on with.
    pub(crate) fn offer(self) -> Offer {
        let is_13 = self.versions.contains(&TLS_13);
        Offer { is_13, session: self.session, ticket: self.ticket }
    }

    /// What to change.
    fn advice(&self) -> &'static str {
        let has = |list: &[u16], known: &[u16]| list.iter().any(|number| known.contains(number));
        // ECDHE with AES-GCM or ChaCha20-Poly1305, and TLS 1.3's.
        let ciphers = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9];
        // P-256, P-384, P-521, X25519.
        let groups = [0x0017, 0x0018, 0x0019, 0x001d];
        // ECDSA, RSA and RSA-PSS with SHA-256 or better, Ed25519.
        let signatures =
            [0x0403, 0x0503, 0x0603, 0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806, 0x0807, 0x0809];
        match self {
            _ if !self.versions.iter().any(|version| *version >= TLS_12) => {
                "let the device speak TLS 1.2 or 1.3: update it, or its EAP settings"
            }
            _ if !has(&self.ciphers, &ciphers) => {
                "let the device offer ECDHE with AES-GCM or ChaCha20-Poly1305: update it, or its EAP settings"
            }
            _ if !self.groups.is_empty() && !has(&self.groups, &groups) => {
                "let the device offer the curve P-256, P-384 or X25519"
            }
            _ if !self.signatures.is_empty() && !has(&self.signatures, &signatures) => {
                "let the device take signatures with SHA-256: update it"
            }
            _ => {
                "compare min_version and max_version of [eap.tls], and the kind of the server's key, with what it offers"
            }
        }
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer offers TLS")?;
        for version in self.versions.iter().filter(|version| !is_grease(**version)).take(SHOWN) {
            match version {
                0x0300 => f.write_str(" SSL3")?,
                0x0301..=0x0304 => write!(f, " 1.{}", version - 0x0301)?,
                other => write!(f, " {other:04x}")?,
            }
        }
        for (what, list) in
            [("ciphers", &self.ciphers), ("groups", &self.groups), ("signatures", &self.signatures)]
        {
            let shown = list.iter().filter(|number| !is_grease(**number) && **number != RENEGOTIATION);
            write!(f, "; {what}")?;
            shown.clone().take(SHOWN).try_for_each(|number| write!(f, " {number:04x}"))?;
            let more = shown.count().saturating_sub(SHOWN);
            if more > 0 {
                write!(f, " and {more} more")?;
            }
        }
        write!(f, ": {}", self.advice())
    }
}

fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

fn numbers(list: &[u8]) -> Vec<u16> {
    list.as_chunks().0.iter().map(|number| u16::from_be_bytes(*number)).collect()
}

/// What is left to read.
struct Cut<'a>(&'a [u8]);

impl<'a> Cut<'a> {
    fn take(&mut self, octets: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(octets)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.take(2)?.first_chunk()?))
    }

    /// Behind a length of one octet.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = *self.take(1)?.first()?;
        self.take(length.into())
    }

    /// Behind a length of two.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn long(list: &[u8]) -> Vec<u8> {
        [&(list.len() as u16).to_be_bytes()[..], list].concat()
    }

    #[test]
    fn a_session_or_a_ticket_is_an_offer_to_go_on() {
        let ticket = [(TICKET, b"a ticket".to_vec()), (VERSIONS, vec![2, 3, 3])];
        let offer = Hello::parse(&hello([3, 3], &[0xc0, 0x2f], &ticket)).unwrap().offer();
        assert_eq!(offer, Offer { is_13: false, session: Vec::new(), ticket: b"a ticket".to_vec() });
        let offer =
            Hello::parse(&hello([3, 3], &[0xc0, 0x2f], &[(VERSIONS, vec![2, 3, 4])])).unwrap().offer();
        assert!(offer.is_13);
    }

    fn hello(version: [u8; 2], ciphers: &[u8], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let extensions: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &long(data)].concat())
            .collect();
        let body = [&version[..], &[7; 32], &[0], &long(ciphers), &[1, 0], &long(&extensions)].concat();
        let message = [&[CLIENT_HELLO, 0], &long(&body)[..]].concat();
        [&[HANDSHAKE, 3, 1][..], &long(&message)].concat()
    }

    #[test]
    fn what_is_offered_is_said_and_what_to_change() {
        let old = Hello::parse(&hello([3, 1], &[0, 0x2f, 0, 0xff], &[])).unwrap().to_string();
        assert!(old.starts_with("the peer offers TLS 1.0; ciphers 002f; groups; signatures: "), "{old}");
        assert!(old.contains("TLS 1.2 or 1.3"), "{old}");
        let weak = Hello::parse(&hello([3, 3], &[0, 0x2f, 0x2a, 0x2a], &[])).unwrap().to_string();
        assert!(weak.contains("TLS 1.2; ciphers 002f;") && weak.contains("AES-GCM"), "{weak}");
        let sha1 = [(VERSIONS, vec![4, 3, 4, 3, 3]), (SIGNATURES, long(&[2, 1])), (GROUPS, long(&[0, 23]))];
        let sha1 = Hello::parse(&hello([3, 3], &[0xc0, 0x2f], &sha1)).unwrap().to_string();
        assert!(sha1.contains("TLS 1.3 1.2; ciphers c02f; groups 0017; signatures 0201: "), "{sha1}");
        assert!(sha1.ends_with("SHA-256: update it"), "{sha1}");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_to_its_end_at_most(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Hello::parse(&octets).map(|hello| hello.to_string());
        }

        #[test]
        fn what_was_offered_is_what_is_read(
            ciphers in prop::collection::vec(any::<u16>(), 0..60),
            groups in prop::collection::vec(any::<u16>(), 0..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let octets = |list: &[u16]| list.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
            let whole = hello([3, 3], &octets(&ciphers), &[(GROUPS, long(&octets(&groups)))]);
            let read = Hello::parse(&whole).unwrap();
            prop_assert_eq!((&read.ciphers, &read.groups), (&ciphers, &groups));
            prop_assert!(read.to_string().len() < 1000);
            prop_assert_eq!(Hello::parse(&whole[..cut.index(whole.len())]), None);
        }
    }
}
