//! Waiting for a condition, never for an amount of time.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it; generous, since a busy machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` gives a value.
///
/// # Panics
/// With `what` when it doesn't within [`PATIENCE`].
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, condition)
}

/// Waits until `condition` gives a value, for at most `limit`.
///
/// # Panics
/// With `what` when it doesn't.
pub fn within<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
