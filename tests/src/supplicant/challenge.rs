//! The methods of one question and one answer, from the peer's side: MD5-Challenge and Generic Token Card.

use forewarn_wire::eap::method;
use forewarn_wire::hide::chap_response;

use super::{Fault, Peer};

/// MD5-Challenge (RFC 3748 section 5.4).
#[derive(Debug, Clone)]
pub(super) struct Md5(pub(super) String);

/// Generic Token Card (RFC 3748 section 5.6).
#[derive(Debug, Clone)]
pub(super) struct Gtc(pub(super) String);

impl Peer for Md5 {
    fn number(&self) -> u8 {
        method::MD5_CHALLENGE
    }

    fn handle_request(&mut self, identifier: u8, data: &[u8]) -> Result<Vec<u8>, Fault> {
        let challenge = data.split_first().and_then(|(length, rest)| rest.get(..usize::from(*length)));
        let challenge = challenge.ok_or_else(|| Fault::new("no challenge of MD5"))?;
        Ok([&[16], &chap_response(identifier, self.0.as_bytes(), challenge)[..]].concat())
    }

    fn msk(&self) -> Option<Vec<u8>> {
        None
    }
}

impl Peer for Gtc {
    fn number(&self) -> u8 {
        method::GTC
    }

    fn handle_request(&mut self, _: u8, _: &[u8]) -> Result<Vec<u8>, Fault> {
        Ok(self.0.clone().into_bytes())
    }

    fn msk(&self) -> Option<Vec<u8>> {
        None
    }
}
