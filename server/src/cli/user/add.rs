//! Adding and deleting users, and changing passwords.

use super::hash::is_password;
use super::item::{Item, understood};
use super::{AddArgs, DelArgs, PasswdArgs, Users, name_of, password_of};

const CHECK: &str = "INSERT INTO radcheck (username, attribute, op, value) VALUES (?1, ?2, ?3, ?4)";
const REPLY: &str = "INSERT INTO radreply (username, attribute, op, value) VALUES (?1, ?2, ?3, ?4)";
const MEMBER: &str = "\
    INSERT INTO radusergroup (username, groupname, priority) VALUES (?1, ?2, CAST(CAST(?3 AS text) AS integer))";
const TABLES: [&str; 3] = ["radcheck", "radreply", "radusergroup"];

/// Everything there is to say of a new user.
#[derive(Debug, Default)]
pub(super) struct NewUser<'u> {
    pub(super) name: &'u str,
    pub(super) check: Vec<Item>,
    pub(super) reply: Vec<Item>,
    /// With their priorities.
    pub(super) groups: Vec<(String, i32)>,
}

pub(super) fn add(args: &AddArgs) -> Result<String, String> {
    let name = name_of(&args.name)?;
    let users = Users::open(&args.at)?;
    if users.exists(name)? {
        return Err(format!(
            "there is a user {name:?} already; `forewarn user passwd` changes the password, `del` deletes"
        ));
    }
    let mut user = NewUser {
        name,
        check: args.check.iter().map(|text| Item::parse(text)).collect::<Result<_, _>>()?,
        reply: args.reply.iter().map(|text| Item::parse(text)).collect::<Result<_, _>>()?,
        groups: args
            .group
            .iter()
            .zip(1..)
            .map(|(text, place)| group(text, place))
            .collect::<Result<_, _>>()?,
    };
    if args.no_password && user.check.is_empty() && user.groups.is_empty() {
        return Err(
            "a user without a password, a check item and a group would be unknown all the same".to_owned()
        );
    }
    users.is_understood(&user)?;
    let mut advice = "without a password";
    if !args.no_password {
        let (attribute, value) = args.password.hash.item(&password_of(&args.password, name)?)?;
        user.check.insert(0, Item::new(attribute, ":=", &value));
        users.is_understood(&user)?;
        advice = args.password.hash.advice();
    }
    users.database.together(|| users.insert(&user))?;
    users.changed(&[name])?;
    Ok(format!("added {name:?}: {advice}"))
}

pub(super) fn del(args: &DelArgs) -> Result<String, String> {
    let users = Users::open(&args.at)?;
    let names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    users.database.together(|| {
        for name in &names {
            if users.delete(name)? == 0 {
                return Err(format!("there is no user {name:?}; nobody was deleted"));
            }
        }
        Ok(())
    })?;
    users.changed(&names)?;
    Ok(format!("deleted {}", names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")))
}

pub(super) fn passwd(args: &PasswdArgs) -> Result<String, String> {
    let name = name_of(&args.name)?;
    let users = Users::open(&args.at)?;
    if !users.exists(name)? {
        return Err(format!("there is no user {name:?}; `forewarn user add` adds one"));
    }
    let (attribute, value) = args.password.hash.item(&password_of(&args.password, name)?)?;
    users.database.together(|| users.set_password(name, attribute, &value))?;
    users.changed(&[name])?;
    Ok(format!("changed the password of {name:?}: {}", args.password.hash.advice()))
}

/// `staff`, or `staff:5`.
fn group(text: &str, place: i32) -> Result<(String, i32), String> {
    let (name, priority) = match text.rsplit_once(':') {
        Some((name, priority)) => match priority.parse() {
            Ok(priority) => (name, priority),
            Err(_) => (text, place),
        },
        None => (text, place),
    };
    if name.is_empty() || name.contains('\0') {
        return Err(format!("{text:?} is no group; write GROUP or GROUP:PRIORITY"));
    }
    Ok((name.to_owned(), priority))
}

impl Users {
    /// Whether the server would understand it.
    pub(super) fn is_understood(&self, user: &NewUser<'_>) -> Result<(), String> {
        let groups: Vec<&str> = user.groups.iter().map(|(name, _)| name.as_str()).collect();
        understood(&self.config, user.name, &user.check, &user.reply, &groups)
    }

    pub(super) fn insert(&self, user: &NewUser<'_>) -> Result<(), String> {
        for (statement, items) in [(CHECK, &user.check), (REPLY, &user.reply)] {
            for Item { attribute, op, value } in items {
                self.database.execute(statement, &[user.name, attribute, op, value])?;
            }
        }
        for (group, priority) in &user.groups {
            self.database.execute(MEMBER, &[user.name, group, &priority.to_string()])?;
        }
        Ok(())
    }

    /// How many rows that were.
    pub(super) fn delete(&self, name: &str) -> Result<u64, String> {
        TABLES.iter().try_fold(0, |rows, table| {
            Ok(rows + self.database.execute(&format!("DELETE FROM {table} WHERE username = ?1"), &[name])?)
        })
    }

    /// Puts a password in the place of all there are.
    pub(super) fn set_password(&self, name: &str, attribute: &str, value: &str) -> Result<(), String> {
        let rows = self
            .database
            .query("SELECT CAST(id AS text), attribute FROM radcheck WHERE username = ?1", &[name])?;
        for row in rows {
            if let [Some(id), Some(attribute)] = row.as_slice()
                && is_password(attribute)
            {
                let delete = "DELETE FROM radcheck WHERE username = ?1 AND CAST(id AS text) = ?2";
                self.database.execute(delete, &[name, id])?;
            }
        }
        self.database.execute(CHECK, &[name, attribute, ":=", value]).map(drop)
    }

    pub(super) fn set_groups(&self, name: &str, groups: &[(String, i32)]) -> Result<(), String> {
        self.database.execute("DELETE FROM radusergroup WHERE username = ?1", &[name])?;
        for (group, priority) in groups {
            self.database.execute(MEMBER, &[name, group, &priority.to_string()])?;
        }
        Ok(())
    }
}
