//! An entry of the directory as what it says of a user.

use std::fmt;

use forewarn_shell::config::Secret;
use ldap3::SearchEntry;

use crate::config::ldap::{Ldap as Config, Verify};
use crate::process::password::Password;
use crate::users::Passwords;

/// What the directory knows of a user.
pub struct Found {
    /// What the directory calls the user, however the User-Name was spelled: the entry's value of the login attribute, or
    /// its distinguished name where that has none that can be read.
    pub name: String,
    /// The entry's distinguished name.
    pub dn: String,
    /// Passwords in the forms the entry has them: `(FreeRADIUS's name of the form, value)`.
    pub passwords: Vec<(&'static str, Secret)>,
    /// Attributes for the reply, by name.
    pub reply: Vec<(String, String)>,
    /// Groups, by name.
    pub groups: Vec<String>,
    /// Whether a bind shows if a password is right that none of `passwords` is.
    pub binds: bool,
    /// Values of the password attribute that don't count: there are too many.
    pub left_out: usize,
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
    let named = config.name_attribute.iter().chain(password).chain(nt).chain(&config.member_of);
    let wanted: Vec<_> = named.chain(reply).cloned().collect();
    // RFC 4511 section 4.5.1.8: an empty list would be all of them.
    if wanted.is_empty() { vec!["1.1".to_owned()] } else { wanted }
}

impl Found {
    pub(super) fn read(entry: SearchEntry, config: &Config) -> Self {
        let mut found = Self {
            name: own_name(&entry, config.name_attribute.as_deref()).unwrap_or(&entry.dn).to_owned(),
            dn: String::new(),
            passwords: Vec::new(),
            reply: Vec::new(),
            groups: Vec::new(),
            binds: false,
            left_out: 0,
        };
        let mut is_kept_elsewhere = false;
        if config.verify != Verify::Bind {
            for value in config.nt_attribute.iter().flat_map(|attribute| octets(&entry, attribute)) {
                found.passwords.push(("NT-Password", Secret::new(value)));
            }
            for value in octets(&entry, &config.password_attribute) {
                // `{SASL}alice@EXAMPLE.ORG` says who knows the password: whoever knows that text knows nothing.
                match Password::has_foreign_scheme(&value) {
                    true => is_kept_elsewhere = true,
                    false => found.passwords.push(("Password-With-Header", Secret::new(value))),
                }
            }
            found.left_out = found.passwords.len().saturating_sub(Passwords::MAX);
            found.passwords.truncate(Passwords::MAX);
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
            Verify::Auto => found.passwords.is_empty() || is_kept_elsewhere,
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

/// The value by which the entry is known, always the same one: that in its DN, else the first in the alphabet.
pub(super) fn own_name<'e>(entry: &'e SearchEntry, attribute: Option<&str>) -> Option<&'e str> {
    let attribute = attribute?;
    let names_it = |value: &&str| {
        let named = format!("{attribute}={}", ldap3::dn_escape(*value));
        let (start, rest) = entry.dn.split_at_checked(named.len()).unwrap_or(("", "+"));
        start.eq_ignore_ascii_case(&named) && (rest.is_empty() || rest.starts_with([',', '+']))
    };
    texts(entry, attribute).find(names_it).or_else(|| texts(entry, attribute).min())
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
