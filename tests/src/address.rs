//! Loopback addresses that no other test has: each test process takes a /24 of 127.0.0.0/8 for itself.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// Bound on `.255` by whoever has the network; above those that need privilege.
const CLAIM_PORT: u16 = 1899;

/// The hosts of one test: 127.a.b.1 to 127.a.b.254.
#[derive(Debug)]
pub struct Hosts {
    network: [u8; 2],
    last: u8,
}

impl Hosts {
    /// Claims a network: the first one, counted from this process's id, whose `.255` nobody has bound.
    ///
    /// # Panics
    /// When all 64,000 are taken.
    pub fn claim() -> Hosts {
        let start = std::process::id();
        (0..65_000u32)
            .find_map(|step| {
                let number = start.wrapping_mul(7).wrapping_add(step);
                let network = [1 + (number >> 8) as u8 % 250, number as u8];
                let claim =
                    UdpSocket::bind((Ipv4Addr::new(127, network[0], network[1], 255), CLAIM_PORT)).ok()?;
                // Held until the process ends: the test's programs may outlive this value.
                std::mem::forget(claim);
                Some(Hosts { network, last: 0 })
            })
            .expect("one of 64,000 loopback networks is free")
    }

    /// The next host.
    ///
    /// # Panics
    /// At the 255th.
    pub fn host(&mut self) -> IpAddr {
        assert!(self.last < 254, "a test has 254 hosts");
        self.last += 1;
        IpAddr::V4(Ipv4Addr::new(127, self.network[0], self.network[1], self.last))
    }

    /// All of them, as a prefix.
    pub fn prefix(&self) -> String {
        format!("127.{}.{}.0/24", self.network[0], self.network[1])
    }
}

/// A UDP port of `address` that was free a moment ago: for ::1, which every test shares.
///
/// # Panics
/// When the address has no free port.
pub fn free_port(address: IpAddr) -> u16 {
    UdpSocket::bind((address, 0)).and_then(|socket| socket.local_addr()).expect("a free port").port()
}
