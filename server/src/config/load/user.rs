//! `[[user]]`, `[users]` and `[dictionary]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use forewarn_dict::Dictionary;
use forewarn_shell::config::{Diagnostics, Document, Layers, Place, Secret, Table, Value, Wrong};

use super::super::{Sql, User};
use super::{bounded, each, reply};
use crate::process::password::{Password, PasswordError};
use crate::process::totp::Totp;
use crate::users::Source;

/// Most `[[user]]`; more belong into a database.
const USERS_MAX: usize = 1_000_000;
/// The longest User-Name an attribute can carry, octets.
const NAME_MAX: usize = 253;

/// The embedded dictionary with the files of `[dictionary]` on top.
pub(super) fn dictionary(root: &Table<'_>) -> Arc<Dictionary> {
    let table = root.table("dictionary");
    let files = table.list("files", |value| Ok((value.path()?, value.place()))).or(Vec::new());
    table.finish();
    let mut dictionary = Dictionary::embedded().clone();
    for (file, place) in files {
        for error in dictionary.extend(&file).err().into_iter().flatten() {
            root.document().error(place, Wrong::new(error.to_string(), ""));
        }
    }
    Arc::new(dictionary)
}

/// `sources` of `[users]`, and where they stand.
pub(super) type Given = (Vec<Source>, Place);

/// The users of the configuration, then those of the file that `[users]` names, with what is wrong in that file.
pub(super) fn users<'d>(
    root: &Table<'d>,
    dictionary: &Dictionary,
) -> (Vec<User>, Option<Given>, Diagnostics) {
    let mut users =
        each(bounded(root, "user", root.named_tables("user"), USERS_MAX), |table| user(table, dictionary));
    let table = root.table("users");
    let file = table.path("file").with_place();
    let sources = table.list("sources", source).then(distinct).with_place();
    table.finish();
    let Some((path, place)) = file else { return (users, sources, Diagnostics::default()) };
    let document = match Document::load(&Layers::only(path)) {
        Ok(document) => document,
        Err(wrong) => return (users, sources, wrong),
    };
    let further = document.root();
    let tables = bounded(&further, "user", further.named_tables("user"), USERS_MAX);
    let further_users = each(tables, |table| user(table, dictionary));
    further.finish();
    for twice in twice(&users, &further_users) {
        let what = format!("the file has a [[user]] \"{twice}\", and so has the configuration");
        root.document().error(place, Wrong::new(what, "keep one of them"));
    }
    users.extend(further_users);
    (users, sources, document.diagnostics())
}

fn source(value: &Value<'_>) -> Result<Source, Wrong> {
    value.choice(&[("file", Source::File), ("sql", Source::Sql), ("ldap", Source::Ldap)], &[])
}

fn distinct(sources: Vec<Source>) -> Result<Vec<Source>, Wrong> {
    for (number, source) in sources.iter().enumerate() {
        if sources[..number].contains(source) {
            let what = format!("\"{}\" is there twice", source.name());
            return Err(Wrong::new(what, "name each source once, in the order they are asked in"));
        }
    }
    if sources.is_empty() {
        return Err(Wrong::new(
            "nobody would be known",
            "name \"file\", \"sql\" or \"ldap\", or remove the key",
        ));
    }
    Ok(sources)
}

/// Where users are looked for: what `[users] sources` says, else everything that is configured.
pub(super) fn sources(
    root: &Table<'_>,
    given: Option<Given>,
    users: &[User],
    sql: Option<&Sql>,
    has_ldap: bool,
) -> Vec<Source> {
    let is_configured = |source: &Source| match source {
        Source::File => true,
        Source::Sql => sql.is_some_and(|sql| sql.users),
        Source::Ldap => has_ldap,
        Source::Certificate => false,
    };
    let Some((sources, place)) = given else {
        return [Source::File, Source::Sql, Source::Ldap].into_iter().filter(is_configured).collect();
    };
    for missing in sources.iter().filter(|source| !is_configured(source) && !root.has(source.name())) {
        let what = format!("`sources` has \"{0}\", and there is no [{0}]", missing.name());
        root.document().error(place, Wrong::new(what, format!("add [{}], or leave it out", missing.name())));
    }
    if sources.contains(&Source::Sql) && sql.is_some_and(|sql| !sql.users) {
        let hint = "write users = true in [sql], or leave it out";
        root.document().error(place, Wrong::new("`sources` has \"sql\", and [sql] has users = false", hint));
    }
    if !sources.contains(&Source::File) && !users.is_empty() {
        let what = format!("`sources` leaves out \"file\": the {} [[user]] are not known", users.len());
        root.document().warning(place, Wrong::new(what, "add \"file\", or remove them"));
    }
    sources
}

