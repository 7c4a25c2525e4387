//! Which attributes are hidden, and how they change hands.

use crate::hide::{ascend_secret, conceal, salted, uncover, user_password};
use crate::write::Width;
use crate::{Attribute, HideError, MAX_VALUE, VendorFormat, Writer, number};

use super::{ForwardError, Leg};

/// Copies an attribute, or hides it anew if it is one of those that are hidden. Only the cipher changes: padding and
/// inner lengths stay as the origin wrote them.
pub(super) fn rehide(
    writer: &mut Writer<'_>,
    attribute: &Attribute<'_>,
    old: Leg<'_>,
    new: Leg<'_>,
) -> Result<(), ForwardError> {
    let hiding = match attribute.number {
        number::USER_PASSWORD => Hiding::Password,
        number::TUNNEL_PASSWORD => Hiding::TaggedSalted,
        number::VENDOR_SPECIFIC => {
            let mut value = [0; MAX_VALUE];
            let value = &mut value[..attribute.value.len()];
            value.copy_from_slice(attribute.value);
            vendor(value, old, new);
            writer.attribute(attribute.number, value)?;
            return Ok(());
        }
        _ => {
            writer.attribute(attribute.number, attribute.value)?;
            return Ok(());
        }
    };
    let mut value = [0; MAX_VALUE];
    let value = &mut value[..attribute.value.len()];
    value.copy_from_slice(attribute.value);
    change(hiding, value, old, new)
        .map_err(|cause| ForwardError::Hidden { number: attribute.number, cause })?;
    writer.attribute(attribute.number, value)?;
    Ok(())
}

/// How a value is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hiding {
    /// As User-Password.
    Password,
    /// With a salt.
    Salted,
    /// With a tag and a salt.
    TaggedSalted,
    /// As Ascend hides its secrets.
    Ascend,
}

/// Hides a vendor's attributes anew, in place. What isn't in the vendor's format, or not in the shape of a hidden value,
/// stays as it came.
fn vendor(value: &mut [u8], old: Leg<'_>, new: Leg<'_>) {
    let Some((id, mut rest)) = value.split_first_chunk_mut::<4>() else { return };
    let id = u32::from_be_bytes(*id);
    let Some(&(_, format, hidden, nested)) = VENDORS.iter().find(|vendor| vendor.0 == id) else { return };
    let (head, types) = (format.head(), format.type_octets.octets());
    while let Some(&length) = rest.get(types) {
        let number = rest[..types].iter().fold(0, |number, &octet| number << 8 | u16::from(octet));
        let Some((this, after)) = rest.split_at_mut_checked(usize::from(length).max(head)) else { return };
        let inside = &mut this[head..];
        if let Some(&(_, hiding)) = hidden.iter().find(|h| h.0 == number) {
            // A wrong shape is the origin's affair; the value goes on as it came.
            let _ = change(hiding, inside, old, new);
        } else if nested.iter().any(|n| n.0 == number) {
            tlvs(inside, number, nested, old, new);
        }
        rest = after;
    }
}

/// Hides the TLVs inside the vendor's attribute `outer` anew, in place.
fn tlvs(mut rest: &mut [u8], outer: u16, nested: &[Nested], old: Leg<'_>, new: Leg<'_>) {
    while let Some(&[number, length]) = rest.first_chunk::<2>() {
        let Some((this, after)) = rest.split_at_mut_checked(usize::from(length).max(2)) else { return };
        if let Some(&(.., hiding)) = nested.iter().find(|n| n.0 == outer && n.1 == number) {
            let _ = change(hiding, &mut this[2..], old, new);
        }
        rest = after;
    }
}

/// Deciphers with the old leg and enciphers with the new, in place. A value of an impossible length is left alone.
fn change(hiding: Hiding, value: &mut [u8], old: Leg<'_>, new: Leg<'_>) -> Result<(), HideError> {
    let octets = value.len();
    let wrong = HideError::Length { octets };
    match hiding {
        Hiding::Password => {
            if octets == 0 || octets > user_password::MAX || !octets.is_multiple_of(BLOCK) {
                return Err(wrong);
            }
            uncover(old.key, old.authenticator, &[], value);
            conceal(new.key, new.authenticator, &[], value);
        }
        Hiding::Salted => {
            let (salt, body) = value.split_first_chunk_mut::<2>().ok_or(wrong)?;
            if body.is_empty() || octets > salted::MAX_HIDDEN || !body.len().is_multiple_of(BLOCK) {
                return Err(wrong);
            }
            uncover(old.key, old.authenticator, salt, body);
            conceal(new.key, new.authenticator, salt, body);
        }
        Hiding::TaggedSalted => {
            change(Hiding::Salted, value.get_mut(1..).ok_or(wrong)?, old, new)?;
        }
        Hiding::Ascend => {
            let value: &mut [u8; BLOCK] = value.try_into().map_err(|_| wrong)?;
            ascend_secret(old.key, old.authenticator, value);
            ascend_secret(new.key, new.authenticator, value);
        }
    }
    Ok(())
}

