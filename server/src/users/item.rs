//! One row, understood: what it compares, what it sets.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use forewarn_dict::DataType;
use forewarn_wire::{Packet, number};
use regex::bytes::Regex;

use super::clock;
use super::expand::{Expansion, Filled};
use super::login_time::{LoginTime, Stay};
use super::operator::Operator;
use super::place::{Instance, Place};
use super::value;
use crate::config::{ReplyAttribute, ReplyValue};
use crate::process::password::Password;
use crate::process::totp::Totp;

/// A check or reply item of one account.
#[derive(Debug)]
pub struct Item {
    /// What it does with its value.
    pub operator: Operator,
    /// Its attribute.
    pub place: Place,
    /// The tag in its name.
    pub tag: Option<u8>,
    pub(super) subject: Subject,
    pub(super) value: ItemValue,
    /// What it means once it is a control item.
    pub(super) meaning: Meaning,
    /// How it stands in a reply. `None`: it isn't sent.
    pub(super) wire: Option<ReplyAttribute>,
    /// Its row, as records of decisions name it. `None`: it can't decide one.
    pub(super) record: Option<Arc<str>>,
    /// Its value for people; nothing of a secret.
    pub(super) shown: Box<str>,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place.name)?;
        if let Some(tag) = self.tag {
            write!(f, ":{tag}")?;
        }
        write!(f, " {} {}", self.operator, self.shown)
    }
}

/// What a check item is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// The request's attributes of that name.
    Request,
    /// The password that was given, in clear.
    GivenPassword,
    /// The sender's address.
    Sender,
    /// The client's name.
    ClientName,
    /// The client's group, and each group that one is in.
    ClientGroup,
    /// The account's groups.
    UserGroups,
    /// Before or behind Expiration.
    Expiration,
    /// Within or without Login-Time's hours.
    CurrentTime,
    /// The time of day.
    TimeOfDay,
    /// Nothing: it always holds, as FreeRADIUS has it for Auth-Type and the like.
    Always,
    /// Nothing that a request could have.
    Never,
}

/// The value of an item.
#[derive(Debug)]
pub(super) enum ItemValue {
    Octets(Box<[u8]>),
    /// Searched for in texts.
    Pattern(Regex),
    /// Searched for in numbers as they are printed: the named ones that match, and the rest's digits.
    NumberPattern(Regex, Box<[(u64, bool)]>),
    /// Made per request.
    Expansion(Expansion),
    Hours(LoginTime),
    /// Understood, but of no use here: nothing compares with it.
    Unusable,
}

/// What a control item means.
#[derive(Debug)]
pub(super) enum Meaning {
    Nothing,
    /// `None`: no password is this one.
    Password {
        password: Option<Password>,
        with_header: bool,
    },
    Totp(Totp),
    AuthType(AuthType),
    /// Seconds since 1970.
    Expiration(u32),
    /// `None`: never.
    LoginTime(Option<LoginTime>),
    SimultaneousUse(u32),
    Pool(Arc<str>),
    /// The account is disabled or locked.
    Closed,
}

/// Auth-Type: how the user has to be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthType {
    /// Let in without a look at the credentials.
    Accept,
    /// Kept out, whatever the credentials.
    Reject,
    /// User-Password.
    Pap,
    /// CHAP-Password.
    Chap,
    /// MS-CHAP of either version.
    MsChap,
    /// EAP.
    Eap,
    /// One that no module answers for: kept out.
    Other,
}

/// Who asks, and what they bring.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The request.
    pub request: &'a Packet<'a>,
    /// User-Password, revealed.
    pub password: Option<&'a [u8]>,
    /// The method that the credentials are for, but for PAP: FreeRADIUS's `chap` and `mschap` set it before users are
    /// looked up.
    pub method: Option<AuthType>,
    /// Where the request came from.
    pub source: IpAddr,
    /// The client's name.
    pub client: &'a str,
    /// The client's group; empty: none.
    pub group: &'a str,
    /// Seconds since 1970.
    pub now: u64,
}

impl Item {
    /// The reply attribute's value as it stands in packets.
    pub fn reply(&self) -> Option<&ReplyValue> {
        self.wire.as_ref().map(|attribute| &attribute.value)
    }

    /// Whether it is no condition.
    pub(super) fn is_unconditional(&self) -> bool {
        self.operator.only_sets() || self.subject == Subject::Always
    }

    /// Whether a reject may be for it alone: a condition, or what keeps out by itself.
    pub(super) fn may_decide(&self) -> bool {
        let limits = !matches!(self.meaning, Meaning::Nothing | Meaning::Password { .. } | Meaning::Totp(_));
        limits || !self.is_unconditional()
    }

    /// How the value of another item of the same attribute stands to this one's. `None`: one of them is made per
    /// request.
    pub(super) fn order_of(&self, other: &Item) -> Option<Ordering> {
        let (ItemValue::Octets(value), ItemValue::Octets(other_value)) = (&self.value, &other.value) else {
            return None;
        };
        match self.tag_order(other.tag) {
            Ordering::Equal => value::order(self.place.data_type, other_value, value),
            order => Some(order),
        }
    }

    /// An item without a tag compares with any.
    fn tag_order(&self, tag: Option<u8>) -> Ordering {
        match self.tag {
            Some(own) if self.place.is_tagged() => tag.unwrap_or(0).cmp(&own),
            _ => Ordering::Equal,
        }
    }

