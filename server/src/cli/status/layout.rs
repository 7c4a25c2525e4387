//! Lines and columns of a status page. Everything a program says is escaped on the way.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use forewarn_shell::control::{Counts, Program};
use forewarn_shell::log::escaped;

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Attention,
    Bad,
}

/// A page in the making.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    colour: bool,
    now_us: u64,
}

impl Page {
    pub(super) fn new(colour: bool, now_us: u64) -> Page {
        Page { text: String::new(), colour, now_us }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// The first line and who it is: `name  kind identity  STATE for 3 s: cause`.
    pub(super) fn head(
        &mut self,
        kind: &str,
        program: &Program,
        tone: Tone,
        state: &str,
        since_us: u64,
        cause: &str,
    ) {
        let state = self.paint(tone, &escaped(&state.to_uppercase()).to_string());
        let name = self.bold(&escaped(&program.name).to_string());
        let since = self.since(since_us);
        let cause = if cause.is_empty() { String::new() } else { format!(": {}", escaped(cause)) };
        let _ =
            writeln!(self.text, "{name}  {kind} {}  {state} for {since}{cause}", escaped(&program.identity));
        let about = format!(
            "process {}, version {}, up {}, configuration {}, state {}",
            program.pid,
            program.version,
            self.since(program.started_at),
            program.config,
            program.state_dir
        );
        self.line(&about);
        for complaint in &program.complaints {
            let complaint = self.paint(Tone::Attention, &format!("! {}", escaped(complaint)));
            let _ = writeln!(self.text, "  {complaint}");
        }
    }

    /// A line of text, indented.
    pub(super) fn line(&mut self, text: &str) {
        // Writing to a String can't fail, here and below.
        let _ = writeln!(self.text, "  {}", escaped(text));
    }

    /// Columns below a title; nothing where there are no rows.
    pub(super) fn table(&mut self, title: &str, columns: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(columns.to_vec());
        for row in rows {
            table.add_row(row.iter().map(|cell| escaped(cell).to_string()).collect::<Vec<_>>());
        }
        let _ = writeln!(self.text, "  {}", self.bold(title));
        for line in table.to_string().lines() {
            let _ = writeln!(self.text, "   {}", line.trim_end());
        }
    }

    /// What was counted, as one line for each that isn't zero.
    pub(super) fn counts(&mut self, title: &str, counts: &Counts) {
        let counted: Vec<_> = counts.iter().filter(|(_, count)| **count > 0).collect();
        if counted.is_empty() {
            return;
        }
        let _ = writeln!(self.text, "  {}", self.bold(title));
        let width = counted.iter().map(|(_, count)| count.to_string().len()).max().unwrap_or(0);
        for (name, count) in counted {
            let _ = writeln!(self.text, "    {count:>width$}  {}", escaped(name));
        }
    }

    /// How long ago a point in time was: `3.2 s`.
    pub(super) fn since(&self, at_us: u64) -> String {
        if at_us == 0 { "-".to_owned() } else { length(self.now_us.saturating_sub(at_us)) }
    }

    /// The same, of what may not have happened.
    pub(super) fn ago(&self, at_us: Option<u64>) -> String {
        at_us.map_or_else(|| "-".to_owned(), |at_us| format!("{} ago", self.since(at_us)))
    }

    fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => 32,
            Tone::Attention => 33,
            Tone::Bad => 31,
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A length of time, to two places that matter.
pub(super) fn length(us: u64) -> String {
    let seconds = us / 1_000_000;
    match seconds {
        0 => format!("{} ms", us / 1000),
        1..=59 => format!("{}.{} s", seconds, us % 1_000_000 / 100_000),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A share of one as a percentage.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// What may be absent.
pub(super) fn or_dash(text: Option<&String>) -> String {
    text.cloned().unwrap_or_else(|| "-".to_owned())
}
