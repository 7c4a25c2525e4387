//! Which server a conversation is with, by the State it gave out (RFC 2865 section 5.24).

use std::time::Duration;

use crate::pool::ServerId;
use crate::time::Instant;

const WAYS: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Entry {
    state: u64,
    server: ServerId,
    expires: Instant,
}

/// Servers by a keyed hash of State, in a table of fixed size: sets of eight places, in which the oldest makes
/// room. Allocated once.
#[derive(Debug)]
pub(super) struct Conversations {
    sets: Vec<[Option<Entry>; WAYS]>,
    age: Duration,
    seed: u64,
}

impl Conversations {
    pub(super) fn new(most: usize, age: Duration, seed: u64) -> Conversations {
        let sets = most.div_ceil(WAYS).max(1).next_power_of_two();
        Conversations { sets: vec![[None; WAYS]; sets], age, seed }
    }

    /// Remembers who gave out this State.
    pub(super) fn learn(&mut self, now: Instant, state: &[u8], server: ServerId) {
        self.keep(Entry { state: hash(self.seed, state), server, expires: now + self.age });
    }

    fn keep(&mut self, entry: Entry) {
        let set = self.set(entry.state);
        let known = set.iter().position(|place| place.is_some_and(|place| place.state == entry.state));
        let place = known.unwrap_or_else(|| {
            (0..WAYS)
                .min_by_key(|&place| set[place].map_or(Instant::ZERO, |entry| entry.expires))
                .unwrap_or(0)
        });
        set[place] = Some(entry);
    }

    /// All that are known: the hash of each State, who gave it out, and until when it counts.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, ServerId, Instant)> + '_ {
        self.sets.iter().flatten().flatten().map(|entry| (entry.state, entry.server, entry.expires))
    }

    /// Goes on where another table with this seed was.
    pub(super) fn inherit(&mut self, seed: u64, known: impl Iterator<Item = (u64, ServerId, Instant)>) {
        self.seed = seed;
        for (state, server, expires) in known {
            self.keep(Entry { state, server, expires });
        }
    }

    /// Who gave out this State, lately.
    pub(super) fn server(&mut self, now: Instant, state: &[u8]) -> Option<ServerId> {
        let hash = hash(self.seed, state);
        let entry = self.set(hash).iter().flatten().find(|entry| entry.state == hash)?;
        (now < entry.expires).then_some(entry.server)
    }

    fn set(&mut self, hash: u64) -> &mut [Option<Entry>; WAYS] {
        let index = hash as usize & (self.sets.len() - 1);
        &mut self.sets[index]
    }
}

/// A seeded mix of all octets: every eight are folded in by a 64 x 64 -> 128 bit multiplication.
pub(super) fn hash(seed: u64, octets: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    octets.chunks(8).fold(seed ^ octets.len() as u64, |state, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let product = u128::from(state ^ u64::from_le_bytes(word)) * u128::from(ODD);
        (product as u64 ^ (product >> 64) as u64).wrapping_add(ODD)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(place: usize) -> ServerId {
        ServerId::new(place).unwrap()
    }

    #[test]
    fn a_state_leads_to_who_gave_it_out_until_it_is_old() {
        let mut table = Conversations::new(64, Duration::from_secs(60), 7);
        table.learn(Instant::ZERO, b"one", server(0));
        table.learn(Instant::ZERO, b"two", server(1));
        let late = Instant::from_millis(59_999);
        assert_eq!(table.server(late, b"one"), Some(server(0)));
        assert_eq!(table.server(late, b"two"), Some(server(1)));
        assert_eq!(table.server(late, b"three"), None);
        assert_eq!(table.server(Instant::from_millis(60_000), b"one"), None);
    }

    #[test]
    fn the_table_never_grows_and_the_newest_stay() {
        let mut table = Conversations::new(8, Duration::from_secs(60), 7);
        for number in 0..1000u32 {
            let now = Instant::from_millis(u64::from(number));
            table.learn(now, &number.to_be_bytes(), server(0));
        }
        let now = Instant::from_millis(1000);
        let kept = (0..1000u32).filter(|number| table.server(now, &number.to_be_bytes()).is_some());
        assert_eq!(kept.collect::<Vec<_>>(), (992..1000).collect::<Vec<_>>());
    }
}
