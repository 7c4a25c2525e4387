//! Attribute-value pairs of EAP-TTLS (RFC 5281 section 10): Diameter's form, RADIUS's numbers.

const VENDOR: u8 = 0x80;
const MANDATORY: u8 = 0x40;

/// One of them.
pub(super) struct Avp<'a> {
    /// The vendor; 0: the standard space.
    pub(super) vendor: u32,
    /// The number.
    pub(super) number: u32,
    /// The value.
    pub(super) value: &'a [u8],
}

/// Reads a message. `None`: it isn't one.
pub(super) fn parse(mut message: &[u8]) -> Option<Vec<Avp<'_>>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let (head, _) = message.split_first_chunk::<8>()?;
        let [a, b, c, d, flags, high, middle, low] = *head;
        let number = u32::from_be_bytes([a, b, c, d]);
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        let body = message.get(8..length)?;
        let (vendor, value) = match flags & VENDOR != 0 {
            true => body.split_first_chunk().map(|(vendor, rest)| (u32::from_be_bytes(*vendor), rest))?,
            false => (0, body),
        };
        found.push(Avp { vendor, number, value });
        // The last one's padding may be missing.
        message = message.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(found)
}

/// Writes one of the standard space.
pub(super) fn standard(number: u32, value: &[u8]) -> Vec<u8> {
    write(number, MANDATORY, &[], value)
}

/// Writes one of a vendor's.
pub(super) fn vendor(vendor: u32, number: u32, value: &[u8]) -> Vec<u8> {
    write(number, VENDOR | MANDATORY, &vendor.to_be_bytes(), value)
}

fn write(number: u32, flags: u8, vendor: &[u8], value: &[u8]) -> Vec<u8> {
    let length = (8 + vendor.len() + value.len()) as u32;
    let mut avp = number.to_be_bytes().to_vec();
    avp.extend((length | u32::from(flags) << 24).to_be_bytes());
    avp.extend(vendor);
    avp.extend(value);
    avp.resize(avp.len().next_multiple_of(4), 0);
    avp
}
