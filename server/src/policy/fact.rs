//! What a condition can see of a request, its client and its user.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use cel::common::types::{CelInt, CelList, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

/// What an attribute that a request doesn't have is, where it would be a number.
pub const NUMBER_ABSENT: i64 = -1;

/// Everything a condition can name. An absent text is `""`, an absent number [`NUMBER_ABSENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// `client.name`, text.
    ClientName,
    /// `client.group`, text: a path.
    ClientGroup,
    /// `client.address`, text: where the request came from.
    ClientAddress,
    /// `user.name`, text: as configured.
    UserName,
    /// `user.groups`, a list of texts.
    UserGroups,
    /// `request.method`, text: `pap` or `chap`.
    Method,
    /// `request.user_name`, text: User-Name.
    RequestUserName,
    /// `request.called_station_id`, text.
    CalledStationId,
    /// `request.calling_station_id`, text.
    CallingStationId,
    /// `request.nas_identifier`, text.
    NasIdentifier,
    /// `request.nas_ip_address`, text.
    NasIpAddress,
    /// `request.nas_port_id`, text.
    NasPortId,
    /// `request.nas_port`, number.
    NasPort,
    /// `request.nas_port_type`, number (RFC 2865 section 5.41; 19 is Wireless-802.11).
    NasPortType,
    /// `request.service_type`, number (RFC 2865 section 5.6).
    ServiceType,
    /// `request.framed_protocol`, number (RFC 2865 section 5.7).
    FramedProtocol,
}

impl Fact {
    /// All of them, by name.
    pub const ALL: [(&str, Fact); 16] = [
        ("client.name", Fact::ClientName),
        ("client.group", Fact::ClientGroup),
        ("client.address", Fact::ClientAddress),
        ("user.name", Fact::UserName),
        ("user.groups", Fact::UserGroups),
        ("request.method", Fact::Method),
        ("request.user_name", Fact::RequestUserName),
        ("request.called_station_id", Fact::CalledStationId),
        ("request.calling_station_id", Fact::CallingStationId),
        ("request.nas_identifier", Fact::NasIdentifier),
        ("request.nas_ip_address", Fact::NasIpAddress),
        ("request.nas_port_id", Fact::NasPortId),
        ("request.nas_port", Fact::NasPort),
        ("request.nas_port_type", Fact::NasPortType),
        ("request.service_type", Fact::ServiceType),
        ("request.framed_protocol", Fact::FramedProtocol),
    ];

    /// The fact of this name.
    pub fn named(name: &str) -> Option<Fact> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, fact)| *fact)
    }
}

/// A user's groups, as conditions see them: made once, when the configuration is loaded.
pub struct Groups(CelList<'static>);

impl Groups {
    /// From their names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(|name| {
            let text: Box<dyn Val> = Box::new(CelString::from(name.to_owned()));
            text
        });
        Self(CelList::from(names.collect::<Vec<_>>()))
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Groups({})", self.0.len())
    }
}

/// What conditions look at, borrowed for one evaluation.
#[derive(Debug)]
pub struct Facts<'a> {
    /// `client.name`
    pub client_name: &'a str,
    /// `client.group`
    pub client_group: &'a str,
    /// `client.address`
    pub client_address: IpAddr,
    /// `user.name`
    pub user_name: &'a str,
    /// `user.groups`
    pub user_groups: &'a Groups,
    /// `request.*`
    pub request: RequestFacts<'a>,
}

/// The attributes of a request that conditions can see, as they stand in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestFacts<'a> {
    /// `pap` or `chap`.
    pub method: &'a str,
    /// User-Name.
    pub user_name: &'a [u8],
    /// Called-Station-Id.
    pub called_station_id: &'a [u8],
    /// Calling-Station-Id.
    pub calling_station_id: &'a [u8],
    /// NAS-Identifier.
    pub nas_identifier: &'a [u8],
    /// NAS-IP-Address, or else NAS-IPv6-Address.
    pub nas_ip_address: Option<IpAddr>,
    /// NAS-Port-Id.
    pub nas_port_id: &'a [u8],
    /// NAS-Port.
    pub nas_port: Option<u32>,
    /// NAS-Port-Type.
    pub nas_port_type: Option<u32>,
    /// Service-Type.
    pub service_type: Option<u32>,
    /// Framed-Protocol.
    pub framed_protocol: Option<u32>,
}

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let request = &self.request;
        Some(match Fact::named(name)? {
            Fact::ClientName => text(self.client_name),
            Fact::ClientGroup => text(self.client_group),
            Fact::ClientAddress => CowVal::owned(CelString::from(self.client_address.to_string())),
            Fact::UserName => text(self.user_name),
            Fact::UserGroups => CowVal::Borrowed(&self.user_groups.0),
            Fact::Method => text(request.method),
            Fact::RequestUserName => octets(request.user_name),
            Fact::CalledStationId => octets(request.called_station_id),
            Fact::CallingStationId => octets(request.calling_station_id),
            Fact::NasIdentifier => octets(request.nas_identifier),
            Fact::NasIpAddress => {
                let address = request.nas_ip_address.map(|address| address.to_string());
                CowVal::owned(CelString::from(address.unwrap_or_default()))
            }
            Fact::NasPortId => octets(request.nas_port_id),
            Fact::NasPort => number(request.nas_port),
            Fact::NasPortType => number(request.nas_port_type),
            Fact::ServiceType => number(request.service_type),
            Fact::FramedProtocol => number(request.framed_protocol),
        })
    }
}

fn text<'b>(text: &'b str) -> CowVal<'b, 'b> {
    CowVal::owned(CelString::from(text))
}

/// What isn't UTF-8 is seen with U+FFFD in its place.
fn octets<'b>(octets: &'b [u8]) -> CowVal<'b, 'b> {
    let text: Cow<'b, str> = String::from_utf8_lossy(octets);
    CowVal::owned(CelString::from(text))
}

fn number<'b>(number: Option<u32>) -> CowVal<'b, 'b> {
    CowVal::owned(CelInt::from(number.map_or(NUMBER_ABSENT, i64::from)))
}
