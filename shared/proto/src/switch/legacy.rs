//! What the decision over other servers takes over from the one before it: another configuration makes no server
//! forget what it has said, nor one that is silent answer.

use forewarn_wire::notice::Identity;

use super::call::Call;
use super::{Cause, Life, Standing, Switch};
use crate::pool::ServerId;
use crate::time::Instant;

/// What is known of servers, by identity.
#[derive(Clone, Debug)]
pub(crate) struct Legacy {
    known: Vec<Known>,
    current: (Identity, Instant, Cause),
    call: Option<(Identity, Instant)>,
    first: Option<Identity>,
}

#[derive(Clone, Debug)]
struct Known {
    identity: Identity,
    life: Life,
    standing: Standing,
    alternates: Vec<Identity>,
}

impl Switch {
    pub(crate) fn bequeath(&self) -> Legacy {
        let identity = |id: ServerId| self.place(id).identity;
        let known = self.places.iter().map(|place| Known {
            identity: place.identity,
            life: place.life,
            standing: place.standing,
            alternates: place.alternates.iter().copied().map(identity).collect(),
        });
        Legacy {
            known: known.collect(),
            current: (identity(self.current), self.since, self.cause),
            call: self.call.map(|call| (identity(call.server), call.at)),
            first: self.first.map(identity),
        }
    }

    /// Servers that it doesn't know stay as they are.
    pub(crate) fn inherit(&mut self, now: Instant, legacy: &Legacy) {
        for known in &legacy.known {
            let Some(server) = self.by_identity(known.identity) else { continue };
            let alternates: Vec<ServerId> =
                known.alternates.iter().filter_map(|&identity| self.by_identity(identity)).collect();
            let place = self.place_mut(server);
            (place.life, place.standing) = (known.life, known.standing);
            place.alternates.clear();
            place.alternates.extend(alternates);
        }
        let call = legacy.call.and_then(|(identity, at)| Some((self.by_identity(identity)?, at)));
        self.call = call.map(|(server, at)| Call { server, at });
        self.first = legacy.first.and_then(|identity| self.by_identity(identity));
        let (identity, since, cause) = legacy.current;
        if let Some(current) = self.by_identity(identity) {
            (self.current, self.since, self.cause) = (current, since, cause);
        }
        self.reconsider(now, Cause::Preferred);
    }
}
