//! What forewarnd's States have in common (RFC 2865 section 5.24): whoever forwards them finds the server that gave one
//! out by its name, without having seen it do so, and knows whether another could go on with it.
//!
//! ```text
//! magic (4)  what its server knows it by (34)  length of the server's name  the name  what is sealed, or nothing
//! ```

use crate::eap::method;

/// How a State of an EAP conversation begins.
pub const MAGIC: [u8; 4] = *b"FWEP";
/// The code of EAP-Response (RFC 3748 section 4.1).
const RESPONSE: u8 = 2;
/// Octets before the server's name and the length of it.
pub const BEFORE_NAME: usize = 38;
/// Octets of a server's name, at most; a longer one is left out.
pub const NAME_MAX: usize = 64;
/// Octets of a State, at most (RFC 2865 section 5).
pub const STATE_MAX: usize = 253;

/// A State in its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// What its server knows it by, and the magic before.
    pub place: &'a [u8; BEFORE_NAME],
    /// The server's name; empty: it doesn't say.
    pub server: &'a [u8],
    /// What another server can open; empty: nothing.
    pub sealed: &'a [u8],
}

/// The parts of a State. `None`: it isn't one of forewarnd's.
pub fn parts(state: &[u8]) -> Option<Parts<'_>> {
    let (place, rest) = state.split_first_chunk()?;
    place.starts_with(&MAGIC).then_some(())?;
    let (length, rest) = rest.split_first()?;
    let (server, sealed) = rest.split_at_checked(usize::from(*length))?;
    (server.len() <= NAME_MAX).then_some(Parts { place, server, sealed })
}

/// Whether a request's State is of its conversation. forewarnd's isn't where EAP begins anew (an empty EAP-Message, or a peer
/// that says who it is): it takes no notice of it then, so that any server will do. Others ask for the identity themselves,
/// and want their State back.
pub fn counts(state: &[u8], eap_message: Option<&[u8]>) -> bool {
    let begins = match eap_message {
        None => false,
        Some(message) => message.is_empty() || matches!(message, [RESPONSE, _, _, _, method::IDENTITY, ..]),
    };
    !(begins && state.starts_with(&MAGIC))
}

/// The name of the server that gave this State out. `None`: it doesn't say.
pub fn server(state: &[u8]) -> Option<&[u8]> {
    parts(state).map(|parts| parts.server).filter(|name| !name.is_empty())
}

/// What becomes of a conversation at another server than its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// Nobody knows: the State is no forewarnd's.
    Unknown,
    /// It is rejected at once, and the peer begins anew.
    Rejected,
    /// It goes on, where the servers share a secret.
    GoesOn,
}

/// What becomes of this State's conversation at another forewarnd.
pub fn elsewhere(state: &[u8]) -> Elsewhere {
    match parts(state) {
        None => Elsewhere::Unknown,
        Some(Parts { sealed: [], .. }) => Elsewhere::Rejected,
        Some(_) => Elsewhere::GoesOn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_anew_has_no_state_of_ours() {
        let ours = [&MAGIC[..], &[0; BEFORE_NAME - 4], &[4], b"east"].concat();
        let (identity, answer) = ([2, 7, 0, 6, 1, b'a'], [2, 7, 0, 6, 6, b'a']);
        assert!(!counts(&ours, Some(&identity)) && !counts(&ours, Some(&[])));
        assert!(counts(&ours, Some(&answer)) && counts(&ours, Some(&identity[..4])) && counts(&ours, None));
        assert!(counts(b"another's", Some(&identity)) && counts(b"another's", Some(&[])));
    }

    #[test]
    fn only_a_state_of_forewarnd_names_a_server() {
        let named = [&MAGIC[..], &[0; BEFORE_NAME - 4], &[4], b"east"].concat();
        assert_eq!(server(&named), Some(&b"east"[..]));
        assert_eq!(elsewhere(&named), Elsewhere::Rejected);
        let sealed = [&named[..], b"sealed"].concat();
        assert_eq!(server(&sealed), Some(&b"east"[..]));
        assert_eq!(elsewhere(&sealed), Elsewhere::GoesOn);
        for short in 0..named.len() {
            assert_eq!(parts(&named[..short]), None, "{short}");
        }
        let nameless = [&MAGIC[..], &[0; BEFORE_NAME - 4], &[0]].concat();
        assert_eq!((server(&nameless), elsewhere(&nameless)), (None, Elsewhere::Rejected));
        let too_long = [&MAGIC[..], &[0; BEFORE_NAME - 4], &[65], &[b'x'; 65]].concat();
        assert_eq!(parts(&too_long), None);
        assert_eq!(parts(&named[1..]), None);
        assert_eq!(elsewhere(b"ours"), Elsewhere::Unknown);
    }
}
