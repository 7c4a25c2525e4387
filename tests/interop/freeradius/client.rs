//! Asks a server, many requests at once, and reads what it answers so that two answers can be compared.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use forewarn_dict::{Attribute, Dictionary, Encrypt, Value};
use forewarn_tests::config::SECRET;
use forewarn_wire::hide::{chap_response, salted, user_password};
use forewarn_wire::{
    Attributes, Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, VendorFormat,
    Writer, number,
};

use super::mschap;

/// Requests under way at once; FreeRADIUS's socket drops what is more.
const WINDOW: usize = 128;
/// After this an answer doesn't come any more. Both servers are far quicker, unless the machine is in trouble.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a user proves who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// With no password attribute at all.
    Nothing,
    /// User-Password.
    Pap,
    /// CHAP-Password over CHAP-Challenge.
    Chap,
    /// MS-CHAP-Response with the NT response (RFC 2548 section 2.1.3).
    MsChap1,
    /// MS-CHAP2-Response (RFC 2548 section 2.3.2).
    MsChap2,
}

/// All of them that need a password.
pub(super) const METHODS: [Method; 4] = [Method::Pap, Method::Chap, Method::MsChap1, Method::MsChap2];

/// One Access-Request to be.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Its User-Name, any octets; `None`: none.
    pub user: Option<Vec<u8>>,
    /// How.
    pub method: Method,
    /// With what.
    pub password: String,
    /// Further attributes, by name.
    pub more: Vec<(String, String)>,
}

/// One answer, in a form in which equal answers are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Accept, Reject, Challenge.
    pub code: Code,
    /// Attributes as `Name = value`, sorted; hidden ones revealed. Message-Authenticator isn't among them.
    pub attributes: Vec<String>,
}

impl Question {
    /// The request as octets; everything random in it comes from `seed`, so that two servers are asked the same.
    fn octets(&self, key: &RadiusKey, seed: u32, identifier: u8) -> Vec<u8> {
        let authenticator = filled(seed, 0);
        let mut buffer = [0; 4096];
        let mut writer = Writer::new(&mut buffer, Code::ACCESS_REQUEST, identifier);
        writer.message_authenticator().expect("room");
        if let Some(user) = &self.user {
            writer.attribute(number::USER_NAME, user).expect("a name of up to 253 octets");
        }
        self.prove(&mut writer, key, &authenticator, seed);
        let dictionary = Dictionary::embedded();
        for (name, value) in &self.more {
            let pair = dictionary.pair(name, Value::Text(value)).expect("a known attribute");
            let wire = pair.wire().expect("an attribute that isn't hidden");
            writer.attributes(Attributes::parse(&wire).expect("attributes")).expect("room");
        }
        writer.request(key, RequestAuthenticator::Chosen(authenticator)).expect("room").to_vec()
    }

    fn prove(&self, writer: &mut Writer<'_>, key: &RadiusKey, authenticator: &[u8; 16], seed: u32) {
        const MICROSOFT: u32 = 311;
        let format = VendorFormat::default();
        let identifier = seed as u8;
        let name = self.user.clone().unwrap_or_default();
        let name = name.rsplit(|octet| *octet == b'\\').next().unwrap_or_default();
        match self.method {
            Method::Nothing => {}
            Method::Pap => {
                writer.user_password(key, authenticator, self.password.as_bytes()).expect("room");
            }
            Method::Chap => {
                let challenge = filled(seed, 1);
                let mut value = vec![identifier];
                value.extend(chap_response(identifier, self.password.as_bytes(), &challenge));
                writer.attribute(number::CHAP_PASSWORD, &value).expect("room");
                writer.attribute(number::CHAP_CHALLENGE, &challenge).expect("room");
            }
            Method::MsChap1 => {
                let mut challenge = [0; 8];
                challenge.copy_from_slice(&filled(seed, 2)[..8]);
                let mut value = vec![identifier, 1];
                value.extend([0; 24]);
                value.extend(mschap::response(challenge, mschap::nt_hash(&self.password)));
                writer.vendor(MICROSOFT, format, 11, &challenge).expect("room");
                writer.vendor(MICROSOFT, format, 1, &value).expect("room");
            }
            Method::MsChap2 => {
                let (challenge, peer) = (filled(seed, 3), filled(seed, 4));
                let hash = mschap::challenge_hash(&peer, &challenge, name);
                let mut value = vec![identifier, 0];
                value.extend(peer);
                value.extend([0; 8]);
                value.extend(mschap::response(hash, mschap::nt_hash(&self.password)));
                writer.vendor(MICROSOFT, format, 11, &challenge).expect("room");
                writer.vendor(MICROSOFT, format, 25, &value).expect("room");
            }
        }
    }
}

/// Sixteen octets that differ for each use and look like nothing.
fn filled(seed: u32, purpose: u8) -> [u8; 16] {
    use md4::{Digest as _, Md4};
    Md4::new().chain_update(seed.to_be_bytes()).chain_update([purpose]).finalize().into()
}

