//! What happens.

pub(super) mod foreseen;
mod rough;
mod unforeseen;

use std::time::Instant;

use super::{Class, Event, Row};

/// All rows of a class.
#[must_use]
pub fn rows(class: Class) -> &'static [Row] {
    match class {
        Class::Foreseen => foreseen::ROWS,
        Class::Unforeseen => unforeseen::ROWS,
        Class::Rough => rough::ROWS,
    }
}

/// Nothing happens, and nothing but what the class promises is expected.
const QUIET: Row = Row {
    name: "nothing",
    class: Class::Foreseen,
    slow: false,
    set: |_, _| {},
    before: |_| {},
    event: |_| Event { at: Instant::now(), leave: &[] },
    judge: |_| Ok(()),
};

/// No Echo Request or Reply passes the router.
const NO_ICMP: &str = "icmp type { echo-request, echo-reply } drop";
/// No notice, and no receipt, passes it by UDP.
const NO_UDP: &str = "udp dport 3798 drop; udp sport 3798 drop";
