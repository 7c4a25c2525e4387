//! What control items say of an account, but for passwords and Auth-Type.

use std::sync::Arc;

use super::authorize::Refusal;
use super::clock;
use super::item::{Item, Meaning};
use super::login_time::{LoginTime, Stay};
use crate::process::totp::Totp;

/// What control items say, but for passwords.
#[derive(Debug)]
pub(super) struct Control<Pool, Hours> {
    pub(super) expiration: Option<u32>,
    /// `Some(None)`: never.
    pub(super) login_time: Option<Option<Hours>>,
    pub(super) simultaneous_use: Option<u32>,
    pub(super) pool: Option<Pool>,
    pub(super) closed: bool,
}

impl<'a> Control<&'a Arc<str>, &'a LoginTime> {
    /// The first of each kind counts.
    pub(super) fn note(&mut self, meaning: &'a Meaning) {
        match meaning {
            Meaning::Expiration(when) => self.expiration = self.expiration.or(Some(*when)),
            Meaning::LoginTime(hours) => {
                self.login_time = self.login_time.or(Some(hours.as_ref()));
            }
            Meaning::SimultaneousUse(sessions) => {
                self.simultaneous_use = self.simultaneous_use.or(Some(*sessions));
            }
            Meaning::Pool(pool) => self.pool = self.pool.or(Some(pool)),
            Meaning::Closed => self.closed = true,
            Meaning::Nothing | Meaning::Password { .. } | Meaning::Totp(_) | Meaning::AuthType(_) => {}
        }
    }
}

impl<Pool, Hours> Control<Pool, Hours> {
    pub(super) const NOTHING: Self =
        Self { expiration: None, login_time: None, simultaneous_use: None, pool: None, closed: false };

    /// Whether they are let in now, and for how many seconds.
    pub(super) fn limits<'h>(
        &'h self,
        now: u64,
        hours: impl Fn(&'h Hours) -> &'h LoginTime,
    ) -> (Option<Refusal<'static>>, Option<u32>) {
        if self.closed {
            return (Some(Refusal::Closed), None);
        }
        let mut longest = None;
        if let Some(expiration) = self.expiration {
            match u64::from(expiration).checked_sub(now) {
                None | Some(0) => return (Some(Refusal::Expired), None),
                Some(left) => longest = Some(left as u32),
            }
        }
        match &self.login_time {
            None => (None, longest),
            Some(None) => (Some(Refusal::OutsideHours), None),
            Some(Some(time)) => match hours(time).stay(clock::local(now)) {
                Stay::Outside => (Some(Refusal::OutsideHours), None),
                Stay::Unlimited => (None, longest),
                Stay::Seconds(left) => (None, Some(longest.map_or(left, |longest| longest.min(left)))),
            },
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
