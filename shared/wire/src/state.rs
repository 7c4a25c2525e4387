//! What forewarnd's States have in common (RFC 2865 section 5.24): whoever forwards them finds the server that gave one
//! out by its name, without having seen it do so.

/// How a State of an EAP conversation begins.
pub const MAGIC: [u8; 4] = *b"FWEP";
/// Octets before the server's name.
pub const BEFORE_NAME: usize = 38;
/// Octets of a server's name, at most; a longer one is left out.
pub const NAME_MAX: usize = 64;

/// The name of the server that gave this State out. `None`: it doesn't say.
pub fn server(state: &[u8]) -> Option<&[u8]> {
    state.starts_with(&MAGIC).then_some(())?;
    state.get(BEFORE_NAME..).filter(|name| !name.is_empty() && name.len() <= NAME_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_state_of_forewarnd_names_a_server() {
        let named = [&MAGIC[..], &[0; BEFORE_NAME - 4], b"east"].concat();
        assert_eq!(server(&named), Some(&b"east"[..]));
        assert_eq!(server(&named[..BEFORE_NAME]), None);
        assert_eq!(server(&named[1..]), None);
        assert_eq!(server(b"FWEP"), None);
    }
}
