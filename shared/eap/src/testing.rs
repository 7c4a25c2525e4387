//! TLS that is none, for tests and the fuzzer: a peer is within the tunnel at once.

use std::sync::{Arc, Mutex, PoisonError};

use crate::settings::Kind;
use crate::tls::{Broken, Certificate, Channel, Hash, Session, Tls};

/// The peer's first octets are the handshake, and all that follows is said within, as it stands. What is answered to the
/// handshake is thrice as many octets as the first says: nothing, or more than a fragment, as the peer likes. What begins
/// with 255 breaks the connection.
#[derive(Debug, Clone, Default)]
pub struct Plain {
    /// Whether it is TLS 1.3.
    pub is_13: bool,
    /// What each connection resumes.
    pub resumed: Vec<Session>,
    /// What connections were told to keep.
    pub kept: Arc<Mutex<Vec<Session>>>,
}

struct Talk {
    plain: Plain,
    established: bool,
    said: Vec<u8>,
    out: Vec<u8>,
}

impl Tls for Plain {
    fn accept(&self, _: Kind, _: bool) -> Option<Box<dyn Channel>> {
        let (said, out) = (Vec::new(), Vec::new());
        Some(Box::new(Talk { plain: self.clone(), established: false, said, out }))
    }
}

impl Channel for Talk {
    fn feed(&mut self, octets: &[u8]) -> Result<(), Broken> {
        match (octets.first(), self.established) {
            (Some(0xff), _) => {
                self.out.extend(b"alert");
                return Err(Broken { why: "as meant".into() });
            }
            (_, true) => self.said.extend(octets),
            (first, false) => {
                self.established = first.is_some();
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
        self.plain.is_13
    }

    fn read(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.said);
    }

    fn write(&mut self, octets: &[u8]) {
        self.out.extend(octets);
    }

    fn resumed(&self) -> Vec<Session> {
        self.plain.resumed.clone()
    }

    fn keep(&mut self, proven: Vec<Session>) {
        self.plain.kept.lock().unwrap_or_else(PoisonError::into_inner).extend(proven);
    }

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
