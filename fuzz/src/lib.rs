//! A peer that says whatever the fuzzer likes, within a conversation that answers it.

use std::sync::Arc;

use forewarn_eap::testing::Plain;
use forewarn_eap::{
    Claim, Conversation, IdentityType, Kind, Limits, Proof, Pwd, PwdGroup, Settings, Step, Verdict, Within,
};
use forewarn_wire::eap::{Eap, EapCode, method};
use forewarn_wire::mschap::ErrorCode;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use zeroize::Zeroizing;

/// Octets of a request: header, flags, length, a fragment, and what a tunnel adds.
const REQUEST_MAX: usize = 600;
const FRAGMENT: usize = 300;

/// A whole conversation, out of the fuzzer's octets: blow after blow, each of a kind, a length and its octets.
///
/// # Panics
/// When somebody is let in whom nobody has found to be right, or a request grows beyond its fragment.
pub fn converse(methods: &[Kind], octets: &[u8]) {
    let (first, mut rest) = octets.split_first().map_or((0, octets), |(first, rest)| (*first, rest));
    let settings = Arc::new(Settings {
        methods: methods.to_vec(),
        inner: Within::ALL.to_vec(),
        identities: vec![IdentityType::Machine, IdentityType::User],
        tries: 3,
        server_name: "east".into(),
        tls: Some(Arc::new(Plain { is_13: first & 1 == 1, ..Plain::default() })),
        binds: false,
        resumes: true,
        fragment: FRAGMENT,
        pwd: Pwd { group: PwdGroup::ALL[usize::from(first / 2 % 3)], server_id: "east".into() },
        limits: Limits::default(),
    });
    let mut random = StdRng::seed_from_u64(7);
    let hello = response(9, method::IDENTITY, b"alice");
    let Some((mut talk, mut step)) = Conversation::begin(settings, &hello, &mut random) else { return };
    let (mut claim, mut is_right): (Option<Claim>, bool) = (None, false);
    loop {
        match step {
            Step::Request | Step::Ignored => {}
            Step::Verify(made) => {
                let shown = matches!(made.proof, Proof::Shown { right: true });
                assert!(!shown, "the fuzzer doesn't know the password");
                (claim, is_right) = (Some(made), false);
            }
            Step::Success(_) => {
                assert!(is_right, "let in, and nobody has found them right");
                return;
            }
            Step::Failure(_) => return,
        }
        assert!(talk.request().len() <= REQUEST_MAX, "{} octets", talk.request().len());
        let Some((&[kind, length], behind)) = rest.split_first_chunk() else { return };
        // One octet says up to 255, in the unit that the kind has.
        let length = usize::from(length) * if kind & 0x80 == 0 { 1 } else { 16 };
        let (data, behind) = behind.split_at(length.min(behind.len()));
        rest = behind;
        step = match (talk.is_judged(), kind & 0x0f) {
            (true, 0..=12) => {
                let verdict = verdict(kind, claim.as_ref());
                is_right |= matches!(verdict, Verdict::Right { .. });
                talk.handle_verdict(&verdict, &mut random)
            }
            (_, 11) => {
                let packet = response(identifier(&talk), number(&talk), &commit(data));
                talk.handle_response(&packet, &mut random)
            }
            // What was asked, as far as the fuzzer likes, and more.
            (_, 12) => {
                let (count, data) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
                let asked = talk.request().get(5..).unwrap_or_default();
                let data = [&asked[..asked.len().min(count.into())], data].concat();
                let packet = response(identifier(&talk), number(&talk), &data);
                talk.handle_response(&packet, &mut random)
            }
            (_, 13) => talk.handle_response(data, &mut random),
            (_, 14) => {
                let (number, data) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
                let packet = response(identifier(&talk), number, data);
                talk.handle_response(&packet, &mut random)
            }
            (_, 15) => {
                let packet = response(identifier(&talk).wrapping_sub(1), number(&talk), data);
                talk.handle_response(&packet, &mut random)
            }
            _ => {
                let packet = response(identifier(&talk), number(&talk), data);
                talk.is_costly(&packet);
                talk.handle_response(&packet, &mut random)
            }
        };
    }
}

/// What somebody who knows accounts might say.
fn verdict(kind: u8, claim: Option<&Claim>) -> Verdict {
    match (kind & 0x03, claim.map(|claim| &claim.proof)) {
        (0, _) => Verdict::Wrong,
        (1, _) => Verdict::Refused(ErrorCode::NoDialIn),
        (_, Some(Proof::Secret)) => Verdict::Secret(Zeroizing::new(b"wonderland".to_vec())),
        (2, _) => Verdict::Right { hash_of_hash: None, lasts: Some([3; 32]) },
        (_, _) => Verdict::Right { hash_of_hash: Some(Zeroizing::new([3; 16])), lasts: Some([3; 32]) },
    }
}

/// EAP-PWD's commit in group 19, with a point that is on the curve (SEC 2, section 2.4.2).
fn commit(scalar: &[u8]) -> Vec<u8> {
    let mut commit = vec![2];
    for half in [
        0x6b17_d1f2_e12c_4247_f8bc_e6e5_63a4_40f2_u128,
        0x7703_7d81_2deb_33a0_f4a1_3945_d898_c296,
        0x4fe3_42e2_fe1a_7f9b_8ee7_eb4a_7c0f_9e16,
        0x2bce_3357_6b31_5ece_cbb6_4068_37bf_51f5,
    ] {
        commit.extend(half.to_be_bytes());
    }
    commit.extend(scalar);
    commit.resize(97, 5);
    commit
}

fn identifier(talk: &Conversation) -> u8 {
    talk.request().get(1).copied().unwrap_or_default()
}

/// The method that was asked last.
fn number(talk: &Conversation) -> u8 {
    talk.request().get(4).copied().unwrap_or_default()
}

fn response(identifier: u8, number: u8, data: &[u8]) -> Vec<u8> {
    let response = Eap { code: EapCode::Response, identifier, method: Some(number), data };
    let mut room = vec![0; Eap::HEADER + 1 + data.len()];
    response.write(&mut room).expect("a few thousand octets").to_vec()
}