    /// Whether the condition holds for who asks, in an account with these groups.
    pub(super) fn holds(&self, asker: &Asker<'_>, groups: &[Arc<str>], room: &mut Filled) -> bool {
        if self.operator.only_sets() || self.subject == Subject::Always {
            return true;
        }
        let order = match self.subject {
            Subject::UserGroups => {
                let ItemValue::Octets(name) = &self.value else { return false };
                let is_member = groups.iter().any(|group| group.as_bytes() == &**name);
                if is_member { Ordering::Equal } else { Ordering::Greater }
            }
            Subject::Expiration => match &self.value {
                ItemValue::Octets(when) if asker.now < value::unsigned(when) => Ordering::Equal,
                _ => Ordering::Greater,
            },
            Subject::CurrentTime => match &self.value {
                ItemValue::Hours(hours) if hours.stay(clock::local(asker.now)) != Stay::Outside => {
                    Ordering::Equal
                }
                _ => Ordering::Less,
            },
            Subject::TimeOfDay => match &self.value {
                ItemValue::Octets(when) => {
                    let now = clock::local(asker.now).rem_euclid(86_400) as u64;
                    now.cmp(&value::unsigned(when))
                }
                _ => return false,
            },
            _ => return self.holds_of_any(asker, room),
        };
        self.operator.holds(Some(order))
    }

    /// One value that satisfies it is enough; where there is none, only "there is none" holds.
    fn holds_of_any(&self, asker: &Asker<'_>, room: &mut Filled) -> bool {
        if let ItemValue::Expansion(expansion) = &self.value {
            expansion.fill(asker.request, room);
        }
        let mut any = false;
        let mut test = |instance: Instance<'_>| {
            any = true;
            self.holds_of(instance, &room.0)
        };
        let held = match self.subject {
            // Without a password there is nothing to compare, and CHAP should work too.
            Subject::GivenPassword => match asker.password {
                None => return true,
                Some(given) => test((None, given)),
            },
            Subject::Sender => match asker.source.to_canonical() {
                IpAddr::V4(address) if self.place.data_type == DataType::Ipv4Address => {
                    test((None, &address.octets()))
                }
                IpAddr::V6(address) if self.place.data_type == DataType::Ipv6Address => {
                    test((None, &address.octets()))
                }
                _ => false,
            },
            Subject::ClientName => test((None, asker.client.as_bytes())),
            Subject::ClientGroup => {
                let ends = asker.group.match_indices('/').map(|(at, _)| at);
                let mut paths = ends.chain([asker.group.len()]).map(|end| &asker.group[..end]);
                !asker.group.is_empty() && paths.any(|path| test((None, path.as_bytes())))
            }
            Subject::Request => self.holds_of_request(asker, &mut test),
            _ => false,
        };
        if self.operator == Operator::Absent { !any } else { held }
    }

    /// What a request lacks and FreeRADIUS's `preprocess` adds: the sender is its NAS, and now is its time.
    fn holds_of_request(&self, asker: &Asker<'_>, test: &mut impl FnMut(Instance<'_>) -> bool) -> bool {
        let mut any = false;
        let held = self.place.any(asker.request, |instance| {
            any = true;
            test(instance)
        });
        if any {
            return held;
        }
        match (self.place.standard(), asker.source.to_canonical()) {
            (Some(number::NAS_IP_ADDRESS), IpAddr::V4(address)) => test((None, &address.octets())),
            (Some(number::NAS_IPV6_ADDRESS), IpAddr::V6(address)) => test((None, &address.octets())),
            (Some(number::EVENT_TIMESTAMP), _) => test((None, &(asker.now as u32).to_be_bytes())),
            _ => false,
        }
    }

    fn holds_of(&self, (tag, octets): Instance<'_>, expanded: &[u8]) -> bool {
        let data_type = self.place.data_type;
        let untagged;
        let octets = match (self.place.is_tagged(), octets) {
            (true, [_, high, middle, low]) if data_type == DataType::Integer => {
                untagged = [0, *high, *middle, *low];
                &untagged
            }
            _ => octets,
        };
        let found = match &self.value {
            _ if self.operator == Operator::Present => return true,
            // FreeRADIUS compares prefixes by what these operators would do, which is nothing.
            ItemValue::Octets(_)
                if matches!(data_type, DataType::Ipv4Prefix | DataType::Ipv6Prefix)
                    && matches!(self.operator, Operator::SetIfAbsent | Operator::Subtract) =>
            {
                return true;
            }
            ItemValue::Octets(item) => {
                let order = match self.tag_order(tag) {
                    Ordering::Equal => value::order(data_type, octets, item),
                    order => Some(order),
                };
                return self.operator.holds(order);
            }
            ItemValue::Expansion(_) => return self.operator.holds(value::order(data_type, octets, expanded)),
            ItemValue::Pattern(pattern) if data_type == DataType::Text => pattern.is_match(octets),
            ItemValue::Pattern(pattern) => {
                let mut printed = Printed::default();
                let _ = value::print(data_type, octets, &mut printed);
                pattern.is_match(printed.octets())
            }
            ItemValue::NumberPattern(pattern, named) => {
                let number = value::unsigned(octets);
                match named.iter().find(|(known, _)| *known == number) {
                    Some((_, matches)) => *matches,
                    None => {
                        let mut printed = Printed::default();
                        let _ = value::print(data_type, octets, &mut printed);
                        pattern.is_match(printed.octets())
                    }
                }
            }
            ItemValue::Hours(_) | ItemValue::Unusable => return false,
        };
        let found = found && self.tag_order(tag).is_eq();
        found == (self.operator == Operator::Matches)
    }
}

/// A print of one value, on the stack.
struct Printed {
    octets: [u8; value::PRINT_MAX],
    length: usize,
}

impl Default for Printed {
    fn default() -> Self {
        Self { octets: [0; value::PRINT_MAX], length: 0 }
    }
}

impl Printed {
    fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl fmt::Write for Printed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.octets[self.length..].get_mut(..text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length += text.len();
        Ok(())
    }
}
