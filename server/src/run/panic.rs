//! A panic is a defect of ours. In contained work it costs one request; anywhere else a thread would be missing and
//! nobody would know, so the process ends and says so.

use std::panic;
use std::thread;

use forewarn_shell::log::escaped;

use crate::contained::is_contained;

/// What Rust programs end with after a panic.
const EXIT_CODE: i32 = 101;

/// From now on a panic outside contained work ends the process.
pub(super) fn end_the_process() {
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        // Messages of ours; none has a secret in it.
        let what = info.payload_as_str().unwrap_or("no message");
        if is_contained() {
            tracing::error!("a defect: thread {name} panicked at {place}: {what}");
            return;
        }
        // Straight out: the log's thread won't get to it any more.
        let said =
            format!("a defect, and the end: thread {name} panicked at {place}: {what}; please report it");
        eprintln!("{}", escaped(&said));
        std::process::exit(EXIT_CODE);
    }));
}
