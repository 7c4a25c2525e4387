//! The Access-Request that is asked about, from an operator's words.

use std::fmt;
use std::net::IpAddr;

use forewarn_dict::{Dictionary, Encrypt, PairError, Value};
use forewarn_shell::config::nearest;
use forewarn_shell::random;
use forewarn_wire::hide::{chap_response, user_password};
use forewarn_wire::mschap::{self, attribute};
use forewarn_wire::{
    Attributes, Code, RadiusKey, RequestAuthenticator, VendorFormat, WriteError, Writer, number,
};
use zeroize::Zeroizing;

use crate::config::{Client, Config};
use crate::process::password;

/// How the user is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// User-Password.
    Pap,
    /// CHAP-Password and CHAP-Challenge.
    Chap,
    /// MS-CHAP-Response (RFC 2433).
    MsChap,
    /// MS-CHAP2-Response (RFC 2759).
    MsChap2,
}

/// One attribute, as it is written: `NAS-Port-Type = Wireless-802.11`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Its name in the dictionary.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What is asked about. `Debug` doesn't show the password.
#[derive(Clone)]
pub struct Ask {
    /// The client that asks, by its name or its address. `None`: the only one there is.
    pub client: Option<String>,
    /// Its attributes, without those of the password.
    pub attributes: Vec<Given>,
    /// The password; `None`: the request has none.
    pub password: Option<Zeroizing<String>>,
    /// What the password is turned into.
    pub method: Method,
    /// Whether the packet has a Message-Authenticator.
    pub message_authenticator: bool,
}

