//! Users from a CSV file (RFC 4180): all of them, or none.

use super::add::NewUser;
use super::item::Item;
use super::{ImportArgs, Users, name_of, read};
use crate::cli::screen;
use forewarn_shell::log::escaped;
use zeroize::Zeroizing;

/// One line, understood.
struct Line {
    number: usize,
    name: String,
    password: (&'static str, Zeroizing<String>),
    groups: Vec<(String, i32)>,
}

pub(super) fn import(args: &ImportArgs) -> Result<String, String> {
    let text = read(&args.file)?;
    let users = Users::open(&args.at)?;
    let (mut lines, mut errors) = (Vec::new(), Vec::new());
    for (number, fields) in records(&text) {
        match line(args, number, &fields) {
            Ok(Some(line)) => lines.push(line),
            Ok(None) => {}
            Err(error) => errors.push(format!("line {number}: {error}")),
        }
    }
    let mut added = Vec::new();
    let done = users.database.together(|| {
        for line in &lines {
            match users.import(args, line) {
                Ok(what) => added.push(format!("line {}: {what} {:?}", line.number, line.name)),
                // The database is at an end: PostgreSQL does nothing more in this transaction.
                Err(Failure::Database(error)) => return Err(format!("line {}: {error}", line.number)),
                Err(Failure::Line(error)) => errors.push(format!("line {}: {error}", line.number)),
            }
        }
        match errors.is_empty() || args.skip {
            true => users.database.tell(""),
            false => Err(String::new()),
        }
    });
    errors.iter().for_each(|error| eprintln!("{}: {}", args.file.display(), escaped(error)));
    match done {
        Ok(()) => {
            added.iter().for_each(|line| screen::say(&escaped(line).to_string()));
            users.changed(&[])?;
            Ok(format!(
                "{} users imported, {} lines left out; {}",
                added.len(),
                errors.len(),
                args.hash.advice()
            ))
        }
        Err(error) if error.is_empty() => Err(format!(
            "{} of the lines are wrong, so nobody was imported; --skip leaves those out",
            errors.len()
        )),
        Err(error) => Err(format!("{error}; nobody was imported")),
    }
}

/// Why a line isn't imported.
enum Failure {
    Line(String),
    Database(String),
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Failure::Database(error)
    }
}

impl Users {
    fn import(&self, args: &ImportArgs, line: &Line) -> Result<&'static str, Failure> {
        let (attribute, value) = (line.password.0, line.password.1.as_str());
        let check = vec![Item::new(attribute, ":=", value)];
        let user = NewUser { name: &line.name, check, reply: Vec::new(), groups: line.groups.clone() };
        self.is_understood(&user).map_err(Failure::Line)?;
        match (self.exists(&line.name)?, args.replace) {
            (false, _) => {
                self.insert(&user)?;
                Ok("added")
            }
            (true, true) => {
                self.set_password(&line.name, attribute, value)?;
                self.set_groups(&line.name, &line.groups)?;
                Ok("replaced")
            }
            (true, false) => {
                Err(Failure::Line(format!("there is a user {:?} already; --replace changes such", line.name)))
            }
        }
    }
}

/// `None`: the line that names the columns, or an empty one.
fn line(args: &ImportArgs, number: usize, fields: &[Zeroizing<String>]) -> Result<Option<Line>, String> {
    let fields: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
    let (name, password, groups) = match fields.as_slice() {
        [""] | [] => return Ok(None),
        ["name", "password", ..] if number == 1 => return Ok(None),
        [name, password] => (*name, *password, ""),
        [name, password, groups] => (*name, *password, *groups),
        _ => return Err(format!("{} columns; there are name, password and groups", fields.len())),
    };
    let name = name_of(name)?.to_owned();
    if password.is_empty() {
        return Err(format!("{name:?} has no password"));
    }
    let groups = groups.split_whitespace().map(str::to_owned).zip(1..).collect();
    Ok(Some(Line { number, name, password: args.hash.item(password)?, groups }))
}

/// The records of a CSV text, each with the number of the line it begins on.
fn records(text: &str) -> Vec<(usize, Vec<Zeroizing<String>>)> {
    let mut records = Vec::new();
    let (mut fields, mut field) = (Vec::new(), Zeroizing::new(String::new()));
    let (mut number, mut began, mut quoted) = (1, 1, false);
    let mut letters = text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                fields.push(std::mem::take(&mut field));
                records.push((began, std::mem::take(&mut fields)));
                number += 1;
                began = number;
            }
            letter => {
                number += usize::from(letter == '\n');
                field.push(letter);
            }
        }
    }
    if !field.is_empty() || !fields.is_empty() {
        fields.push(field);
        records.push((began, fields));
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_spreadsheets_write_them() {
        let text = "\u{feff}name,password\r\nalice,\"a \"\"quoted\"\", one\"\n\"two\nlines\",x\n\nbob,y,staff guests";
        let records: Vec<(usize, Vec<String>)> = records(text)
            .into_iter()
            .map(|(number, fields)| (number, fields.iter().map(|field| field.to_string()).collect()))
            .collect();
        let wanted: [(usize, &[&str]); 5] = [
            (1, &["name", "password"]),
            (2, &["alice", "a \"quoted\", one"]),
            (3, &["two\nlines", "x"]),
            (5, &[""]),
            (6, &["bob", "y", "staff guests"]),
        ];
        assert_eq!(records.len(), wanted.len());
        for ((number, fields), (wanted_number, wanted_fields)) in records.iter().zip(wanted) {
            assert_eq!(
                (*number, fields.as_slice()),
                (wanted_number, wanted_fields.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice())
            );
        }
    }
}
