//! A panic is a defect of ours. In a job of the worker pool it is contained there; anywhere else a thread would be
//! missing and nobody would know, so the process ends and says so.

use std::panic;
use std::thread;

/// The names of threads whose panics are contained begin so.
const CONTAINED: &str = "worker-";
/// What Rust programs end with after a panic.
const EXIT_CODE: i32 = 101;

/// From now on a panic outside the worker pool ends the process.
pub(super) fn end_the_process() {
    panic::set_hook(Box::new(|info| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        // Messages of ours; none has a secret in it.
        let what = info.payload_as_str().unwrap_or("no message");
        if name.starts_with(CONTAINED) {
            tracing::error!("a defect: thread {name} panicked at {place}: {what}");
            return;
        }
        tracing::error!("a defect, and the end: thread {name} panicked at {place}: {what}; please report it");
        std::process::exit(EXIT_CODE);
    }));
}
