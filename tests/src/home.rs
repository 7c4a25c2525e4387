//! A home server that answers as its script says.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forewarn_wire::authenticator::{digest, message_authenticator};
use forewarn_wire::{Attributes, Code, MessageAuthenticatorRule, Packet, RadiusKey, Writer, number};

use crate::HOME_SECRET;

/// Where a request was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// 1812.
    Auth,
    /// 1813.
    Acct,
}

/// A verified request, as the server saw it.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When.
    pub at: Instant,
    /// On which port.
    pub port: Port,
    /// From whom.
    pub from: SocketAddr,
    /// Its code.
    pub code: Code,
    /// Its identifier.
    pub identifier: u8,
    /// User-Name, or empty.
    pub user: String,
    /// State.
    pub state: Option<Vec<u8>>,
    /// The whole packet.
    pub bytes: Vec<u8>,
}

impl Heard {
    /// The first value of an attribute.
    #[must_use]
    pub fn find(&self, number: u8) -> Option<Vec<u8>> {
        Packet::parse(&self.bytes).ok()?.peek().find(number).map(<[u8]>::to_vec)
    }
}

/// What the script answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Access-Accept, or Accounting-Response on the accounting port.
    Yes,
    /// Access-Reject.
    Reject,
    /// As yes, with these attributes too (whole ones, one after another).
    With(Vec<u8>),
    /// Access-Challenge with this State.
    Challenge(Vec<u8>),
    /// Nothing.
    Silence,
    /// The same, later.
    After(Duration, Box<Answer>),
    /// An Access-Accept without Message-Authenticator, as an attacker in the middle would send it.
    Bare,
    /// An Access-Accept whose Message-Authenticator comes last, as servers sent it before 2024.
    Last,
    /// An Access-Accept whose Message-Authenticator is wrong.
    Corrupt,
}

type Script = Box<dyn FnMut(&Heard) -> Answer + Send>;

/// The server: two sockets, two threads, and a diary.
pub struct HomeServer {
    address: IpAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    key: RadiusKey,
    diary: Mutex<Vec<Heard>>,
    forged: Mutex<u64>,
    script: Mutex<Script>,
    stop: AtomicBool,
}

impl HomeServer {
    /// Binds 1812 and 1813 on `address` and answers everything with yes.
    ///
    /// # Panics
    /// When the ports are taken.
    #[must_use]
    pub fn start(address: IpAddr) -> HomeServer {
        HomeServer::with_script(address, |_| Answer::Yes)
    }

    /// The same with a script of its own; Status-Server is put to the script like everything else.
    ///
    /// # Panics
    /// When the ports are taken.
    #[must_use]
    pub fn with_script(address: IpAddr, script: impl FnMut(&Heard) -> Answer + Send + 'static) -> HomeServer {
        let shared = Arc::new(Shared {
            key: RadiusKey::new(HOME_SECRET.as_bytes()).expect("a secret"),
            diary: Mutex::default(),
            forged: Mutex::default(),
            script: Mutex::new(Box::new(script)),
            stop: AtomicBool::new(false),
        });
        let mut server = HomeServer { address, shared, threads: Vec::new() };
        server.listen();
        server
    }