/// The request can't be made.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There are several clients, and none was named.
    #[error("which client asks? name one with --client: {0}")]
    Which(String),
    /// No client has this name, and it is no address.
    #[error("there is no client {name:?}; {hint}")]
    NoClient {
        /// What was written.
        name: String,
        /// What would be right.
        hint: String,
    },
    /// What was written is no attribute with a value.
    #[error("{0:?} is no attribute with a value; write NAME = VALUE, as in NAS-Port-Type = Wireless-802.11")]
    Form(String),
    /// The dictionary doesn't take it.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The password is longer than RADIUS can carry.
    #[error("the password is longer than {} octets, the most that RADIUS can carry", password::LONGEST)]
    Password,
    /// It doesn't fit into a packet.
    #[error("the request doesn't fit into a packet: {0}")]
    TooLong(#[from] WriteError),
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("client", &self.client)
            .field("attributes", &self.attributes)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl Given {
    /// From `NAME = VALUE`; the operators that radclient takes mean the same here, and the value may stand in quotes.
    ///
    /// # Errors
    /// It is nothing of the kind.
    pub fn parse(text: &str) -> Result<Self, AskError> {
        let wrong = || AskError::Form(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let name = name.trim_end_matches([':', '+']).trim();
        let value = value.trim_start_matches('=').trim().trim_end_matches(',').trim_end();
        let quoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

impl Ask {
    /// As radclient reads it: one attribute on a line, `#` before remarks, an empty line after the first request.
    /// User-Password, CHAP-Password and MS-CHAP-Password are the password itself.
    ///
    /// # Errors
    /// A line is no attribute.
    pub fn parse(text: &str) -> Result<Self, AskError> {
        let mut ask = Self {
            client: None,
            attributes: Vec::new(),
            password: None,
            method: Method::Pap,
            message_authenticator: true,
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let lines = lines.skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
        for line in lines {
            ask.add(Given::parse(line)?);
        }
        Ok(ask)
    }

    /// Adds an attribute; one of a password becomes the password.
    pub fn add(&mut self, given: Given) {
        let is = |name: &str| given.name.eq_ignore_ascii_case(name);
        let passwords = [
            ("User-Password", Method::Pap),
            ("Cleartext-Password", Method::Pap),
            ("CHAP-Password", Method::Chap),
            ("MS-CHAP-Password", Method::MsChap),
        ];
        if let Some((_, method)) = passwords.into_iter().find(|(name, _)| is(name)) {
            self.method = method;
            self.password = Some(Zeroizing::new(given.value));
        } else if !is("Message-Authenticator") {
            self.attributes.push(given);
        }
    }

    /// The client of the configuration that is meant.
    pub(super) fn client_of<'c>(&self, config: &'c Config) -> Option<&'c Client> {
        let wanted = self.client.as_deref()?;
        let named = config.clients.iter().find(|client| &*client.name == wanted);
        named.or_else(|| client_at(&config.clients, wanted.parse().ok()?))
    }

    /// Where it comes from.
    pub(super) fn address(&self, config: &Config) -> Result<IpAddr, AskError> {
        let Some(wanted) = &self.client else {
            return match config.clients.as_slice() {
                [only] => Ok(one_of(only)),
                clients => {
                    let names: Vec<&str> = clients.iter().take(20).map(|client| &*client.name).collect();
                    Err(AskError::Which(names.join(", ")))
                }
            };
        };
        if let Some(client) = config.clients.iter().find(|client| *client.name == **wanted) {
            return Ok(one_of(client));
        }
        wanted.parse().map_err(|_| {
            let meant = nearest(wanted, config.clients.iter().map(|client| &*client.name));
            let hint = match meant {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => String::from("a client's name, or the address of its device"),
            };
            AskError::NoClient { name: wanted.clone(), hint }
        })
    }

    /// The packet, signed as the client at `address` would sign it.
    pub(super) fn packet(&self, config: &Config, address: IpAddr) -> Result<Vec<u8>, AskError> {
        let mut authenticator = [0; 16];
        random::fill(&mut authenticator);
        // A stranger has no secret that counts.
        let stranger = || RadiusKey::new(&authenticator);
        let client = client_at(&config.clients, address).map(|client| client.key.clone());
        let Ok(key) = client.map_or_else(stranger, Ok) else {
            return Err(AskError::Form(address.to_string()));
        };
        let mut out = [0; 4096];
        let mut writer = Writer::new(&mut out, Code::ACCESS_REQUEST, 0);
        // The writer makes no Access-Request without it; it is cut out below.
        writer.message_authenticator()?;
        for given in &self.attributes {
            for list in encoded(&config.dictionary, given, &key, &authenticator)? {
                if let Ok(list) = Attributes::parse(&list) {
                    writer.attributes(list)?;
                }
            }
        }
        self.write_password(&mut writer, &key, &authenticator)?;
        let octets = writer.request(&key, RequestAuthenticator::Chosen(authenticator))?;
        if self.message_authenticator {
            return Ok(octets.to_vec());
        }
        let mut bare = [&octets[..20], &octets[38..]].concat();
        let length = (bare.len() as u16).to_be_bytes();
        bare[2..4].copy_from_slice(&length);
        Ok(bare)
    }

    fn write_password(
        &self,
        writer: &mut Writer<'_>,
        key: &RadiusKey,
        authenticator: &[u8; 16],
    ) -> Result<(), AskError> {
        let Some(password) = &self.password else { return Ok(()) };
        match self.method {
            Method::Pap => {
                let mut room = Zeroizing::new([0; user_password::MAX]);
                let hidden =
                    user_password::hide(key, authenticator, password.as_bytes(), room.as_mut_slice());
                writer.attribute(number::USER_PASSWORD, hidden.map_err(|_| AskError::Password)?)?;
            }
            Method::Chap => {
                let (mut identifier, mut challenge) = ([0], [0; 16]);
                random::fill(&mut identifier);
                random::fill(&mut challenge);
                let response = chap_response(identifier[0], password.as_bytes(), &challenge);
                writer.attribute(number::CHAP_PASSWORD, &[&identifier, response.as_slice()].concat())?;
                writer.attribute(number::CHAP_CHALLENGE, &challenge)?;
            }
            Method::MsChap => {
                let mut challenge = [0; mschap::CHALLENGE];
                random::fill(&mut challenge);
                let hash = mschap::nt_hash(password.as_bytes());
                // RFC 2548 section 2.1.3: identifier, flags (the NT response counts), LM response, NT response.
                let mut response = [0; 50];
                response[1] = 1;
                response[26..].copy_from_slice(&mschap::response(&challenge, &hash));
                write_microsoft(writer, attribute::CHALLENGE_ATTRIBUTE, &challenge)?;
                write_microsoft(writer, attribute::RESPONSE_1, &response)?;
            }
            Method::MsChap2 => {
                let (mut challenge, mut peer) = ([0; mschap::CHALLENGE_2], [0; mschap::CHALLENGE_2]);
                random::fill(&mut challenge);
                random::fill(&mut peer);
                let hash = mschap::nt_hash(password.as_bytes());
                let name = self.attributes.iter().find(|given| given.name.eq_ignore_ascii_case("User-Name"));
                let name = name.map_or(&[][..], |given| given.value.as_bytes());
                let digest = mschap::challenge_hash(&peer, &challenge, mschap::bare_name(name));
                // RFC 2548 section 2.3.2: identifier, flags, peer challenge, reserved, response.
                let mut response = [0; 50];
                response[2..18].copy_from_slice(&peer);
                response[26..].copy_from_slice(&mschap::response(&digest, &hash));
                write_microsoft(writer, attribute::CHALLENGE_ATTRIBUTE, &challenge)?;
                write_microsoft(writer, attribute::RESPONSE_2, &response)?;
            }
        }
        Ok(())
    }
}

fn write_microsoft(writer: &mut Writer<'_>, number: u32, value: &[u8]) -> Result<(), WriteError> {
    writer.vendor(mschap::MICROSOFT, VendorFormat::STANDARD, number, value).map(|_| ())
}

/// An address of a client: its own, or the first one of its network.
fn one_of(client: &Client) -> IpAddr {
    client.network.hosts().next().unwrap_or_else(|| client.network.addr())
}

/// The client with the longest prefix that holds the address.
fn client_at(clients: &[Client], address: IpAddr) -> Option<&Client> {
    let address = address.to_canonical();
    let holds = clients.iter().filter(|client| client.network.contains(&address));
    holds.max_by_key(|client| client.network.prefix_len())
}

/// The octets of an attribute as they stand in a packet.
fn encoded(
    dictionary: &Dictionary,
    given: &Given,
    key: &RadiusKey,
    authenticator: &[u8; 16],
) -> Result<Vec<Vec<u8>>, AskError> {
    let pair = dictionary.pair(&given.name, Value::Text(&given.value))?;
    Ok(vec![match pair.encrypt() {
        None => pair.wire()?,
        Some(Encrypt::UserPassword) => {
            let mut room = [0; user_password::MAX];
            let hidden = user_password::hide(key, authenticator, pair.value(), &mut room);
            pair.wire_hidden(hidden.map_err(|_| AskError::Password)?)?
        }
        // Hidden anew in each reply, so that a request has no use for it.
        Some(_) => return Err(AskError::Form(given.name.clone())),
    }])
}
