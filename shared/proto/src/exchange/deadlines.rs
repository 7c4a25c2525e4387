//! The deadlines of many slots: a binary heap that knows where each slot stands in it, so that a deadline can
//! be moved or cleared. Equal deadlines go by slot number: the order is always the same.

use crate::time::Instant;

const ABSENT: u32 = u32::MAX;

/// At most one deadline for each slot number below the capacity. Nothing is allocated after [`Deadlines::grow`].
#[derive(Debug, Default)]
pub struct Deadlines {
    heap: Vec<(Instant, u32)>,
    places: Vec<u32>,
}

impl Deadlines {
    /// No deadlines, no room.
    pub fn new() -> Deadlines {
        Deadlines::default()
    }

    /// Makes room for slots below `slots`.
    pub fn grow(&mut self, slots: usize) {
        if slots > self.places.len() {
            self.heap.reserve(slots - self.heap.len());
            self.places.resize(slots, ABSENT);
        }
    }

    /// Sets or moves a slot's deadline.
    pub fn set(&mut self, slot: u32, at: Instant) {
        self.grow(slot as usize + 1);
        let place = match self.places[slot as usize] {
            ABSENT => {
                self.heap.push((at, slot));
                self.heap.len() - 1
            }
            place => {
                self.heap[place as usize].0 = at;
                place as usize
            }
        };
        self.settle(place);
    }

    /// Takes a slot's deadline away, if it has one.
    pub fn clear(&mut self, slot: u32) {
        let Some(place) = self.places.get(slot as usize).copied().filter(|&place| place != ABSENT) else {
            return;
        };
        self.places[slot as usize] = ABSENT;
        self.heap.swap_remove(place as usize);
        if (place as usize) < self.heap.len() {
            self.settle(place as usize);
        }
    }

    /// The next deadline and whose it is.
    pub fn earliest(&self) -> Option<(Instant, u32)> {
        self.heap.first().copied()
    }

    /// Takes the next slot whose deadline has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let (at, slot) = self.earliest()?;
        if at > now {
            return None;
        }
        self.clear(slot);
        Some(slot)
    }

    /// Slots with a deadline.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether no slot has a deadline.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Moves one entry up or down to where it belongs.
    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.heap[place] < self.heap[(place - 1) / 2] {
            self.heap.swap(place, (place - 1) / 2);
            self.note(place);
            place = (place - 1) / 2;
        }
        loop {
            let smallest = [2 * place + 1, 2 * place + 2]
                .into_iter()
                .filter(|&child| child < self.heap.len())
                .fold(place, |least, child| if self.heap[child] < self.heap[least] { child } else { least });
            if smallest == place {
                break;
            }
            self.heap.swap(place, smallest);
            self.note(place);
            place = smallest;
        }
        self.note(place);
    }

    fn note(&mut self, place: usize) {
        let slot = self.heap[place].1;
        self.places[slot as usize] = place as u32;
    }
}
