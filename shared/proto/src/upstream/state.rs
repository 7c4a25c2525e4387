//! The slots of requests in flight and of their legs. Slots and buffers are used again and again; the most
//! recently freed one first, so that no more of them are warm than there are requests in flight at once.

use std::sync::Arc;

use forewarn_wire::state::{Elsewhere, elsewhere};
use forewarn_wire::{AUTHENTICATOR, Kept, Packet, RadiusKey, Verified, number};

use super::GiveUp;
use crate::exchange::{Name, Retransmission};
use crate::pool::{Kind, ServerId};
use crate::time::Instant;

pub(super) const NONE: u32 = u32::MAX;

/// How far a request has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// The slot is free.
    Free,
    /// Waiting for a reply.
    Open,
    /// A reply is there, and not yet handed back: it came on this leg.
    Answered { server: ServerId, authenticator: [u8; AUTHENTICATOR] },
    /// There will be none.
    GivenUp(GiveUp),
}

/// One request in flight.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) progress: Progress,
    pub(super) ticket: u64,
    pub(super) kind: Kind,
    /// The secret shared with the asker.
    pub(super) asker: Option<Arc<RadiusKey>>,
    pub(super) request: Kept,
    pub(super) reply: Kept,
    /// It carries State: it belongs to a conversation with one server, of which another makes this.
    pub(super) conversation: Option<Elsewhere>,
    /// It says how long it has waited, and has to say so anew when it is sent again (RFC 2866 section 5.2).
    pub(super) tells_delay: bool,
    pub(super) hash: u64,
    pub(super) started: Instant,
    pub(super) retransmission: Option<Retransmission>,
    /// The leg it is sent on now, and the first of all its open legs, newest first.
    pub(super) active: u32,
    pub(super) legs: u32,
    pub(super) leg_count: u8,
    /// It stands in the queue of what is to be sent.
    pub(super) queued: bool,
    /// Octets its buffers have room for, at least.
    room: usize,
    next_free: u32,
}

/// One way a request went: a server, and the identifier and authenticator used there. A reply on any of a
/// request's legs answers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    pub(super) exchange: u32,
    pub(super) server: ServerId,
    pub(super) kind: Kind,
    pub(super) name: Name,
    pub(super) authenticator: [u8; AUTHENTICATOR],
    /// Seconds that Acct-Delay-Time is raised by on it.
    pub(super) delay_s: u32,
    /// How often it was sent.
    pub(super) transmissions: u32,
    /// The next older leg of the same request, or the next free slot.
    pub(super) next: u32,
}

/// What [`Exchanges::insert`] is told.
pub(super) struct New<'a> {
    pub(super) ticket: u64,
    pub(super) kind: Kind,
    pub(super) asker: &'a Arc<RadiusKey>,
    pub(super) hash: u64,
    pub(super) started: Instant,
}

#[derive(Debug)]
pub(super) struct Exchanges {
    slots: Vec<Exchange>,
    free: u32,
    most: usize,
    len: usize,
    retain: usize,
    retained: usize,
}

impl Exchanges {
    pub(super) fn new(most: usize, retain: usize) -> Exchanges {
        Exchanges { slots: Vec::new(), free: NONE, most, len: 0, retain, retained: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= self.most
    }

    /// Slots ever used: the numbers below this are valid.
    pub(super) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(super) fn at(&self, index: u32) -> &Exchange {
        &self.slots[index as usize]
    }

    pub(super) fn at_mut(&mut self, index: u32) -> &mut Exchange {
        &mut self.slots[index as usize]
    }

    pub(super) fn insert(&mut self, new: &New<'_>, request: &Verified<Packet<'_>>) -> u32 {
        if self.free == NONE {
            self.slots.push(Exchange::unused());
            self.free = self.slots.len() as u32 - 1;
        }
        let index = self.free;
        let slot = &mut self.slots[index as usize];
        self.free = slot.next_free;
        self.len += 1;
        self.retained -= slot.room;
        slot.progress = Progress::Open;
        slot.ticket = new.ticket;
        slot.kind = new.kind;
        slot.asker = Some(Arc::clone(new.asker));
        slot.request.store(request);
        slot.conversation = super::state_of(request).map(elsewhere);
        slot.tells_delay = request.find(number::ACCT_DELAY_TIME).is_some();
        slot.hash = new.hash;
        slot.started = new.started;
        slot.retransmission = None;
        slot.room = slot.room.max(request.bytes().len());
        index
    }

    pub(super) fn store_reply(&mut self, index: u32, reply: &Verified<Packet<'_>>) {
        let slot = &mut self.slots[index as usize];
        slot.reply.store(reply);
        slot.room = slot.room.max(reply.bytes().len());
    }

    pub(super) fn release(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        debug_assert!(slot.progress != Progress::Free && slot.legs == NONE);
        slot.progress = Progress::Free;
        slot.asker = None;
        slot.request.clear();
        slot.reply.clear();
        if self.retained + slot.room > self.retain {
            (slot.request, slot.reply, slot.room) = (Kept::new(), Kept::new(), 0);
        }
        self.retained += slot.room;
        slot.next_free = self.free;
        self.free = index;
        self.len -= 1;
    }
}

impl Exchange {
    fn unused() -> Exchange {
        Exchange {
            progress: Progress::Free,
            ticket: 0,
            kind: Kind::Auth,
            asker: None,
            request: Kept::new(),
            reply: Kept::new(),
            conversation: None,
            tells_delay: false,
            hash: 0,
            started: Instant::ZERO,
            retransmission: None,
            active: NONE,
            legs: NONE,
            leg_count: 0,
            queued: false,
            room: 0,
            next_free: NONE,
        }
    }
}

#[derive(Debug)]
pub(super) struct Legs {
    slots: Vec<Leg>,
    free: u32,
}

impl Legs {
    pub(super) fn new() -> Legs {
        Legs { slots: Vec::new(), free: NONE }
    }

    pub(super) fn at(&self, index: u32) -> &Leg {
        &self.slots[index as usize]
    }

    pub(super) fn at_mut(&mut self, index: u32) -> &mut Leg {
        &mut self.slots[index as usize]
    }

    /// The number that the next leg will have.
    pub(super) fn next(&self) -> u32 {
        if self.free == NONE { self.slots.len() as u32 } else { self.free }
    }

    pub(super) fn insert(&mut self, leg: Leg) -> u32 {
        let index = self.next();
        if self.free == NONE {
            self.slots.push(leg);
        } else {
            self.free = self.slots[index as usize].next;
            self.slots[index as usize] = leg;
        }
        index
    }

    pub(super) fn release(&mut self, index: u32) {
        self.slots[index as usize].next = self.free;
        self.free = index;
    }
}
