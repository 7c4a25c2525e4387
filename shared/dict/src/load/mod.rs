//! Reading dictionary files: includes, blocks, and the collection of errors.

mod attribute;
#[cfg(test)]
mod tests;
mod value;
mod vendor;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::attribute::Carrier;
use crate::check::Report;
use crate::dictionary::{Dictionary, Key, fold};
use crate::error::{DictError, DictErrorKind};
use crate::syntax::{Word, words};

/// Where files come from.
pub(crate) trait Source {
    /// The octets of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// Files of the machine.
struct Disk;

impl Source for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let length = std::fs::metadata(path)?.len();
        if length > FILE_OCTETS_MAX {
            return Err(io::Error::other(format!("larger than {FILE_OCTETS_MAX} octets")));
        }
        std::fs::read(path)
    }
}

/// One text, which includes nothing.
struct Text<'a>(&'a str);

impl Source for Text<'_> {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.as_bytes().to_vec())
    }
}

/// Reads a file from disk, and what it includes, on top of a dictionary.
pub(crate) fn on_top(base: &Dictionary, path: &Path) -> (Dictionary, Report) {
    from(base, &Disk, path)
}

/// Reads a text on top of a dictionary.
pub(crate) fn text_on_top(base: &Dictionary, name: &str, text: &str) -> (Dictionary, Report) {
    let source = Text(text);
    let mut loader = Loader::new(base, &source);
    loader.includes_allowed = false;
    loader.file(Path::new(name), None);
    loader.finish()
}

/// Reads a file of a source, and what it includes, on top of a dictionary.
pub(crate) fn from(base: &Dictionary, source: &dyn Source, path: &Path) -> (Dictionary, Report) {
    let mut loader = Loader::new(base, source);
    loader.file(path, None);
    loader.finish()
}

/// The state of one loading.
struct Loader<'s> {
    dictionary: Dictionary,
    /// What was known before: these definitions give way, where two of the files contradict each other.
    base: &'s Dictionary,
    source: &'s dyn Source,
    report: Report,
    open: Vec<PathBuf>,
    later: Vec<value::Later>,
    refused: Refused,
    octets_read: u64,
    includes_allowed: bool,
}

/// Attributes whose own line is an error: what leans on them would only repeat it.
#[derive(Default)]
struct Refused {
    names: BTreeSet<String>,
    places: BTreeSet<Key>,
}

/// The state of one file: blocks don't reach into included files.
struct File {
    name: Arc<str>,
    folder: PathBuf,
    line: u32,
    vendor: Option<VendorBlock>,
    tlvs: Vec<TlvBlock>,
}

impl File {
    /// True within a block that couldn't be opened: its lines would only repeat that error.
    fn is_skipping(&self) -> bool {
        self.vendor.as_ref().is_some_and(|block| block.carrier.is_none())
            || self.tlvs.iter().any(|block| block.place.is_none())
    }
}

/// An open BEGIN-VENDOR.
struct VendorBlock {
    name: String,
    /// None when something is wrong with the line that began it.
    carrier: Option<Carrier>,
    line: u32,
}

/// An open BEGIN-TLV.
struct TlvBlock {
    name: String,
    /// None when something is wrong with the line that began it.
    place: Option<(Carrier, Vec<u32>)>,
    line: u32,
}

/// What is wrong with a line, before its file is known.
pub(crate) struct Fault {
    column: u32,
    kind: DictErrorKind,
    what: String,
    hint: String,
}

impl Fault {
    fn new(at: Word<'_>, kind: DictErrorKind, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { column: at.column, kind, what: what.into(), hint: hint.into() }
    }
}

impl<'s> Loader<'s> {
    fn new(base: &'s Dictionary, source: &'s dyn Source) -> Self {
        Self {
            base,
            dictionary: base.clone(),
            source,
            report: Report::default(),
            open: Vec::new(),
            later: Vec::new(),
            refused: Refused::default(),
            octets_read: 0,
            includes_allowed: true,
        }
    }

    fn finish(mut self) -> (Dictionary, Report) {
        for later in std::mem::take(&mut self.later) {
            if self.is_full() {
                break;
            }
            self.settle(&later);
        }
        (self.dictionary, self.report)
    }

