//! `[eap]`, `[eap.tls]` and `[eap.pwd]`.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use forewarn_eap::{IdentityType, Kind, Limits, Pwd, PwdGroup, Settings, Tls, Within};
use forewarn_shell::config::{Secret, Table, Value, Wrong};
use forewarn_shell::{clock, random};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use zeroize::Zeroizing;

use super::super::Server;
use super::super::eap::Eap;
use super::each;
use crate::process::eap::expiry::{self, Expiry};
use crate::process::eap::names::{Field, Naming};
use crate::process::eap::seals::Seals;
use crate::process::eap::tickets::Tickets;
use crate::process::eap::tls::{Connections, Identity, IdentityError};

/// Octets of a name in EAP.
const NAME_MAX: usize = 253;

/// Octets of the key of Chargeable-User-Identity, at least.
const CUI_KEY: usize = 32;

/// Octets of a key of tickets, or of States, at least.
const SHARED_KEY: usize = 32;

/// Of this process, where none is configured: it lasts over reloads.
static OWN_KEY: LazyLock<Zeroizing<[u8; SHARED_KEY]>> = LazyLock::new(|| {
    let mut key = Zeroizing::new([0; SHARED_KEY]);
    random::fill(key.as_mut_slice());
    key
});

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// `[eap]`. `None`: there is none, or something was reported.
pub(super) fn eap(root: &Table<'_>, server: Option<&Server>) -> Option<Eap> {
    let table = root.optional_table("eap")?;
    let kinds = Kind::ALL.map(|kind| (kind.name(), kind));
    let methods = table.list("methods", |value| value.choice(&kinds, &[])).required();
    let methods = methods.and_then(|methods| usable(&table, "methods", methods, Kind::name));
    let default = Limits::default();
    let limits = Limits {
        rounds: table.integer("rounds").within(8, 1000).or(default.rounds),
        octets: table.integer("octets").within(4096, 1 << 20).or(default.octets),
    };
    let identities = [IdentityType::User, IdentityType::Machine].map(|identity| (identity.name(), identity));
    let identities = table.list("teap_identities", |value| value.choice(&identities, &[]));
    let identities = identities.or(vec![IdentityType::User]);
    let identities = usable(&table, "teap_identities", identities, IdentityType::name);
    let bindings = [("optional", false), ("required", true)];
    let binds = table.choice("tunnel_binding", &bindings, &[]).or(false);
    let tries = table.integer("tries").within(1, 5).or(1);
    let fragment = table.integer("fragment").within(64, 3800).or(1024);
    let timeout = table.duration("timeout").within(SECOND, 600 * SECOND).or(60 * SECOND);
    let conversations = table.integer("conversations").within(16, 1_000_000).or(20_000);
    let state_keys = shared_keys(&table, "state_key", "state_keys");
    let tls = table.optional_table("tls");
    let inner = inner(&table, tls.as_ref().is_some_and(|tls| tls.has("client_ca")));
    let choices = [("required", true), ("optional", false)];
    let needs_account = tls.as_ref().is_none_or(|tls| tls.choice("account", &choices, &[]).or(true));
    let ticket_keys =
        tls.as_ref().map_or(Some(Vec::new()), |tls| shared_keys(tls, "ticket_key", "ticket_keys"));
    let tls = tls.map(|tls| connections(&tls, methods.as_deref(), needs_account, ticket_keys.as_deref()));
    let pwd_table = table.table("pwd");
    let pwd = pwd(&pwd_table, server);
    pwd_table.finish();
    if let (None, Some(kind)) = (&tls, methods.iter().flatten().find(|kind| kind.needs_tls())) {
        let what = format!("\"{}\" goes over TLS, and there is no [eap.tls]", kind.name());
        table.error("methods", Wrong::new(what, "add [eap.tls] with `certificate` and `key`"));
        return None;
    }
    table.finish();
    let (state_keys, ticket_keys) = (state_keys?, ticket_keys?);
    let keys = if state_keys.is_empty() { &ticket_keys } else { &state_keys };
    let seals = (!keys.is_empty()).then(|| Arc::new(Seals::new(keys.iter().map(Secret::octets))));
    let (tls, expiries) = match tls {
        Some(tls) => tls.map(|(tls, expiries)| (Some(tls), expiries))?,
        None => (None, Vec::new()),
    };
    let server_name = server?.name.clone();
    let settings = Settings {
        methods: methods?,
        inner: inner?,
        identities: identities?,
        binds,
        tries,
        server_name,
        tls,
        resumes: true,
        fragment,
        pwd: pwd?,
        limits,
    };
    Some(Eap { settings: Arc::new(settings), timeout, conversations, seals, needs_account, expiries })
}

/// `[cui]`
pub(super) fn cui(root: &Table<'_>) -> Option<Secret> {
    let table = root.optional_table("cui")?;
    let key = table.hex_key("key", CUI_KEY).required();
    table.finish();
    key
}

