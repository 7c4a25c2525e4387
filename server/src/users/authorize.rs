//! What an account means for one request: the sections that apply, merged, and what they say.

use std::sync::Arc;

use super::account::Account;
use super::control::{Control, totp};
use super::expand::Filled;
use super::item::{Asker, AuthType, Item, Meaning};
use super::login_time::LoginTime;
use super::passwords::{Passwords, passwords};
use super::reply::Reply;
use super::resolve::{Room, expand_all};
use super::rows::RowError;
use super::witness::Witness;
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
    let mut control: Control<&Arc<str>, &LoginTime> = Control::NOTHING;
    let mut auth_type = None;
    for place in &room.control {
        let found = match account.check_item(*place).map(|item| &item.meaning) {
            None => method,
            Some(Meaning::AuthType(found)) => Some(*found),
            Some(meaning) => {
                control.note(meaning);
                None
            }
        };
        // The last one counts, but Reject wins.
        if auth_type != Some(AuthType::Reject) {
            auth_type = found.or(auth_type);
        }
    }
    let (refusal, longest) = match refused {
        Some(number) => (account.faults.get(number).map(Refusal::Row), None),
        None => control.limits(asker.now, |hours| hours),
    };
    Authorization {
        passwords: passwords(
            room.control.iter().filter_map(|place| account.check_item(*place)),
            account.has_equal_passwords(),
        ),
        totp: totp(room.control.iter().filter_map(|place| account.check_item(*place))),
        reply: Reply::Listed { account, room },
        auth_type,
        refusal,
        longest,
        simultaneous_use: control.simultaneous_use,
        pool: control.pool.map(|pool| &**pool),
    }
}
