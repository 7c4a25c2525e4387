//! What control items say of an account, but for passwords and Auth-Type.

use super::authorize::Refusal;
use super::clock;
use super::item::{Item, Meaning};
use super::login_time::{LoginTime, Stay};
use crate::process::totp::Totp;

/// What control items say, each with the item that says it.
#[derive(Debug, Default)]
pub(super) struct Control<'a> {
    expiration: Option<(u32, &'a Item)>,
    /// `None` of hours: never.
    login_time: Option<(Option<&'a LoginTime>, &'a Item)>,
    pub(super) simultaneous_use: Option<(u32, &'a Item)>,
    pub(super) pool: Option<(&'a str, &'a Item)>,
    closed: Option<&'a Item>,
}

impl<'a> Control<'a> {
    /// Takes what the item says. The first of each kind counts.
    pub(super) fn note(&mut self, item: &'a Item) {
        match &item.meaning {
            Meaning::Expiration(when) => self.expiration = self.expiration.or(Some((*when, item))),
            Meaning::LoginTime(hours) => {
                self.login_time = self.login_time.or(Some((hours.as_ref(), item)));
            }
            Meaning::SimultaneousUse(sessions) => {
                self.simultaneous_use = self.simultaneous_use.or(Some((*sessions, item)));
            }
            Meaning::Pool(pool) => self.pool = self.pool.or(Some((pool, item))),
            Meaning::Closed => self.closed = self.closed.or(Some(item)),
            Meaning::Nothing | Meaning::Password { .. } | Meaning::Totp(_) | Meaning::AuthType(_) => {}
        }
    }

    /// Whether they are let in now, by which item not, and for how many seconds.
    pub(super) fn limits(&self, now: u64) -> (Option<(Refusal<'a>, &'a Item)>, Option<u32>) {
        if let Some(item) = self.closed {
            return (Some((Refusal::Closed, item)), None);
        }
        let mut longest = None;
        if let Some((expiration, item)) = self.expiration {
            match u64::from(expiration).checked_sub(now) {
                None | Some(0) => return (Some((Refusal::Expired, item)), None),
                Some(left) => longest = Some(left as u32),
            }
        }
        let Some((hours, item)) = self.login_time else { return (None, longest) };
        match hours.map_or(Stay::Outside, |hours| hours.stay(clock::local(now))) {
            Stay::Outside => (Some((Refusal::OutsideHours, item)), None),
            Stay::Unlimited => (None, longest),
            Stay::Seconds(left) => (None, Some(longest.map_or(left, |longest| longest.min(left)))),
        }
    }
}

/// The first secret of one-time codes among control items.
pub(super) fn totp<'a>(mut items: impl Iterator<Item = &'a Item>) -> Option<&'a Totp> {
    items.find_map(|item| match &item.meaning {
        Meaning::Totp(totp) => Some(totp),
        _ => None,
    })
}
