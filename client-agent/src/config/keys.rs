//! A server's notice keys: `notice_key`, or `notice_keys` for a rotation without a gap.

use forewarn_shell::config::{Secret, Table, Wrong};
use forewarn_wire::notice::{MacKind, NoticeKey};

use super::KeyEntry;

/// Keys in one ring, at most: a rotation needs two.
const KEYS_MAX: usize = 8;
/// The id of a key given by `notice_key` alone.
const ONLY_KEY_ID: u8 = 1;

const MACS: [(&str, MacKind); 3] =
    [("hmac-sha256", MacKind::HmacSha256), ("hmac-md5", MacKind::HmacMd5), ("md5", MacKind::Md5)];

/// The keys of one server; none when it has neither `notice_key` nor `notice_keys`. `None` when something is wrong.
pub(super) fn ring(table: &Table<'_>) -> Option<Vec<KeyEntry>> {
    let single = ["notice_key", "notice_key_file", "notice_key_env"].iter().any(|key| table.has(key));
    let mac = table.choice("notice_mac", &MACS, &[]).or(MacKind::HmacSha256);
    let only = table.hex_key("notice_key", NoticeKey::MIN_OCTETS).optional();
    let entries = table.tables("notice_keys");
    if single && table.has("notice_keys") {
        table.error(
            "notice_keys",
            Wrong::new("both `notice_key` and `notice_keys` are given", "keep one of them"),
        );
        return None;
    }
    if single {
        return Some(vec![KeyEntry { id: ONLY_KEY_ID, key: key(mac, &only?)?, send: true }]);
    }
    if entries.len() > KEYS_MAX {
        table.error(
            "notice_keys",
            Wrong::new(
                format!("{} keys; a ring holds at most {KEYS_MAX}", entries.len()),
                "remove the old ones",
            ),
        );
        return None;
    }
    let wanted = entries.len();
    let mut ring: Vec<KeyEntry> = Vec::with_capacity(wanted);
    for entry in entries {
        let Some(found) = one(&entry, mac) else {
            entry.finish();
            continue;
        };
        if ring.iter().any(|other| other.id == found.id) {
            entry.error("id", Wrong::new(format!("two keys have the id {}", found.id), "give each its own"));
        }
        entry.finish();
        ring.push(found);
    }
    if ring.len() < wanted {
        return None;
    }
    match (ring.len(), ring.iter().filter(|entry| entry.send).count()) {
        (0, _) => {}
        (1, 0) => ring[0].send = true,
        (_, 1) => {}
        (_, senders) => table.error(
            "notice_keys",
            Wrong::new(format!("{senders} keys have `send = true`"), "exactly one signs our own messages"),
        ),
    }
    Some(ring)
}

fn one(entry: &Table<'_>, default: MacKind) -> Option<KeyEntry> {
    let id = entry.integer("id").within(0_u8, u8::MAX).required();
    let octets = entry.hex_key("key", NoticeKey::MIN_OCTETS).required();
    let mac = entry.choice("mac", &MACS, &[]).or(default);
    let send = entry.boolean("send").or(false);
    Some(KeyEntry { id: id?, key: key(mac, &octets?)?, send })
}

/// The length was checked on reading.
fn key(mac: MacKind, octets: &Secret) -> Option<NoticeKey> {
    NoticeKey::new(mac, octets.octets()).ok()
}
