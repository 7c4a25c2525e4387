//! Names: whose they are, and the request as rows and policies see it where EAP proves who it is: with the name that is proven.
//!
//! The User-Name of such a request is what the peer says where anybody hears it (RFC 3579 section 2.1), and proves nothing:
//! a realm in it would be whichever the peer likes.

use forewarn_eap::{Claim, IdentityType};
use forewarn_wire::{MAX_PACKET, Packet, number};

/// Octets of a packet's header (RFC 2865 section 3), and of an attribute's.
const HEADER: usize = 20;
const HEAD: usize = 2;
/// Octets that an attribute has room for.
const VALUE_MAX: usize = 253;

/// The request's octets with the claim's name as its User-Name. `None`: it has that name, or nothing is claimed. A name that
/// no attribute has room for is left out; where both don't fit, EAP-Message is, which nobody looks at.
pub(super) fn octets(request: &Packet<'_>, claim: Option<&Claim>) -> Option<Vec<u8>> {
    let name = &claim?.user;
    let is_name = |number| number == number::USER_NAME;
    let mut names = request.attributes().filter(|attribute| is_name(attribute.number));
    if names.next().is_some_and(|first| first.value == name) && names.next().is_none() {
        return None;
    }
    let mut octets = request.bytes()[..HEADER].to_vec();
    let mut put = |number: u8, value: &[u8]| {
        octets.extend([number, (HEAD + value.len()) as u8]);
        octets.extend(value);
    };
    let rest = |without: u8| {
        request.attributes().filter(move |other| !is_name(other.number) && other.number != without)
    };
    let length = HEADER + rest(0).map(|other| HEAD + other.value.len()).sum::<usize>();
    let without = if length + HEAD + name.len() > MAX_PACKET { number::EAP_MESSAGE } else { 0 };
    if name.len() <= VALUE_MAX {
        put(number::USER_NAME, name);
    }
    rest(without).for_each(|attribute| put(attribute.number, attribute.value));
    let length = octets.len() as u16;
    octets[2..4].copy_from_slice(&length.to_be_bytes());
    Some(octets)
}

/// As a packet.
pub(super) fn packet(octets: &[u8]) -> Packet<'_> {
    *Packet::parse(octets).expect("attributes of a packet are one").peek()
}

/// Whether this is a machine's name, or the DN of one that has it (RFC 4514: the first value of the DN).
pub(super) fn is_machine(name: &[u8]) -> bool {
    let first = name.split(|octet| *octet == b',').next().unwrap_or_default();
    let value = first.split(|octet| *octet == b'=').nth(1);
    IdentityType::of(value.unwrap_or(name)) == IdentityType::Machine
}

#[cfg(test)]
mod tests {
    use forewarn_eap::Proof;

    use super::*;

    fn request(attributes: &[(u8, &[u8])]) -> Vec<u8> {
        let mut octets = vec![1, 7, 0, 0];
        octets.extend([9; 16]);
        for (number, value) in attributes {
            octets.extend([*number, (HEAD + value.len()) as u8]);
            octets.extend(*value);
        }
        let length = octets.len() as u16;
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        octets
    }

    fn claim(name: &[u8]) -> Claim {
        Claim { method: "eap-peap-mschapv2", user: name.to_vec(), proof: Proof::Resumed([7; 32]) }
    }

    #[test]
    fn the_proven_name_is_the_only_one() {
        let asked = request(&[(4, &[10, 0, 0, 1]), (1, b"x@staff"), (1, b"y@staff"), (79, b"eap")]);
        let seen = octets(&packet(&asked), Some(&claim(b"alice"))).unwrap();
        assert_eq!(seen, request(&[(1, b"alice"), (4, &[10, 0, 0, 1]), (79, b"eap")]));
        let unnamed = request(&[(79, b"eap")]);
        let seen = octets(&packet(&unnamed), Some(&claim(b"alice"))).unwrap();
        assert_eq!(packet(&seen).find(number::USER_NAME), Some(&b"alice"[..]));
    }

    #[test]
    fn nothing_is_copied_where_it_is_the_requests() {
        let asked = request(&[(1, b"alice"), (79, b"eap")]);
        assert_eq!(octets(&packet(&asked), Some(&claim(b"alice"))), None);
        assert_eq!(octets(&packet(&asked), None), None);
    }

    #[test]
    fn a_name_without_room_is_left_out() {
        let asked = request(&[(1, b"x@staff"), (79, b"eap")]);
        let seen = octets(&packet(&asked), Some(&claim(&[b'a'; 254]))).unwrap();
        assert_eq!(seen, request(&[(79, b"eap")]));
        let pieces = [(79_u8, &[5; 253][..]); 15];
        let long = request(&[&[(1, &b"x"[..])], &pieces[..], &[(4, &[10, 0, 0, 1])]].concat());
        let seen = octets(&packet(&long), Some(&claim(&[b'a'; 253]))).unwrap();
        assert_eq!(seen, request(&[(1, &[b'a'; 253]), (4, &[10, 0, 0, 1])]));
    }

    #[test]
    fn a_machine_is_one_by_its_dn_too() {
        for machine in
            ["LAPTOP$", "host/laptop.example.org", "uid=LAPTOP$,ou=computers,dc=example", "uid=LAPTOP$"]
        {
            assert!(is_machine(machine.as_bytes()), "{machine}");
        }
        for user in ["alice", "uid=alice,ou=LAPTOP$", "LAPTOP$ ", ""] {
            assert!(!is_machine(user.as_bytes()), "{user}");
        }
    }
}
