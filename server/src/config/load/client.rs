//! `[[client]]` and its keys.

use std::collections::BTreeMap;

use forewarn_shell::config::{Place, Secret, Table, Wrong};
use forewarn_wire::RadiusKey;
use forewarn_wire::notice::{MacKind, NoticeKey};
use ipnet::IpNet;

use super::super::{Client, Coa, NoticeKeyEntry, RequireMessageAuthenticator};
use super::server::plain;
use super::{bounded, each};
use crate::process::leaving::Rungs;

/// Most `[[client]]`.
const CLIENTS_MAX: usize = 1_000_000;

const MACS: [(&str, MacKind); 3] =
    [("hmac-sha256", MacKind::HmacSha256), ("hmac-md5", MacKind::HmacMd5), ("md5", MacKind::Md5)];

pub(super) fn clients(root: &Table<'_>) -> Vec<Client> {
    let tables = bounded(root, "client", root.named_tables("client"), CLIENTS_MAX);
    if tables.is_empty() {
        let hint = "add [[client]] with its name, address and secret";
        root.warning(
            "client",
            Wrong::new("there is no [[client]]: every request will be met with silence", hint),
        );
    }
    let mut taken: BTreeMap<IpNet, Place> = BTreeMap::new();
    each(tables, |table| {
        let network = table.prefix("address").required_with_place();
        if let Some((network, place)) = network
            && let Some(first) = taken.insert(network, place)
        {
            let hint = format!("the first is at {}; keep one", table.document().locate(first));
            table.error("address", Wrong::new(format!("two [[client]] have {network}"), hint));
        }
        client(table, network.map(|(network, _)| network))
    })
}

fn client(table: &Table<'_>, network: Option<IpNet>) -> Option<Client> {
    let name = table.text("name").then(plain).required();
    let key = radius_key(table);
    let group = table.text("group").then(plain).then(path).or(String::new());
    let message_authenticator = message_authenticator(table, network);
    let limit_proxy_state = table.choice("limit_proxy_state", &[("yes", true), ("no", false)], &[]).or(false);
    let without_agent = rungs(table);
    let notice_keys = notice_keys(table);
    let coa = coa(table);
    Some(Client {
        name: name?.into(),
        network: network?,
        key: key?,
        group: group.into(),
        message_authenticator,
        limit_proxy_state,
        without_agent,
        notice_keys: notice_keys?,
        coa: coa?,
    })
}

/// `without_agent`: the rungs, each once.
fn rungs(table: &Table<'_>) -> Rungs {
    let mut rungs = Rungs::default();
    let names = [("status-server", 0), ("protocol-error", 1), ("silence", 2)];
    for rung in table.list("without_agent", |value| value.choice(&names, &[])).or(Vec::new()) {
        *[&mut rungs.status_server, &mut rungs.protocol_error, &mut rungs.silence][rung] = true;
    }
    rungs
}

/// How it is asked by CoA-Requests. `None`: something was reported.
fn coa(table: &Table<'_>) -> Option<Coa> {
    let has_key = ["coa_secret", "coa_secret_file", "coa_secret_env"].iter().any(|key| table.has(key));
    let choices = [("yes", true), ("no", false)];
    let coa = Coa {
        port: table.integer("coa_port").within(1, u16::MAX).or(Coa::default().port),
        require_message_authenticator: table
            .choice("coa_require_message_authenticator", &choices, &["auto"])
            .optional(),
        key: None,
    };
    let secret = table.secret("coa_secret").optional();
    if !has_key {
        return Some(coa);
    }
    Some(Coa { key: Some(prepared(table, "coa_secret", &secret?)?), ..coa })
}

pub(super) fn radius_key(table: &Table<'_>) -> Option<RadiusKey> {
    let secret = table.secret("secret").required()?;
    prepared(table, "secret", &secret)
}

