//! Chargeable-User-Identity (RFC 4372): a name by which whoever carries a user's sessions can put them together, and not
//! learn who it is.

use forewarn_wire::{Packet, WriteError, Writer, number};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::answer::has_attribute;

/// Octets of the handle: hexadecimal digits of half the MAC.
const HANDLE: usize = 32;

/// Who this account is to whoever asks: the same to one operator (RFC 5580 section 4.1) always, and another to any other.
pub(super) fn handle(key: &[u8], user: &[u8], request: &Packet<'_>) -> [u8; HANDLE] {
    let operator = request.find(number::OPERATOR_NAME).unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do");
    let length = (user.len() as u64).to_be_bytes();
    [&length[..], user, operator].into_iter().for_each(|part| mac.update(part));
    let mac = mac.finalize().into_bytes();
    let mut handle = [0; HANDLE];
    for (pair, octet) in handle.as_chunks_mut::<2>().0.iter_mut().zip(mac) {
        *pair = [octet >> 4, octet & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]);
    }
    handle
}

/// Writes it for who asked for one (section 2.1), unless the account or a policy has set another.
pub(super) fn write(
    writer: &mut Writer<'_>,
    key: Option<&[u8]>,
    user: &[u8],
    request: &Packet<'_>,
) -> Result<(), WriteError> {
    let asked = request.find(number::CHARGEABLE_USER_IDENTITY).is_some();
    match key.filter(|_| asked && !has_attribute(writer.written(), number::CHARGEABLE_USER_IDENTITY)) {
        Some(key) => {
            writer.attribute(number::CHARGEABLE_USER_IDENTITY, &handle(key, user, request)).map(|_| ())
        }
        None => Ok(()),
    }
}
