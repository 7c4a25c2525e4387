//! The pinned vectors of `tests/vectors/`.

use forewarn_wire::hide::{chap_matches, salted, user_password};
use forewarn_wire::notice::{BadMac, MacKind, Notice, NoticeError, NoticeKey, Outcome, Tlv};
use forewarn_wire::{
    Attribute, Code, Forgery, FrameError, MessageAuthenticatorRule, Packet, RadiusKey, VendorFormat, number,
};

use crate::script::{Line, hex, lines};

#[test]
fn rfc2865() {
    run(include_str!("../vectors/rfc2865.txt"), 22);
}

#[test]
fn rfc2868() {
    run(include_str!("../vectors/rfc2868.txt"), 9);
}

#[test]
fn rfc2548() {
    run(include_str!("../vectors/rfc2548.txt"), 6);
}

#[test]
fn rfc3579() {
    run(include_str!("../vectors/rfc3579.txt"), 35);
}

#[test]
fn rfc5176() {
    run(include_str!("../vectors/rfc5176.txt"), 25);
}

#[test]
fn rfc6929() {
    run(include_str!("../vectors/rfc6929.txt"), 13);
}

#[test]
fn notices() {
    run(include_str!("../vectors/notice.txt"), 119);
}

/// Runs a file, which has to make at least so many statements: an empty file is no success.
fn run(text: &str, at_least: usize) {
    let mut vector = Vector::default();
    let mut statements = 0;
    for line in lines(text) {
        statements += usize::from(vector.step(&line));
    }
    assert!(statements >= at_least, "{statements} statements, {at_least} were there once");
}

/// What a vector has said so far.
#[derive(Default)]
struct Vector {
    name: String,
    key: Option<RadiusKey>,
    rule: MessageAuthenticatorRule,
    format: VendorFormat,
    request: Option<(Code, [u8; 16])>,
    notice_key: Option<NoticeKey>,
    pair: Option<(std::net::IpAddr, std::net::IpAddr)>,
    kind: String,
    bytes: Vec<u8>,
}

impl Vector {
    /// Does what a line says; answers whether it was a statement to check.
    fn step(&mut self, line: &Line<'_>) -> bool {
        match line.word {
            "name" => *self = Vector { name: line.rest.clone(), ..Vector::default() },
            "secret" => self.key = Some(RadiusKey::new(line.rest.as_bytes()).unwrap()),
            "rule" => self.rule = rule(&line.rest),
            "format" => self.format = format(&line.rest),
            "notice-key" => {
                let (kind, secret) = line.rest.split_once(' ').unwrap();
                let secret = crate::script::unhex(secret).unwrap();
                self.notice_key = Some(NoticeKey::new(MacKind::from_name(kind).unwrap(), &secret).unwrap());
            }
            "pair" => {
                let (server, client) = line.rest.split_once(' ').unwrap();
                self.pair = Some((server.parse().unwrap(), client.parse().unwrap()));
            }
            "request" | "reply" | "frame" | "notice" => {
                if self.kind == "request"
                    && line.word == "reply"
                    && let Ok(request) = Packet::parse(&self.bytes)
                {
                    self.request = Some((request.peek().code(), *request.peek().authenticator()));
                }
                self.kind = line.word.to_owned();
                self.bytes = line.octets();
            }
            "is" => assert_eq!(self.verdict(), line.rest, "{} (line {})", self.name, line.number),
            _ if self.kind == "notice" => self.check_notice(line),
            _ => self.check_packet(line),
        }
        !matches!(line.word, "name" | "secret" | "rule" | "format" | "notice-key" | "pair")
            && !["request", "reply", "frame", "notice"].contains(&line.word)
    }

    /// What the crate says of the packet or notice.
    fn verdict(&self) -> String {
        if self.kind == "notice" {
            return self.notice_verdict();
        }
        let packet = match Packet::parse(&self.bytes) {
            Err(FrameError::Short { .. }) => return "short".into(),
            Err(FrameError::LengthField { .. }) => return "length-field".into(),
            Err(FrameError::Truncated { .. }) => return "truncated".into(),
            Err(FrameError::AttributeLength { offset }) => return format!("attribute-length {offset}"),
            Ok(packet) => packet,
        };
        let key = self.key.as_ref().unwrap();
        let verified = match self.kind.as_str() {
            "request" => packet.verify_request(key, self.rule),
            _ => {
                let (code, authenticator) = self.request.as_ref().unwrap();
                packet.verify_reply(key, *code, authenticator, self.rule)
            }
        };
        match verified {
            Ok(_) => "valid",
            Err(Forgery::MissingMessageAuthenticator) => "missing-message-authenticator",
            Err(Forgery::EapWithoutMessageAuthenticator) => "eap-without-message-authenticator",
            Err(Forgery::ProxyStateWithoutMessageAuthenticator) => {
                "proxy-state-without-message-authenticator"
            }
            Err(Forgery::BadMessageAuthenticator) => "bad-message-authenticator",
            Err(Forgery::BadAuthenticator) => "bad-authenticator",
            Err(Forgery::CodeUnexpected) => "code-unexpected",
        }
        .into()
    }

