//! Where conversations live between two packets: a room for each core, bounded in number and time.
//!
//! A State names the server, the process, the room, the place in it, and a secret that nobody can guess; so it is all that a packet
//! has to bring, from whichever address it comes. Whoever works on a conversation has it on loan: another packet of it
//! meanwhile finds it busy. Behind that may stand what another server needs to go on with it ([`seals`](super::seals)); of
//! its own conversations a process believes its rooms only.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forewarn_proto::time::Instant;
use forewarn_shell::random;
use forewarn_wire::state::{self, STATE_MAX};
use rand_core::Rng;
use subtle::ConstantTimeEq;

use super::Underway;
use super::seals::Refusal;
use super::taken::{Asked, Number, Taken};
use crate::process::pending::Pending;

const PROCESS: usize = 8;
pub(super) const SECRET: usize = 16;

/// A peer and its access point answer sooner, unless somebody has to type.
pub(crate) const PAUSE: Duration = Duration::from_secs(3);

/// The rooms of one process.
#[derive(Debug)]
pub struct Rooms {
    /// Tells this process's States from those of any other.
    process: [u8; PROCESS],
    /// The server's name; empty where it is too long.
    name: Box<[u8]>,
    rooms: Box<[Room]>,
    taken: Mutex<Taken>,
    begun: AtomicU64,
    expired: AtomicU64,
    evicted: AtomicU64,
    strays: AtomicU64,
    taken_over: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
}

#[derive(Debug)]
struct Room {
    places: Mutex<Pending<Entry>>,
    open: AtomicUsize,
}

#[derive(Debug)]
struct Entry {
    secret: [u8; SECRET],
    /// When its last packet came.
    stepped: Instant,
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
    /// Of another process's, which may have sealed what it knows. With its number there.
    Foreign(Number),
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
    /// Taken over from other servers.
    pub taken_over: u64,
    /// Of those, how many are remembered.
    pub remembered: usize,
    /// Not taken over, in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
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
            begun: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            strays: AtomicU64::new(0),
            taken: Mutex::default(),
            taken_over: AtomicU64::new(0),
            refused: Default::default(),
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
        self.begun.fetch_add(1, Relaxed);
        self.put(core, now, (now, bounds), random, underway)
    }

    /// Goes on with a conversation of another server, which has `asked` that and whose State counts for `left` yet: in a
    /// place of its own, or in the one that it has from the last time the answer came.
    ///
    /// # Errors
    /// It was taken over before, and is over; or too many were.
    pub fn take_over(
        self: &Arc<Self>,
        core: u16,
        now: Instant,
        bounds: Bounds,
        random: &mut dyn Rng,
        (asked, left): (Asked, Duration),
        underway: Underway,
    ) -> Result<Opened, Refusal> {
        // One at a time: whoever comes second finds what the first has begun.
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.forget(now);
        if let Some((place, secret)) = taken.find(&asked) {
            return self.at(place, &secret, now, bounds.timeout).ok_or(Refusal::Used);
        }
        if !taken.has_room() {
            return Err(Refusal::Full);
        }
        let spent = bounds.timeout.saturating_sub(left);
        let loan = self.put(core, now, (now.before(spent), bounds), random, underway);
        taken.insert(asked, now + left, (loan.place, loan.secret));
        self.taken_over.fetch_add(1, Relaxed);
        Ok(Opened::Loan(loan))
    }

    /// Into a place, of one that began at `since`.
    fn put(
        self: &Arc<Self>,
        core: u16,
        now: Instant,
        (since, bounds): (Instant, Bounds),
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
        let entry = Entry { secret, stepped: now, underway: None };
        // There is room now. One that was taken over stands behind younger ones, and is swept out with them.
        let (slot, generation) = places.insert(since, entry).unwrap_or((u32::MAX, 0));
        room.open.store(places.len(), Relaxed);
        drop(places);
        let place = Place { core, slot, generation };
        Loan { rooms: Arc::clone(self), place, secret, since, underway: Some(Box::new(underway)) }
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
        let parts = state::parts(state)?;
        let (process, rest) = parts.place.strip_prefix(&state::MAGIC)?.split_first_chunk()?;
        let (core, rest) = rest.split_first_chunk()?;
        let (slot, rest) = rest.split_first_chunk()?;
        let (generation, secret) = rest.split_first_chunk()?;
        let secret = secret.try_into().ok()?;
        if *process != self.process {
            return (!parts.sealed.is_empty()).then_some(Opened::Foreign(secret));
        }
        (*parts.server == *self.name).then_some(())?;
        let core = u16::from_be_bytes(*core);
        let place =
            Place { core, slot: u32::from_be_bytes(*slot), generation: u32::from_be_bytes(*generation) };
        self.at(place, &secret, now, timeout)
    }

    fn at(
        self: &Arc<Self>,
        place: Place,
        secret: &[u8; SECRET],
        now: Instant,
        timeout: Duration,
    ) -> Option<Opened> {
        let mut places = self.rooms.get(usize::from(place.core))?.lock();
        let (since, entry) = places.get_mut(place.slot, place.generation)?;
        if since + timeout <= now || !bool::from(entry.secret.ct_eq(secret)) {
            return None;
        }
        entry.stepped = now;
        Some(match entry.underway.take() {
            None => Opened::Busy,
            underway => {
                Opened::Loan(Loan { rooms: Arc::clone(self), place, secret: *secret, since, underway })
            }
        })
    }

    /// Another server's wasn't taken over; for that reason, if it could have been.
    pub(super) fn count_stray(&self, refusal: Option<Refusal>) {
        self.strays.fetch_add(1, Relaxed);
        if let Some(refusal) = refusal {
            self.refused[refusal as usize].fetch_add(1, Relaxed);
        }
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

    /// How many of those that began before this go on: who says nothing for three seconds has gone.
    pub fn going_on(&self, now: Instant, before: Instant) -> u64 {
        let goes_on = |entry: &Entry| now.since(entry.stepped) < PAUSE;
        let rooms = self.rooms.iter().filter(|room| room.open.load(Relaxed) > 0);
        rooms.map(|room| room.lock().count_before(before, goes_on) as u64).sum()
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        Counts {
            open: self.rooms.iter().map(|room| room.open.load(Relaxed)).sum(),
            begun: self.begun.load(Relaxed),
            expired: self.expired.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            strays: self.strays.load(Relaxed),
            taken_over: self.taken_over.load(Relaxed),
            remembered: self.taken.lock().unwrap_or_else(PoisonError::into_inner).len(),
            refused: std::array::from_fn(|refusal| self.refused[refusal].load(Relaxed)),
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

/// Where a conversation is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) core: u16,
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// What a packet brings to find its conversation.
pub struct State {
    pub(super) octets: [u8; STATE_MAX],
    pub(super) length: usize,
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
    since: Instant,
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
    /// When it began, here or elsewhere.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// What a packet has to bring to find it again, here.
    pub fn state(&self) -> State {
        let mut octets = [0; STATE_MAX];
        let Place { core, slot, generation } = self.place;
        let (core, slot, generation) = (core.to_be_bytes(), slot.to_be_bytes(), generation.to_be_bytes());
        let Rooms { process, name, .. } = &*self.rooms;
        let parts: [&[u8]; 8] =
            [&state::MAGIC, process, &core, &slot, &generation, &self.secret, &[name.len() as u8], name];
        let mut rest = &mut octets[..];
        for part in parts {
            let (place, behind) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = behind;
        }
        State { octets, length: state::BEFORE_NAME + 1 + name.len() }
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
