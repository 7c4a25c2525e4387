//! Scenarios, then invariants under any sequence.
