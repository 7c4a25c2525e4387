//! EAP-MSCHAPv2, from the peer's side.

use forewarn_wire::eap::method;
use forewarn_wire::mschap;

use super::{Fault, Peer};

const CHALLENGE: u8 = 1;
const RESPONSE: u8 = 2;
const SUCCESS: u8 = 3;
const FAILURE: u8 = 4;

/// EAP-MSCHAPv2.
#[derive(Debug, Clone, Default)]
pub struct MsChap2 {
    user: String,
    password: String,
    /// Of the response that was given: the server's proof, and the key.
    expected: Option<([u8; mschap::AUTHENTICATOR_RESPONSE], Vec<u8>)>,
}

impl MsChap2 {
    /// With these credentials.
    pub fn new(user: &str, password: &str) -> MsChap2 {
        MsChap2 { user: user.to_owned(), password: password.to_owned(), expected: None }
    }

    /// Who it is.
    pub fn user(&self) -> &str {
        &self.user
    }

    fn answer(&mut self, identifier: u8, challenge: &[u8; mschap::CHALLENGE_2]) -> Vec<u8> {
        let hash = mschap::nt_hash(self.password.as_bytes());
        let hash_of_hash = mschap::hash_of_hash(&hash);
        let peer = [7; mschap::CHALLENGE_2];
        let digest = mschap::challenge_hash(&peer, challenge, self.user.as_bytes());
        let response = mschap::response(&digest, &hash);
        let keys = mschap::StartKeys::new(&hash_of_hash, &response);
        let proof = mschap::authenticator_response(&hash_of_hash, &response, &digest);
        // MS-PEAP section 3.1.5.5.2.2: as the server sees them.
        let key = [keys.receive.as_slice(), keys.send.as_slice()].concat();
        self.expected = Some((proof, key));
        let length = (54 + self.user.len()) as u16;
        let mut answer = vec![RESPONSE, identifier];
        answer.extend(length.to_be_bytes());
        answer.push(49);
        answer.extend([&peer[..], &[0; 8], &response, &[0], self.user.as_bytes()].concat());
        answer
    }
}

impl Peer for MsChap2 {
    fn number(&self) -> u8 {
        method::MSCHAPV2
    }

    fn handle_request(&mut self, _: u8, data: &[u8]) -> Result<Vec<u8>, Fault> {
        match data {
            [CHALLENGE, identifier, _, _, 16, value @ ..] => {
                let challenge = value.first_chunk().ok_or_else(|| Fault::new("a short challenge"))?;
                Ok(self.answer(*identifier, challenge))
            }
            [SUCCESS, _, _, _, proof @ ..] => match &self.expected {
                Some((expected, _)) if proof.starts_with(expected) => Ok(vec![SUCCESS]),
                _ => Err(Fault::new("the server doesn't know the password")),
            },
            [FAILURE, ..] => Ok(vec![FAILURE]),
            _ => Err(Fault::new("no request of EAP-MSCHAPv2")),
        }
    }

    fn msk(&self) -> Option<Vec<u8>> {
        self.expected.as_ref().map(|(_, key)| key.clone())
    }
}
