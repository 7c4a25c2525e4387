//! Conversations of other servers, or of this one before it was started again: what was taken over, so that nothing is
//! twice, and how it is done.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::NONCE_LEN;
use forewarn_eap::Conversation;
use forewarn_proto::time::Instant;
use forewarn_shell::clock;
use forewarn_wire::state::STATE_MAX;
use rand_core::Rng;

use super::Underway;
use super::rooms::{Bounds, Loan, Opened, Place, SECRET, State};
use super::seals::Refusal;
use crate::config::eap::Eap as Offered;
use crate::process::core::{Case, Desk};
use crate::process::tables::Tables;

/// Conversations remembered at most that were taken over; beyond, none is until the oldest count no longer.
pub(super) const TAKEN_MAX: usize = 262_144;

/// They are remembered longer than they count, in case this clock is set back a little.
const LONGER: Duration = Duration::from_secs(60);

/// A conversation's secret number.
pub(super) type Number = [u8; SECRET];

/// The request that a conversation was taken over with: its number at the server that sent it, and the identifier. What
/// came before it or comes after may be this server's too, if both were asked; it is no answer to this one.
pub(super) type Asked = (Number, u8);

/// Where a conversation is here, and its number here.
pub(super) type Here = (Place, Number);

/// Those that were taken over, for as long as their States count.
#[derive(Debug, Default)]
pub(super) struct Taken {
    places: HashMap<Asked, Here>,
    /// About in the order in which they are forgotten.
    order: VecDeque<(Instant, Asked)>,
}

impl Taken {
    /// Forgets what counts no longer.
    pub(super) fn forget(&mut self, now: Instant) {
        while let Some((_, asked)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            self.places.remove(&asked);
        }
    }

    /// Where it is, if it was taken over.
    pub(super) fn find(&self, asked: &Asked) -> Option<Here> {
        self.places.get(asked).copied()
    }

    /// Whether another can be remembered.
    pub(super) fn has_room(&self) -> bool {
        self.order.len() < TAKEN_MAX
    }

    /// Remembers one whose States count until then.
    pub(super) fn insert(&mut self, asked: Asked, until: Instant, here: Here) {
        self.places.insert(asked, here);
        self.order.push_back((until + LONGER, asked));
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}

impl Desk {
    /// The conversation at hand and its State: where the servers share a secret, with what it knows, sealed.
    pub(super) fn eap_state(&mut self, tables: &Tables, case: Case<'_>) -> Option<(&Loan, State)> {
        let loan = self.eap.as_ref()?;
        let mut state = loan.state();
        if let Some((offered, seals)) = tables.eap().and_then(|eap| Some((eap, eap.seals.as_ref()?))) {
            let mut nonce = [0; NONCE_LEN];
            self.random.fill_bytes(&mut nonce);
            let times = (millis(case.arrived), millis(loan.since() + offered.timeout));
            let client = &tables.client(case.client).name;
            let room = (&mut state.octets, state.length);
            let sealed = seals.seal(times, client, nonce, room, |room| loan.conversation.save(room));
            state.length = sealed.unwrap_or(state.length);
        }
        Some((loan, state))
    }

    /// Goes on with a conversation that another server began. [`Opened::Stray`]: nobody is to.
    pub(super) fn take_over(
        &mut self,
        tables: &Tables,
        case: Case<'_>,
        offered: &Offered,
        (number, state): (Number, &[u8]),
    ) -> Opened {
        let rooms = self.shared.conversations();
        let Some(seals) = &offered.seals else {
            rooms.count_stray(None);
            return Opened::Stray;
        };
        let client = &tables.client(case.client).name;
        let mut room = [0; STATE_MAX];
        let taken = seals.open(millis(case.arrived), client, state, &mut room).and_then(|unsealed| {
            let conversation = Conversation::restore(Arc::clone(&offered.settings), unsealed.saved);
            let conversation = conversation.ok_or(Refusal::NotAllowed)?;
            let asked = (number, conversation.identifier());
            let underway = Underway::new(conversation, client);
            let bounds = Bounds { conversations: offered.conversations, timeout: offered.timeout };
            let left = Duration::from_millis(unsealed.left);
            rooms.take_over(self.number, case.arrived, bounds, &mut self.random, (asked, left), underway)
        });
        taken.unwrap_or_else(|refusal| {
            rooms.count_stray(Some(refusal));
            Opened::Stray
        })
    }
}

/// On the calendar, in milliseconds since 1970.
fn millis(instant: Instant) -> u64 {
    clock::micros_since_1970(instant) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_over_is_remembered_while_it_counts_and_a_little_longer() {
        let mut taken = Taken::default();
        let at = |seconds: u64| Instant::from_millis(seconds * 1000);
        let here = (Place { core: 0, slot: 1, generation: 2 }, [2; SECRET]);
        taken.insert(([1; SECRET], 7), at(60), here);
        taken.forget(at(119));
        assert!(taken.find(&([1; SECRET], 7)).is_some_and(|(_, number)| number == [2; SECRET]));
        taken.forget(at(120));
        assert!(taken.find(&([1; SECRET], 7)).is_none());
        assert_eq!(taken.len(), 0);
    }

    #[test]
    fn no_more_are_remembered_than_may_be() {
        let mut taken = Taken::default();
        let here = (Place { core: 0, slot: 1, generation: 2 }, [2; SECRET]);
        for number in 0..TAKEN_MAX as u128 {
            assert!(taken.has_room(), "{number}");
            taken.insert((number.to_be_bytes(), 7), Instant::from_millis(1000), here);
        }
        assert!(!taken.has_room());
        taken.forget(Instant::from_millis(61_000));
        assert!(taken.has_room());
    }
}
