//! Reading the layers and merging them.
//!
//! figment merges; it carries no spans. So what it is given to merge is not the values but numbers, each of
//! which stands for a value kept aside with its place. Under a table's key `k` stand `vk` (the value) and
//! `pk` (the places of the key: a list, so that arrays which append keep the first one); a table in an array
//! has its own place under `p`.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::tree::{Node, Place, Shape, Sources};

/// What a configuration is made of, the weakest first: built-in defaults, the file, `conf.d/*.toml` beside it
/// in the order of their names, the environment, the command line.
#[derive(Clone, Default)]
pub struct Layers {
    pub(super) file: PathBuf,
    pub(super) defaults: &'static str,
    pub(super) conf_d: bool,
    pub(super) environment: Vec<(String, String)>,
    pub(super) overrides: Vec<(String, String)>,
}

/// What a name in the environment has to start with to be configuration.
const PREFIX: &str = "FOREWARN_";
/// What separates the keys in such a name, and makes it configuration.
const SEPARATOR: &str = "__";

impl fmt::Debug for Layers {
    /// Without the environment, which holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Layers {
    /// `file`, and `conf.d/*.toml` beside it.
    pub fn file(file: impl Into<PathBuf>) -> Layers {
        Layers { file: file.into(), conf_d: true, ..Layers::default() }
    }

    /// `file` alone: for a file that another one names.
    pub fn only(file: impl Into<PathBuf>) -> Layers {
        Layers { file: file.into(), ..Layers::default() }
    }

    /// TOML text below everything else.
    pub fn defaults(mut self, text: &'static str) -> Layers {
        self.defaults = text;
        self
    }

    /// The environment: of `FOREWARN_A__B=value` the key `a.b` is made; names without `__` are not
    /// configuration. `secret_env` looks here too.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Layers {
        self.environment = variables.into_iter().collect();
        self
    }

    /// The environment of this process; variables that aren't UTF-8 are none.
    pub fn process_environment(self) -> Layers {
        self.environment(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// `a.b` from the command line.
    pub fn override_with(mut self, key: impl Into<String>, value: impl Into<String>) -> Layers {
        self.overrides.push((key.into(), value.into()));
        self
    }

    /// The folder that relative paths are relative to.
    pub fn folder(&self) -> PathBuf {
        match self.file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }
}

/// The merged tree and what it was read from.
pub(super) struct Merged {
    pub(super) root: Node,
    pub(super) sources: Sources,
}

/// Reads and merges; on failure everything that can't be read or isn't TOML.
pub(super) fn merge(layers: &Layers) -> Result<Merged, Diagnostics> {
    let mut reader = Reader::default();
    let mut figment = Figment::new();
    if !layers.defaults.is_empty() {
        figment = figment.merge(reader.text(PathBuf::from("built-in defaults"), layers.defaults.to_owned()));
    }
    let file = reader.next_source();
    figment = figment.merge(reader.file(&layers.file));
    if layers.conf_d {
        for overlay in reader.overlays(&layers.folder().join("conf.d")) {
            figment = figment.admerge(reader.file(&overlay));
        }
    }
    for (name, value) in
        layers.environment.iter().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value)))
    {
        if name.contains(SEPARATOR) {
            let keys: Vec<String> = name.to_ascii_lowercase().split(SEPARATOR).map(str::to_owned).collect();
            figment = figment.merge(reader.untyped(
                PathBuf::from(format!("environment {PREFIX}{name}")),
                &keys,
                value,
            ));
        }
    }
    for (key, value) in &layers.overrides {
        let keys: Vec<String> = key.split('.').map(str::to_owned).collect();
        figment = figment.merge(reader.untyped(PathBuf::from(format!("command line {key}")), &keys, value));
    }
    reader.finish(&figment, Place::start_of(file))
}

#[derive(Default)]
struct Reader {
    sources: Sources,
    /// Values and places, by the numbers that figment merges.
    seen: Vec<(Place, Option<Shape>)>,
    wrong: Vec<Diagnostic>,
}

/// One layer, as figment takes it.
struct Layer(Dict);

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named("forewarn")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.0.clone())]))
    }
}

