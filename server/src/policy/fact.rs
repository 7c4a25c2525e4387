//! What a condition can see of a request, its client, its user, and the clock.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use forewarn_eap::Certificate;
use forewarn_wire::Packet;

use super::clock::{Moment, Times, WEEKDAYS};
use super::value::{List, Text, Value};
use crate::users::Source;

/// What an attribute that a request doesn't have is, where it would be a number; and a number that isn't known.
pub const NUMBER_ABSENT: i64 = -1;

/// What a condition can name besides the request's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// `client.name`, text.
    ClientName,
    /// `client.group`, text: a path.
    ClientGroup,
    /// `client.address`, text: where the request came from.
    ClientAddress,
    /// `user.name`, text: as its source has it.
    UserName,
    /// `user.realm`, text: the realm in that name.
    UserRealm,
    /// `user.groups`, a list of texts.
    UserGroups,
    /// `user.source`, text: which source knows the user.
    UserSource,
    /// `request.method`, text: how the user is proven.
    Method,
    /// `request.realm`, text: the realm in User-Name.
    RequestRealm,
    /// `request.nas_ip_address`, text: NAS-IP-Address, else NAS-IPv6-Address.
    NasIpAddress,
    /// `user.kind`, text: whether a user or a machine asks.
    UserKind,
    /// `machine.name`, text: of the machine that was proven, alone or beside its user.
    MachineName,
    /// `machine.groups`, a list of texts.
    MachineGroups,
    /// `request.certificate.subject`, text.
    CertificateSubject,
    /// `request.certificate.issuer`, text.
    CertificateIssuer,
    /// `request.certificate.serial`, text, hexadecimal.
    CertificateSerial,
    /// `request.certificate.san`, a list of texts: each behind its kind.
    CertificateNames,
    /// `request.certificate.not_after`, number: seconds since 1970.
    CertificateEnd,
    /// `session.count`, number: how many sessions the user has open.
    Sessions,
    /// `time.now`, number: seconds since 1970.
    Now,
    /// `time.hour`, number, by the server's time zone; 0 to 23.
    Hour(Clock),
    /// `time.minute`, number; 0 to 59.
    Minute(Clock),
    /// `time.weekday`, number: Monday is 1.
    Weekday(Clock),
    /// `time.date`, text: `2026-03-09`.
    Date(Clock),
    /// `time.clock`, text: `08:30`.
    TimeOfDay(Clock),
}

/// Whose clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clock {
    /// That of the server's time zone.
    Local,
    /// UTC's: `time.utc.hour` and so on.
    Utc,
}

/// How users are proven: the values of `request.method`. `none`: by their account alone (`Auth-Type := Accept`).
pub const METHODS: [&str; 24] = [
    "pap",
    "chap",
    "mschap",
    "mschapv2",
    "eap-md5",
    "eap-gtc",
    "eap-mschapv2",
    "eap-pwd",
    "eap-tls",
    "eap-peap-mschapv2",
    "eap-peap-gtc",
    "eap-peap-md5",
    "eap-peap-tls",
    "eap-ttls-pap",
    "eap-ttls-chap",
    "eap-ttls-mschap",
    "eap-ttls-mschapv2",
    "eap-ttls-gtc",
    "eap-ttls-md5",
    "eap-ttls-tls",
    "eap-teap-mschapv2",
    "eap-teap-tls",
    "eap-teap-password",
    "none",
];

/// Of which kind a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// One of these.
    OneOf(&'static [&'static str]),
    Number,
    /// These are the names of 1, 2, ...
    Named(&'static [&'static str]),
    Texts,
}

