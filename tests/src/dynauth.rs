//! A NAS that is asked to end sessions and to change them (RFC 5176), and does as its script says.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use forewarn_wire::{Code, MessageAuthenticatorRule, Packet, RadiusKey, Writer, number};

/// A verified request, as the NAS saw it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// From where.
    pub from: SocketAddr,
    /// The whole packet.
    pub bytes: Vec<u8>,
}

impl Asked {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        Code(self.bytes[0])
    }

    /// The first value of an attribute.
    #[must_use]
    pub fn find(&self, number: u8) -> Option<Vec<u8>> {
        Packet::parse(&self.bytes).ok()?.peek().find(number).map(<[u8]>::to_vec)
    }

    /// The first value of an attribute, as a text.
    #[must_use]
    pub fn text(&self, number: u8) -> String {
        self.find(number).map(|value| String::from_utf8_lossy(&value).into_owned()).unwrap_or_default()
    }

    /// The numbers of its attributes, in order.
    #[must_use]
    pub fn numbers(&self) -> Vec<u8> {
        let packet = Packet::parse(&self.bytes);
        packet.map(|packet| packet.peek().attributes().map(|one| one.number).collect()).unwrap_or_default()
    }
}

/// What the script answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// What it is asked.
    It,
    /// Not what it is asked, for this Error-Cause.
    Refuse(u32),
    /// What it is asked, and answers without Message-Authenticator, as old ones do.
    ItUnsigned,
    /// Nothing, and says nothing.
    Nothing,
}

type Script = Box<dyn FnMut(&Asked) -> Does + Send>;

/// The NAS: one socket, one thread, and a diary.
pub struct CoaNas {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    key: RadiusKey,
    diary: Mutex<Vec<Asked>>,
    forged: Mutex<u64>,
    script: Mutex<Script>,
    stop: AtomicBool,
}

impl CoaNas {
    /// Binds port 3799 on `host`, with this secret, and does what it is asked.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn start(host: IpAddr, secret: &str) -> CoaNas {
        let address = SocketAddr::new(host, 3799);
        let socket = UdpSocket::bind(address).expect("the NAS's port is free");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
        let shared = Arc::new(Shared {
            key: RadiusKey::new(secret.as_bytes()).expect("a secret"),
            diary: Mutex::default(),
            forged: Mutex::default(),
            script: Mutex::new(Box::new(|_| Does::It)),
            stop: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serving.serve(&socket));
        CoaNas { address, shared, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another script from now on.
    pub fn script(&self, script: impl FnMut(&Asked) -> Does + Send + 'static) {
        *lock(&self.shared.script) = Box::new(script);
    }

    /// Everything it was asked so far.
    #[must_use]
    pub fn diary(&self) -> Vec<Asked> {
        lock(&self.shared.diary).clone()
    }

    /// Datagrams that its secret doesn't fit.
    #[must_use]
    pub fn forged(&self) -> u64 {
        *lock(&self.shared.forged)
    }
}

impl Drop for CoaNas {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, socket: &UdpSocket) {
        let mut datagram = [0; 4096];
        while !self.stop.load(Ordering::SeqCst) {
            let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
            let Some(asked) = self.hear(&datagram[..length], from) else {
                *lock(&self.forged) += 1;
                continue;
            };
            let does = lock(&self.script)(&asked);
            lock(&self.diary).push(asked.clone());
            if let Some(reply) = self.reply(&asked, does) {
                let _ = socket.send_to(&reply, from);
            }
        }
    }

    fn hear(&self, datagram: &[u8], from: SocketAddr) -> Option<Asked> {
        let request = Packet::parse(datagram).ok()?;
        let request = request.verify_request(&self.key, MessageAuthenticatorRule::Optional).ok()?;
        Some(Asked { from, bytes: request.bytes().to_vec() })
    }

    fn reply(&self, asked: &Asked, does: Does) -> Option<Vec<u8>> {
        let (ack, nak) = match asked.code() {
            Code::DISCONNECT_REQUEST => (Code::DISCONNECT_ACK, Code::DISCONNECT_NAK),
            _ => (Code::COA_ACK, Code::COA_NAK),
        };
        let code = match does {
            Does::It | Does::ItUnsigned => ack,
            Does::Refuse(_) => nak,
            Does::Nothing => return None,
        };
        let request = Packet::parse(&asked.bytes).ok()?;
        let mut buffer = [0; 4096];
        let mut writer = Writer::new(&mut buffer, code, request.peek().identifier());
        if does != Does::ItUnsigned {
            writer.message_authenticator().ok()?;
        }
        if let Does::Refuse(cause) = does {
            writer.integer(number::ERROR_CAUSE, cause).ok()?;
        }
        writer.proxy_states(request.peek()).ok()?;
        Some(writer.reply(&self.key, request.peek().authenticator()).ok()?.to_vec())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