/// What is allowed within tunnels: by default all but what proves least, and certificates where an authority is named.
fn inner(table: &Table<'_>, has_authority: bool) -> Option<Vec<Within>> {
    let names = Within::ALL.map(|inner| (inner.name(), inner));
    if !table.has("inner") {
        let usual = |inner: &Within| match inner {
            Within::Eap(Kind::Tls) => has_authority,
            inner => *inner != Within::Eap(Kind::Md5),
        };
        return Some(Within::ALL.into_iter().filter(usual).collect());
    }
    let inner = table.list("inner", |value| value.choice(&names, &[])).required()?;
    if inner.contains(&Within::Eap(Kind::Tls)) && !has_authority {
        let what = "\"tls\" is allowed within, and there is no `client_ca`";
        table.error(
            "inner",
            Wrong::new(what, "name who signs devices' certificates: [eap.tls] client_ca = \"ca.pem\""),
        );
        return None;
    }
    usable(table, "inner", inner, Within::name)
}

/// At least one method, and none twice.
fn usable<T: Copy + PartialEq>(
    table: &Table<'_>,
    key: &'static str,
    methods: Vec<T>,
    name: fn(T) -> &'static str,
) -> Option<Vec<T>> {
    let twice = methods.iter().enumerate().find(|(place, method)| methods[..*place].contains(method));
    let wrong = match (methods.is_empty(), twice) {
        (true, _) => Wrong::new(format!("`{key}` is empty"), "name at least one, or remove it"),
        (_, Some((_, method))) => {
            Wrong::new(format!("`{key}` has \"{}\" twice", name(*method)), "remove one")
        }
        _ => return Some(methods),
    };
    table.error(key, wrong);
    None
}

/// `[eap.pwd]`. `None`: the server has no name.
fn pwd(table: &Table<'_>, server: Option<&Server>) -> Option<Pwd> {
    let group = table.integer("group").then(|number: u16| {
        let group = PwdGroup::ALL.into_iter().find(|group| group.number() == number);
        group.ok_or_else(|| {
            let what = format!("{number} is no group of EAP-PWD here");
            Wrong::new(what, "write 19 (NIST P-256, which all devices have), 20 (P-384) or 21 (P-521)")
        })
    });
    let group = group.or(PwdGroup::P256);
    let server_id = table.text("server_id").then(|text| match text.len() <= NAME_MAX {
        true => Ok(text),
        false => Err(Wrong::new("is too long", format!("give it at most {NAME_MAX} octets"))),
    });
    let server_id = server_id.optional().or_else(|| Some(server?.name.clone()));
    Some(Pwd { group, server_id: server_id? })
}

/// What tickets are sealed with. `None`: something was reported; inside, there are none.
#[allow(clippy::option_option, reason = "wrong, or off")]
fn tickets(table: &Table<'_>, keys: Option<&[Secret]>) -> Option<Option<Tickets>> {
    let lifetime = table.unless_off("ticket_lifetime", |value| {
        let lifetime = value.duration()?;
        let range = MINUTE..=7 * 24 * 60 * MINUTE;
        range.contains(&lifetime).then_some(lifetime).ok_or_else(|| {
            // RFC 8446 section 4.6.1.
            Wrong::new("it has to be between 1m and 7d", "a working day is a good length: \"8h\"")
        })
    });
    let Some(lifetime) = lifetime.or(Some(8 * 60 * MINUTE)) else { return Some(None) };
    match keys? {
        [] => Some(Some(Tickets::new([OWN_KEY.as_slice()], lifetime))),
        keys => Some(Some(Tickets::new(keys.iter().map(Secret::octets), lifetime))),
    }
}

/// Keys that servers share: none, one, or several of which the first is used. `None`: something was reported.
fn shared_keys(table: &Table<'_>, one: &'static str, several: &'static str) -> Option<Vec<Secret>> {
    let single = table.hex_key(one, SHARED_KEY).optional();
    let entries = table.tables(several);
    if let (Some(_), false) = (&single, entries.is_empty()) {
        let what = format!("both `{one}` and `{several}` are given");
        table
            .error(one, Wrong::new(what, format!("keep one: `{one}` is short for one entry of `{several}`")));
        return None;
    }
    let count = entries.len();
    let mut keys = each(entries, |entry| entry.hex_key("key", SHARED_KEY).required());
    (keys.len() == count).then_some(())?;
    keys.extend(single);
    Some(keys)
}

