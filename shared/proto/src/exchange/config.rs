//! RFC 5080's variables.

use std::time::Duration;

/// When a request is sent again, and when it is given up (RFC 5080 section 2.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// IRT: the wait after the first transmission.
    pub initial: Duration,
    /// MRT: no wait grows over this; zero for no limit.
    pub longest: Duration,
    /// MRC: transmissions before giving up; zero for no limit.
    pub transmissions: u32,
    /// MRD: given up this long after the first transmission. Never zero: whoever asked has given up by then.
    pub duration: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            initial: Duration::from_secs(2),
            longest: Duration::from_secs(16),
            transmissions: 5,
            duration: Duration::from_secs(30),
        }
    }
}
