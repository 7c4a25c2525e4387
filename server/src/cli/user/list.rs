//! Showing users; a password is shown by its form only.

use std::collections::BTreeMap;

use forewarn_shell::log::escaped;
use serde::Serialize;

use super::hash::is_password;
use super::{ListArgs, Users};
use crate::cli::screen;

/// What there is of a user.
#[derive(Debug, Default, Serialize)]
struct Listed {
    name: String,
    /// The attributes that hold a password.
    passwords: Vec<String>,
    groups: Vec<String>,
    check: Vec<String>,
    reply: Vec<String>,
}

pub(super) fn list(args: &ListArgs) -> Result<String, String> {
    let users = Users::open(&args.at)?;
    let mut listed: BTreeMap<String, Listed> = BTreeMap::new();
    match args.names.as_slice() {
        [] => users.collect(None, &mut listed)?,
        names => names.iter().try_for_each(|name| users.collect(Some(name), &mut listed))?,
    }
    let listed: Vec<Listed> = listed.into_values().collect();
    if args.json {
        screen::say_json(&listed);
    } else {
        listed.iter().for_each(|user| screen::say(&user.line()));
    }
    match args.names.iter().find(|name| !listed.iter().any(|user| user.name == **name)) {
        Some(missing) => Err(format!("there is no user {missing:?}")),
        None => Ok(String::new()),
    }
}

impl Users {
    fn collect(&self, name: Option<&str>, listed: &mut BTreeMap<String, Listed>) -> Result<(), String> {
        let (which, parameters) = match name {
            Some(name) => ("WHERE username = ?1", vec![name]),
            None => ("", Vec::new()),
        };
        for table in ["radcheck", "radreply"] {
            let query =
                format!("SELECT username, attribute, op, value FROM {table} {which} ORDER BY username, id");
            for row in self.database.query(&query, &parameters)? {
                let mut texts = row.into_iter().map(Option::unwrap_or_default);
                let mut next = || texts.next().unwrap_or_default();
                let (name, attribute, op, value) = (next(), next(), next(), next());
                let user = listed.entry(name.clone()).or_insert_with(|| Listed { name, ..Listed::default() });
                let item = format!("{attribute} {} {value}", op.trim());
                match table {
                    "radcheck" if is_password(&attribute) => user.passwords.push(attribute),
                    "radcheck" => user.check.push(item),
                    _ => user.reply.push(item),
                }
            }
        }
        let query =
            format!("SELECT username, groupname FROM radusergroup {which} ORDER BY username, priority");
        for row in self.database.query(&query, &parameters)? {
            if let [Some(name), Some(group)] = row.as_slice() {
                let user = listed.entry(name.clone());
                let user = user.or_insert_with(|| Listed { name: name.clone(), ..Listed::default() });
                user.groups.push(group.clone());
            }
        }
        Ok(())
    }
}

impl Listed {
    fn line(&self) -> String {
        let mut parts = vec![self.name.clone()];
        let mut add = |what: &str, list: &[String]| {
            if !list.is_empty() {
                parts.push(format!("{what}: {}", list.join(", ")));
            }
        };
        add("password", &self.passwords);
        add("groups", &self.groups);
        add("check", &self.check);
        add("reply", &self.reply);
        escaped(&parts.join("; ")).to_string()
    }
}
