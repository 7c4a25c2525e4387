//! What an account means for one request: the sections that apply, merged, and what they say.

use std::sync::Arc;

use super::account::Account;
use super::control::{Control, totp};
use super::expand::Filled;
use super::item::{Asker, AuthType, Item, Meaning};
use super::passwords::{Passwords, passwords};
use super::reply::Reply;
use super::resolve::{Room, expand_all};
use super::rows::RowError;
use super::witness::Witness;
use crate::process::outcome::Cause;
use crate::process::totp::Totp;

/// What an account means for one request.
#[derive(Debug)]
pub struct Authorization<'a> {
    /// What a password is compared with. Empty: this account has none that counts for this request.
    pub passwords: Passwords<'a>,
    /// The secret of the one-time codes it needs, if it does.
    pub totp: Option<&'a Totp>,
    /// What goes into the reply.
    pub reply: Reply<'a>,
    /// How they have to be verified. `None`: by the credentials they bring.
    pub auth_type: Option<AuthType>,
    /// Kept out before anybody looks at the credentials.
    pub refusal: Option<Refusal<'a>>,
    /// Seconds the session may last, by Expiration and Login-Time.
    pub longest: Option<u32>,
    /// Sessions at one time.
    pub simultaneous_use: Option<u32>,
    /// The pool of the session's address.
    pub pool: Option<&'a str>,
    /// Whether a condition of the user's own section doesn't hold, so that nothing of the section counts.
    pub is_unmet: bool,
    pub(super) deciding: Deciding<'a>,
}

/// The check items that may decide a reject.
#[derive(Debug, Default)]
pub(super) struct Deciding<'a> {
    /// Of [`Authorization::refusal`].
    pub(super) refusal: Option<&'a Item>,
    /// Of [`Authorization::auth_type`].
    pub(super) auth_type: Option<&'a Item>,
    /// Of [`Authorization::simultaneous_use`].
    pub(super) simultaneous_use: Option<&'a Item>,
    /// Of [`Authorization::pool`].
    pub(super) pool: Option<&'a Item>,
    /// The first condition that doesn't hold.
    pub(super) unmet: Option<&'a Item>,
}

impl<'a> Authorization<'a> {
    /// Of an account in which no control item but passwords says anything.
    pub(super) fn new(passwords: Passwords<'a>, totp: Option<&'a Totp>, reply: Reply<'a>) -> Self {
        Self {
            passwords,
            totp,
            reply,
            auth_type: None,
            refusal: None,
            longest: None,
            simultaneous_use: None,
            pool: None,
            is_unmet: false,
            deciding: Deciding::default(),
        }
    }

    /// With what control items say of it now.
    pub(super) fn limit(&mut self, control: &Control<'a>, now: u64) {
        let (refusal, longest) = control.limits(now);
        (self.refusal, self.deciding.refusal) = refusal.unzip();
        self.longest = longest;
        (self.simultaneous_use, self.deciding.simultaneous_use) = control.simultaneous_use.unzip();
        (self.pool, self.deciding.pool) = control.pool.unzip();
    }

    /// The check item by which a reject of this cause was decided, as records name it.
    pub fn decided_by(&self, cause: Cause) -> Option<&'a Arc<str>> {
        let item = match cause {
            Cause::Expired | Cause::OutsideLoginTime | Cause::AccountDisabled => self.deciding.refusal,
            Cause::AuthTypeReject | Cause::AuthTypeOther => self.deciding.auth_type,
            Cause::TooManySessions => self.deciding.simultaneous_use,
            Cause::PoolEmpty => self.deciding.pool,
            // A password behind a condition that doesn't hold doesn't count.
            Cause::NoPassword => self.deciding.unmet,
            _ => None,
        };
        item?.record.as_ref()
    }
}

/// Why an account is of no use to this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal<'a> {
    /// A row isn't understood.
    Row(&'a RowError),
    /// Expiration has passed.
    Expired,
    /// Login-Time doesn't allow it now.
    OutsideHours,
    /// The account is disabled or locked.
    Closed,
}

/// What `account` means for who asks.
pub fn authorize<'a>(account: &'a Account, asker: &Asker<'_>, room: &'a mut Room) -> Authorization<'a> {
    match &account.plan {
        Some(plan) => plan.authorize(account, asker.now),
        None => authorize_seen(account, asker, room, &mut ()),
    }
}

/// As [`authorize`], telling `witness` each step.
pub fn authorize_seen<'a>(
    account: &'a Account,
    asker: &Asker<'_>,
    room: &'a mut Room,
    witness: &mut impl Witness,
) -> Authorization<'a> {
    if let (Some(plan), []) = (&account.plan, &*account.sections) {
        return plan.authorize(account, asker.now);
    }
    let method = asker.method.filter(|method| *method != AuthType::Pap);
    let holds = |item: &Item, filled: &mut Filled| item.holds(asker, &account.group_names, filled);
    let refused = account.resolve(room, method.is_some(), holds, witness);
    expand_all(account, asker, room);
    let room = &*room;
    let items = || room.control.iter().filter_map(|place| account.check_item(*place));
    let reply = Reply::Listed { account, room };
    let mut authorization =
        Authorization::new(passwords(items(), account.has_equal_passwords()), totp(items()), reply);
    for place in &room.control {
        let item = account.check_item(*place);
        let found = match item.map(|item| &item.meaning) {
            None => method,
            Some(Meaning::AuthType(found)) => Some(*found),
            Some(_) => None,
        };
        // The last one counts, but Reject wins.
        if found.is_some() && authorization.auth_type != Some(AuthType::Reject) {
            (authorization.auth_type, authorization.deciding.auth_type) = (found, item);
        }
    }
    authorization.is_unmet = room.unmet.is_some_and(|place| place.section == 0);
    authorization.deciding.unmet = room.unmet.and_then(|place| account.check_item(place));
    match refused {
        Some(number) => authorization.refusal = account.faults.get(number).map(Refusal::Row),
        None => {
            let mut control = Control::default();
            items().for_each(|item| control.note(item));
            authorization.limit(&control, asker.now);
        }
    }
    authorization
}
