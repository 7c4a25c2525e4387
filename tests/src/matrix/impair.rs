//! A bad road between the switches: the router passes packets by this program instead of the kernel, each after a delay
//! of its own, so that they overtake each other, some twice, some never. (Kernels without netem have nothing for it.)

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::network::at_the_router;

/// What happens to packets, each direction for itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Impairment {
    /// The least delay.
    pub delay: Duration,
    /// As much more than that, evenly distributed.
    pub jitter: Duration,
    /// The share that is lost.
    pub lost: f64,
    /// The share that comes twice.
    pub doubled: f64,
}

/// The road is bad until it is dropped.
#[derive(Debug)]
pub struct Impaired {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// ETH_P_IP, in network order: what comes in for the router, whatever switch it is at.
const IPV4: i32 = 0x0800_u16.to_be() as i32;
/// IPPROTO_RAW: packets are sent as they are, header and all.
const AS_IT_IS: i32 = 255;

impl Impaired {
    /// From now on.
    ///
    /// # Panics
    /// Without CAP_NET_RAW and CAP_NET_ADMIN.
    #[must_use]
    pub fn by(impairment: Impairment) -> Impaired {
        let hears = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(IPV4)))
            .expect("root may listen to packets");
        let says = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(AS_IT_IS)))
            .expect("root may send packets");
        // The kernel doubles it; thousands of packets a second may wait for a busy processor.
        hears.set_recv_buffer_size(4 << 20).expect("a buffer");
        at_the_router("echo 0 >/proc/sys/net/ipv4/ip_forward");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let road = Road { impairment, hears, says, under_way: BinaryHeap::new(), count: 0 };
        let thread = std::thread::spawn(move || road.run(&stopped));
        Impaired { stop, thread: Some(thread) }
    }
}

impl Drop for Impaired {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        at_the_router("echo 1 >/proc/sys/net/ipv4/ip_forward");
    }
}

struct Road {
    impairment: Impairment,
    hears: Socket,
    says: Socket,
    /// When each is due; among equals, the first that came.
    under_way: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    count: u64,
}

impl Road {
    fn run(mut self, stop: &AtomicBool) {
        let mut packet = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            while let Some(Reverse((due, _, _))) = self.under_way.peek()
                && *due <= now
                && let Some(Reverse((_, _, packet))) = self.under_way.pop()
            {
                self.pass_on(&packet);
            }
            let due = self.under_way.peek().map(|Reverse((due, _, _))| *due - now);
            let patience = due.unwrap_or(Duration::from_millis(20)).max(Duration::from_micros(100));
            self.hears.set_read_timeout(Some(patience)).expect("a time-out");
            if let Ok(length) = self.hears.read(&mut packet) {
                self.take_in(&packet[..length]);
            }
        }
    }

    fn take_in(&mut self, packet: &[u8]) {
        let Some(packet) = passing(packet) else { return };
        let mut rng = rand::rng();
        let Impairment { delay, jitter, lost, doubled } = self.impairment;
        let copies = if rng.random_bool(lost) { 0 } else { 1 + usize::from(rng.random_bool(doubled)) };
        for _ in 0..copies {
            let due = Instant::now() + delay + jitter.mul_f64(rng.random());
            self.count += 1;
            self.under_way.push(Reverse((due, self.count, packet.to_vec())));
        }
    }

    fn pass_on(&self, packet: &[u8]) {
        let to = SockAddr::from(SocketAddrV4::new(destination(packet), 0));
        // What the kernel won't pass is lost, as on any road.
        let _ = self.says.send_to(packet, &to);
    }
}

fn destination(packet: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19])
}

/// The packet, if it is to go from one switch to the other.
fn passing(packet: &[u8]) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    let mut packet = packet.get(..length).filter(|packet| packet.len() >= 28)?.to_vec();
    let [from, to] = [12, 16].map(|at| [packet[at], packet[at + 1], packet[at + 2]]);
    let between = [[10, 99, 0], [10, 99, 1]];
    if from == to || !between.contains(&from) || !between.contains(&to) || packet[19] == 1 {
        return None;
    }
    if packet[9] == 17 {
        // Between namespaces the kernel leaves UDP checksums to a card that isn't there; 0 is none (RFC 768).
        let header = usize::from(packet[0] & 15) * 4;
        packet.get_mut(header + 6..header + 8)?.fill(0);
    }
    Some(packet)
}
