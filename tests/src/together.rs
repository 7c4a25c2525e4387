//! Cases that have nothing to do with each other, at one time: most of a refusal is the second that it is delayed by.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// So many at one time: programs are started for some, and others' tests run beside this one.
const AT_ONCE: usize = 32;

/// Does `each` of them, with their numbers, in no order.
///
/// # Panics
/// When one does.
pub fn together<T: Sync>(cases: &[T], each: impl Fn(usize, &T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(cases.len()) {
            scope.spawn(|| {
                while let number = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(case) = cases.get(number)
                {
                    each(number, case);
                }
            });
        }
    });
}
