//! FreeRADIUS's configuration syntax: sections, items, `$INCLUDE`, `${references}`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Files within files, at most so deep.
const DEPTH_MAX: usize = 32;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// `name = value`
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) spot: Spot,
    pub(super) name: String,
    pub(super) value: String,
}

/// `name argument { .. }`
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) spot: Spot,
    pub(super) name: String,
    pub(super) argument: String,
    pub(super) items: Vec<Item>,
    pub(super) sections: Vec<Section>,
}

impl Section {
    fn new(spot: Spot, name: &str, argument: &str) -> Self {
        let (name, argument) = (name.to_owned(), argument.to_owned());
        Self { spot, name, argument, items: Vec::new(), sections: Vec::new() }
    }

    /// The last item of this name.
    pub(super) fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().rfind(|item| item.name == name)
    }

    /// All sections of this name.
    pub(super) fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Section> {
        self.sections.iter().filter(move |section| section.name == name)
    }
}

/// Something that couldn't be read.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    pub(super) spot: Spot,
    pub(super) why: String,
}

/// Reads `file` and what it includes. `variables` are those known already; top-level items become further ones.
pub(super) fn read(file: &Path, variables: &mut BTreeMap<String, String>) -> (Section, Vec<Unread>) {
    let top = Section::new(Spot { file: file.to_owned(), line: 0 }, "", "");
    let mut reader = Reader { open: vec![top], unread: Vec::new(), variables };
    reader.file(file, 0);
    while reader.open.len() > 1 {
        let section = reader.open.last().map(|section| (section.spot.clone(), section.name.clone()));
        if let Some((spot, name)) = section {
            reader.unread.push(Unread { spot, why: format!("the section {name:?} is never closed") });
        }
        reader.close();
    }
    (reader.open.remove(0), reader.unread)
}

struct Reader<'v> {
    open: Vec<Section>,
    unread: Vec<Unread>,
    variables: &'v mut BTreeMap<String, String>,
}

