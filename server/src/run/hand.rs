//! `forewarn shed` and `forewarn invite`: begun at once, answered when everybody meant was told or can't be.

use forewarn_shell::control::{Asked, ClientTold, Reply, Request};

use crate::announce::Announcer;
use crate::announce::campaign::{ByHand, Shed};

/// What an operator waits for.
#[derive(Debug)]
pub(super) struct Telling {
    asked: Asked,
    by_hand: ByHand,
}

impl Telling {
    /// Begins what was asked; none when it is answered already.
    pub(super) fn begin(announcer: &mut Announcer, asked: Asked) -> Option<Telling> {
        let begun = match &asked.request {
            Request::Shed { clients, to, share_percent, force } => {
                let to = to.as_deref().map(|name| announcer.campaign().alternate_called(name)).transpose();
                to.and_then(|to| {
                    let share = f64::from(*share_percent).clamp(1.0, 100.0) / 100.0;
                    announcer.shed(clients, Shed { to, share, force: *force })
                })
            }
            Request::Invite { clients } => announcer.invite_by_hand(clients),
            _ => return None,
        };
        match begun {
            Ok(by_hand) => Some(Telling { asked, by_hand }),
            Err(why) => {
                asked.reply(Reply::Refused { errors: vec![why] });
                None
            }
        }
    }

    /// Answers if all were told or can't be; answers whether it did.
    pub(super) fn end(&self, announcer: &Announcer) -> bool {
        if !announcer.campaign().have_been_told(&self.by_hand.told) {
            return false;
        }
        let clients = announcer.campaign().outcome(&self.by_hand);
        let last = summary(&clients);
        self.asked.reply(Reply::Told { clients });
        self.asked.reply(last);
        true
    }
}

/// All were told, or who wasn't and why.
fn summary(clients: &[ClientTold]) -> Reply {
    let count = |outcome: &str| clients.iter().filter(|client| client.outcome == outcome).count();
    let (not_told, no_room) = (count("not-told"), count("no-room"));
    let told = clients.len() - not_told - no_room;
    let mut errors = Vec::new();
    if not_told > 0 {
        errors.push(format!(
            "{not_told} of {} clients gave no receipt: does an agent run there, and do ICMP or UDP get through both ways?",
            clients.len()
        ));
    }
    if no_room > 0 {
        errors.push(format!(
            "{no_room} of {} clients stay: no alternate has room for them; --force sends them all the same",
            clients.len()
        ));
    }
    match errors.is_empty() {
        true => Reply::Done { message: format!("{told} clients told") },
        false => Reply::Refused { errors },
    }
}