/// The key of a secret; warns of a short one.
fn prepared(table: &Table<'_>, name: &str, secret: &Secret) -> Option<RadiusKey> {
    let key = RadiusKey::new(secret.octets())
        .map_err(|empty| table.error(name, Wrong::new("the secret is empty", empty.to_string())))
        .ok()?;
    if key.is_short() {
        let what =
            format!("a secret of {} octets can be guessed from one captured packet", secret.octets().len());
        table.warning(name, Wrong::new(what, "use 16 random characters or more, at both ends"));
    }
    Some(key)
}

/// `wifi/branch-3`: parts between slashes, none of them empty.
fn path(group: String) -> Result<String, Wrong> {
    if group.split('/').any(str::is_empty) {
        return Err(Wrong::new(format!("`{group}` is not a path"), "write \"wifi\" or \"wifi/branch-3\""));
    }
    Ok(group)
}

fn message_authenticator(table: &Table<'_>, network: Option<IpNet>) -> RequireMessageAuthenticator {
    use RequireMessageAuthenticator::{Auto, No, Yes};

    let key = "require_message_authenticator";
    let require = table.choice(key, &[("yes", Yes), ("no", No), ("auto", Auto)], &[]).or(Yes);
    let is_network = network.is_some_and(|network| network.prefix_len() != network.max_prefix_len());
    if require == Auto && is_network {
        let what = format!("`{key}`: \"auto\" can't learn about a network of devices");
        table.error(key, Wrong::new(what, "write \"yes\" or \"no\", or a [[client]] for each device"));
    }
    require
}

/// `notice_keys`, or the one of `notice_key`. `None`: something was reported.
pub(super) fn notice_keys(table: &Table<'_>) -> Option<Vec<NoticeKeyEntry>> {
    let single = table.hex_key("notice_key", NoticeKey::MIN_OCTETS);
    let forms = ["notice_key", "notice_key_file", "notice_key_env"];
    let given = forms.into_iter().find(|form| table.has(form));
    let single = single.optional();
    let mac = table.choice("notice_mac", &MACS, &[]).or(MacKind::default());
    let has_ring = table.has("notice_keys");
    let ring = ring(table, mac);
    match given {
        None => ring,
        Some(given) if has_ring => {
            let what = format!("both `{given}` and `notice_keys` are given");
            table.error(
                given,
                Wrong::new(what, "keep one: `notice_key` is short for one entry of `notice_keys`"),
            );
            None
        }
        Some(_) => Some(vec![NoticeKeyEntry { id: 1, key: notice_key(mac, &single?)?, send: true }]),
    }
}

/// `notice_mac` is for entries that don't say.
fn ring(table: &Table<'_>, notice_mac: MacKind) -> Option<Vec<NoticeKeyEntry>> {
    let tables = table.tables("notice_keys");
    let count = tables.len();
    let only = count == 1;
    let mut ids: BTreeMap<u8, Place> = BTreeMap::new();
    let ring = each(tables, |entry| {
        let id = entry.integer::<u8>("id").required_with_place();
        let key = entry.hex_key("key", NoticeKey::MIN_OCTETS).required();
        let mac = entry.choice("mac", &MACS, &[]).or(notice_mac);
        let send = entry.boolean("send").or(only);
        let (id, place) = id?;
        if let Some(first) = ids.insert(id, place) {
            let hint = format!("the first is at {}; give each its own", entry.document().locate(first));
            entry.error("id", Wrong::new(format!("two keys have the id {id}"), hint));
        }
        Some(NoticeKeyEntry { id, key: notice_key(mac, &key?)?, send })
    });
    if ring.len() != count {
        return None;
    }
    let sending = ring.iter().filter(|entry| entry.send).count();
    if !ring.is_empty() && sending != 1 {
        let what = format!("{sending} of the `notice_keys` have send = true");
        table.error(
            "notice_keys",
            Wrong::new(what, "exactly one signs what is sent; the others are only accepted"),
        );
        return None;
    }
    Some(ring)
}

/// The length was checked when the key was read.
fn notice_key(mac: MacKind, secret: &Secret) -> Option<NoticeKey> {
    NoticeKey::new(mac, secret.octets()).ok()
}
