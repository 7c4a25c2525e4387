//! The `users` file (`mods-config/files/authorize`) -> `[[user]]` and `[[policy]]`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64ct::{Base64, Encoding};
use forewarn_dict::Dictionary;

use super::output::{Toml, between_quotes, pairs};
use super::report::Report;
use super::syntax::{Spot, unquoted};

/// `Attribute op value`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    attribute: String,
    op: String,
    value: String,
}

/// One entry.
#[derive(Debug)]
struct Entry {
    spot: Spot,
    name: String,
    check: Vec<Pair>,
    reply: Vec<Pair>,
}

/// What the entries become: users go into a file of their own, policies into the main one.
pub(super) fn translate(file: &Path, users: &mut Toml, policies: &mut Toml, report: &mut Report) {
    let mut taken = BTreeSet::new();
    for entry in read(file, report) {
        if entry.name == "DEFAULT" {
            default_entry(&entry, policies, report);
        } else if taken.insert(entry.name.clone()) {
            user(&entry, users, policies, report);
        } else {
            let what = format!("user {}", entry.name);
            let word = "an earlier entry has this name; write what this one adds as a [[policy]]";
            report.not_translated(&entry.spot, what, word);
        }
    }
}

fn read(file: &Path, report: &mut Report) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    read_into(file, &mut entries, report, 0);
    entries
}

fn read_into(file: &Path, entries: &mut Vec<Entry>, report: &mut Report, depth: usize) {
    let spot = |line| Spot { file: file.to_owned(), line };
    let octets = match fs::read(file) {
        Ok(octets) if depth < 16 => octets,
        Ok(_) => return report.not_translated(&spot(0), "$INCLUDE", "files include each other too deep"),
        Err(error) => return report.not_translated(&spot(0), "the users file", error.to_string()),
    };
    let text = String::from_utf8_lossy(&octets).into_owned();
    for (number, line) in text.lines().enumerate() {
        let spot = spot(number + 1);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if let Some(path) = trimmed.strip_prefix("$INCLUDE") {
            let path = unquoted(path.trim());
            let path = file.parent().map_or_else(|| path.into(), |folder| folder.join(path));
            read_into(&path, entries, report, depth + 1);
            continue;
        }
        let starts_entry = !line.starts_with([' ', '\t']);
        let (name, rest) = match starts_entry {
            true => name_and_rest(trimmed),
            false => (String::new(), trimmed),
        };
        let pairs = match pairs_of(rest) {
            Ok(pairs) => pairs,
            Err(why) => {
                let what = if starts_entry { format!("user {name}") } else { "a reply line".to_owned() };
                report.not_translated(&spot, what, why);
                continue;
            }
        };
        if starts_entry {
            entries.push(Entry { spot, name, check: pairs, reply: Vec::new() });
        } else if let Some(entry) = entries.last_mut() {
            entry.reply.extend(pairs);
        }
    }
}

fn name_and_rest(line: &str) -> (String, &str) {
    if let Some(after) = line.strip_prefix('"')
        && let Some((name, rest)) = after.split_once('"')
    {
        return (name.to_owned(), rest.trim());
    }
    match line.split_once(char::is_whitespace) {
        Some((name, rest)) => (name.to_owned(), rest.trim()),
        None => (line.to_owned(), ""),
    }
}

const OPERATORS: [&str; 15] =
    [":=", "==", "+=", "-=", "!=", ">=", "<=", "=~", "!~", "=*", "!*", "^=", "=", ">", "<"];

/// `A := b, C == "d, e"`
fn pairs_of(text: &str) -> Result<Vec<Pair>, String> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && !rest.starts_with('#') {
        let end = rest
            .find(|letter: char| letter.is_whitespace() || "=:+-!<>^~*".contains(letter) && letter != '-');
        let end = end.unwrap_or(rest.len());
        let attribute = rest[..end].to_owned();
        rest = rest[end..].trim_start();
        let op = OPERATORS.iter().find(|op| rest.starts_with(**op));
        let Some(op) = op.filter(|_| !attribute.is_empty()) else {
            return Err(format!("not understood from {:?} on", text_from(rest)));
        };
        rest = rest[op.len()..].trim_start();
        let (value, after) = value(rest)?;
        pairs.push(Pair { attribute, op: (*op).to_owned(), value });
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if rest.is_empty() || rest.starts_with('#') => "",
            None => return Err(format!("a comma is missing before {:?}", text_from(rest))),
        };
    }
    Ok(pairs)
}

