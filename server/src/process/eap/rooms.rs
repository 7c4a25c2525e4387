//! Where conversations live between two packets: a room for each core, bounded in number and time.
//!
//! A State names the server, the process, the room, the place in it, and a secret that nobody can guess; so it is all that a packet
//! has to bring, from whichever address it comes. Whoever works on a conversation has it on loan: another packet of it
//! meanwhile finds it busy.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::random;
use forewarn_wire::state;
use rand_core::Rng;
use subtle::ConstantTimeEq;

use super::Underway;
use crate::process::pending::Pending;

/// Octets of a State, at most.
const STATE_MAX: usize = state::BEFORE_NAME + state::NAME_MAX;

const PROCESS: usize = 8;
const SECRET: usize = 16;

/// A peer and its access point answer sooner, unless somebody has to type.
const PAUSE: Duration = Duration::from_secs(3);

/// The rooms of one process.
#[derive(Debug)]
pub struct Rooms {
    /// Tells this process's States from those of any other.
    process: [u8; PROCESS],
    /// The server's name; empty where it is too long.
    name: Box<[u8]>,
    rooms: Box<[Room]>,
    /// When a packet of one came last, nanoseconds.
    stepped: AtomicU64,
    begun: AtomicU64,
    expired: AtomicU64,
    evicted: AtomicU64,
    strays: AtomicU64,
}

#[derive(Debug)]
struct Room {
    places: Mutex<Pending<Entry>>,
    open: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    secret: [u8; SECRET],
    /// `None`: on loan.
    underway: Option<Box<Underway>>,
}

/// How many conversations there may be, and how long each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At one time, in all rooms together.
    pub conversations: usize,
    /// From the first packet to the last.
    pub timeout: Duration,
}

/// What a State was found to be.
pub enum Opened {
    /// Of no conversation here: it is over, or another process's.
    Stray,
    /// Of one that somebody works on.
    Busy,
    /// Here it is.
    Loan(Loan),
}

/// What became of conversations since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// At present.
    pub open: usize,
    /// Begun.
    pub begun: u64,
    /// Given up because they took too long.
    pub expired: u64,
    /// Given up for younger ones, because there were too many.
    pub evicted: u64,
    /// Packets of none of them.
    pub strays: u64,
}

impl Rooms {
    /// Empty, for so many cores of the server of this name.
    pub fn new(cores: usize, name: &str) -> Self {
        let name = if name.len() <= state::NAME_MAX { name.as_bytes() } else { &[] };
        let mut process = [0; PROCESS];
        random::fill(&mut process);
        let room = |_| Room { places: Mutex::new(Pending::new(0)), open: AtomicUsize::new(0) };
        Self {
            process,
            name: name.into(),
            rooms: (0..cores).map(room).collect(),
            stepped: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            strays: AtomicU64::new(0),
        }
    }

    /// A place in the room of this core, for a new conversation; the oldest ones make way where there are too many.
    pub fn begin(
        self: &Arc<Self>,
        core: u16,
        now: Instant,
        bounds: Bounds,
        random: &mut dyn Rng,
        underway: Underway,
    ) -> Loan {
        let mut secret = [0; SECRET];
        random.fill_bytes(&mut secret);
        let room = &self.rooms[usize::from(core)];
        let most = bounds.conversations.div_ceil(self.rooms.len()).max(1);
        let mut places = room.lock();
        self.sweep_out(&mut places, now, bounds.timeout);
        places.set_most(most);
        while !places.has_room() && places.remove_oldest().is_some() {
            self.evicted.fetch_add(1, Relaxed);
        }
        let entry = Entry { secret, underway: None };
        // There is room now.
        let (slot, generation) = places.insert(now, entry).unwrap_or((u32::MAX, 0));
        room.open.store(places.len(), Relaxed);
        self.begun.fetch_add(1, Relaxed);
        self.stepped.store(now.as_nanos(), Relaxed);
        drop(places);
        let place = Place { core, slot, generation };
        Loan { rooms: Arc::clone(self), place, secret, underway: Some(Box::new(underway)) }
    }

    /// The conversation of a State.
    pub fn open(self: &Arc<Self>, state: &[u8], now: Instant, timeout: Duration) -> Opened {
        let opened = self.find(state, now, timeout).unwrap_or(Opened::Stray);
        if matches!(opened, Opened::Stray) {
            self.strays.fetch_add(1, Relaxed);
        }
        opened
    }