impl Reader {
    fn next_source(&self) -> u32 {
        u32::try_from(self.sources.len()).unwrap_or(u32::MAX)
    }

    fn file(&mut self, path: &Path) -> Layer {
        match std::fs::read_to_string(path) {
            Ok(text) => self.text(path.to_path_buf(), text),
            Err(error) => {
                self.sources.add(path.to_path_buf(), None);
                self.cannot_read(path, &error);
                Layer(Dict::new())
            }
        }
    }

    /// The names of `folder/*.toml` in order; none where there is no such folder. Hidden files (an editor's)
    /// aren't configuration.
    fn overlays(&mut self, folder: &Path) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.cannot_read(folder, &error);
                return Vec::new();
            }
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .filter(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")))
            .collect();
        paths.sort();
        paths
    }

    fn cannot_read(&mut self, path: &Path, error: &std::io::Error) {
        self.wrong.push(Diagnostic {
            severity: Severity::Error,
            file: path.to_path_buf(),
            line: 0,
            column: 0,
            what: format!("can't be read: {error}"),
            hint: "name a file that this user may read".to_owned(),
        });
    }

    fn text(&mut self, name: PathBuf, text: String) -> Layer {
        let text = Zeroizing::new(text);
        let source = self.next_source();
        let (table, errors) = DeTable::parse_recoverable(&text);
        let dict = if errors.is_empty() { self.table(table.get_ref(), source) } else { Dict::new() };
        let errors: Vec<(String, Place)> = errors
            .iter()
            .map(|error| {
                (error.message().trim().to_owned(), place(source, error.span().map_or(0, |span| span.start)))
            })
            .collect();
        self.sources.add(name, Some(text.clone()));
        for (message, at) in errors {
            let (file, line, column) = self.sources.resolve(at);
            let what = format!("not TOML: {}", message.replace('\n', ", "));
            self.wrong.push(Diagnostic {
                severity: Severity::Error,
                file,
                line,
                column,
                what,
                hint: String::new(),
            });
        }
        Layer(dict)
    }

    fn untyped(&mut self, name: PathBuf, keys: &[String], text: &str) -> Layer {
        let source = self.next_source();
        let at = Place::start_of(source);
        self.sources.add(name, None);
        let read = DeValue::parse(text.trim()).ok().map(|value| self.value(&value, source, true));
        let value = match read {
            Some(value @ (Value::Dict(..) | Value::Array(..))) => value,
            read => {
                let scalar =
                    read.and_then(|value| self.taken(&value)).map_or_else(|| words(text), |(_, shape)| shape);
                self.remember(at, Some(Shape::Untyped(Zeroizing::new(text.to_owned()), Box::new(scalar))))
            }
        };
        let Some((last, tables)) = keys.split_last() else { return Layer(Dict::new()) };
        let mut dict = Dict::from([
            (format!("v{last}"), value),
            (format!("p{last}"), Value::from(vec![self.remember(at, None)])),
        ]);
        for key in tables.iter().rev() {
            dict = Dict::from([(format!("v{key}"), Value::from(dict))]);
        }
        Layer(dict)
    }

    fn table(&mut self, table: &DeTable<'_>, source: u32) -> Dict {
        let mut dict = Dict::new();
        for (key, value) in table {
            let key_at = self.remember(place(source, key.span().start), None);
            dict.insert(format!("v{}", key.get_ref()), self.value(value, source, false));
            dict.insert(format!("p{}", key.get_ref()), Value::from(vec![key_at]));
        }
        dict
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, source: u32, placeless: bool) -> Value {
        let at = if placeless { Place::start_of(source) } else { place(source, value.span().start) };
        let shape = match value.get_ref() {
            DeValue::Table(table) => {
                let mut dict = self.table(table, source);
                dict.insert("p".to_owned(), self.remember(at, None));
                return Value::from(dict);
            }
            DeValue::Array(array) => {
                return Value::from(
                    array.iter().map(|item| self.value(item, source, placeless)).collect::<Vec<_>>(),
                );
            }
            DeValue::String(text) => words(text),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(integer) => Shape::Integer(integer),
                Err(_) => Shape::Float(integer.as_str().parse().unwrap_or(f64::INFINITY)),
            },
            DeValue::Float(float) => Shape::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(boolean) => Shape::Boolean(*boolean),
            DeValue::Datetime(_) => Shape::Date,
        };
        self.remember(at, Some(shape))
    }

    /// The number that stands for `shape` at `at`.
    fn remember(&mut self, at: Place, shape: Option<Shape>) -> Value {
        self.seen.push((at, shape));
        Value::from(self.seen.len() - 1)
    }

    /// What a number stands for. Each is asked for once: figment moves values, it never copies one.
    fn taken(&mut self, number: &Value) -> Option<(Place, Shape)> {
        let index = usize::try_from(number.to_u128()?).ok()?;
        let (at, shape) = self.seen.get_mut(index)?;
        Some((*at, shape.take()?))
    }

    fn place_of(&self, number: &Value) -> Option<Place> {
        let index = usize::try_from(number.to_u128()?).ok()?;
        Some(self.seen.get(index)?.0)
    }

    fn finish(mut self, figment: &Figment, start: Place) -> Result<Merged, Diagnostics> {
        if !self.wrong.is_empty() {
            return Err(Diagnostics(self.wrong));
        }
        let dict =
            figment.data().ok().and_then(|mut data| data.remove(&Profile::Default)).unwrap_or_default();
        let shape = self.entries(&dict, start);
        Ok(Merged { root: Node { shape, at: start, key_at: start }, sources: self.sources })
    }

    fn entries(&mut self, dict: &Dict, fallback: Place) -> Shape {
        let mut entries = Vec::new();
        for (key, value) in dict {
            let Some(name) = key.strip_prefix('v') else { continue };
            let places: Vec<Place> = match dict.get(&format!("p{name}")) {
                Some(Value::Array(_, numbers)) => numbers.iter().filter_map(|n| self.place_of(n)).collect(),
                _ => Vec::new(),
            };
            let first = places.first().copied().unwrap_or(fallback);
            let last = places.last().copied().unwrap_or(fallback);
            let node = self.node(value.clone(), first, last);
            entries.push((name.to_owned(), node));
        }
        entries.sort_by_key(|(_, node)| node.key_at);
        Shape::Table(entries)
    }

    fn node(&mut self, value: Value, first: Place, last: Place) -> Node {
        match value {
            Value::Dict(_, dict) => {
                let shape = self.entries(&dict, first);
                let at = begin(&shape, first);
                Node { shape, at, key_at: at }
            }
            Value::Array(_, items) => {
                let nodes = items.into_iter().map(|item| self.item(item, first)).collect();
                Node { shape: Shape::Array(nodes), at: first, key_at: first }
            }
            number => match self.taken(&number) {
                Some((at, shape)) => Node { shape, at, key_at: last },
                None => Node { shape: Shape::Table(Vec::new()), at: last, key_at: last },
            },
        }
    }

    /// An element of an array: it has no key, so its own place is its key's.
    fn item(&mut self, value: Value, fallback: Place) -> Node {
        let own = value.as_dict().and_then(|dict| dict.get("p")).and_then(|number| self.place_of(number));
        let mut node = self.node(value, own.unwrap_or(fallback), own.unwrap_or(fallback));
        node.key_at = node.at;
        node
    }
}

/// Where a table begins: at its key, unless all that is in it comes from later layers. Then what the key stood for
/// there was no table, or nothing, and it is the later layer's doing.
fn begin(table: &Shape, key: Place) -> Place {
    match table {
        Shape::Table(entries) => {
            let first = entries.iter().map(|(_, node)| node.key_at).min();
            first.filter(|first| first.source > key.source).unwrap_or(key)
        }
        _ => key,
    }
}

fn words(text: &str) -> Shape {
    Shape::Text(Zeroizing::new(text.to_owned()))
}

fn place(source: u32, offset: usize) -> Place {
    Place { source, offset: u32::try_from(offset).unwrap_or(u32::MAX) }
}
