//! What a conversation knows while its peer answers, in octets: so that another server can go on with it.
//!
//! ```text
//! version  method  first  identifier  rounds (2)  octets (4)  refused: length, numbers  identity: length, octets  the method's
//! ```
//!
//! They aren't secret, but whoever takes them back believes them: they are sealed on their way.

use std::sync::Arc;

use super::{Conversation, Stage};
use crate::method::{Method, Next};
use crate::settings::{Kind, Settings};
use crate::{gtc, md5, mschapv2, tunnel};

const VERSION: u8 = 1;

impl Conversation {
    /// Writes it to the front of `room`, and says how many octets it took. `None`: nobody else could go on with it (a
    /// handshake is under way, or nothing is asked), or it doesn't fit.
    pub fn save(&self, room: &mut [u8]) -> Option<usize> {
        let Stage::Method { kind, first, method } = &self.stage else { return None };
        let rounds = u16::try_from(self.rounds).ok()?.to_be_bytes();
        let octets = u32::try_from(self.octets).ok()?.to_be_bytes();
        let length = |octets: &[u8]| u8::try_from(octets.len()).ok().map(|length| [length]);
        let head = put(
            room,
            &[
                &[VERSION, kind.number(), u8::from(*first), self.identifier],
                &rounds,
                &octets,
                &length(&self.refused)?,
                &self.refused,
                &length(&self.identity)?,
                &self.identity,
            ],
        )?;
        Some(head + method.save(&self.identity, &mut room[head..])?)
    }

    /// Goes on where [`save`](Self::save) left off, by these settings; the request that is out is the other server's.
    /// `None`: these settings don't allow its method, or it is of another version.
    pub fn restore(settings: Arc<Settings>, saved: &[u8]) -> Option<Self> {
        let (&[VERSION, number, first, identifier], rest) = saved.split_first_chunk()? else { return None };
        let (rounds, rest) = rest.split_first_chunk()?;
        let (octets, rest) = rest.split_first_chunk()?;
        let (refused, rest) = counted(rest)?;
        let (identity, rest) = counted(rest)?;
        let kind = settings.methods.iter().copied().find(|kind| kind.number() == number)?;
        let method: Box<dyn Method> = match kind {
            Kind::Md5 => md5::restore(rest)?,
            Kind::Gtc => gtc::restore(rest)?,
            Kind::MsChap2 => mschapv2::restore(rest, identity, settings.tries)?,
            Kind::Tls | Kind::Ttls | Kind::Peap if rest.is_empty() => match tunnel::begin(kind, &settings) {
                Next::Ask(method, _) => method,
                _ => return None,
            },
            Kind::Tls | Kind::Ttls | Kind::Peap | Kind::Teap | Kind::Pwd => return None,
        };
        (!identity.is_empty()).then(|| Self {
            identity: identity.to_vec(),
            identifier,
            request: Vec::new(),
            stage: Stage::Method { kind, first: first != 0, method },
            refused: refused.to_vec(),
            rounds: u16::from_be_bytes(*rounds).into(),
            octets: u32::from_be_bytes(*octets) as usize,
            settings,
        })
    }
}

/// Writes these one behind the other, and says how many octets they took. `None`: they don't fit.
pub(crate) fn put(room: &mut [u8], parts: &[&[u8]]) -> Option<usize> {
    let mut length = 0;
    for part in parts {
        room.get_mut(length..length + part.len())?.copy_from_slice(part);
        length += part.len();
    }
    Some(length)
}

/// As many octets as the first says, and what is behind.
fn counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first()?;
    rest.split_at_checked(usize::from(*length))
}
