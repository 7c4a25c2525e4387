//! The log: lines on standard error, in which nothing that came from outside can pass for something else.
//!
//! A user name may hold line feeds and terminal escapes. Every control character, and every character that
//! turns the direction of text or hides, is written as `\n`, `\u{1b}` and so on, so that one event is one line and a
//! terminal shows what is there. JSON has its own escapes for the same characters.

mod escape;
mod line;

use std::fmt;
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock;
use crate::config::{Table, Wrong};

pub use escape::{Escaped, escaped, harmless_json};
pub use line::{Line, quoted};

use line::Debugged;

/// The variable that chooses what is logged, such as `debug` or `info,forewarn_server::announce=debug`. It
/// has no `__`, so it is not configuration. It wins over the configuration, and over [`COMMON_VARIABLE`].
pub const VARIABLE: &str = "FOREWARN_LOG";
/// The variable many Rust programs have for it.
pub const COMMON_VARIABLE: &str = "RUST_LOG";

/// Lines that may wait for a slow reader of standard error; more are dropped and counted.
pub const BACKLOG: usize = 4096;

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// As the configuration and the command line name it.
    pub const NAMES: [(&'static str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

    /// The one of this name; text for any other.
    pub fn named(name: &str) -> Format {
        Format::NAMES
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, format)| format)
            .unwrap_or_default()
    }
}

/// `format` and `level` of `[log]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How a line is written.
    pub format: Format,
    /// What is logged, as [`VARIABLE`] has it. `None`: `info`.
    pub level: Option<String>,
}

impl Settings {
    /// Reads them from the table `[log]`.
    pub fn read(table: &Table<'_>) -> Settings {
        let format = table.choice("format", &Format::NAMES, &[]).or(Format::Text);
        let level = table.text("level").then(|level| match filter(&level) {
            Ok(_) => Ok(level),
            Err(error) => {
                Err(Wrong::new(error, "write error, warn, info, debug or trace, or target=level,..."))
            }
        });
        Settings { format, level: level.optional() }
    }
}

/// Writes the lines that wait when it is dropped, for at most a second.
#[derive(Debug)]
pub struct Guard {
    _writer: WorkerGuard,
}

/// Sends events to standard error from now on: `info` and above, or what the environment says. A second call
/// changes nothing.
///
/// A thread of its own writes, so that a reader that has stopped reading stops nothing else.
#[must_use = "what is logged last is written when the guard is dropped"]
pub fn to_stderr(format: Format) -> Guard {
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(BACKLOG).thread_name("log").finish(io::stderr());
    FORMAT.store(format as u8, Relaxed);
    let (filter, wrong) = chosen(&Settings::default());
    let builder = tracing_subscriber::fmt()
        .with_writer(writer.clone())
        .with_ansi(false)
        .event_format(Lines)
        .with_env_filter(filter)
        .with_filter_reloading();
    let handle = builder.reload_handle();
    if builder.try_init().is_ok() {
        let set = move |filter| {
            // It fails only when the log is gone.
            let _ = handle.reload(filter);
        };
        // A second call's lines go nowhere, and none is lost there.
        let _ = OUTPUT.set(Output { lost: writer.error_counter(), writer, set: Box::new(set) });
        if let Some(wrong) = wrong {
            tracing::warn!("{wrong}");
        }
    }
    Guard { _writer: guard }
}

/// Takes the configuration's settings over.
pub fn apply(settings: &Settings) {
    FORMAT.store(settings.format as u8, Relaxed);
    if let Some(output) = OUTPUT.get() {
        (output.set)(chosen(settings).0);
    }
}

/// How lines are written at present.
pub fn format() -> Format {
    match FORMAT.load(Relaxed) {
        0 => Format::Text,
        _ => Format::Json,
    }
}

/// Writes a finished line, or drops and counts it when too many wait.
pub fn write(line: &str) {
    if let Some(output) = OUTPUT.get() {
        // It never fails: what doesn't fit is counted.
        let _ = output.writer.clone().write_all(line.as_bytes());
    }
}

/// Lines that were dropped because nobody read.
pub fn lost() -> u64 {
    OUTPUT.get().map_or(0, |output| output.lost.dropped_lines() as u64)
}

/// Where lines go.
struct Output {
    writer: NonBlocking,
    lost: ErrorCounter,
    set: Box<dyn Fn(EnvFilter) + Send + Sync>,
}

static OUTPUT: OnceLock<Output> = OnceLock::new();
static FORMAT: AtomicU8 = AtomicU8::new(Format::Text as u8);

const DEFAULT: &str = "info";

/// What is logged: the environment's word, else the configuration's, and what is wrong with it.
fn chosen(settings: &Settings) -> (EnvFilter, Option<String>) {
    let from = |variable: &str| std::env::var(variable).ok().filter(|text| !text.is_empty());
    let variables = [VARIABLE, COMMON_VARIABLE];
    let word = variables.iter().find_map(|variable| Some((*variable, from(variable)?)));
    let level = settings.level.as_deref().unwrap_or(DEFAULT);
    let configured = || filter(level).unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    match word.map(|(variable, text)| (variable, filter(&text))) {
        None => (configured(), None),
        Some((_, Ok(filter))) => (filter, None),
        Some((variable, Err(wrong))) => {
            let wrong = format!(
                "{variable} isn't understood ({wrong}); {level} is used; write debug, or target=level,..."
            );
            (configured(), Some(wrong))
        }
    }
}

/// A word that is no level would pass for the name of a target, and nothing would be logged.
fn filter(text: &str) -> Result<EnvFilter, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for word in text.split(',').map(str::trim).filter(|word| !word.contains(['=', ':', '['])) {
        if !LEVELS.contains(&word.to_ascii_lowercase().as_str()) {
            return Err(format!("`{word}` is no level"));
        }
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

/// Events as [`Line`]s.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut message = Message(String::new());
        event.record(&mut message);
        let level = event.metadata().level().as_str();
        let mut line = Line::new(format(), clock::utc_nanos() / 1000, level, &message.0);
        event.record(&mut Fields(&mut line));
        writer.write_str(&line.finish())
    }
}

const MESSAGE: &str = "message";

/// Takes the message alone.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            self.0 = format!("{value:?}");
        }
    }
}

/// Takes everything else.
struct Fields<'l>(&'l mut Line);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != MESSAGE {
            self.0.text(field.name(), value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.plain(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.plain(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.plain(field.name(), &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != MESSAGE {
            self.0.shown(field.name(), &Debugged(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_no_level() {
        assert!(filter("debug").is_ok());
        assert!(filter("info,forewarn_server::announce=debug").is_ok());
        assert!(filter("loud").is_err());
        assert!(filter("forewarn_server=loud").is_err());
    }
}
