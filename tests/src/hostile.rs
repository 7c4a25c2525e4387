//! Peers that mean harm: what they say in a conversation is wrong in one way after the other, by a seed.

use forewarn_wire::eap::{Eap, EapCode, method};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::authority::Leaf;
use crate::supplicant::{Credential, Supplicant, Teap, Trust, Version};

/// The methods there are.
pub const METHODS: [(u8, &str); 8] = [
    (method::MD5_CHALLENGE, "md5"),
    (method::GTC, "gtc"),
    (method::MSCHAPV2, "mschapv2"),
    (method::PWD, "pwd"),
    (method::TLS, "tls"),
    (method::TTLS, "ttls"),
    (method::PEAP, "peap"),
    (method::TEAP, "teap"),
];

/// Who they say they are. The first has an account.
const NAMES: [&str; 3] = ["alice", "nobody", "\u{1b}[2J'; DROP TABLE"];
/// What is wrong, at most so often, in one conversation.
const BLOWS: u32 = 6;
/// Octets that fit into a request beside what else is in it.
const MESSAGE_MAX: usize = 3800;

/// What peers over TLS are made of: both versions, without a certificate and with one that the server doesn't believe.
#[derive(Debug)]
pub struct Means {
    trusts: Vec<Trust>,
}

impl Means {
    /// With that certificate.
    pub fn new(foreign: &Leaf) -> Means {
        let versions = [Version::Tls12, Version::Tls13];
        let trusts = versions.iter().flat_map(|version| [None, Some(foreign)].map(|leaf| (*version, leaf)));
        Means { trusts: trusts.map(|(version, leaf)| Trust::new(version, leaf)).collect() }
    }
}

/// One peer in one conversation.
pub struct Peer {
    random: StdRng,
    number: u8,
    name: &'static str,
    /// Over TLS, somebody who knows how, and has the wrong password.
    genuine: Option<Supplicant>,
    /// How often it answers as it should, before it begins.
    patience: u32,
    blows: u32,
    has_chosen: bool,
}

/// What a peer sends: an EAP-Message, and the State that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blow {
    /// The EAP packet, or what is in its place.
    pub message: Vec<u8>,
    /// The conversation it is for.
    pub state: Option<Vec<u8>>,
}

impl Peer {
    /// The peer of this seed, with that method.
    pub fn new(seed: u64, number: u8, means: &Means) -> Peer {
        let mut random = StdRng::seed_from_u64(seed);
        let name = NAMES[random.random_range(0..NAMES.len())];
        let trust = &means.trusts[random.random_range(0..means.trusts.len())];
        let genuine = match number {
            method::TLS => Some(Supplicant::tls(name, trust)),
            method::TTLS => Some(Supplicant::ttls_pap(name, name, "wonderlamp", trust)),
            method::PEAP => Some(Supplicant::peap_mschapv2(name, name, "wonderlamp", trust)),
            method::TEAP => {
                let credential = match random.random() {
                    true => Credential::Password(name.into(), "wonderlamp".into()),
                    false => Credential::Eap(Supplicant::mschapv2(name, "wonderlamp")),
                };
                Some(Supplicant::teap(name, Teap::user(credential), trust))
            }
            _ => None,
        };
        let patience = random.random_range(0..7);
        let blows = random.random_range(1..=BLOWS);
        Peer { random, number, name, genuine, patience, blows, has_chosen: false }
    }

    /// Its User-Name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What begins the conversation.
    pub fn begin(&mut self) -> Blow {
        let identifier = self.random.random();
        Blow { message: response(identifier, method::IDENTITY, self.name.as_bytes()), state: None }
    }

    /// What it says to a request, the last one that it had; `foreign` is the State of somebody else's conversation.
    /// `None`: it has done what it could.
    pub fn next(&mut self, request: &[u8], state: &[u8], foreign: &[u8]) -> Option<Blow> {
        let asked = Eap::parse(request)?;
        let (identifier, number) = (asked.identifier, asked.method.unwrap_or_default());
        let own = Some(state.to_vec());
        if number != self.number {
            // Once: whoever is refused what it wants has no conversation more.
            if std::mem::replace(&mut self.has_chosen, true) {
                return None;
            }
            return Some(Blow { message: response(identifier, method::NAK, &[self.number]), state: own });
        }
        let right = self.answer(request, asked.data);
        if self.patience > 0 {
            self.patience -= 1;
            return Some(Blow { message: response(identifier, number, &right), state: own });
        }
        if self.blows == 0 {
            return None;
        }
        self.blows -= 1;
        Some(self.strike(identifier, &right, asked.data, own, foreign))
    }

