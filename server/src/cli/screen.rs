//! Standard output, whose reader may have closed the pipe: then there is nobody to tell, and nothing to panic about.

use std::io::{self, Write as _};

use forewarn_shell::log::harmless_json;

/// Writes `text` as it is. Whether anybody still reads.
pub(super) fn show(text: &str) -> bool {
    let mut screen = io::stdout().lock();
    screen.write_all(text.as_bytes()).and_then(|()| screen.flush()).is_ok()
}

/// Writes a line.
pub(super) fn say(line: &str) {
    // See above.
    let _ = show(&format!("{line}\n"));
}

/// Writes `value` as one line of JSON, harmless to a terminal.
pub(super) fn say_json(value: &impl serde::Serialize) {
    match serde_json::to_string(value) {
        Ok(line) => say(&harmless_json(&line)),
        Err(error) => eprintln!("forewarn: the result can't be written as JSON: {error}"),
    }
}