/// Octets of a cipher block.
const BLOCK: usize = 16;

const STANDARD: VendorFormat = VendorFormat::STANDARD;
const CONTINUED: VendorFormat = VendorFormat { continuation: true, ..VendorFormat::STANDARD };
const WIDE: VendorFormat = VendorFormat { type_octets: Width::Two, ..VendorFormat::STANDARD };

/// A hidden TLV: the vendor's attribute, the TLV inside, how.
type Nested = (u16, u8, Hiding);
/// A vendor with hidden attributes: its number, its format, which of its attributes are hidden how, and which TLVs
/// inside its attributes.
type Vendor = (u32, VendorFormat, &'static [(u16, Hiding)], &'static [Nested]);

/// Facts from the vendors' dictionaries; all of these have one octet of length. A test holds them against the
/// dictionaries.
const VENDORS: &[Vendor] = &[
    // Motorola: the mobile IP key.
    (161, STANDARD, &[(11, Hiding::Salted)], &[]),
    // Microsoft: MS-CHAP-MPPE-Keys, MS-MPPE-Send-Key, MS-MPPE-Recv-Key (RFC 2548 section 2.4).
    (311, STANDARD, &[(12, Hiding::Password), (16, Hiding::Salted), (17, Hiding::Salted)], &[]),
    // Ascend: the send and the receive secret.
    (529, STANDARD, &[(214, Hiding::Ascend), (215, Hiding::Ascend)], &[]),
    // Alcatel-Lucent AAA: keys 0 to 3.
    (
        831,
        STANDARD,
        &[(116, Hiding::Salted), (117, Hiding::Salted), (118, Hiding::Salted), (119, Hiding::Salted)],
        &[],
    ),
    // LANCOM: the IKEv2 passwords.
    (2356, STANDARD, &[(19, Hiding::TaggedSalted), (20, Hiding::TaggedSalted)], &[]),
    // Lucent: as Ascend, with two octets of type.
    (4846, WIDE, &[(214, Hiding::Ascend), (215, Hiding::Ascend)], &[]),
    // Juniper ERX: lawful interception and mediation.
    (
        4874,
        STANDARD,
        &[(58, Hiding::Salted), (59, Hiding::Salted), (60, Hiding::Salted), (61, Hiding::Salted)],
        &[],
    ),
    // 3GPP2: the mobile node's shared key.
    (5535, STANDARD, &[(58, Hiding::Salted)], &[]),
    // Alcatel-Lucent service routers: lawful interception, the APN's password.
    (
        6527,
        STANDARD,
        &[
            (122, Hiding::Salted),
            (123, Hiding::Salted),
            (124, Hiding::Salted),
            (125, Hiding::Salted),
            (138, Hiding::Salted),
            (139, Hiding::Salted),
            (142, Hiding::Salted),
        ],
        &[],
    ),
    // Aruba: the passphrase of a multi-PSK network.
    (14823, STANDARD, &[(44, Hiding::Salted)], &[]),
    // WiMAX: MSK and the mobility keys.
    (
        24757,
        CONTINUED,
        &[
            (5, Hiding::Salted),
            (10, Hiding::Salted),
            (12, Hiding::Salted),
            (14, Hiding::Salted),
            (15, Hiding::Salted),
            (19, Hiding::Salted),
            (40, Hiding::Salted),
            (66, Hiding::Salted),
            (67, Hiding::Salted),
            (70, Hiding::Salted),
            (75, Hiding::Salted),
            (131, Hiding::Salted),
        ],
        // The keys of the DHCP servers at home and abroad.
        &[(86, 3, Hiding::Salted), (87, 3, Hiding::Salted)],
    ),
    // Aerohive: a library patron's data.
    (26928, STANDARD, &[(3, Hiding::Salted)], &[]),
    // Ubiquiti: a pre-shared key with its name, and the name alone.
    (41112, STANDARD, &[(6, Hiding::Salted)], &[(5, 2, Hiding::Salted), (5, 3, Hiding::Salted)]),
];
