//! Whose a certificate is.

use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Any, Decode as _, Tagged as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// Microsoft's user principal name.
const PRINCIPAL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");

/// The names in a certificate, the most telling first: principal name and e-mail address, then the subject's common
/// name, then hosts, as machines call themselves (`host/NAME`) and bare.
pub(super) fn names(der: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(der) else { return Vec::new() };
    let certificate = certificate.tbs_certificate;
    let (mut people, mut hosts) = (Vec::new(), Vec::new());
    let alternatives = certificate.get::<SubjectAltName>().ok().flatten();
    for name in alternatives.into_iter().flat_map(|(_, names)| names.0) {
        match name {
            GeneralName::OtherName(other) if other.type_id == PRINCIPAL => people.extend(text(&other.value)),
            GeneralName::Rfc822Name(address) => people.push(address.to_string()),
            GeneralName::DnsName(host) => hosts.extend([format!("host/{host}"), host.to_string()]),
            _ => {}
        }
    }
    let parts = certificate.subject.0.iter().flat_map(|part| part.0.iter());
    people.extend(parts.filter(|part| part.oid == COMMON_NAME).filter_map(|part| text(&part.value)));
    people.extend(hosts);
    people.retain(|name| !name.is_empty());
    people
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
