//! An entry of the directory as what it says of a user.

use std::fmt;

use forewarn_shell::config::Secret;
use ldap3::SearchEntry;

use crate::config::ldap::{Ldap as Config, Verify};
use crate::process::password::Password;

/// What the directory knows of a user.
pub struct Found {
    /// The User-Name it was found by.
    pub name: String,
    /// The entry's distinguished name.
    pub dn: String,
    /// Passwords in the forms the entry has them: `(FreeRADIUS's name of the form, value)`.
    pub passwords: Vec<(&'static str, Secret)>,
    /// Attributes for the reply, by name.
    pub reply: Vec<(String, String)>,
    /// Groups, by name.
    pub groups: Vec<String>,
    /// Whether a bind shows if a password is right.
    pub binds: bool,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("name", &self.name).field("dn", &self.dn).finish_non_exhaustive()
    }
}

/// The attributes to ask for.
pub(super) fn wanted(config: &Config) -> Vec<String> {
    let password = (config.verify != Verify::Bind).then_some(&config.password_attribute);
    let nt = config.nt_attribute.as_ref().filter(|_| config.verify != Verify::Bind);
    let reply = config.reply.iter().map(|(_, attribute)| attribute);
    let wanted: Vec<_> =
        password.into_iter().chain(nt).chain(&config.member_of).chain(reply).cloned().collect();
    // RFC 4511 section 4.5.1.8: an empty list would be all of them.
    if wanted.is_empty() { vec!["1.1".to_owned()] } else { wanted }
}

impl Found {
    pub(super) fn read(name: &str, entry: SearchEntry, config: &Config) -> Self {
        let mut found = Self {
            name: name.to_owned(),
            dn: String::new(),
            passwords: Vec::new(),
            reply: Vec::new(),
            groups: Vec::new(),
            binds: false,
        };
        if config.verify != Verify::Bind {
            // `{SASL}alice@EXAMPLE.ORG` says who knows the password: whoever knows that text knows nothing.
            let readable = |value: &Vec<u8>| !Password::has_foreign_scheme(value);
            for value in octets(&entry, &config.password_attribute).into_iter().filter(readable) {
                found.passwords.push(("Password-With-Header", Secret::new(value)));
            }
            for value in config.nt_attribute.iter().flat_map(|attribute| octets(&entry, attribute)) {
                found.passwords.push(("NT-Password", Secret::new(value)));
            }
        }
        for (attribute, source) in &config.reply {
            let values = texts(&entry, source);
            found.reply.extend(values.map(|value| (attribute.to_string(), value.to_owned())));
        }
        if let Some(member_of) = &config.member_of {
            found.groups.extend(texts(&entry, member_of).map(|group| plain_name(group).to_owned()));
        }
        found.dn = entry.dn;
        found.binds = match config.verify {
            Verify::Bind => true,
            Verify::Auto => found.passwords.is_empty(),
            Verify::Password => false,
        };
        found
    }

    pub(super) fn add_groups(&mut self, entries: Vec<SearchEntry>, name: &str) {
        for entry in entries {
            self.groups.extend(texts(&entry, name).map(str::to_owned));
        }
        self.groups.sort_unstable();
        self.groups.dedup();
    }
}

/// Attribute names don't tell upper from lower case (RFC 4512 section 2.5).
fn texts<'e>(entry: &'e SearchEntry, attribute: &str) -> impl Iterator<Item = &'e str> {
    let found = entry.attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    found.into_iter().flat_map(|(_, values)| values).map(String::as_str)
}

fn octets(entry: &SearchEntry, attribute: &str) -> Vec<Vec<u8>> {
    let binary = entry.bin_attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    let binary = binary.into_iter().flat_map(|(_, values)| values.iter().cloned());
    texts(entry, attribute).map(|text| text.as_bytes().to_vec()).chain(binary).collect()
}

/// Of `cn=staff,ou=groups,dc=example` it is `staff`; what isn't a DN stays as it is.
fn plain_name(group: &str) -> &str {
    let first = group.split_once(',').map_or(group, |(first, _)| first);
    match first.split_once('=') {
        Some((_, name)) if !name.is_empty() => name.trim(),
        _ => group,
    }
}