    /// Reads one file. `from` is the file and word that includes it.
    fn file(&mut self, path: &Path, from: Option<(&File, Word<'_>)>) {
        let octets = match self.source.read(path) {
            Ok(octets) => octets,
            Err(error) => {
                let what = format!("can't read {}: {error}", path.display());
                return self.fault_at(path, from, DictErrorKind::Unreadable, what, "give a readable file");
            }
        };
        self.octets_read += octets.len() as u64;
        if self.report.files >= FILES_MAX || self.octets_read > OCTETS_MAX {
            let what = format!("more than {FILES_MAX} files or {OCTETS_MAX} octets");
            return self.fault_at(path, from, DictErrorKind::TooMuch, what, "include less");
        }
        self.report.files += 1;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let name = Arc::from(path.display().to_string());
        let mut file = File { name, folder, line: 0, vendor: None, tlvs: Vec::new() };
        self.open.push(path.to_path_buf());
        // Comments of old files are in Latin-1: what isn't UTF-8 there is no matter, and elsewhere no name.
        for line in String::from_utf8_lossy(&octets).lines() {
            file.line = file.line.saturating_add(1);
            let words = words(line);
            if let Err(fault) = self.line(&mut file, &words) {
                self.fault(&file.name, file.line, fault);
            }
            if self.is_full() {
                break;
            }
        }
        self.open.pop();
        self.end_of(&file);
    }

    /// Blocks must end in the file that began them.
    fn end_of(&mut self, file: &File) {
        let word = Word { text: "", column: 1 };
        for block in &file.tlvs {
            let what = format!("BEGIN-TLV {} is never ended", block.name);
            let fault = Fault::new(word, DictErrorKind::Block, what, format!("add END-TLV {}", block.name));
            self.fault(&file.name, block.line, fault);
        }
        if let Some(block) = &file.vendor {
            let what = format!("BEGIN-VENDOR {} is never ended", block.name);
            let fault =
                Fault::new(word, DictErrorKind::Block, what, format!("add END-VENDOR {}", block.name));
            self.fault(&file.name, block.line, fault);
        }
    }

    fn line(&mut self, file: &mut File, words: &[Word<'_>]) -> Result<(), Fault> {
        let Some((keyword, rest)) = words.split_first() else { return Ok(()) };
        let of_block = ["ATTRIBUTE", "VALUE", "VALUE-ALIAS"].iter().any(|word| keyword.is(word));
        if of_block && file.is_skipping() {
            self.refused.names.extend(rest.first().map(|name| fold(name.text)));
            Ok(())
        } else if keyword.is("ATTRIBUTE") {
            self.attribute(file, *keyword, rest)
        } else if keyword.is("VALUE") {
            self.value(file, *keyword, rest)
        } else if keyword.is("VALUE-ALIAS") {
            self.alias(*keyword, rest)
        } else if keyword.is("VENDOR") {
            self.vendor(*keyword, rest)
        } else if keyword.is("BEGIN-VENDOR") {
            self.begin_vendor(file, *keyword, rest)
        } else if keyword.is("END-VENDOR") {
            self.end_vendor(file, *keyword, rest)
        } else if keyword.is("BEGIN-TLV") {
            self.begin_tlv(file, *keyword, rest)
        } else if keyword.is("END-TLV") {
            self.end_tlv(file, *keyword, rest)
        } else if keyword.is("$INCLUDE") || keyword.is("$INCLUDE-") {
            self.include(file, *keyword, rest)
        } else {
            Err(unknown_keyword(*keyword))
        }
    }

    /// `$INCLUDE file`: relative to the file that includes. `$INCLUDE-`: no matter if it isn't there.
    fn include(&mut self, file: &File, keyword: Word<'_>, rest: &[Word<'_>]) -> Result<(), Fault> {
        let [name] = rest else { return Err(wrong_words(keyword, rest, "$INCLUDE FILE")) };
        if !self.includes_allowed {
            let hint = "write the lines here, or load a file from disk";
            return Err(Fault::new(*name, DictErrorKind::Unreadable, "a text includes no files", hint));
        }
        let path = file.folder.join(name.text);
        if self.open.contains(&path) {
            let what = format!("{} includes itself", path.display());
            return Err(Fault::new(*name, DictErrorKind::TooMuch, what, "remove one $INCLUDE of the circle"));
        }
        if self.open.len() >= DEPTH_MAX {
            let what = format!("files include each other more than {DEPTH_MAX} deep");
            return Err(Fault::new(*name, DictErrorKind::TooMuch, what, "include less deeply"));
        }
        let optional = keyword.text.ends_with('-');
        if optional
            && matches!(self.source.read(&path), Err(error) if error.kind() == io::ErrorKind::NotFound)
        {
            return Ok(());
        }
        self.file(&path, Some((file, *name)));
        Ok(())
    }

    fn fault_at(
        &mut self,
        path: &Path,
        from: Option<(&File, Word<'_>)>,
        kind: DictErrorKind,
        what: String,
        hint: &str,
    ) {
        let (name, line, column) = match from {
            Some((file, word)) => (file.name.clone(), file.line, word.column),
            None => (Arc::from(path.display().to_string()), 0, 0),
        };
        self.fault(&name, line, Fault { column, kind, what, hint: hint.to_owned() });
    }

    fn fault(&mut self, name: &Arc<str>, line: u32, fault: Fault) {
        if self.report.errors.len() < ERRORS_MAX {
            let Fault { column, kind, what, hint } = fault;
            self.report.errors.push(DictError { file: name.clone(), line, column, kind, what, hint });
        }
    }

    /// True when there are so many errors that more would help nobody.
    fn is_full(&self) -> bool {
        self.report.errors.len() >= ERRORS_MAX
    }
}

/// Says what the line should look like.
fn wrong_words(keyword: Word<'_>, rest: &[Word<'_>], form: &str) -> Fault {
    let at = *rest.last().unwrap_or(&keyword);
    let what = format!("{} with {} words after it", keyword.text, rest.len());
    Fault::new(at, DictErrorKind::Words, what, format!("write {form}"))
}

fn unknown_keyword(keyword: Word<'_>) -> Fault {
    let later = [
        "STRUCT",
        "MEMBER",
        "PROTOCOL",
        "BEGIN-PROTOCOL",
        "END-PROTOCOL",
        "DEFINE",
        "ENUM",
        "ALIAS",
        "FLAGS",
    ];
    if later.iter().any(|word| keyword.is(word)) {
        let what = format!("{} belongs to the dictionaries of FreeRADIUS 4", keyword.text);
        return Fault::new(keyword, DictErrorKind::Keyword, what, "use those of FreeRADIUS 3");
    }
    let known = KEYWORDS.iter().copied();
    let hint = match crate::suggest::nearest(keyword.text, known) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => format!("a line begins with one of {}", KEYWORDS.join(", ")),
    };
    // What isn't a dictionary may be a file of secrets: its words aren't repeated at length.
    let shown: String = keyword.text.chars().take(WORD_SHOWN).collect();
    let more = if shown.len() < keyword.text.len() { "..." } else { "" };
    Fault::new(keyword, DictErrorKind::Keyword, format!("unknown keyword {shown:?}{more}"), hint)
}

const KEYWORDS: [&str; 10] = [
    "ATTRIBUTE",
    "VALUE",
    "VALUE-ALIAS",
    "VENDOR",
    "BEGIN-VENDOR",
    "END-VENDOR",
    "BEGIN-TLV",
    "END-TLV",
    "$INCLUDE",
    "$INCLUDE-",
];

/// Characters of an unknown keyword shown in its error.
const WORD_SHOWN: usize = 16;
/// Deepest chain of includes.
const DEPTH_MAX: usize = 32;
/// Most files of one loading.
const FILES_MAX: u32 = 4096;
/// Largest file, in octets.
const FILE_OCTETS_MAX: u64 = 16 << 20;
/// Most octets of one loading, over all files.
const OCTETS_MAX: u64 = 64 << 20;
/// Most errors collected.
const ERRORS_MAX: usize = 1000;