/// `[eap.tls]`, its files read. `None`: something was reported.
fn connections(
    table: &Table<'_>,
    methods: Option<&[Kind]>,
    needs_account: bool,
    ticket_keys: Option<&[Secret]>,
) -> Option<(Arc<dyn Tls>, Vec<Expiry>)> {
    let chain = table.path("certificate").then(|path| certificates(&path)).required();
    let key = table.path("key").then(|path| pem(&path, PrivateKeyDer::from_pem_file(&path))).required();
    let authorities = table.path("client_ca").then(|path| certificates(&path)).optional();
    let revoked = table.list("crl", |value: &Value<'_>| {
        let path = value.path()?;
        pem(&path, CertificateRevocationListDer::from_pem_file(&path))
    });
    let revoked = revoked.or(Vec::new());
    let tickets = tickets(table, ticket_keys);
    let fields = table.list("user", |value| value.choice(&Field::ALL, &[])).or(Naming::default().fields);
    let strips_realm = table.choice("user_realm", &[("keep", false), ("strip", true)], &[]).or(false);
    let versions = [("1.0", 0_u8), ("1.1", 1), ("1.2", 2), ("1.3", 3)];
    let library = library(table)?;
    let least = table.choice("min_version", &versions, &[]).or(2);
    let most = table.choice("max_version", &versions, &[]).or(3);
    if library == Library::Rustls && least.min(most) < 2 {
        let key = if least < 2 { "min_version" } else { "max_version" };
        let what = format!("`{key}`: rustls speaks TLS 1.2 and 1.3, nothing older");
        table.error(key, Wrong::new(what, "name one of these, or have OpenSSL do it: library = \"openssl\""));
        return None;
    }
    if least > most {
        table.error("max_version", Wrong::new("`max_version` is below `min_version`", "turn them round"));
        return None;
    }
    if !table.has("client_ca") && methods.is_some_and(|methods| methods.contains(&Kind::Tls)) {
        let what = "\"tls\" is allowed, and there is no `client_ca`";
        table.error(
            "certificate",
            Wrong::new(what, "name who signs devices' certificates: client_ca = \"ca.pem\""),
        );
        return None;
    }
    let identity = Identity {
        chain: chain?,
        key: key?,
        authorities: authorities.unwrap_or_default(),
        revoked,
        versions: (least == 2, most == 3),
        tickets: tickets?,
        // Where accounts are optional, a peer could pick a name that has none.
        naming: Naming { fields, strips_realm, is_chosen: needs_account },
    };
    let expiries = expiries(table, &identity);
    match connections_by(library, identity, least, most) {
        Ok(connections) => Some((connections, expiries)),
        Err(error) => {
            let (key, hint) = match error {
                IdentityError::Own(_) | IdentityError::OpenSsl(_) => {
                    ("certificate", "name a certificate and the key it was made for")
                }
                IdentityError::Authorities => ("client_ca", "name a PEM file of certificates of authorities"),
                IdentityError::Verifier(_) => ("crl", "name lists that one of `client_ca` has signed"),
            };
            table.error(key, Wrong::new(format!("`{key}`: {error}"), hint));
            None
        }
    }
}

/// Whose TLS it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Library {
    Rustls,
    OpenSsl,
}

/// `library`, if this program has it.
fn library(table: &Table<'_>) -> Option<Library> {
    let known = [("rustls", Library::Rustls), ("openssl", Library::OpenSsl)];
    let library = table.choice("library", &known, &[]).or(Library::Rustls);
    if library == Library::OpenSsl && !cfg!(feature = "openssl") {
        let what = "`library`: this forewarnd was built without OpenSSL";
        let hint = "build one that has it, cargo build --release -p forewarn-server --features openssl (with libssl-dev), or remove the line";
        table.error("library", Wrong::new(what, hint));
        return None;
    }
    Some(library)
}

#[cfg(feature = "openssl")]
fn connections_by(
    library: Library,
    identity: Identity,
    least: u8,
    most: u8,
) -> Result<Arc<dyn Tls>, IdentityError> {
    use crate::process::eap::openssl;
    Ok(match library {
        Library::Rustls => Arc::new(Connections::new(identity)?),
        Library::OpenSsl => Arc::new(openssl::Connections::new(&identity, least, most)?),
    })
}

#[cfg(not(feature = "openssl"))]
fn connections_by(_: Library, identity: Identity, _: u8, _: u8) -> Result<Arc<dyn Tls>, IdentityError> {
    Ok(Arc::new(Connections::new(identity)?))
}

/// What runs out; of what does so soon the operator hears.
fn expiries(table: &Table<'_>, identity: &Identity) -> Vec<Expiry> {
    let read = |kind, list: &[CertificateDer<'_>]| {
        list.iter().filter_map(|der| Expiry::of_certificate(kind, der)).collect::<Vec<_>>()
    };
    let mut all = read(expiry::Kind::Server, &identity.chain);
    all.extend(read(expiry::Kind::ClientAuthority, &identity.authorities));
    all.extend(identity.revoked.iter().filter_map(|list| Expiry::of_list(list)));
    let now = clock::utc().as_millis() / 1000;
    for expiry in &all {
        if let Some(complaint) = expiry.complaint(now) {
            table.warning(expiry.kind.name(), Wrong::new(complaint, "it is shown by `forewarn status` too"));
        }
    }
    all
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = pem(path, read)?;
    match found.is_empty() {
        true => pem(path, Err(PemError::NoItemsFound)),
        false => Ok(found),
    }
}

fn pem<T>(path: &Path, read: Result<T, PemError>) -> Result<T, Wrong> {
    read.map_err(|error| {
        let what = format!("{} can't be read: {error}", path.display());
        Wrong::new(what, "name a PEM file that this program may read")
    })
}