fn value(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|letter| ['"', '\'', '`'].contains(letter));
    let Some(quote) = quote else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            letter if letter == quote => return Ok((value, &text[at + 1..])),
            letter => value.push(letter),
        }
    }
    Err("a quoted value is never closed".to_owned())
}

/// The first word, so that a report never shows what may be a secret further on.
fn text_from(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

fn user(entry: &Entry, users: &mut Toml, policies: &mut Toml, report: &mut Report) {
    let what = format!("user {}", entry.name);
    let (passwords, rest): (Vec<&Pair>, Vec<&Pair>) =
        entry.check.iter().partition(|pair| pair.attribute.ends_with("-Password"));
    if let Some(kind) = rest.iter().find(|pair| pair.attribute == "Auth-Type") {
        if kind.value != "Reject" {
            let word =
                format!("Auth-Type := {} has no counterpart: who has no password isn't let in", kind.value);
            return report.not_translated(&entry.spot, what, word);
        }
        policies.table("[[policy]]");
        policies.text("name", &format!("{} is rejected", entry.name));
        policies.text("when", &format!("request.user_name == {}", between_quotes(&entry.name)));
        policies.text("action", "reject");
        let word = "[[policy]] that rejects (a name that nobody has is rejected anyway)";
        return report.translated(&entry.spot, what, word);
    }
    let [password] = passwords.as_slice() else {
        let word = match passwords.len() {
            0 => "it has no password; where is it verified?",
            _ => "it has several passwords; keep one",
        };
        return report.not_translated(&entry.spot, what, word);
    };
    let (form, stored) = match stored(password) {
        Ok(stored) => stored,
        Err(word) => return report.not_translated(&entry.spot, what, word),
    };
    users.table("[[user]]");
    users.text("name", &entry.name);
    users.text(form, &stored);
    if let Some(reply) = reply(entry, &what, report) {
        users.raw("reply", &reply);
    }
    let mut word = format!("[[user]] with {form}");
    if !rest.is_empty() {
        match condition(&rest) {
            Ok(condition) => {
                policies.table("[[policy]]");
                policies.text("name", &format!("what {} has to meet", entry.name));
                policies
                    .text("when", &format!("user.name == {} && !({condition})", between_quotes(&entry.name)));
                policies.text("action", "reject");
                word.push_str(", and a [[policy]] that rejects where its check items don't match");
            }
            Err(why) => report.not_translated(&entry.spot, format!("{what}: check items"), why),
        }
    }
    report.translated(&entry.spot, what, word);
}

/// The key of `[[user]]` and what stands there. An error says why not.
fn stored(password: &Pair) -> Result<(&'static str, String), String> {
    let Pair { attribute, value, .. } = password;
    let labelled = |label: &str| Ok(("password_hash", format!("{{{label}}}{}", base64(value))));
    match attribute.as_str() {
        "Cleartext-Password" | "User-Password" => Ok(("password", value.clone())),
        "NT-Password" => Ok(("nt_hash", value.trim_start_matches("0x").to_owned())),
        "Crypt-Password" if value.starts_with('$') => Ok(("password_hash", value.clone())),
        "Crypt-Password" => Ok(("password_hash", format!("{{CRYPT}}{value}"))),
        "SSHA-Password" | "SSHA1-Password" => labelled("SSHA"),
        "SHA-Password" | "SHA1-Password" => labelled("SHA"),
        "SMD5-Password" => labelled("SMD5"),
        "MD5-Password" => labelled("MD5"),
        "SSHA2-256-Password" => labelled("SSHA256"),
        "SSHA2-512-Password" => labelled("SSHA512"),
        "Password-With-Header" if value.starts_with('{') => Ok(("password_hash", value.clone())),
        _ => Err(format!("{attribute} is a form that [[user]] doesn't have")),
    }
}

/// FreeRADIUS takes hexadecimal digits as well.
fn base64(value: &str) -> String {
    let digits = value.trim_start_matches("0x");
    let is_hex = digits.len() >= 32
        && digits.len().is_multiple_of(2)
        && digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    if !is_hex {
        return value.to_owned();
    }
    let octets: Vec<u8> = (0..digits.len())
        .step_by(2)
        .filter_map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect();
    Base64::encode_string(&octets)
}

fn default_entry(entry: &Entry, policies: &mut Toml, report: &mut Report) {
    let what = format!("DEFAULT ({})", names(&entry.check));
    let rejects = entry.check.iter().any(|pair| pair.attribute == "Auth-Type" && pair.value == "Reject");
    let rest: Vec<&Pair> = entry.check.iter().filter(|pair| pair.attribute != "Auth-Type").collect();
    if !rejects && rest.len() != entry.check.len() {
        let word = "Auth-Type is chosen by what the request brings, not by configuration";
        return report.not_translated(&entry.spot, what, word);
    }
    let condition = match condition(&rest) {
        Ok(condition) => condition,
        Err(why) => return report.not_translated(&entry.spot, what, why),
    };
    let reply = reply(entry, &what, report);
    if reply.is_none() && !rejects {
        return report.not_needed(&entry.spot, what, "it does nothing");
    }
    policies.table("[[policy]]");
    policies.text("name", &format!("DEFAULT of line {}", entry.spot.line));
    if !condition.is_empty() {
        policies.text("when", &condition);
    }
    if rejects {
        policies.text("action", "reject");
    }
    if let Some(reply) = reply {
        policies.raw("reply", &reply);
    }
    report.translated(
        &entry.spot,
        what,
        "[[policy]]; policies go on after one that matches, as Fall-Through = Yes does: check the order",
    );
}

/// The reply items as `reply = {..}`; those that can't be kept are reported.
fn reply(entry: &Entry, what: &str, report: &mut Report) -> Option<String> {
    let dictionary = Dictionary::embedded();
    let mut kept = Vec::new();
    for Pair { attribute, op, value } in &entry.reply {
        let name = attribute.split(':').next().unwrap_or(attribute);
        let word = match (op.as_str(), attribute.as_str()) {
            (_, "Fall-Through") => continue,
            _ if dictionary.attribute(name).is_none() => "is no attribute of our dictionaries",
            _ if value.contains('%') => "is expanded at run time, which isn't available",
            ("=" | ":=" | "+=", _) => {
                kept.push((attribute.clone(), value.clone()));
                continue;
            }
            _ => "has an operator that replies don't have",
        };
        report.not_translated(&entry.spot, format!("{what}: {attribute} {op} .."), word);
    }
    (!kept.is_empty()).then(|| pairs(&kept))
}

/// Check items as a CEL condition; an error says which isn't one.
fn condition(check: &[&Pair]) -> Result<String, String> {
    let parts: Result<Vec<String>, String> = check.iter().map(|pair| one_condition(pair)).collect();
    Ok(parts?.join(" && "))
}

fn one_condition(Pair { attribute, op, value }: &Pair) -> Result<String, String> {
    if matches!(attribute.as_str(), "Group" | "SQL-Group" | "LDAP-Group" | "Ldap-Group" | "Unix-Group") {
        return match op.as_str() {
            "==" | "=" => Ok(format!("{} in user.groups", between_quotes(value))),
            "!=" => Ok(format!("!({} in user.groups)", between_quotes(value))),
            _ => Err(format!("{attribute} {op} has no counterpart")),
        };
    }
    let dictionary = Dictionary::embedded();
    if dictionary.attribute(attribute).is_none_or(forewarn_dict::Attribute::is_internal) {
        return Err(format!("{attribute} is nothing that a request carries; write the condition by hand"));
    }
    let seen = format!("request[{}]", between_quotes(attribute));
    let literal = match dictionary.pair(attribute, forewarn_dict::Value::Text(value)) {
        Ok(pair) if pair.attribute().data_type().is_number() => number(pair.value()),
        _ => between_quotes(value),
    };
    match op.as_str() {
        "==" | "=" | ":=" => Ok(format!("{seen} == {literal}")),
        "!=" | "<" | ">" | "<=" | ">=" => Ok(format!("{seen} {op} {literal}")),
        "=~" => Ok(format!("{seen}.matches({})", between_quotes(value))),
        "!~" => Ok(format!("!{seen}.matches({})", between_quotes(value))),
        "=*" => Ok(format!("{} in request", between_quotes(attribute))),
        "!*" => Ok(format!("!({} in request)", between_quotes(attribute))),
        _ => Err(format!("{attribute} {op} has no counterpart")),
    }
}

fn number(octets: &[u8]) -> String {
    octets.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet)).to_string()
}

fn names(check: &[Pair]) -> String {
    let parts: Vec<String> =
        check.iter().map(|Pair { attribute, op, .. }| format!("{attribute} {op} ..")).collect();
    if parts.is_empty() { "always".to_owned() } else { parts.join(", ") }
}
