//! What this process may do, and giving up what it needn't.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;

use caps::CapSet;
pub use caps::Capability;

/// Privileges that couldn't be given up.
#[derive(Debug, thiserror::Error)]
#[error("privileges can't be given up: {0}")]
pub struct PrivilegeError(String);

/// The user who may do everything.
pub const ROOT: u32 = 0;

/// The user this process runs as: its own entry in `/proc` belongs to them.
pub fn user() -> u32 {
    std::fs::metadata("/proc/self").map_or(ROOT, |entry| entry.uid())
}

/// Whether ICMP notices can be sent and received here.
pub fn may_use_raw_sockets() -> bool {
    may(Capability::CAP_NET_RAW)
}

/// Whether the process has this privilege now.
pub fn may(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

/// Gives up every privilege of this thread but these, for good; threads started later inherit what is left.
/// Sockets that are open stay open.
///
/// # Errors
/// When the kernel refuses.
pub fn keep_only(capabilities: &[Capability]) -> Result<(), PrivilegeError> {
    let failed = |error: caps::errors::CapsError| PrivilegeError(error.to_string());
    let permitted = caps::read(None, CapSet::Permitted).map_err(failed)?;
    let kept: HashSet<Capability> =
        capabilities.iter().copied().filter(|kept| permitted.contains(kept)).collect();
    caps::clear(None, CapSet::Ambient).map_err(failed)?;
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    caps::set(None, CapSet::Effective, &kept).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::icmp::{Kind, Receiver};
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn what_is_given_up_is_gone() {
        // A thread of its own: the other tests keep their privileges.
        std::thread::spawn(|| {
            keep_only(&[]).unwrap();
            assert!(!may_use_raw_sockets());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _inside = runtime.enter();
            let error = Receiver::open(IpAddr::V4(Ipv4Addr::LOCALHOST), Kind::Request, *b"FWN1").unwrap_err();
            assert!(error.to_string().contains("AmbientCapabilities=CAP_NET_RAW"), "{error}");
        })
        .join()
        .unwrap();
    }
}
