//! What a packet costs before any system call.

use std::hint::black_box;
use std::time::{Duration, Instant};

use forewarn_wire::forward::{self, Onward};
use forewarn_wire::hide::user_password;
use forewarn_wire::mschap;
use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, WriteError, Writer, number,
};

/// Prints nanoseconds for a PAP request of an access point: parsed, verified, answered, forwarded.
pub(crate) fn measure() {
    let key = RadiusKey::new(b"testing123testing123").expect("a secret");
    let home = RadiusKey::new(b"another secret, as long").expect("a secret");
    let (mut asked, mut answered) = ([0; 4096], [0; 4096]);
    let asked = request(&key, &mut asked).expect("the request fits").to_vec();
    let length = answer(&asked, &key, &mut answered).expect("the request is right");
    let verify = |bytes| {
        let packet = Packet::parse(bytes).expect("a packet");
        packet.verify_request(&key, MessageAuthenticatorRule::Required)
    };
    let verified = verify(&asked).expect("the request is right");
    let onward = Onward { key: &home, identifier: 9, authenticator: [9; 16], delay_s: 0, proxy_state: None };

    println!(
        "codec: PAP request of {} octets, accept of {length}, Message-Authenticator in both",
        asked.len()
    );
    report("parse", || Packet::parse(black_box(&asked)).is_ok());
    report("parse and verify", || verify(black_box(&asked)).is_ok());
    report("parse, verify, reveal, answer", || answer(black_box(&asked), &key, &mut answered).is_some());
    report("forward to the next hop", || {
        forward::request(black_box(&verified), &key, &onward, &mut answered).is_ok()
    });
    report("MS-CHAPv2: verify, prove, keys", || mschapv2(black_box(b"wonderland")));
    println!();
}

/// What an accept of MS-CHAPv2 takes besides.
fn mschapv2(password: &[u8]) -> bool {
    let hash = mschap::nt_hash(password);
    let challenge = mschap::challenge_hash(&[1; 16], &[2; 16], b"alice");
    let response = mschap::response(&challenge, &hash);
    let hash_of_hash = mschap::hash_of_hash(&hash);
    let proof = mschap::authenticator_response(&hash_of_hash, &response, &challenge);
    let keys = mschap::StartKeys::new(&hash_of_hash, &response);
    black_box(proof).starts_with(b"S=") && keys.send != keys.receive
}

/// The least of many rounds: what the code takes when nothing disturbs it.
fn report(name: &str, mut run: impl FnMut() -> bool) {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..REPETITIONS {
            black_box(run());
        }
        least = least.min(start.elapsed());
    }
    println!("  {name:<32} {:>7.0} ns", least.as_secs_f64() * 1e9 / f64::from(REPETITIONS));
}

fn request<'b>(key: &RadiusKey, buffer: &'b mut [u8]) -> Result<&'b [u8], WriteError> {
    let authenticator = [7; 16];
    let mut writer = Writer::new(buffer, Code::ACCESS_REQUEST, 1);
    writer.message_authenticator()?.attribute(number::USER_NAME, b"alice")?;
    writer.user_password(key, &authenticator, b"wonderland")?;
    writer.attribute(number::NAS_IP_ADDRESS, &[192, 0, 2, 1])?.integer(number::NAS_PORT, 17)?;
    writer.integer(number::SERVICE_TYPE, 2)?.integer(number::NAS_PORT_TYPE, 19)?;
    writer.attribute(number::CALLED_STATION_ID, b"02-00-00-00-00-01:corp")?;
    writer.attribute(number::CALLING_STATION_ID, b"02-00-00-00-00-02")?;
    writer.attribute(number::NAS_IDENTIFIER, b"ap-17.branch-3")?;
    writer.attribute(number::ACCT_SESSION_ID, b"0123456789abcdef")?.integer(number::FRAMED_MTU, 1400)?;
    writer.request(key, RequestAuthenticator::Chosen(authenticator))
}

fn answer(datagram: &[u8], key: &RadiusKey, out: &mut [u8]) -> Option<usize> {
    let request = Packet::parse(datagram).ok()?;
    let request = request.verify_request(key, MessageAuthenticatorRule::Required).ok()?;
    let mut clear = [0; user_password::MAX];
    let hidden = request.find(number::USER_PASSWORD)?;
    let password = user_password::reveal(key, request.authenticator(), hidden, &mut clear).ok()?;
    let code = if password == b"wonderland" { Code::ACCESS_ACCEPT } else { Code::ACCESS_REJECT };
    let mut reply = Writer::new(out, code, request.identifier());
    reply.message_authenticator().ok()?.proxy_states(&request).ok()?;
    reply.integer(number::SESSION_TIMEOUT, 3600).ok()?;
    reply.attribute(number::REPLY_MESSAGE, b"Hello, alice, and welcome.").ok()?;
    Some(reply.reply(key, request.authenticator()).ok()?.len())
}

const ROUNDS: u32 = 40;
const REPETITIONS: u32 = 10_000;
