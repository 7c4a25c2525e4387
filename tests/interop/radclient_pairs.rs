//! What radclient makes of an attribute and its value, we make too, octet for octet: types, tags, vendors' formats,
//! nested and extended attributes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use forewarn_dict::{Attribute, DataType, Dictionary, Value};
use forewarn_wire::{Code, Packet, RadiusKey, Writer, number};

/// A value of the type, that both sides read alike. None for types that aren't written as one.
fn example(attribute: &Attribute) -> Option<String> {
    Some(match attribute.data_type() {
        DataType::Text => "some text".to_owned(),
        DataType::Octets { exactly } => format!("0x{}", "5a".repeat(usize::from(exactly.unwrap_or(3)))),
        DataType::Byte => "7".to_owned(),
        DataType::Short => "300".to_owned(),
        DataType::Integer => "70000".to_owned(),
        DataType::Integer64 => "5000000000".to_owned(),
        DataType::Signed => "-5".to_owned(),
        DataType::Date => "1767225600".to_owned(),
        DataType::Ipv4Address | DataType::IpAddress => "192.0.2.1".to_owned(),
        DataType::Ipv6Address => "2001:db8::1".to_owned(),
        DataType::Ipv4Prefix => "192.0.2.0/24".to_owned(),
        DataType::Ipv6Prefix => "2001:db8::/64".to_owned(),
        DataType::InterfaceId => "0:0:a:1f".to_owned(),
        DataType::Ethernet => "00:1b:2c:3d:4e:5f".to_owned(),
        _ => return None,
    })
}

/// Sends each line as an accounting request of its own, numbered by NAS-Port; the attributes that arrived, by number.
fn as_radclient_sends(lines: &[String]) -> BTreeMap<usize, Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut child = Command::new("radclient")
        .args(["-r", "3", "-t", "1", "-p", "20", &socket.local_addr().unwrap().to_string(), "acct", "secret"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("radclient of freeradius-utils is installed");
    let mut stdin = child.stdin.take().unwrap();
    let text: String =
        lines.iter().enumerate().map(|(at, line)| format!("NAS-Port = {at}\n{line}\n\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let key = RadiusKey::new(b"secret").unwrap();
    let mut arrived = BTreeMap::new();
    let mut octets = [0; 4096];
    while arrived.len() < lines.len() {
        let Ok((length, from)) = socket.recv_from(&mut octets) else { break };
        let packet = Packet::parse(&octets[..length]).unwrap();
        let packet = packet.peek();
        assert_eq!(packet.code(), Code::ACCOUNTING_REQUEST);
        let port = packet.find(number::NAS_PORT).unwrap();
        let at = u32::from_be_bytes(port.try_into().unwrap()) as usize;
        let rest = packet.attributes().filter(|attribute| attribute.number != number::NAS_PORT);
        let whole = rest.flat_map(|attribute| {
            [&[attribute.number, attribute.value.len() as u8 + 2], attribute.value].concat()
        });
        arrived.insert(at, whole.collect());
        let mut room = [0; 64];
        let writer = Writer::new(&mut room, Code::ACCOUNTING_RESPONSE, packet.identifier());
        socket.send_to(writer.reply(&key, packet.authenticator()).unwrap(), from).unwrap();
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap();
    assert!(!arrived.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    arrived
}

#[test]
fn every_attribute_of_ours_is_laid_out_as_radclient_does() {
    let ours = Dictionary::embedded();
    let theirs =
        Dictionary::load("/usr/share/freeradius/dictionary").expect("freeradius-common is installed");
    // radclient fills these in itself, and sends no TLVs in standard attributes (RFC 6930).
    let its_own = ["CHAP-Password", "NAS-Port", "Message-Authenticator"];
    let beyond_it = |attribute: &Attribute| attribute.path().numbers[0] == 173;
    let mut pairs = Vec::new();
    for attribute in ours.attributes() {
        let same = !its_own.contains(&attribute.name())
            && !beyond_it(attribute)
            && theirs.attribute(attribute.name()) == Some(attribute);
        let hidden = attribute.flags().encrypt.is_some() || attribute.is_internal();
        let Some(value) = example(attribute).filter(|_| same && !hidden) else { continue };
        pairs.push((attribute.name().to_owned(), value.clone()));
        if attribute.flags().tag {
            pairs.push((format!("{}:3", attribute.name()), value));
        }
    }
    assert!(pairs.len() > 2500, "{}", pairs.len());
    let lines: Vec<String> = pairs.iter().map(|(name, value)| format!("{name} = \"{value}\"")).collect();
    let arrived = as_radclient_sends(&lines);
    let mut differences = Vec::new();
    for (at, (name, value)) in pairs.iter().enumerate() {
        let wire = ours.pair(name, Value::Text(value)).and_then(|pair| pair.wire());
        match (arrived.get(&at), wire) {
            (Some(theirs), Ok(ours)) if *theirs == ours => {}
            (theirs, ours) => differences.push(format!("{name} = {value}: {theirs:02x?} {ours:02x?}")),
        }
    }
    assert!(differences.is_empty(), "{} of {}: {differences:#?}", differences.len(), pairs.len());
}
