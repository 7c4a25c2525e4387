//! Whose a certificate is, and what policies see of it.

use forewarn_eap::Certificate;
use x509_cert::der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Any, Decode as _, Tagged as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// Microsoft's user principal name.
const PRINCIPAL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");

/// A field of a certificate that may name its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The user principal name among the alternative names.
    Principal,
    /// An e-mail address there.
    Email,
    /// The subject's common name.
    CommonName,
    /// A host there, as machines call themselves (`host/NAME`).
    Host,
}

impl Field {
    /// All of them, the most telling first, as configurations name them.
    pub const ALL: [(&str, Field); 4] = [
        ("san-upn", Field::Principal),
        ("san-email", Field::Email),
        ("cn", Field::CommonName),
        ("san-dns", Field::Host),
    ];
}

/// How a certificate names its user.
#[derive(Debug, Clone)]
pub struct Naming {
    /// By these fields; the first that is there goes first.
    pub fields: Vec<Field>,
    /// Whether the realm of a principal name or an address (`@example.org`) is left out.
    pub strips_realm: bool,
    /// Whether the peer says which of the names it is; otherwise the first is the user.
    pub is_chosen: bool,
}

impl Default for Naming {
    fn default() -> Self {
        Self { fields: Field::ALL.map(|(_, field)| field).to_vec(), strips_realm: false, is_chosen: true }
    }
}

/// What a certificate says. `None`: it can't be read.
pub(super) fn read(der: &[u8], naming: &Naming) -> Option<Certificate> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?.tbs_certificate;
    let alternatives = certificate.get::<SubjectAltName>().ok().flatten();
    let alternatives = alternatives.map(|(_, names)| names.0).unwrap_or_default();
    let common_names = || {
        let parts = certificate.subject.0.iter().flat_map(|part| part.0.iter());
        parts.filter(|part| part.oid == COMMON_NAME).filter_map(|part| text(&part.value))
    };
    let mut users = Vec::new();
    for field in &naming.fields {
        match field {
            Field::CommonName => users.extend(common_names()),
            field => users.extend(alternatives.iter().flat_map(|name| named(name, *field, naming))),
        }
    }
    users.retain(|name| !name.is_empty());
    // A host that is here as a machine isn't a user besides, if the common name says the same.
    let machines = users.clone();
    let hosts = || machines.iter().filter_map(|machine| machine.strip_prefix("host/"));
    users.retain(|name| !hosts().any(|host| host.eq_ignore_ascii_case(name)));
    if !naming.is_chosen {
        users.truncate(1);
    }
    let serial = certificate.serial_number.as_bytes().iter();
    Some(Certificate {
        users,
        subject: certificate.subject.to_string(),
        issuer: certificate.issuer.to_string(),
        serial: serial.map(|octet| format!("{octet:02x}")).collect(),
        alternatives: alternatives.iter().filter_map(shown).collect(),
        not_after: certificate.validity.not_after.to_unix_duration().as_secs(),
    })
}

/// Until when a certificate is good, seconds since 1970. `None`: it can't be read.
pub(super) fn not_after(der: &[u8]) -> Option<u64> {
    let validity = x509_cert::Certificate::from_der(der).ok()?.tbs_certificate.validity;
    Some(validity.not_after.to_unix_duration().as_secs())
}

/// The user's names in an alternative name, if it is of this field.
fn named(name: &GeneralName, field: Field, naming: &Naming) -> Vec<String> {
    let person = |name: String| match name.split_once('@') {
        Some((user, _)) if naming.strips_realm => vec![user.to_owned()],
        _ => vec![name],
    };
    match (field, name) {
        (Field::Principal, GeneralName::OtherName(other)) if other.type_id == PRINCIPAL => {
            text(&other.value).map(person).unwrap_or_default()
        }
        (Field::Email, GeneralName::Rfc822Name(address)) => person(address.to_string()),
        (Field::Host, GeneralName::DnsName(host)) => vec![format!("host/{host}")],
        _ => Vec::new(),
    }
}

/// An alternative name behind its kind. `None`: of a kind that nobody looks at.
fn shown(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(host) => Some(format!("dns:{host}")),
        GeneralName::Rfc822Name(address) => Some(format!("email:{address}")),
        GeneralName::UniformResourceIdentifier(uri) => Some(format!("uri:{uri}")),
        GeneralName::OtherName(other) if other.type_id == PRINCIPAL => {
            text(&other.value).map(|name| format!("upn:{name}"))
        }
        _ => None,
    }
}

fn text(value: &Any) -> Option<String> {
    use x509_cert::der::Tag;
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.to_string()),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok().map(|text| text.to_string()),
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok().map(|text| text.to_string()),
        _ => None,
    }
}