    fn notice_verdict(&self) -> String {
        let notice = match Notice::parse(&self.bytes) {
            Ok(notice) => notice,
            Err(error) => {
                return match error {
                    NoticeError::Magic => "magic".into(),
                    NoticeError::Version(_) => "version".into(),
                    NoticeError::Length { .. } => "length".into(),
                    NoticeError::Mac(_) => "mac".into(),
                    NoticeError::Kind(_) => "kind".into(),
                    NoticeError::Percent(_) => "percent".into(),
                    NoticeError::Tlv { offset } => format!("tlv {offset}"),
                };
            }
        };
        let (server, client) = self.pair.unwrap();
        let key = self.notice_key.as_ref().unwrap().pair(server.into(), client.into());
        match notice.verify(&key) {
            Ok(_) => "valid",
            Err(BadMac::Kind) => "bad-kind",
            Err(BadMac::Pair) => "bad-pair",
            Err(BadMac::Mac) => "bad-mac",
        }
        .into()
    }

    /// Checks what a line says of the packet's content.
    fn check_packet(&self, line: &Line<'_>) {
        let packet = Packet::parse(&self.bytes).unwrap();
        let packet = *packet.peek();
        let key = self.key.as_ref().unwrap();
        let authenticator = match self.request {
            Some((_, authenticator)) if self.kind == "reply" => authenticator,
            _ => *packet.authenticator(),
        };
        let place = format!("{} (line {})", self.name, line.number);
        let mut room = [0; 4096];
        let found: Vec<Vec<u8>> = match line.word {
            "attribute" => {
                list(packet.attributes().filter(|a| u32::from(a.number) == line.which()[0]).map(|a| a.value))
            }
            "password" => {
                let hidden = packet.find(number::USER_PASSWORD).unwrap();
                list(user_password::reveal(key, &authenticator, hidden, &mut room).ok())
            }
            "chap" => {
                let [identifier, response @ ..] = packet.find(number::CHAP_PASSWORD).unwrap() else {
                    panic!("{place}")
                };
                let challenge = packet.find(number::CHAP_CHALLENGE).unwrap_or(&authenticator);
                let fits = chap_matches(*identifier, &line.value(), challenge, response.try_into().unwrap());
                assert!(!chap_matches(*identifier, b"another", challenge, response.try_into().unwrap()));
                list(fits.then(|| line.value()).as_deref())
            }
            "tagged" => {
                let (number, tag) = line.assignment().0.split_once(' ').unwrap();
                let (number, tag) = (number.parse().unwrap(), tag.parse::<u8>().ok());
                let all = packet.attributes().filter(|a| a.number == number).map(|a| a.tagged());
                list(all.filter(|found| found.0 == tag).map(|found| found.1))
            }
            "tagged-integer" => {
                let which = line.which();
                let tagged =
                    packet.attributes().find(|a| u32::from(a.number) == which[0]).unwrap().tagged_integer();
                let value = line.assignment().1.parse().unwrap();
                return assert_eq!(tagged, Some((which[1] as u8, value)), "{place}");
            }
            "tunnel-password" => {
                let all =
                    packet.attributes().filter(|a| a.number == number::TUNNEL_PASSWORD).map(|a| a.tagged());
                let hidden =
                    all.filter(|found| found.0.map(u32::from) == Some(line.which()[0])).map(|found| found.1);
                list(salted::reveal(key, &authenticator, hidden.last().unwrap(), &mut room).ok())
            }
            "vendor" => self.vendor(&packet, line.which()[0], line.which()[1]),
            "mppe" => {
                let hidden = self.vendor(&packet, 311, line.which()[0]).remove(0);
                list(salted::reveal(key, &authenticator, &hidden, &mut room).ok())
            }
            "mschap-mppe" => {
                let hidden = self.vendor(&packet, 311, 12).remove(0);
                list(user_password::reveal(key, &authenticator, &hidden, &mut room).ok())
            }
            "eap" => list(packet.eap_message().unwrap().copy_to(&mut room)),
            "extended" if line.rest.ends_with("none") => {
                let (number, extended) = line.rest.trim_end_matches(" none").split_once('.').unwrap();
                let mut values = packet.extended(number.parse().unwrap(), extended.parse().unwrap());
                return assert!(values.next().is_none(), "{place}");
            }
            "extended" => {
                let which = line.which();
                packet
                    .extended(which[0] as u8, which[1] as u8)
                    .map(|v| v.copy_to(&mut room).unwrap().to_vec())
                    .collect()
            }
            word => panic!("{place}: what is {word}?"),
        };
        let found: Vec<String> = found.iter().map(|octets| hex(octets)).collect();
        assert!(found.contains(&hex(&line.value())), "{place}: {found:?}");
    }