    fn listen(&mut self) {
        self.shared.stop.store(false, Ordering::SeqCst);
        for (port, number) in [(Port::Auth, 1812), (Port::Acct, 1813)] {
            let socket = UdpSocket::bind((self.address, number)).expect("the home server's port is free");
            socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
            let shared = Arc::clone(&self.shared);
            self.threads.push(std::thread::spawn(move || shared.serve(&socket, port)));
        }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Closes the sockets, as `kill -9` would.
    pub fn kill(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// Opens them again.
    ///
    /// # Panics
    /// When the ports are taken.
    pub fn revive(&mut self) {
        self.kill();
        self.listen();
    }

    /// Another script from now on.
    pub fn script(&self, script: impl FnMut(&Heard) -> Answer + Send + 'static) {
        *lock(&self.shared.script) = Box::new(script);
    }

    /// Everything heard so far.
    #[must_use]
    pub fn diary(&self) -> Vec<Heard> {
        lock(&self.shared.diary).clone()
    }

    /// Everything heard so far but Status-Server.
    #[must_use]
    pub fn requests(&self) -> Vec<Heard> {
        self.diary().into_iter().filter(|heard| heard.code != Code::STATUS_SERVER).collect()
    }

    /// Requests heard from `user`.
    #[must_use]
    pub fn heard_of(&self, user: &str) -> Vec<Heard> {
        self.diary().into_iter().filter(|heard| heard.user == user).collect()
    }

    /// Datagrams that no key vouched for.
    #[must_use]
    pub fn forged(&self) -> u64 {
        *lock(&self.shared.forged)
    }
}

impl Drop for HomeServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Shared {
    fn serve(&self, socket: &UdpSocket, port: Port) {
        let mut datagram = [0; 4096];
        let mut later: Vec<(Instant, SocketAddr, Vec<u8>)> = Vec::new();
        while !self.stop.load(Ordering::SeqCst) {
            let now = Instant::now();
            later.retain(|(due, to, reply)| {
                if *due <= now {
                    let _ = socket.send_to(reply, to);
                }
                *due > now
            });
            let next = later.iter().map(|(due, ..)| due.saturating_duration_since(now)).min();
            let wait =
                next.unwrap_or(Duration::MAX).clamp(Duration::from_millis(1), Duration::from_millis(20));
            let _ = socket.set_read_timeout(Some(wait));
            let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
            let Some(heard) = self.hear(&datagram[..length], from, port) else {
                *lock(&self.forged) += 1;
                continue;
            };
            let (delay, answer) = flatten(lock(&self.script)(&heard));
            lock(&self.diary).push(heard.clone());
            let Some(reply) = self.reply(&heard, &answer) else { continue };
            if delay.is_zero() {
                let _ = socket.send_to(&reply, from);
            } else {
                later.push((Instant::now() + delay, from, reply));
            }
        }
    }

    fn hear(&self, datagram: &[u8], from: SocketAddr, port: Port) -> Option<Heard> {
        let request = Packet::parse(datagram).ok()?;
        let rule = match port {
            Port::Auth => MessageAuthenticatorRule::Required,
            Port::Acct => MessageAuthenticatorRule::Optional,
        };
        let request = request.verify_request(&self.key, rule).ok()?;
        Some(Heard {
            at: Instant::now(),
            port,
            from,
            code: request.code(),
            identifier: request.identifier(),
            user: request
                .find(number::USER_NAME)
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .unwrap_or_default(),
            state: request.find(number::STATE).map(<[u8]>::to_vec),
            bytes: request.bytes().to_vec(),
        })
    }

    fn reply(&self, heard: &Heard, answer: &Answer) -> Option<Vec<u8>> {
        let code = match (answer, heard.port) {
            (Answer::Silence | Answer::After(..), _) => return None,
            (_, Port::Acct) => Code::ACCOUNTING_RESPONSE,
            (Answer::Yes | Answer::With(_) | Answer::Bare | Answer::Last | Answer::Corrupt, Port::Auth) => {
                Code::ACCESS_ACCEPT
            }
            (Answer::Reject, Port::Auth) => Code::ACCESS_REJECT,
            (Answer::Challenge(_), Port::Auth) => Code::ACCESS_CHALLENGE,
        };
        let request = Packet::parse(&heard.bytes).ok()?;
        let authenticator = *request.peek().authenticator();
        let mut buffer = [0; 4096];
        let mut writer = Writer::new(&mut buffer, code, heard.identifier);
        if heard.port == Port::Auth && !matches!(answer, Answer::Bare | Answer::Last | Answer::Corrupt) {
            writer.message_authenticator().ok()?;
        }
        if let Answer::Challenge(state) = answer {
            writer.attribute(number::STATE, state).ok()?;
        }
        let who = self.name(heard);
        if heard.port == Port::Auth {
            writer.attribute(number::REPLY_MESSAGE, who.as_bytes()).ok()?;
        }
        if let Answer::With(attributes) = answer {
            writer.attributes(Attributes::parse(attributes).ok()?).ok()?;
        }
        if matches!(answer, Answer::Bare) {
            return Some(self.bare(code, heard.identifier, writer.written(), &authenticator));
        }
        if matches!(answer, Answer::Last | Answer::Corrupt) {
            let right = matches!(answer, Answer::Last);
            return Some(self.last(code, heard.identifier, writer.written(), &authenticator, right));
        }
        Some(writer.reply(&self.key, &authenticator).ok()?.to_vec())
    }

    /// What the writer refuses to write: a reply without Message-Authenticator.
    fn bare(&self, code: Code, identifier: u8, attributes: &[u8], request: &[u8; 16]) -> Vec<u8> {
        let mut bytes = vec![code.0, identifier, 0, 0];
        bytes.extend_from_slice(request);
        bytes.extend_from_slice(attributes);
        let length = u16::try_from(bytes.len()).expect("a packet has at most 4096 octets");
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let signed = digest(&bytes, request, &self.key);
        bytes[4..20].copy_from_slice(&signed);
        bytes
    }

    /// Nor does the writer write this: Message-Authenticator behind everything else, `right` or not.
    fn last(
        &self,
        code: Code,
        identifier: u8,
        attributes: &[u8],
        request: &[u8; 16],
        right: bool,
    ) -> Vec<u8> {
        let mut bytes = vec![code.0, identifier, 0, 0];
        bytes.extend_from_slice(request);
        bytes.extend_from_slice(attributes);
        let offset = bytes.len();
        bytes.extend([number::MESSAGE_AUTHENTICATOR, 18]);
        bytes.extend([0; 16]);
        let length = u16::try_from(bytes.len()).expect("a packet has at most 4096 octets");
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let mut value = message_authenticator(&bytes, request, offset, &self.key);
        value[0] ^= u8::from(!right);
        bytes[offset + 2..].copy_from_slice(&value);
        let signed = digest(&bytes, request, &self.key);
        bytes[4..20].copy_from_slice(&signed);
        bytes
    }

    fn name(&self, heard: &Heard) -> String {
        format!("hello, {}", heard.user)
    }
}

fn flatten(answer: Answer) -> (Duration, Answer) {
    match answer {
        Answer::After(delay, inner) => {
            let (more, answer) = flatten(*inner);
            (delay + more, answer)
        }
        answer => (Duration::ZERO, answer),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
