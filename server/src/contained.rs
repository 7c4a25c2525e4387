//! Work whose panic stays its own: a job of the pool, a batch of accounting, the evaluation of a policy.
//!
//! A panic is a defect of ours. Here it costs one request; anywhere else it ends the process (`run::panic`), since a
//! thread would be missing and nobody would know.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// A panic happened; it has been logged with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a defect: it panicked")]
pub struct Panicked;

/// Runs `work`. The caller vouches that what `work` borrows is not looked at after a panic, or is whole all the same.
///
/// # Errors
/// It panicked.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outer = CONTAINED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(outer);
    result.map_err(|_| Panicked)
}

/// Whether a panic of this thread would be contained now: for the panic hook.
pub fn is_contained() -> bool {
    CONTAINED.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained_and_known_to_be() {
        assert!(!is_contained());
        assert_eq!(contained(is_contained), Ok(true));
        assert_eq!(contained(|| panic!("meant")), Err::<(), _>(Panicked));
        assert!(!is_contained());
        let nested = contained(|| {
            assert_eq!(contained(|| panic!("meant")), Err::<(), _>(Panicked));
            is_contained()
        });
        assert_eq!(nested, Ok(true));
    }
}