    fn find(self: &Arc<Self>, state: &[u8], now: Instant, timeout: Duration) -> Option<Opened> {
        let rest = state.strip_prefix(&state::MAGIC)?.strip_prefix(&self.process)?;
        let (core, rest) = rest.split_first_chunk()?;
        let (slot, rest) = rest.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (secret, name) = rest.split_first_chunk::<SECRET>()?;
        (*name == *self.name).then_some(())?;
        let core = u16::from_be_bytes(*core);
        let place =
            Place { core, slot: u32::from_be_bytes(*slot), generation: u32::from_be_bytes(*generation) };
        let mut places = self.rooms.get(usize::from(core))?.lock();
        let (since, entry) = places.get_mut(place.slot, place.generation)?;
        if since + timeout <= now || !bool::from(entry.secret.ct_eq(secret)) {
            return None;
        }
        self.stepped.store(now.as_nanos(), Relaxed);
        Some(match entry.underway.take() {
            None => Opened::Busy,
            underway => Opened::Loan(Loan { rooms: Arc::clone(self), place, secret: *secret, underway }),
        })
    }

    /// Gives up what has taken too long, in the room of this core.
    pub fn sweep(&self, core: u16, now: Instant, timeout: Duration) {
        let room = &self.rooms[usize::from(core)];
        if room.open.load(Relaxed) > 0 {
            let mut places = room.lock();
            self.sweep_out(&mut places, now, timeout);
            room.open.store(places.len(), Relaxed);
        }
    }

    /// When the next one of this room will have taken too long.
    pub fn next_expiry(&self, core: u16, timeout: Duration) -> Option<Instant> {
        let room = &self.rooms[usize::from(core)];
        let oldest = (room.open.load(Relaxed) > 0).then(|| room.lock().oldest_of(|_| true));
        oldest.flatten().map(|since| since + timeout)
    }

    /// How many there are, as long as any of them goes on: who says nothing for three seconds has gone.
    pub fn going_on(&self, now: Instant) -> u64 {
        let stepped = Instant::ZERO + Duration::from_nanos(self.stepped.load(Relaxed));
        match now.since(stepped) < PAUSE {
            true => self.rooms.iter().map(|room| room.open.load(Relaxed) as u64).sum(),
            false => 0,
        }
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        Counts {
            open: self.rooms.iter().map(|room| room.open.load(Relaxed)).sum(),
            begun: self.begun.load(Relaxed),
            expired: self.expired.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            strays: self.strays.load(Relaxed),
        }
    }

    fn sweep_out(&self, places: &mut Pending<Entry>, now: Instant, timeout: Duration) {
        while places.oldest_of(|_| true).is_some_and(|since| since + timeout <= now) {
            places.remove_oldest();
            self.expired.fetch_add(1, Relaxed);
        }
    }
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, Pending<Entry>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    core: u16,
    slot: u32,
    generation: u32,
}

/// What a packet brings to find its conversation.
pub struct State {
    octets: [u8; STATE_MAX],
    length: usize,
}

impl std::ops::Deref for State {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

/// A conversation in somebody's hands. Dropped, it goes back to its place, if that is still its.
pub struct Loan {
    rooms: Arc<Rooms>,
    place: Place,
    secret: [u8; SECRET],
    underway: Option<Box<Underway>>,
}

impl std::fmt::Debug for Loan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loan").field("place", &self.place).finish_non_exhaustive()
    }
}

impl std::ops::Deref for Loan {
    type Target = Underway;

    fn deref(&self) -> &Underway {
        self.underway.as_deref().expect("taken only when it is dropped")
    }
}

impl std::ops::DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut Underway {
        self.underway.as_deref_mut().expect("taken only when it is dropped")
    }
}

impl Loan {
    /// What a packet has to bring to find it again.
    pub fn state(&self) -> State {
        let mut octets = [0; STATE_MAX];
        let Place { core, slot, generation } = self.place;
        let (core, slot, generation) = (core.to_be_bytes(), slot.to_be_bytes(), generation.to_be_bytes());
        let process = &self.rooms.process;
        let parts: [&[u8]; 7] =
            [&state::MAGIC, process, &core, &slot, &generation, &self.secret, &self.rooms.name];
        let mut rest = &mut octets[..];
        for part in parts {
            let (place, behind) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = behind;
        }
        State { octets, length: state::BEFORE_NAME + self.rooms.name.len() }
    }

    /// It is over: its place is free.
    pub fn end(mut self) {
        self.underway = None;
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let room = &self.rooms.rooms[usize::from(self.place.core)];
        let mut places = room.lock();
        let Place { slot, generation, .. } = self.place;
        match self.underway.take() {
            // Half a step by somebody who failed at it: nobody can say where it stands.
            Some(_) if std::thread::panicking() => {
                places.remove(slot, generation);
            }
            Some(underway) => {
                if let Some((_, entry)) = places.get_mut(slot, generation) {
                    entry.underway = Some(underway);
                }
            }
            None => {
                places.remove(slot, generation);
            }
        }
        room.open.store(places.len(), Relaxed);
    }
}
