//! What one request needs on its way to a server: a retransmission timer (RFC 5080 section 2.2.1) and an
//! identifier nobody else is using (section 2.2.2); and the queue of deadlines of many such requests.

mod config;
mod deadlines;
mod event;
mod identifiers;
mod retransmission;
#[cfg(test)]
mod tests;

pub use config::Timing;
pub use deadlines::Deadlines;
pub use event::{EVENT_WINDOW, event_timestamp, is_current};
pub use identifiers::{Identifiers, Name};
pub use retransmission::Retransmission;
pub(crate) use retransmission::jittered;