impl Fact {
    /// All of them, by name.
    pub const ALL: [(&str, Fact); 30] = [
        ("client.name", Fact::ClientName),
        ("client.group", Fact::ClientGroup),
        ("client.address", Fact::ClientAddress),
        ("user.name", Fact::UserName),
        ("user.realm", Fact::UserRealm),
        ("user.groups", Fact::UserGroups),
        ("user.source", Fact::UserSource),
        ("user.kind", Fact::UserKind),
        ("machine.name", Fact::MachineName),
        ("machine.groups", Fact::MachineGroups),
        ("request.method", Fact::Method),
        ("request.certificate.subject", Fact::CertificateSubject),
        ("request.certificate.issuer", Fact::CertificateIssuer),
        ("request.certificate.serial", Fact::CertificateSerial),
        ("request.certificate.san", Fact::CertificateNames),
        ("request.certificate.not_after", Fact::CertificateEnd),
        ("request.realm", Fact::RequestRealm),
        ("request.nas_ip_address", Fact::NasIpAddress),
        ("session.count", Fact::Sessions),
        ("time.now", Fact::Now),
        ("time.hour", Fact::Hour(Clock::Local)),
        ("time.minute", Fact::Minute(Clock::Local)),
        ("time.weekday", Fact::Weekday(Clock::Local)),
        ("time.date", Fact::Date(Clock::Local)),
        ("time.clock", Fact::TimeOfDay(Clock::Local)),
        ("time.utc.hour", Fact::Hour(Clock::Utc)),
        ("time.utc.minute", Fact::Minute(Clock::Utc)),
        ("time.utc.weekday", Fact::Weekday(Clock::Utc)),
        ("time.utc.date", Fact::Date(Clock::Utc)),
        ("time.utc.clock", Fact::TimeOfDay(Clock::Utc)),
    ];

    /// Short names of attributes: `request.nas_port` is `request["NAS-Port"]`.
    pub const ATTRIBUTES: [(&str, &str); 9] = [
        ("request.user_name", "User-Name"),
        ("request.called_station_id", "Called-Station-Id"),
        ("request.calling_station_id", "Calling-Station-Id"),
        ("request.nas_identifier", "NAS-Identifier"),
        ("request.nas_port_id", "NAS-Port-Id"),
        ("request.nas_port", "NAS-Port"),
        ("request.nas_port_type", "NAS-Port-Type"),
        ("request.service_type", "Service-Type"),
        ("request.framed_protocol", "Framed-Protocol"),
    ];

    /// The fact of this name.
    pub fn named(name: &str) -> Option<Fact> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, fact)| *fact)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, fact)| *fact == self).map_or("", |(name, _)| name)
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Fact::UserGroups | Fact::MachineGroups | Fact::CertificateNames => Kind::Texts,
            Fact::CertificateEnd | Fact::Sessions | Fact::Now | Fact::Hour(_) | Fact::Minute(_) => {
                Kind::Number
            }
            Fact::Weekday(_) => Kind::Named(&WEEKDAYS),
            Fact::Method => Kind::OneOf(&METHODS),
            Fact::UserSource => Kind::OneOf(&["file", "sql", "ldap", "certificate"]),
            Fact::UserKind => Kind::OneOf(&["user", "machine"]),
            _ => Kind::Text,
        }
    }

    /// Whether it takes a look at the clock.
    pub(super) fn is_time(self) -> bool {
        matches!(
            self,
            Fact::Now
                | Fact::Hour(_)
                | Fact::Minute(_)
                | Fact::Weekday(_)
                | Fact::Date(_)
                | Fact::TimeOfDay(_)
        )
    }
}

/// A user's groups, as conditions see them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups(Box<[Arc<str>]>);

impl Groups {
    /// From their names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(Arc::from).collect())
    }

    /// Their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// What conditions look at, borrowed for one evaluation.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The client's name.
    pub client_name: &'a str,
    /// The client's group; empty: none.
    pub client_group: &'a str,
    /// Where the request came from.
    pub client_address: IpAddr,
    /// The user's name, as its source has it.
    pub user_name: &'a str,
    /// The user's groups.
    pub user_groups: &'a Groups,
    /// Who knows the user.
    pub user_source: Source,
    /// Whether a machine asks.
    pub is_machine: bool,
    /// The name of the machine that was proven; empty: none was.
    pub machine_name: &'a str,
    /// Its groups.
    pub machine_groups: &'a Groups,
    /// The certificate that proves it.
    pub certificate: Option<&'a Certificate>,
    /// The request.
    pub request: &'a Packet<'a>,
    /// How the user is proven: one of [`METHODS`].
    pub method: &'static str,
    /// The user's open sessions; `None`: not known.
    pub sessions: Option<u32>,
    /// What the clocks show, where a condition looks at them ([`super::Policies::times`]).
    pub times: Option<Times>,
}

