//! The requests of the last ten minutes, by their authenticators: what is the same is a duplicate, or a replay.
//!
//! The authenticator is a digest over the whole request and the secret, so it names the request wherever it comes from.
//! It is remembered for as long as its Event-Timestamp can be current (RFC 5176 section 6.3): one made by a clock that is
//! five minutes ahead is so for twice that time.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use forewarn_proto::exchange::EVENT_WINDOW;
use forewarn_proto::time::Instant;
use forewarn_wire::AUTHENTICATOR;

/// Requests remembered at once: thirteen each second. More are not taken, since forgetting one would let it be replayed.
pub(super) const REMEMBERED_MAX: usize = 8192;
/// How long each is remembered.
pub(super) const REMEMBERED_FOR: Duration = EVENT_WINDOW.saturating_mul(2);
/// A request that the NAS software hasn't answered for so long is given up: its server has given up too.
const GIVE_UP: Duration = Duration::from_secs(30);
/// Identifiers towards the NAS software.
const IDENTIFIERS: usize = 256;

/// What names a request.
pub(super) type Name = [u8; AUTHENTICATOR];

/// One request.
#[derive(Debug)]
pub(super) struct Remembered {
    /// The server that asked, by its place.
    pub(super) server: usize,
    /// Where it asked from.
    pub(super) from: SocketAddr,
    /// The address that was asked.
    pub(super) asked: IpAddr,
    /// The server's identifier.
    pub(super) identifier: u8,
    /// The request's code.
    pub(super) code: forewarn_wire::Code,
    /// How far it is.
    pub(super) state: State,
}

/// How far a request is.
#[derive(Debug)]
pub(super) enum State {
    /// The NAS software has it: under this identifier, as these octets.
    Waits {
        /// Ours.
        identifier: u8,
        /// As it was sent.
        sent: Box<[u8]>,
    },
    /// The answer, as it went to the server.
    Answered(Box<[u8]>),
    /// Nobody waits any more. Its server may ask once more.
    GivenUp,
}

/// The requests of one door.
#[derive(Debug)]
pub(super) struct Memory {
    known: HashMap<Name, Remembered>,
    /// In the order in which they came; all are kept for the same time.
    forget: VecDeque<(Instant, Name)>,
    give_up: VecDeque<(Instant, Name)>,
    /// Who has each identifier.
    owners: Box<[Option<Name>]>,
    next: u8,
}

impl Memory {
    pub(super) fn new() -> Memory {
        Memory {
            known: HashMap::new(),
            forget: VecDeque::new(),
            give_up: VecDeque::new(),
            owners: vec![None; IDENTIFIERS].into(),
            next: 0,
        }
    }

    pub(super) fn get(&self, name: &Name) -> Option<&Remembered> {
        self.known.get(name)
    }

    /// An identifier that nobody has: the one after the last. `None`: all are taken.
    pub(super) fn free_identifier(&self) -> Option<u8> {
        let after = |step: usize| self.next.wrapping_add(step as u8);
        (0..IDENTIFIERS).map(after).find(|identifier| self.owners[usize::from(*identifier)].is_none())
    }

    /// Whether another request can be remembered.
    pub(super) fn has_room(&self) -> bool {
        self.known.len() < REMEMBERED_MAX
    }

    /// Remembers a request that the NAS software gets, new or given up before. It has to be in [`State::Waits`].
    pub(super) fn insert(&mut self, now: Instant, name: Name, request: Remembered) {
        if let State::Waits { identifier, .. } = request.state {
            self.owners[usize::from(identifier)] = Some(name);
            self.next = identifier.wrapping_add(1);
            self.give_up.push_back((now + GIVE_UP, name));
        }
        if self.known.insert(name, request).is_none() {
            self.forget.push_back((now + REMEMBERED_FOR, name));
        }
    }

    /// The request that waits under this identifier.
    pub(super) fn waiting(&self, identifier: u8) -> Option<(Name, &Remembered)> {
        let name = self.owners[usize::from(identifier)]?;
        self.known.get(&name).map(|request| (name, request))
    }

    /// Keeps the answer for retransmissions.
    pub(super) fn answer(&mut self, name: &Name, answer: &[u8]) {
        if let Some(request) = self.known.get_mut(name) {
            let before = std::mem::replace(&mut request.state, State::Answered(answer.into()));
            self.release(&before);
        }
    }

    /// Gives up and forgets what it is time for; how many requests were given up.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> u64 {
        let mut given_up = 0;
        while let Some(name) = due(&mut self.give_up, now) {
            let Some(request) = self.known.get_mut(&name) else { continue };
            if matches!(request.state, State::Waits { .. }) {
                let before = std::mem::replace(&mut request.state, State::GivenUp);
                self.release(&before);
                given_up += 1;
            }
        }
        while let Some(name) = due(&mut self.forget, now) {
            if let Some(request) = self.known.remove(&name) {
                self.release(&request.state);
            }
        }
        given_up
    }

    /// When to call [`Memory::handle_timeout`] next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let first = |queue: &VecDeque<(Instant, Name)>| queue.front().map(|(at, _)| *at);
        first(&self.give_up).into_iter().chain(first(&self.forget)).min()
    }

    fn release(&mut self, state: &State) {
        if let State::Waits { identifier, .. } = state {
            self.owners[usize::from(*identifier)] = None;
        }
    }
}

fn due(queue: &mut VecDeque<(Instant, Name)>, now: Instant) -> Option<Name> {
    let (at, name) = *queue.front()?;
    (at <= now).then(|| queue.pop_front())?;
    Some(name)
}
