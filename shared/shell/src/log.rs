//! The log: lines on standard error, in which nothing that came from outside can pass for something else.
//!
//! A user name may hold line feeds and terminal escapes. Every control character, and every character that
//! turns the direction of text, is written as `\n`, `\u{1b}` and so on, so that one event is one line and a
//! terminal shows what is there.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::OnceLock;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The variable that chooses what is logged, such as `debug` or `info,forewarn_server::announce=debug`. It
/// has no `__`, so it is not configuration.
pub const VARIABLE: &str = "FOREWARN_LOG";

/// Lines that may wait for a slow reader of standard error; more are dropped and counted.
pub const BACKLOG: usize = 4096;

/// Writes the lines that wait when it is dropped, for at most a second.
#[derive(Debug)]
pub struct Guard {
    _writer: WorkerGuard,
}

/// Sends events to standard error from now on: `info` and above, or what `FOREWARN_LOG` says. A second call
/// changes nothing.
///
/// A thread of its own writes, so that a reader that has stopped reading stops nothing else.
#[must_use = "what is logged last is written when the guard is dropped"]
pub fn to_stderr() -> Guard {
    let (filter, wrong) = match std::env::var(VARIABLE) {
        Ok(text) => match EnvFilter::try_new(&text) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new(DEFAULT), Some(error.to_string())),
        },
        Err(_) => (EnvFilter::new(DEFAULT), None),
    };
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(BACKLOG).thread_name("log").finish(io::stderr());
    // A second call's lines go nowhere, and none is lost there.
    let _ = LOST.set(writer.error_counter());
    let set = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false)
        .event_format(Lines)
        .try_init();
    if let (Ok(()), Some(wrong)) = (set, wrong) {
        tracing::warn!(
            wrong,
            "{VARIABLE} isn't understood; {DEFAULT} is used; write debug, or target=level,..."
        );
    }
    Guard { _writer: guard }
}

/// Lines that were dropped because nobody read.
pub fn lost() -> u64 {
    LOST.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// `text`, with what could fake a line or command a terminal made visible.
pub fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text)
}

/// See [`escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaping(f).write_str(self.0)
    }
}

const DEFAULT: &str = "info";

/// `2026-11-21T04:30:00.123456Z  INFO listening address=127.0.0.11:1812`
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
        SystemTime.format_time(&mut writer)?;
        write!(writer, " {:>5} ", event.metadata().level())?;
        let mut fields = Fields { message: String::new(), rest: String::new() };
        event.record(&mut fields);
        writeln!(writer, "{}{}", fields.message, fields.rest)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            // Writing to a String can't fail.
            let _ = write!(self.rest, " {}=\"", field.name());
            let _ = Escaping(&mut self.rest).write_str(&value.replace('\\', "\\\\").replace('"', "\\\""));
            self.rest.push('"');
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let into = if field.name() == MESSAGE { &mut self.message } else { &mut self.rest };
        if field.name() != MESSAGE {
            let _ = write!(into, " {}=", field.name());
        }
        let _ = write!(Escaping(into), "{value:?}");
    }
}

const MESSAGE: &str = "message";

/// Escapes on the way to another writer.
struct Escaping<W>(W);

impl<W: fmt::Write> fmt::Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if is_unsafe(character) {
                write!(self.0, "{}", character.escape_default())?;
            } else {
                self.0.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and what turns or hides text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_one_line() {
        assert_eq!(escaped("a\nb\u{1b}[2J\u{202e}\u{9b}").to_string(), "a\\nb\\u{1b}[2J\\u{202e}\\u{9b}");
        assert_eq!(escaped("J\u{f6}rg").to_string(), "J\u{f6}rg");
    }
}
