//! A RADIUS server that does what a test tells it: answers, challenges, delays, falls silent.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a script makes of a datagram: an answer, now or later, or nothing.
#[derive(Debug)]
pub enum Act {
    /// Nothing.
    Silence,
    /// These octets, at once.
    Answer(Vec<u8>),
    /// These octets, after a while.
    Later(Duration, Vec<u8>),
}

/// A datagram as the scripted server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it came.
    pub at: Instant,
    /// From where.
    pub from: SocketAddr,
    /// What it was.
    pub octets: Vec<u8>,
}

/// The running server: one thread on one socket.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Seen>>>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    /// Binds `address` and answers by `script`.
    ///
    /// # Panics
    /// When the address is taken.
    pub fn start(
        address: IpAddr,
        port: u16,
        mut script: impl FnMut(&Seen) -> Act + Send + 'static,
    ) -> Scripted {
        let socket = UdpSocket::bind((address, port)).expect("the address is this test's own");
        socket.set_read_timeout(Some(Duration::from_millis(2))).expect("a time-out");
        let address = socket.local_addr().expect("a bound socket");
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stopped, seen_by) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            let mut later: Vec<(Instant, SocketAddr, Vec<u8>)> = Vec::new();
            let mut buffer = [0; 4096];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    let seen = Seen { at: Instant::now(), from, octets: buffer[..length].to_vec() };
                    match script(&seen) {
                        Act::Silence => {}
                        Act::Answer(octets) => drop(socket.send_to(&octets, from)),
                        Act::Later(after, octets) => later.push((seen.at + after, from, octets)),
                    }
                    seen_by.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
                }
                let now = Instant::now();
                later.retain(|(due, to, octets)| {
                    let due = *due <= now;
                    if due {
                        drop(socket.send_to(octets, to));
                    }
                    !due
                });
            }
        });
        Scripted { address, stop, seen, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything it has received.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A script that panicked has failed its test already.
            let _ = thread.join();
        }
    }
}
