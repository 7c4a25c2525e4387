mod hostile;
mod methods;
mod saved;
mod tunnel;

use std::sync::Arc;

use forewarn_wire::eap::{Eap, EapCode, method};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{Conversation, IdentityType, Kind, Limits, Pwd, PwdGroup, Settings, Step, Within};

pub(crate) fn settings(methods: &[Kind]) -> Arc<Settings> {
    Arc::new(Settings {
        methods: methods.to_vec(),
        inner: Within::ALL.to_vec(),
        identities: vec![IdentityType::User],
        tries: 2,
        tls: None,
        binds: false,
        resumes: true,
        fragment: 1024,
        pwd: Pwd { group: PwdGroup::P256, server_id: "east".into() },
        server_name: "east".into(),
        limits: Limits { rounds: 20, octets: 8192 },
    })
}

pub(crate) fn random() -> StdRng {
    StdRng::seed_from_u64(7)
}

/// A response to the request that is out.
pub(crate) fn response(conversation: &Conversation, number: u8, data: &[u8]) -> Vec<u8> {
    packet(conversation.request()[1], number, data)
}

pub(crate) fn packet(identifier: u8, number: u8, data: &[u8]) -> Vec<u8> {
    let response = Eap { code: EapCode::Response, identifier, method: Some(number), data };
    let mut room = vec![0; 5 + data.len()];
    response.write(&mut room).expect("there is room").to_vec()
}

/// A conversation with alice, whose first request is out.
fn begun(methods: &[Kind]) -> Conversation {
    let (conversation, step) =
        Conversation::begin(settings(methods), &packet(9, method::IDENTITY, b"alice"), &mut random())
            .expect("an identity");
    assert!(matches!(step, Step::Request), "{step:?}");
    conversation
}
