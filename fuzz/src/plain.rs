//! TLS that is none, so that the fuzzer is within the tunnel at once.

use forewarn_eap::{Broken, Certificate, Channel, Hash, Kind, Session, Tls};

/// The peer's first octets are the handshake, and all that follows is said within, as it stands.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) is_13: bool,
}

struct Talk {
    is_13: bool,
    established: bool,
    said: Vec<u8>,
    out: Vec<u8>,
}

impl Tls for Plain {
    fn accept(&self, _: Kind, _: bool) -> Option<Box<dyn Channel>> {
        Some(Box::new(Talk { is_13: self.is_13, established: false, said: Vec::new(), out: Vec::new() }))
    }
}

impl Channel for Talk {
    fn feed(&mut self, octets: &[u8]) -> Result<(), Broken> {
        match (self.established, octets.first()) {
            (true, _) => self.said.extend(octets),
            (false, Some(0xff)) => {
                self.out.extend(b"alert");
                return Err(Broken { why: "as meant".into() });
            }
            (false, first) => {
                self.established = first.is_some();
                // More than a fragment, or nothing, as the peer likes.
                self.out.extend(std::iter::repeat_n(7, usize::from(first.copied().unwrap_or(0)) * 3));
            }
        }
        Ok(())
    }

    fn take(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.out);
    }

    fn is_established(&self) -> bool {
        self.established
    }

    fn is_13(&self) -> bool {
        self.is_13
    }

    fn read(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.said);
    }

    fn write(&mut self, octets: &[u8]) {
        self.out.extend(octets);
    }

    fn resumed(&self) -> Vec<Session> {
        Vec::new()
    }

    fn keep(&mut self, _: Vec<Session>) {}

    fn export(&self, label: &[u8], _: Option<&[u8]>, out: &mut [u8]) -> bool {
        out.fill(label.len() as u8);
        true
    }

    fn hash(&self) -> Hash {
        Hash::Sha256
    }

    fn certificate(&self) -> Option<Certificate> {
        Some(Certificate { users: vec!["alice".into()], ..Certificate::default() })
    }
}
