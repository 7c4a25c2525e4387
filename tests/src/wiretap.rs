//! Somebody on the wire: hears every notice that passes the switch, and says it again.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use forewarn_wire::notice::{Identity, MAGIC, Notice, UDP_PORT};
use socket2::{Domain, Protocol, Socket, Type};

/// ETH_P_ALL, in network order: every frame.
const EVERYTHING: i32 = (3u16.to_be()) as i32;

/// Listens on every port of the switch until it is dropped.
pub struct Wiretap {
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Wiretap {
    /// In the namespace of the switch.
    ///
    /// # Panics
    /// Without CAP_NET_RAW.
    #[allow(clippy::new_without_default, reason = "it opens a socket")]
    pub fn new() -> Wiretap {
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(EVERYTHING)))
            .expect("root may listen to frames");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
        let (heard, stop) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let (noted, stopped) = (Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || listen(socket, &noted, &stopped));
        Wiretap { heard, stop, thread: Some(thread) }
    }

    /// The notices heard so far that `from` signed for `to`, or the other way round if an agent sends them; each once.
    pub fn heard(&self, server: IpAddr, client: IpAddr, from_agent: bool) -> Vec<Vec<u8>> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = |octets: &&Vec<u8>| {
            Notice::parse(octets).is_ok_and(|notice| {
                let header = notice.peek().header();
                header.server == Identity::from(server)
                    && header.client == Identity::from(client)
                    && header.kind.is_from_agent() == from_agent
            })
        };
        heard.iter().filter(ours).cloned().collect()
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Says something to the notice port of `to`, from an address that is nobody's.
///
/// # Panics
/// When it can't be sent.
pub fn say(to: IpAddr, octets: &[u8]) {
    let any: IpAddr = if to.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).expect("a free port");
    socket.send_to(octets, SocketAddr::new(to, UDP_PORT)).expect("sent");
}

fn listen(mut socket: Socket, noted: &Mutex<Vec<Vec<u8>>>, stopped: &AtomicBool) {
    let mut frame = [0; 2048];
    while !stopped.load(Ordering::Relaxed) {
        let Ok(length) = socket.read(&mut frame) else { continue };
        let frame = &frame[..length];
        let Some(start) = frame.windows(MAGIC.len()).position(|window| window == MAGIC) else { continue };
        let Some(length) = frame.get(start + 8..start + 10) else { continue };
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let Some(payload) = frame.get(start..start + length) else { continue };
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.iter().all(|known| known != payload) {
            noted.push(payload.to_vec());
        }
    }
}
