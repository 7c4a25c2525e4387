//! What an account means for one request: the sections that apply, merged, and what they say.

use std::ops::Range;
use std::sync::Arc;

use super::Source;
use super::account::Account;
use super::clock;
use super::expand::Filled;
use super::item::{Asker, AuthType, Item, ItemValue, Meaning};
use super::login_time::{LoginTime, Stay};
use super::merge::{Ref, Scratch, merge};
use super::reply::{Reply, expanded};
use super::rows::RowError;
use super::section::{FallThrough, Section};
use super::witness::{Step, Witness};
use crate::config;
use crate::process::password::Password;
use crate::process::reply::Template;
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

/// An NT hash, stored or made.
pub type NtHash<'a> = std::borrow::Cow<'a, zeroize::Zeroizing<[u8; forewarn_wire::mschap::HASH]>>;

/// The forms in which one user's password is stored, in the order of the source. Of a directory's user they are
/// passwords of equal rank (RFC 4519 section 2.41), any of which lets in; elsewhere the first of a kind counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passwords<'a> {
    places: [Option<&'a Password>; Passwords::MAX],
    any: bool,
}

impl<'a> Passwords<'a> {
    /// Passwords that count; more are ignored.
    pub const MAX: usize = 8;

    /// None yet; `any`: they will be of equal rank.
    pub fn new(any: bool) -> Self {
        Self { places: [None; Self::MAX], any }
    }

    /// Adds one. False: there is no room.
    pub fn add(&mut self, password: &'a Password) -> bool {
        match self.places.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(password);
                true
            }
            None => false,
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'a Password> {
        self.places.iter().copied().flatten()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places[0].is_none()
    }

    /// What PAP is verified with.
    pub fn for_pap(&self) -> impl Iterator<Item = &'a Password> {
        self.iter().take(self.most())
    }

    /// The NT hashes that MS-CHAP is verified with: those that are stored, else those of clear texts.
    pub fn nt_hashes(&self) -> impl Iterator<Item = NtHash<'a>> {
        let stored = self.iter().any(Password::is_nt_hash);
        let counts = move |password: &&Password| !stored || password.is_nt_hash();
        self.iter().filter(counts).filter_map(Password::as_nt_hash).take(self.most())
    }

    /// Those in clear text, which CHAP is verified with.
    pub fn clear_texts(&self) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter_map(Password::clear_text).take(self.most())
    }

    fn most(&self) -> usize {
        if self.any { Self::MAX } else { 1 }
    }
}

/// Buffers of a core for accounts that depend on the request, used again.
#[derive(Debug, Default)]
pub struct Room {
    control: Vec<Ref>,
    pub(super) reply: Vec<Ref>,
    scratch: Scratch,
    filled: Filled,
    /// Attributes made for this request, as they stand in the packet.
    pub(super) octets: Vec<u8>,
    pub(super) expanded: Vec<(Ref, Range<usize>)>,
}

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

/// What control items say, but for passwords.
#[derive(Debug)]
struct Control<Pool, Hours> {
    expiration: Option<u32>,
    /// `Some(None)`: never.
    login_time: Option<Option<Hours>>,
    simultaneous_use: Option<u32>,
    pool: Option<Pool>,
    closed: bool,
}

/// The method that the request itself has set, among the control items.
const METHOD: Ref = Ref { section: u16::MAX, item: 0 };

