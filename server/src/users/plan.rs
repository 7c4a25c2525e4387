//! What an account means for every request, where that doesn't depend on the request.

use super::account::Account;
use super::authorize::{Authorization, Refusal};
use super::control::{Control, totp};
use super::item::{Item, ItemValue, Meaning};
use super::merge::Ref;
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
    /// The control items that say something besides.
    control: Box<[Ref]>,
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
        let items = || room.control.iter().filter_map(|place| account.check_item(*place));
        let limits =
            room.control.iter().filter(|place| account.check_item(**place).is_some_and(Item::may_decide));
        let wire = || room.reply.iter().filter_map(|place| account.reply_item(*place)?.wire.as_ref());
        let in_rejects = wire().filter(|attribute| super::reply::is_for_rejects(attribute));
        Some(Self {
            passwords: passwords(items(), account.has_equal_passwords()).iter().cloned().collect(),
            totp: totp(items()).cloned(),
            reply: Template::new(&wire().cloned().collect::<Vec<_>>()),
            rejected: Template::new(&in_rejects.cloned().collect::<Vec<_>>()),
            control: limits.copied().collect(),
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
            control: Box::default(),
            refused: None,
        }
    }

    pub(super) fn authorize<'a>(&'a self, account: &'a Account, now: u64) -> Authorization<'a> {
        let mut passwords = Passwords::new(account.has_equal_passwords());
        for password in &self.passwords {
            passwords.add(password);
        }
        let reply = Reply::Fixed { accepted: &self.reply, rejected: &self.rejected };
        let mut authorization = Authorization::new(passwords, self.totp.as_ref(), reply);
        match self.refused {
            Some(number) => authorization.refusal = account.faults.get(number).map(Refusal::Row),
            None if self.control.is_empty() => {}
            None => {
                let mut control = Control::default();
                let items = self.control.iter().filter_map(|place| account.check_item(*place));
                items.for_each(|item| control.note(item));
                authorization.limit(&control, now);
            }
        }
        authorization
    }
}
