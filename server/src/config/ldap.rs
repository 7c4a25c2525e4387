//! `[ldap]`: a directory of users.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use forewarn_shell::config::Secret;

/// `[ldap]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ldap {
    /// LDAP URLs (RFC 4516), tried in this order: `ldap://host:389`, `ldaps://host:636`, `ldapi://%2fpath`.
    pub servers: Vec<String>,
    /// Whether `ldap://` connections become TLS by StartTLS (RFC 4511 section 4.14) before anything is said.
    pub starttls: bool,
    /// PEM file of the authorities to trust; absent: the system's.
    pub ca: Option<PathBuf>,
    /// The DN and password that searches are made with; absent: anonymously.
    pub bind: Option<(String, Secret)>,
    /// Where users are looked for.
    pub base: String,
    /// How deep.
    pub scope: Scope,
    /// Which entry is a user's (RFC 4515); `{user}` is the User-Name.
    pub user_filter: String,
    /// The attribute whose value is the user's name, however it was spelled; absent: the filter doesn't tell, and the DN
    /// is.
    pub name_attribute: Option<String>,
    /// How a password is verified.
    pub verify: Verify,
    /// The attribute that holds the password, with its `{SCHEME}`.
    pub password_attribute: String,
    /// The attribute that holds the NT hash: what MS-CHAP needs.
    pub nt_attribute: Option<String>,
    /// The attribute of a user's entry that names its groups, as `memberOf` does: DNs or plain names.
    pub member_of: Option<String>,
    /// A search for groups.
    pub groups: Option<Groups>,
    /// Attributes of the entry that go into the reply: `(RADIUS attribute, LDAP attribute)`.
    pub reply: Vec<(Arc<str>, String)>,
    /// Connections for searches, and as many for binds.
    pub connections: usize,
    /// For each operation.
    pub timeout: Duration,
    /// How long a found account is served without asking again; zero: never.
    pub cache: Duration,
    /// How long a name that isn't there is taken not to be there; zero: it is asked for each time.
    pub negative_cache: Duration,
    /// How much longer what is in the cache is served while the directory is away.
    pub stale: Duration,
}

/// `scope` (RFC 4511 section 4.5.1.2)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base's direct children.
    One,
    /// Everything below the base, and it.
    Subtree,
}

/// `verify`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// By the entry's password where it may be read, else by a bind.
    Auto,
    /// By a bind as the user: PAP only.
    Bind,
    /// By the entry's password.
    Password,
}

/// `[ldap.groups]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// Where groups are looked for.
    pub base: String,
    /// Which entry is a group of the user (RFC 4515); `{dn}` is the user's DN, `{user}` their name in the directory.
    pub filter: String,
    /// The attribute that is the group's name.
    pub name: String,
}
