//! For tests of the data plane: a configuration, requests, and a server's common ground in a temporary folder.

use std::net::SocketAddr;
use std::sync::Arc;

use forewarn_shell::config::Layers;
use forewarn_shell::state::StateDir;
use forewarn_wire::{Code, RadiusKey, RequestAuthenticator, Writer, hide, number};
use tempfile::TempDir;

use crate::config::{Config, Loaded, load};
use crate::shared::Shared;

pub(crate) const SECRET: &[u8] = b"testing123testing123";
pub(crate) const AUTHENTICATOR: [u8; 16] = *b"sixteen octets!!";

/// Two users, of whom `bob`'s password (`rabbit`) is slow to verify; two clients, `ap-17` and the network `branch`.
const BASE: &str = r#"
[server]
name = "aaa-east"
identity = "127.0.0.1"
state_dir = "state"
cores = 1

[[listen]]
kind = "auth"
address = "127.0.0.1:1"

[[listen]]
kind = "acct"
address = "127.0.0.1:2"

[[client]]
name = "ap-17"
address = "192.0.2.21"
secret = "testing123testing123"
group = "wifi/branch-3"
AP

[[client]]
name = "branch"
address = "198.51.100.0/24"
secret = "testing123testing123"

[[user]]
name = "alice"
password = "wonderland"
groups = ["staff"]
reply = { Session-Timeout = 3600, Reply-Message = "Hello, alice" }

[[user]]
name = "bob"
password_hash = "$5$rounds=1000$saltsalt$WajVP0m6sLF.ai1pWzR9key6noFB0AYwQgHj3eSd4y."

[workers]
max = 2
"#;

/// [`BASE`], with `more` below it.
pub(crate) fn config(more: &str) -> Config {
    config_with("", more)
}

/// [`BASE`], with `ap_17` among the settings of that client, and `more` below it all.
pub(crate) fn config_with(ap_17: &str, more: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    std::fs::write(&file, BASE.replace("AP\n", ap_17) + more).unwrap();
    match load(&Layers::file(file)) {
        Ok(Loaded { config, .. }) => config,
        Err(found) => panic!("{found:?}"),
    }
}

pub(crate) fn key() -> RadiusKey {
    RadiusKey::new(SECRET).unwrap()
}

/// The common ground of a server with this configuration; the folder lives as long as the first value.
pub(crate) fn shared(config: Config) -> (TempDir, Arc<Shared>) {
    let folder = tempfile::tempdir().unwrap();
    let shared = shared_in(&folder, config);
    (folder, shared)
}

pub(crate) fn shared_in(folder: &TempDir, config: Config) -> Arc<Shared> {
    let state = Arc::new(StateDir::open(folder.path()).unwrap());
    Shared::start(Arc::new(config), &state).unwrap()
}

/// What a request is to look like.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) code: Code,
    pub(crate) identifier: u8,
    pub(crate) authenticator: [u8; 16],
    pub(crate) secret: &'a [u8],
    pub(crate) message_authenticator: bool,
    pub(crate) attributes: Vec<(u8, Vec<u8>)>,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(code: Code, attributes: &[(u8, &[u8])]) -> Self {
        let attributes = attributes.iter().map(|(number, value)| (*number, value.to_vec())).collect();
        let authenticator = AUTHENTICATOR;
        Self { code, identifier: 7, authenticator, secret: SECRET, message_authenticator: true, attributes }
    }

    pub(crate) fn pap(user: &str, password: &str) -> Self {
        let mut room = [0; 128];
        let hidden =
            hide::user_password::hide(&key(), &AUTHENTICATOR, password.as_bytes(), &mut room).unwrap();
        Self::new(
            Code::ACCESS_REQUEST,
            &[
                (number::USER_NAME, user.as_bytes()),
                (number::USER_PASSWORD, hidden),
                (number::PROXY_STATE, b"p1"),
            ],
        )
    }

    pub(crate) fn chap(user: &str, password: &str) -> Self {
        let response = hide::chap_response(9, password.as_bytes(), b"a challenge of some");
        let chap = [&[9], &response[..]].concat();
        Self::new(
            Code::ACCESS_REQUEST,
            &[
                (number::USER_NAME, user.as_bytes()),
                (number::CHAP_PASSWORD, &chap),
                (number::CHAP_CHALLENGE, b"a challenge of some"),
            ],
        )
    }

    pub(crate) fn accounting(status: u32, session: &str, more: &[(u8, &[u8])]) -> Self {
        let status = status.to_be_bytes();
        let mut attributes: Vec<(u8, &[u8])> = vec![
            (number::ACCT_STATUS_TYPE, &status),
            (number::ACCT_SESSION_ID, session.as_bytes()),
            (number::USER_NAME, b"alice"),
            (number::NAS_IP_ADDRESS, &[192, 0, 2, 21]),
        ];
        attributes.extend_from_slice(more);
        Self { message_authenticator: false, ..Self::new(Code::ACCOUNTING_REQUEST, &attributes) }
    }

    pub(crate) fn with(mut self, number: u8, value: &[u8]) -> Self {
        self.attributes.push((number, value.to_vec()));
        self
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut out = [0; 4096];
        let mut writer = Writer::new(&mut out, self.code, self.identifier);
        // An Access-Request without it can't be written, and is made below.
        let signed = self.message_authenticator || self.code == Code::ACCESS_REQUEST;
        if signed {
            writer.message_authenticator().unwrap();
        }
        for (number, value) in &self.attributes {
            writer.attribute(*number, value).unwrap();
        }
        let authenticator = if self.code.has_chosen_authenticator() {
            RequestAuthenticator::Chosen(self.authenticator)
        } else {
            RequestAuthenticator::Computed
        };
        let octets = writer.request(&RadiusKey::new(self.secret).unwrap(), authenticator).unwrap();
        if signed && !self.message_authenticator {
            let mut bare = [&octets[..20], &octets[38..]].concat();
            let length = (bare.len() as u16).to_be_bytes();
            bare[2..4].copy_from_slice(&length);
            return bare;
        }
        octets.to_vec()
    }
}

pub(crate) fn source() -> SocketAddr {
    "192.0.2.21:40000".parse().unwrap()
}
