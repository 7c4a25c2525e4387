//! What an account means for every request, where that doesn't depend on the request.

use std::sync::Arc;

use super::account::Account;
use super::authorize::{Authorization, Refusal};
use super::control::{Control, totp};
use super::item::{Item, ItemValue, Meaning};
use super::login_time::LoginTime;
use super::passwords::{Passwords, passwords};
use super::reply::Reply;
use super::resolve::Room;
use super::section::Section;
use crate::config;
use crate::process::password::Password;
use crate::process::reply::Template;
use crate::process::totp::Totp;

/// What an account means for every request.
#[derive(Debug)]
pub(super) struct Plan {
    passwords: Vec<Password>,
    totp: Option<Totp>,
    reply: Template,
    rejected: Template,
    control: Control<Arc<str>, LoginTime>,
    /// The number of the row that makes it unusable.
    refused: Option<usize>,
}

impl Plan {
    /// `None`: it depends on the request.
    pub(super) fn of(account: &Account) -> Option<Self> {
        let is_fixed = |section: &Section| {
            let by_itself =
                |item: &Item| item.is_unconditional() && !matches!(item.meaning, Meaning::AuthType(_));
            let as_it_stands = |item: &Item| !matches!(item.value, ItemValue::Expansion(_));
            section.check.items.iter().all(by_itself) && section.reply.items.iter().all(as_it_stands)
        };
        if !account.sections.iter().all(is_fixed) {
            return None;
        }
        let mut room = Room::default();
        let refused = account.resolve(&mut room, false, |_, _| true, &mut ());
        let mut control: Control<&Arc<str>, &LoginTime> = Control::NOTHING;
        let items = || room.control.iter().filter_map(|place| account.check_item(*place));
        items().for_each(|item| control.note(&item.meaning));
        let wire = || room.reply.iter().filter_map(|place| account.reply_item(*place)?.wire.as_ref());
        let in_rejects = wire().filter(|attribute| super::reply::is_for_rejects(attribute));
        Some(Self {
            passwords: passwords(items(), account.has_equal_passwords()).iter().cloned().collect(),
            totp: totp(items()).cloned(),
            reply: Template::new(&wire().cloned().collect::<Vec<_>>()),
            rejected: Template::new(&in_rejects.cloned().collect::<Vec<_>>()),
            control: Control {
                expiration: control.expiration,
                login_time: control.login_time.map(Option::<&LoginTime>::cloned),
                simultaneous_use: control.simultaneous_use,
                pool: control.pool.cloned(),
                closed: control.closed,
            },
            refused,
        })
    }

    /// One of the configuration's users.
    pub(super) fn of_user(user: &config::User) -> Self {
        Self {
            passwords: vec![user.password.clone()],
            totp: user.totp.clone(),
            reply: Template::new(&user.reply),
            rejected: Template::default(),
            control: Control::NOTHING,
            refused: None,
        }
    }

    pub(super) fn authorize<'a>(&'a self, account: &'a Account, now: u64) -> Authorization<'a> {
        let mut passwords = Passwords::new(account.has_equal_passwords());
        for password in &self.passwords {
            passwords.add(password);
        }
        let (refusal, longest) = match self.refused {
            Some(number) => (account.faults.get(number).map(Refusal::Row), None),
            None => self.control.limits(now, |hours| hours),
        };
        Authorization {
            passwords,
            totp: self.totp.as_ref(),
            reply: Reply::Fixed { accepted: &self.reply, rejected: &self.rejected },
            auth_type: None,
            refusal,
            longest,
            simultaneous_use: self.control.simultaneous_use,
            pool: self.control.pool.as_deref(),
        }
    }
}