    /// As somebody would answer who knows how, and not the password.
    fn answer(&mut self, request: &[u8], asked: &[u8]) -> Vec<u8> {
        if let Some(genuine) = &mut self.genuine {
            let answered = genuine.handle_request(request);
            return answered.map_or_else(|_| self.octets(60), |packet| packet[5..].to_vec());
        }
        match (self.number, asked) {
            (method::MD5_CHALLENGE, _) => [&[16][..], &self.octets_of(16)].concat(),
            (method::MSCHAPV2, [1, identifier, ..]) => {
                let value = self.octets_of(49);
                let length = (54 + self.name.len()) as u16;
                let [high, low] = length.to_be_bytes();
                [&[2, *identifier, high, low, 49], &value[..], self.name.as_bytes()].concat()
            }
            (method::MSCHAPV2, _) => vec![self.random.random_range(0..9)],
            (method::PWD, [1, header @ ..]) => {
                let header = header.get(..9).unwrap_or_default();
                [&[1], header, self.name.as_bytes()].concat()
            }
            // A point that is on the curve, and a scalar.
            (method::PWD, [2, ..]) => [&[2][..], &P256_GENERATOR, &[0; 31], &[2]].concat(),
            (method::PWD, [3, ..]) => [&[3][..], &self.octets_of(32)].concat(),
            _ => b"wonderlamp".to_vec(),
        }
    }

    fn strike(
        &mut self,
        identifier: u8,
        right: &[u8],
        asked: &[u8],
        own: Option<Vec<u8>>,
        foreign: &[u8],
    ) -> Blow {
        let number = self.number;
        let say = |data: &[u8]| response(identifier, number, data);
        let mut state = own;
        let message = match self.random.random_range(0..19) {
            0 => say(&[]),
            1 => say(&[self.random.random()]),
            2 => say(&self.octets(300)),
            // Lengths that lie: of a message in fragments, of a value, of the packet.
            3 => say(&[&[0x80 | right.first().unwrap_or(&0)][..], &self.octets_of(4), right].concat()),
            4 => say(&[&[0x81, self.random.random(), self.random.random()][..], right].concat()),
            5 => {
                let mut packet = say(right);
                packet[3] = self.random.random();
                packet
            }
            // A fragment that never ends: at least one, and large.
            6 => say(&[&[0x40 | right.first().unwrap_or(&0) & 0x3f][..], &self.octets_of(1000)].concat()),
            7 => say(&self.octets_of(3000)),
            8 => response(identifier.wrapping_add(self.random.random_range(1..=255)), number, right),
            // States out of order.
            9 => say(&[&[self.random.random_range(0..9)][..], right.get(1..).unwrap_or_default()].concat()),
            10 => {
                state = Some(foreign.to_vec());
                say(right)
            }
            11 => {
                let mut data = right.to_vec();
                for _ in 0..self.random.random_range(1..4) {
                    let place = self.random.random_range(0..data.len().max(1));
                    if let Some(octet) = data.get_mut(place) {
                        *octet ^= 1 << self.random.random_range(0..8);
                    }
                }
                say(&data)
            }
            12 => say(&right[..self.random.random_range(0..=right.len())]),
            13 => say(&[right, right].concat()),
            14 => say(asked),
            15 => {
                let mut packet = say(right);
                packet[0] = [0, 1, 3, 4, 5, 255][self.random.random_range(0..6)];
                packet
            }
            16 => {
                let others = [method::IDENTITY, method::NOTIFICATION, method::NAK, method::EXPANDED, 0, 99];
                response(identifier, others[self.random.random_range(0..others.len())], right)
            }
            17 => {
                state = match state {
                    Some(mut state) if self.random.random() => {
                        let place = self.random.random_range(0..state.len().max(1));
                        if let Some(octet) = state.get_mut(place) {
                            *octet ^= 1;
                        }
                        Some(state)
                    }
                    _ => None,
                };
                say(right)
            }
            _ => self.octets(20),
        };
        Blow { message: message[..message.len().min(MESSAGE_MAX)].to_vec(), state }
    }

    /// Any, less than so many.
    fn octets(&mut self, below: usize) -> Vec<u8> {
        let count = self.random.random_range(0..below);
        self.octets_of(count)
    }

    fn octets_of(&mut self, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        self.random.fill_bytes(&mut octets);
        octets
    }
}

/// SEC 2, section 2.4.2: both coordinates.
const P256_GENERATOR: [u8; 64] = {
    let x = 0x6b17d1f2e12c4247f8bce6e563a440f2_u128.to_be_bytes();
    let y = 0x77037d812deb33a0f4a13945d898c296_u128.to_be_bytes();
    let z = 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e16_u128.to_be_bytes();
    let w = 0x2bce33576b315ececbb6406837bf51f5_u128.to_be_bytes();
    let mut both = [0; 64];
    let mut place = 0;
    while place < 16 {
        both[place] = x[place];
        both[place + 16] = y[place];
        both[place + 32] = z[place];
        both[place + 48] = w[place];
        place += 1;
    }
    both
};

fn response(identifier: u8, number: u8, data: &[u8]) -> Vec<u8> {
    let response = Eap { code: EapCode::Response, identifier, method: Some(number), data };
    let mut room = vec![0; Eap::HEADER + 1 + data.len()];
    response.write(&mut room).expect("a response of a few thousand octets").to_vec()
}