/// The first secret of one-time codes among control items.
fn totp<'a>(mut items: impl Iterator<Item = &'a Item>) -> Option<&'a Totp> {
    items.find_map(|item| match &item.meaning {
        Meaning::Totp(totp) => Some(totp),
        _ => None,
    })
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

    fn authorize<'a>(&'a self, account: &'a Account, now: u64) -> Authorization<'a> {
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

impl<'a> Control<&'a Arc<str>, &'a LoginTime> {
    /// The first of each kind counts.
    fn note(&mut self, meaning: &'a Meaning) {
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
    const NOTHING: Self =
        Self { expiration: None, login_time: None, simultaneous_use: None, pool: None, closed: false };

    /// Whether they are let in now, and for how many seconds.
    fn limits<'h>(
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

impl Account {
    /// Whether each of its passwords lets in.
    fn has_equal_passwords(&self) -> bool {
        self.source == Source::Ldap
    }

    pub(super) fn check_item(&self, place: Ref) -> Option<&Item> {
        self.sections.get(usize::from(place.section))?.check.items.get(usize::from(place.item))
    }

    pub(super) fn reply_item(&self, place: Ref) -> Option<&Item> {
        self.sections.get(usize::from(place.section))?.reply.items.get(usize::from(place.item))
    }

    /// Goes through the sections as FreeRADIUS's `sql` does: the user's own, then the groups' by priority for as long
    /// as it falls through. `Some`: the number of the row that makes it unusable.
    fn resolve(
        &self,
        room: &mut Room,
        has_method: bool,
        holds: impl Fn(&Item, &mut Filled) -> bool,
        witness: &mut impl Witness,
    ) -> Option<usize> {
        room.control.clear();
        room.reply.clear();
        if has_method {
            room.control.push(METHOD);
        }
        let (own, groups) = self.sections.split_first()?;
        let mut falls = FallThrough::Default;
        if own.check.refused.is_some() {
            return own.check.refused;
        }
        // Rows of radreply alone are never looked at. A directory's users may have nothing to check: it verifies them.
        if (own.check.has_rows || self.source != Source::Sql) && self.matches(own, room, &holds, witness) {
            self.merge_check(0, room, witness);
            if own.reply.refused.is_some() {
                return own.reply.refused;
            }
            falls = own.fall_through();
            self.merge_reply(0, room, witness);
        }
        if falls == FallThrough::No {
            witness.see(Step::Stopped { section: own });
            return None;
        }
        for (number, group) in (1..).zip(groups) {
            if group.check.refused.is_some() {
                return group.check.refused;
            }
            if !self.matches(group, room, &holds, witness) {
                continue;
            }
            self.merge_check(number, room, witness);
            if group.reply.refused.is_some() {
                return group.reply.refused;
            }
            self.merge_reply(number, room, witness);
            if group.fall_through() != FallThrough::Yes {
                witness.see(Step::Stopped { section: group });
                break;
            }
        }
        None
    }

    fn matches(
        &self,
        section: &Section,
        room: &mut Room,
        holds: impl Fn(&Item, &mut Filled) -> bool,
        witness: &mut impl Witness,
    ) -> bool {
        let failed = section.check.items.iter().find(|item| {
            let held = holds(item, &mut room.filled);
            if !item.is_unconditional() {
                witness.see(Step::Compared { section, item, held });
            }
            !held
        });
        witness.see(if failed.is_none() { Step::Applies { section } } else { Step::Skipped { section } });
        failed.is_none()
    }

    fn merge_check(&self, number: u16, room: &mut Room, witness: &mut impl Witness) {
        let Some(section) = self.sections.get(usize::from(number)) else { return };
        let items = &section.check.items;
        for item in items.iter().filter(|item| item.operator.also_sets()) {
            witness.see(Step::Control { section, item });
        }
        let is_same = |item: &Item, place: Ref| match self.check_item(place) {
            Some(there) => item.place.is_same(&there.place),
            None => matches!(item.meaning, Meaning::AuthType(_)) || &*item.place.name == "Auth-Type",
        };
        let of = |place| self.check_item(place);
        merge(&mut room.control, &mut room.scratch, number, items, of, is_same);
    }

    fn merge_reply(&self, number: u16, room: &mut Room, witness: &mut impl Witness) {
        let Some(section) = self.sections.get(usize::from(number)) else { return };
        let items = &section.reply.items;
        for item in items {
            witness.see(Step::Reply { section, item });
        }
        let is_same = |item: &Item, place: Ref| {
            self.reply_item(place).is_some_and(|there| item.place.is_same(&there.place))
        };
        let of = |place| self.reply_item(place);
        merge(&mut room.reply, &mut room.scratch, number, items, of, is_same);
    }
}

impl Item {
    /// Whether it is no condition.
    fn is_unconditional(&self) -> bool {
        self.operator.only_sets() || self.subject == super::item::Subject::Always
    }
}

/// Fills in what is made per request.
fn expand_all(account: &Account, asker: &Asker<'_>, room: &mut Room) {
    let Room { reply, filled, octets, expanded: ranges, .. } = room;
    octets.clear();
    ranges.clear();
    for place in reply {
        let Some(item) = account.reply_item(*place) else { continue };
        if let ItemValue::Expansion(expansion) = &item.value {
            expansion.fill(asker.request, filled);
            let start = octets.len();
            if expanded(item, &filled.0, octets).is_some() {
                ranges.push((*place, start..octets.len()));
            }
        }
    }
}

/// In the order of the list. Password-With-Header stands for what it says it is, behind the others, and counts for
/// nothing when there is one of that form already. Nothing comes behind one that can't match: it counts as the first.
/// Neither holds of those of equal rank.
#[allow(clippy::needless_pass_by_value, reason = "an iterator is handed over, also where it is cloned")]
fn passwords<'a>(items: impl Iterator<Item = &'a Item> + Clone, any: bool) -> Passwords<'a> {
    let mut passwords = Passwords::new(any);
    let (mut blocked, mut is_first) = (false, true);
    for late in [false, true] {
        for item in items.clone() {
            let Meaning::Password { password, with_header } = &item.meaning else { continue };
            if *with_header != late {
                continue;
            }
            match password {
                None => blocked |= is_first && !any,
                Some(password)
                    if late && !any && passwords.iter().any(|there| there.form() == password.form()) => {}
                Some(password) => {
                    passwords.add(password);
                }
            }
            is_first = false;
        }
    }
    if blocked { Passwords::default() } else { passwords }
}