    /// The values of a vendor's attribute.
    fn vendor(&self, packet: &Packet<'_>, vendor: u32, number: u32) -> Vec<Vec<u8>> {
        let inside = |a: Attribute<'_>| {
            let specific = a.vendor().filter(|specific| specific.vendor == vendor)?;
            Some(
                specific
                    .attributes(self.format)?
                    .filter(|v| v.number == number)
                    .map(|v| v.value.to_vec())
                    .collect(),
            )
        };
        packet.attributes().filter_map(inside).flat_map(|values: Vec<Vec<u8>>| values).collect()
    }

    /// Checks what a line says of the notice's content.
    fn check_notice(&self, line: &Line<'_>) {
        let notice = Notice::parse(&self.bytes).unwrap();
        let notice = *notice.peek();
        let header = notice.header();
        let place = format!("{} (line {})", self.name, line.number);
        let found = match line.word {
            "kind" => format!("{:?}", header.kind).to_lowercase(),
            "flags" => header.flags.0.to_string(),
            "key-id" => header.key_id.to_string(),
            "reason" => header.reason.0.to_string(),
            "sender" => header.sender.to_string(),
            "epoch" => header.epoch.to_string(),
            "sequence" => header.sequence.to_string(),
            "utc-ms" => header.utc_ms.to_string(),
            "validity-s" => header.validity_s.to_string(),
            "reduction" => header.reduction_percent.to_string(),
            "load" => header.load_percent.to_string(),
            "stagger-s" => header.stagger_s.to_string(),
            "slot-ms" => notice.slot_ms().unwrap().to_string(),
            "nonce" => hex(&notice.nonce().unwrap()),
            "realm" => text(&notice, |tlv| if let Tlv::RealmScope(text) = tlv { Some(text) } else { None }),
            "service" => {
                text(&notice, |tlv| if let Tlv::ServiceScope(text) = tlv { Some(text) } else { None })
            }
            "alternate" => {
                let (weight, address) = line.rest.split_once(' ').unwrap();
                let wanted = (weight.parse().unwrap(), address.parse().unwrap());
                return assert!(notice.alternates().any(|found| found == wanted), "{place}");
            }
            "acked" => {
                let (epoch, sequence, outcome) = notice.acked().unwrap();
                assert_eq!(outcome, Outcome::Moved, "{place}");
                return assert_eq!(format!("{epoch} {sequence} moved"), line.rest, "{place}");
            }
            word => panic!("{place}: what is {word}?"),
        };
        assert_eq!(found, line.assignment().1, "{place}");
    }
}

fn text<'a>(notice: &Notice<'a>, pick: impl Fn(Tlv<'a>) -> Option<&'a str>) -> String {
    notice.tlvs().find_map(pick).unwrap().to_owned()
}

fn list<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    values.into_iter().map(<[u8]>::to_vec).collect()
}

fn rule(name: &str) -> MessageAuthenticatorRule {
    match name {
        "required" => MessageAuthenticatorRule::Required,
        "optional" => MessageAuthenticatorRule::Optional,
        "limit" => MessageAuthenticatorRule::OptionalUnlessProxyState,
        name => panic!("no rule: {name}"),
    }
}

fn format(text: &str) -> VendorFormat {
    let mut parts = text.split(',');
    let mut width = || parts.next().unwrap().parse().unwrap();
    let (type_octets, length_octets) = (width(), width());
    VendorFormat::new(type_octets, length_octets, parts.next() == Some("c")).unwrap()
}