impl<'a> Facts<'a> {
    pub(super) fn value(&'a self, fact: Fact) -> Value<'a> {
        let text = |text: &'a str| Value::Text(Text::Borrowed(text));
        let octets = |octets: &'a [u8]| Value::Text(Text::of_octets(octets));
        match fact {
            Fact::ClientName => text(self.client_name),
            Fact::ClientGroup => text(self.client_group),
            Fact::ClientAddress => Value::Text(Text::written(format_args!("{}", self.client_address))),
            Fact::UserName => text(self.user_name),
            Fact::UserRealm => octets(realm(self.user_name.as_bytes())),
            Fact::UserGroups => Value::List(List::Groups(self.user_groups)),
            Fact::UserSource => text(self.user_source.name()),
            Fact::UserKind => text(if self.is_machine { "machine" } else { "user" }),
            Fact::MachineName => text(self.machine_name),
            Fact::MachineGroups => Value::List(List::Groups(self.machine_groups)),
            Fact::CertificateSubject => text(self.certificate.map_or("", |it| &it.subject)),
            Fact::CertificateIssuer => text(self.certificate.map_or("", |it| &it.issuer)),
            Fact::CertificateSerial => text(self.certificate.map_or("", |it| &it.serial)),
            Fact::CertificateNames => {
                Value::List(List::Texts(self.certificate.map_or(&[], |it| &it.alternatives)))
            }
            Fact::CertificateEnd => {
                let end = self.certificate.and_then(|it| i64::try_from(it.not_after).ok());
                Value::Number(end.unwrap_or(NUMBER_ABSENT))
            }
            Fact::Method => text(self.method),
            Fact::RequestRealm => {
                octets(realm(self.request.find(forewarn_wire::number::USER_NAME).unwrap_or_default()))
            }
            Fact::NasIpAddress => Value::Text(match nas_address(self.request) {
                Some(address) => Text::written(format_args!("{address}")),
                None => Text::Borrowed(""),
            }),
            Fact::Sessions => Value::Number(self.sessions.map_or(NUMBER_ABSENT, i64::from)),
            Fact::Now => Value::Number(self.times.map_or(NUMBER_ABSENT, |times| times.now)),
            Fact::Hour(clock) => self.number(clock, |moment| moment.hour),
            Fact::Minute(clock) => self.number(clock, |moment| moment.minute),
            Fact::Weekday(clock) => self.number(clock, |moment| moment.weekday),
            Fact::Date(clock) => self.written(clock, |Moment { year, month, day, .. }| {
                Text::written(format_args!("{year:04}-{month:02}-{day:02}"))
            }),
            Fact::TimeOfDay(clock) => self.written(clock, |Moment { hour, minute, .. }| {
                Text::written(format_args!("{hour:02}:{minute:02}"))
            }),
        }
    }

    fn moment(&self, clock: Clock) -> Option<Moment> {
        self.times.map(|times| match clock {
            Clock::Local => times.local,
            Clock::Utc => times.utc,
        })
    }

    fn number(&self, clock: Clock, of: impl FnOnce(Moment) -> i8) -> Value<'a> {
        Value::Number(self.moment(clock).map_or(NUMBER_ABSENT, |moment| of(moment).into()))
    }

    fn written(&self, clock: Clock, of: impl FnOnce(Moment) -> Text<'a>) -> Value<'a> {
        Value::Text(self.moment(clock).map_or(Text::Borrowed(""), of))
    }
}

/// The realm in a name: what follows the last `@` (RFC 7542), else what precedes the first `\`; empty: none.
pub(crate) fn realm(name: &[u8]) -> &[u8] {
    if let Some(at) = name.iter().rposition(|octet| *octet == b'@') {
        return &name[at + 1..];
    }
    name.iter().position(|octet| *octet == b'\\').map_or(&[], |at| &name[..at])
}

fn nas_address(request: &Packet<'_>) -> Option<IpAddr> {
    use forewarn_wire::number::{NAS_IP_ADDRESS, NAS_IPV6_ADDRESS};
    let mut six = None;
    for attribute in request.attributes() {
        match attribute.number {
            NAS_IP_ADDRESS if attribute.ipv4().is_some() => return attribute.ipv4().map(Into::into),
            NAS_IPV6_ADDRESS => six = six.or(attribute.ipv6().map(IpAddr::from)),
            _ => {}
        }
    }
    six
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