/// What waits for its answer.
struct Waiting {
    question: usize,
    authenticator: [u8; 16],
}

/// Asks everything once, from one address, and gives the answers in order; `None` where none came.
pub(super) fn ask(to: SocketAddr, from: IpAddr, questions: &[Question]) -> Vec<Option<Answer>> {
    let key = RadiusKey::new(SECRET.as_bytes()).expect("a secret");
    let socket = UdpSocket::bind((from, 0)).expect("a free port");
    socket.connect(to).expect("a way there");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
    let mut answers = vec![None; questions.len()];
    let mut waiting: [Option<Waiting>; 256] = std::array::from_fn(|_| None);
    let mut order = VecDeque::new();
    let (mut next, mut heard) = (0, Instant::now());
    while (next < questions.len() || !order.is_empty()) && heard.elapsed() < PATIENCE {
        while next < questions.len() && order.len() < WINDOW && waiting[next % 256].is_none() {
            let octets = questions[next].octets(&key, next as u32, (next % 256) as u8);
            let mut authenticator = [0; 16];
            authenticator.copy_from_slice(&octets[4..20]);
            waiting[next % 256] = Some(Waiting { question: next, authenticator });
            order.push_back(next);
            socket.send(&octets).expect("the server's port is open");
            next += 1;
        }
        let mut octets = [0; 4096];
        let Ok(length) = socket.recv(&mut octets) else { continue };
        heard = Instant::now();
        let identifier = usize::from(octets[1]);
        let Some(Waiting { question, authenticator }) = waiting[identifier].take() else { continue };
        order.retain(|other| *other != question);
        answers[question] = Some(read(&octets[..length], &key, &authenticator));
    }
    answers
}

fn read(octets: &[u8], key: &RadiusKey, authenticator: &[u8; 16]) -> Answer {
    let packet = Packet::parse(octets).expect("a framed answer");
    let packet = packet
        .verify_reply(key, Code::ACCESS_REQUEST, authenticator, MessageAuthenticatorRule::Optional)
        .expect("an answer that verifies");
    let dictionary = Dictionary::embedded();
    let mut attributes = Vec::new();
    for attribute in packet.attributes().filter(|a| a.number != number::MESSAGE_AUTHENTICATOR) {
        let vendor = attribute.vendor();
        let inner = vendor.and_then(|v| v.attributes(format_of(v.vendor)));
        match (vendor, inner) {
            (Some(vendor), Some(inner)) => {
                for inner in inner {
                    let known = dictionary.attribute_by_number(vendor.vendor, &[inner.number]);
                    let unknown = format!("Vendor-{}-Attr-{}", vendor.vendor, inner.number);
                    attributes.push(show(known, &unknown, inner.value, key, authenticator));
                }
            }
            _ => {
                let known = dictionary.attribute_by_number(0, &[u32::from(attribute.number)]);
                let unknown = format!("Attr-{}", attribute.number);
                attributes.push(show(known, &unknown, attribute.value, key, authenticator));
            }
        }
    }
    attributes.sort();
    Answer { code: packet.code(), attributes }
}

/// The layout of a vendor's attributes, in the codec's terms.
fn format_of(vendor: u32) -> VendorFormat {
    let format = Dictionary::embedded().vendor_format(vendor);
    let known = VendorFormat::new(format.type_octets, format.length_octets, format.continuation);
    known.expect("a layout of the dictionary")
}

fn show(
    known: Option<&Attribute>,
    unknown: &str,
    value: &[u8],
    key: &RadiusKey,
    authenticator: &[u8; 16],
) -> String {
    let Some(attribute) = known else { return format!("{unknown} = {value:02x?}") };
    let (tag, value) = match value {
        [tag @ 0..=0x1f, rest @ ..] if attribute.flags().tag => (format!(":{tag}"), rest),
        whole => (String::new(), whole),
    };
    let mut room = [0; 256];
    let shown = match attribute.flags().encrypt {
        Some(Encrypt::TunnelPassword) => {
            format!("{:02x?}", salted::reveal(key, authenticator, value, &mut room))
        }
        // Keys may end in zeros, which revealing takes for padding: both servers' alike.
        Some(Encrypt::UserPassword) => {
            format!("{:02x?}", user_password::reveal(key, authenticator, value, &mut room))
        }
        _ => Dictionary::embedded().display(attribute, value),
    };
    let shown = match attribute.name() {
        // The challenge for another try is random (RFC 2433 section 10), the message for people (RFC 2759 section 6).
        "MS-CHAP-Error" => {
            let (identifier, text) = value.split_first().unwrap_or((&0, &[]));
            let text = String::from_utf8_lossy(text).into_owned();
            let text = text.split_once("M=").map_or(text.clone(), |(before, _)| format!("{before}M=*"));
            let fields = text.split(' ').map(|field| if field.starts_with("C=") { "C=*" } else { field });
            format!("{identifier} {}", fields.collect::<Vec<_>>().join(" "))
        }
        _ => shown,
    };
    format!("{}{tag} = {shown}", attribute.name())
}