impl Reader<'_> {
    fn file(&mut self, file: &Path, depth: usize) {
        let spot = |line| Spot { file: file.to_owned(), line };
        let mut fail = |why: String| self.unread.push(Unread { spot: spot(0), why });
        if depth > DEPTH_MAX {
            return fail(format!("files include each other more than {DEPTH_MAX} deep"));
        }
        let octets = match fs::read(file) {
            Ok(octets) => octets,
            Err(error) => return fail(error.to_string()),
        };
        let text = String::from_utf8_lossy(&octets);
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let mut whole = line.trim_end().to_owned();
            // A backslash at its end goes on in the next line.
            while whole.ends_with('\\') {
                whole.pop();
                match lines.next() {
                    Some((_, next)) => whole.push_str(next.trim()),
                    None => break,
                }
            }
            self.line(file, spot(number + 1), &whole, depth);
        }
    }

    fn line(&mut self, file: &Path, spot: Spot, line: &str, depth: usize) {
        let mut rest = without_comment(line).trim();
        while let Some(after) = rest.strip_prefix('}') {
            if self.open.len() > 1 {
                self.close();
            } else {
                self.unread.push(Unread { spot: spot.clone(), why: "a } too many".to_owned() });
            }
            rest = after.trim_start();
        }
        if rest.is_empty() {
            return;
        }
        if let Some(path) = rest.strip_prefix("$INCLUDE").or_else(|| rest.strip_prefix("$-INCLUDE")) {
            let path = self.expanded(unquoted(path.trim()));
            return self.include(file, spot, &path, rest.starts_with("$-"), depth);
        }
        // `name argument {`, or all of a section on one line.
        let open = if rest.ends_with('{') { Some(rest.len() - 1) } else { rest.find('{') };
        if let Some(open) = open.filter(|open| rest.ends_with('{') || is_section_head(&rest[..*open])) {
            let (name, argument) = head(&rest[..open]);
            let argument = self.expanded(&argument);
            self.open.push(Section::new(spot.clone(), &name, &argument));
            return self.line(file, spot, &rest[open + 1..], depth);
        }
        // `name { a = b }` on one line.
        let (rest, closes) = match rest.strip_suffix('}').filter(|_| closes(rest)) {
            Some(before) => (before.trim_end(), true),
            None => (rest, false),
        };
        self.item(spot, rest);
        if closes && self.open.len() > 1 {
            self.close();
        }
    }

    fn item(&mut self, spot: Spot, text: &str) {
        // `+=` and `:=` occur in policies only, whose items nobody translates.
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim(), unquoted(value.trim())),
            None => (text.trim(), ""),
        };
        let value = self.expanded(value);
        if self.open.len() == 1 {
            self.variables.insert(name.to_owned(), value.clone());
        }
        if let Some(section) = self.open.last_mut() {
            section.items.push(Item { spot, name: name.to_owned(), value });
        }
    }

    fn include(&mut self, file: &Path, spot: Spot, path: &str, may_lack: bool, depth: usize) {
        let path = match file.parent() {
            Some(folder) if Path::new(path).is_relative() => folder.join(path),
            _ => PathBuf::from(path),
        };
        if path.is_dir() {
            let mut files: Vec<_> =
                fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            files.sort();
            for file in files.iter().filter(|file| file.is_file() && is_read(file)) {
                self.file(file, depth + 1);
            }
        } else if path.is_file() {
            self.file(&path, depth + 1);
        } else if !may_lack {
            let why = format!("includes {}, which isn't there", path.display());
            self.unread.push(Unread { spot, why });
        }
    }

    fn close(&mut self) {
        if let Some(section) = self.open.pop()
            && let Some(outer) = self.open.last_mut()
        {
            outer.sections.push(section);
        }
    }

    /// `${name}` of top-level items; others stay as they are, to be seen in the report.
    fn expanded(&self, text: &str) -> String {
        let mut done = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            done.push_str(before);
            let Some((name, tail)) = after.split_once('}') else {
                done.push_str("${");
                rest = after;
                continue;
            };
            match self.variables.get(name) {
                Some(value) => done.push_str(value),
                None => done.push_str(&format!("${{{name}}}")),
            }
            rest = tail;
        }
        done + rest
    }
}

/// Names that FreeRADIUS reads from a folder: letters, digits, dot, underscore; none that an editor left behind.
fn is_read(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&letter);
    !name.starts_with('.') && name.chars().all(plain) && !name.ends_with(".dpkg-dist")
}

/// Whether what stands before a brace within a line names a section rather than a value.
fn is_section_head(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && !text.ends_with(['$', '%']) && !text.contains('=')
}

/// Whether the brace at the end of a line closes more than the line has opened.
fn closes(text: &str) -> bool {
    let mut quoted = None;
    let mut open = 0_i32;
    for letter in text.chars() {
        match quoted {
            Some(quote) if letter == quote => quoted = None,
            Some(_) => {}
            None if letter == '"' || letter == '\'' => quoted = Some(letter),
            None if letter == '{' => open += 1,
            None if letter == '}' => open -= 1,
            None => {}
        }
    }
    open < 0
}

fn head(text: &str) -> (String, String) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((name, argument)) => (name.to_owned(), unquoted(argument.trim()).to_owned()),
        None => (text.to_owned(), String::new()),
    }
}

fn without_comment(line: &str) -> &str {
    let mut quoted = None;
    for (at, letter) in line.char_indices() {
        match quoted {
            Some(quote) if letter == quote => quoted = None,
            Some(_) => {}
            None if letter == '"' || letter == '\'' => quoted = Some(letter),
            None if letter == '#' => return &line[..at],
            None => {}
        }
    }
    line
}

/// Without the quotes around it.
pub(super) fn unquoted(text: &str) -> &str {
    for quote in ['"', '\'', '`'] {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    text
}