/// The names that are in both lists.
fn twice<'u>(first: &[User], second: &'u [User]) -> Vec<&'u str> {
    let known: BTreeMap<&str, ()> = first.iter().map(|user| (&*user.name, ())).collect();
    second.iter().map(|user| &*user.name).filter(|name| known.contains_key(name)).collect()
}

fn user(table: &Table<'_>, dictionary: &Dictionary) -> Option<User> {
    let name = table.text("name").then(user_name).required();
    let password = password(table);
    let totp = totp(table);
    let groups = table.texts("groups").or(Vec::new());
    let reply = reply::reply(table, "reply", dictionary);
    Some(User {
        name: name?.into(),
        password: password?,
        totp: totp?,
        groups: groups.into_iter().map(Arc::from).collect(),
        reply: reply?,
    })
}

fn user_name(name: String) -> Result<String, Wrong> {
    if name.len() > NAME_MAX {
        return Err(Wrong::new(
            format!("{} octets are too long", name.len()),
            format!("write at most {NAME_MAX}"),
        ));
    }
    Ok(name)
}

/// The one of `password`, `password_hash` and `nt_hash` that is given, in any of its three forms.
fn password(table: &Table<'_>) -> Option<Password> {
    let forms = ["password", "password_hash", "nt_hash"];
    let given: Vec<&str> = forms
        .into_iter()
        .filter(|form| ["", "_file", "_env"].iter().any(|suffix| table.has(&format!("{form}{suffix}"))))
        .collect();
    let clear = table.secret("password").then(|secret| understood(Password::clear(secret.octets())));
    let clear = clear.optional();
    let hash =
        table.secret("password_hash").then(|secret| understood(Password::hash(text(&secret)?))).optional();
    let nt = table.secret("nt_hash").then(|secret| understood(Password::nt_hash(text(&secret)?))).optional();
    match given.as_slice() {
        [_] => clear.or(hash).or(nt),
        [] => {
            let hint = "add password = \"..\", password_hash = \"$6$..\" or nt_hash = \"..\"";
            table.error("name", Wrong::new("this [[user]] has no password", hint));
            None
        }
        [first, second, ..] => {
            table.error(
                second,
                Wrong::new(format!("both `{first}` and `{second}` are given"), "keep one of them"),
            );
            None
        }
    }
}

/// `totp` and `totp_digits`. `None`: something was reported.
fn totp(table: &Table<'_>) -> Option<Option<Totp>> {
    let digits = table.integer("totp_digits").or(6);
    let has_digits = table.has("totp_digits");
    let given = ["totp", "totp_file", "totp_env"].iter().any(|key| table.has(key));
    let read = |secret: Secret| {
        Totp::base32(text(&secret)?, digits).map_err(|error| {
            let error = error.to_string();
            let (what, hint) = error.split_once("; ").unwrap_or((&error, "write it as the app shows it"));
            Wrong::new(what, hint)
        })
    };
    let totp = table.secret("totp").then(read).optional();
    if has_digits && !given {
        table.error(
            "totp_digits",
            Wrong::new("there is no `totp` to have digits", "add totp = \"..\", or remove it"),
        );
        return None;
    }
    (totp.is_some() == given).then_some(totp)
}

fn text(secret: &Secret) -> Result<&str, Wrong> {
    let wrong = |_| Wrong::new("not text", "write the hash as the tool that made it printed it");
    std::str::from_utf8(secret.octets()).map(str::trim).map_err(wrong)
}

/// The error says both halves; neither names the password.
fn understood(password: Result<Password, PasswordError>) -> Result<Password, Wrong> {
    password.map_err(|error| {
        let text = error.to_string();
        match text.split_once("; ") {
            Some((what, hint)) => Wrong::new(what, hint),
            None => Wrong::new(text, "write the hash as the tool that made it printed it"),
        }
    })
}
