//! Requests that wait: for a worker or the store ([`Pending`]), or for their reject's time ([`Delayed`]).
//!
//! Both are bounded, and reuse their slots and buffers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};

use forewarn_proto::dedup;
use forewarn_proto::time::Instant;

use super::outcome::Cause;

const NONE: u32 = u32::MAX;

/// Where a reply goes, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The number of the socket.
    pub socket: u16,
    /// The sender of the request.
    pub to: SocketAddr,
    /// The address it was sent to, from which the reply has to leave.
    pub from: IpAddr,
}

/// Slots for requests that wait, in the order in which they came.
#[derive(Debug)]
pub struct Pending<T> {
    slots: Vec<Slot<T>>,
    most: usize,
    free: u32,
    oldest: u32,
    newest: u32,
    len: usize,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    content: Option<(Instant, T)>,
    older: u32,
    newer: u32,
}

impl<T> Pending<T> {
    /// Empty; at most `most` at a time.
    pub fn new(most: usize) -> Self {
        Self {
            slots: Vec::new(),
            most: most.min(NONE as usize),
            free: NONE,
            oldest: NONE,
            newest: NONE,
            len: 0,
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Since when the oldest waits of those that `counts`.
    pub fn oldest_of(&self, counts: impl Fn(&T) -> bool) -> Option<Instant> {
        let mut index = self.oldest;
        while let Some((slot, (since, content))) = self.slot(index) {
            if counts(content) {
                return Some(*since);
            }
            index = slot.newer;
        }
        None
    }

    /// How many of those that came before this are as `counts` says.
    pub fn count_before(&self, before: Instant, counts: impl Fn(&T) -> bool) -> usize {
        let (mut index, mut count) = (self.oldest, 0);
        while let Some((slot, (since, content))) = self.slot(index) {
            count += usize::from(*since < before && counts(content));
            index = slot.newer;
        }
        count
    }

    fn slot(&self, index: u32) -> Option<(&Slot<T>, &(Instant, T))> {
        let slot = self.slots.get(index as usize)?;
        slot.content.as_ref().map(|content| (slot, content))
    }

    /// From now on at most so many at a time; those that are in stay.
    pub fn set_most(&mut self, most: usize) {
        self.most = most.min(NONE as usize);
    }

    /// One of them, and since when it waits; `None` when the generation is stale.
    pub fn get_mut(&mut self, index: u32, generation: u32) -> Option<(Instant, &mut T)> {
        let slot = self.slots.get_mut(index as usize).filter(|slot| slot.generation == generation)?;
        slot.content.as_mut().map(|(since, content)| (*since, content))
    }

    /// Takes the oldest one out.
    pub fn remove_oldest(&mut self) -> Option<T> {
        let generation = self.slots.get(self.oldest as usize)?.generation;
        self.remove(self.oldest, generation)
    }

    /// Whether another fits in.
    pub fn has_room(&self) -> bool {
        self.len < self.most
    }

    /// Slot and generation of a new one; gives it back when there is no room.
    pub fn insert(&mut self, since: Instant, content: T) -> Result<(u32, u32), T> {
        if !self.has_room() {
            return Err(content);
        }
        let index = match self.free {
            NONE => {
                self.slots.push(Slot { generation: 0, content: None, older: NONE, newer: NONE });
                (self.slots.len() - 1) as u32
            }
            index => {
                self.free = self.slots[index as usize].newer;
                index
            }
        };
        let newest = self.newest;
        let slot = &mut self.slots[index as usize];
        slot.content = Some((since, content));
        (slot.older, slot.newer) = (newest, NONE);
        let generation = slot.generation;
        match self.slots.get_mut(newest as usize) {
            Some(before) => before.newer = index,
            None => self.oldest = index,
        }
        self.newest = index;
        self.len += 1;
        Ok((index, generation))
    }

    /// Takes one out; `None` when the generation is stale.
    pub fn remove(&mut self, index: u32, generation: u32) -> Option<T> {
        let slot = self.slots.get_mut(index as usize).filter(|slot| slot.generation == generation)?;
        let (_, content) = slot.content.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        let (older, newer) = (slot.older, slot.newer);
        slot.newer = self.free;
        self.free = index;
        match self.slots.get_mut(older as usize) {
            Some(before) => before.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(after) => after.older = older,
            None => self.newest = older,
        }
        self.len -= 1;
        Some(content)
    }
}

/// Replies that wait for their time.
#[derive(Debug)]
pub struct Delayed {
    heap: BinaryHeap<Reverse<(Instant, u32)>>,
    replies: Vec<DelayedReply>,
    free: Vec<u32>,
    most: usize,
}

/// One of them.
#[derive(Debug)]
pub struct DelayedReply {
    /// Where to.
    pub route: Route,
    /// The request it answers.
    pub request: dedup::Slot,
    /// What is counted when it leaves.
    pub cause: Cause,
    /// When the request arrived.
    pub arrived: Instant,
    /// The packet.
    pub octets: Vec<u8>,
}

impl Delayed {
    /// Empty; at most `most` at a time.
    pub fn new(most: usize) -> Self {
        Self { heap: BinaryHeap::new(), replies: Vec::new(), free: Vec::new(), most: most.min(NONE as usize) }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Keeps a reply until `due`. False when there is no room.
    pub fn insert(
        &mut self,
        due: Instant,
        (route, request, cause, arrived): (Route, dedup::Slot, Cause, Instant),
        octets: &[u8],
    ) -> bool {
        if self.heap.len() >= self.most {
            return false;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.replies.push(DelayedReply { route, request, cause, arrived, octets: Vec::new() });
            (self.replies.len() - 1) as u32
        });
        let reply = &mut self.replies[index as usize];
        (reply.route, reply.request, reply.cause, reply.arrived) = (route, request, cause, arrived);
        reply.octets.clear();
        reply.octets.extend_from_slice(octets);
        self.heap.push(Reverse((due, index)));
        true
    }

    /// When the next one is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// The next one whose time has come. Valid until the next call.
    pub fn pop(&mut self, now: Instant) -> Option<&DelayedReply> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse((_, index)) = self.heap.pop()?;
        self.free.push(index);
        Some(&self.replies[index as usize])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use forewarn_proto::dedup::{Check, Config, Dedup, Key};

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_stale_generation_names_nothing() {
        let mut pending = Pending::new(2);
        let (first, generation) = pending.insert(at(1), "a").unwrap();
        assert_eq!(pending.remove(first, generation), Some("a"));
        assert_eq!(pending.remove(first, generation), None);
        let (again, next) = pending.insert(at(2), "b").unwrap();
        assert_eq!(again, first);
        assert_eq!(pending.remove(first, generation), None);
        assert_eq!(pending.remove(first, next), Some("b"));
        assert_eq!(pending.remove(77, 0), None);
    }

    #[test]
    fn the_oldest_is_known_whatever_leaves() {
        let mut pending = Pending::new(3);
        assert_eq!(pending.oldest_of(|_| true), None);
        let slots: Vec<_> = (1..=3).map(|millis| pending.insert(at(millis), millis).unwrap()).collect();
        assert_eq!(pending.insert(at(4), 4), Err(4));
        assert_eq!(pending.oldest_of(|_| true), Some(at(1)));
        pending.remove(slots[1].0, slots[1].1).unwrap();
        assert_eq!(pending.oldest_of(|_| true), Some(at(1)));
        pending.remove(slots[0].0, slots[0].1).unwrap();
        assert_eq!(pending.oldest_of(|_| true), Some(at(3)));
        pending.insert(at(5), 5).unwrap();
        pending.remove(slots[2].0, slots[2].1).unwrap();
        assert_eq!((pending.oldest_of(|_| true), pending.len()), (Some(at(5)), 1));
    }

    #[test]
    fn delayed_replies_leave_in_the_order_of_their_time() {
        let route =
            Route { socket: 0, to: "192.0.2.1:1000".parse().unwrap(), from: "192.0.2.2".parse().unwrap() };
        let key = Key { source: route.to, identifier: 0, socket: 0 };
        let mut dedup = Dedup::new(Config::default());
        let Check::New { slot, .. } = dedup.check(at(0), key, &[0; 16]) else { panic!("not new") };
        let mut delayed = Delayed::new(3);
        for (millis, octets) in [(1050, b"b"), (1010, b"a"), (1090, b"c")] {
            assert!(delayed.insert(at(millis), (route, slot, Cause::WrongPassword, at(0)), octets));
        }
        assert!(!delayed.insert(at(1), (route, slot, Cause::WrongPassword, at(0)), b"d"));
        assert_eq!(delayed.next_due(), Some(at(1010)));
        assert!(delayed.pop(at(1009)).is_none());
        let mut left = Vec::new();
        while let Some(reply) = delayed.pop(at(1000) + Duration::from_millis(60)) {
            left.push(reply.octets.clone());
        }
        assert_eq!(left, [b"a", b"b"]);
        assert_eq!(delayed.len(), 1);
    }
}
