//! What a dictionary says about one attribute.

use std::fmt;

/// One attribute: its name, where it stands, what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub(crate) name: Box<str>,
    pub(crate) path: Path,
    pub(crate) data_type: DataType,
    pub(crate) flags: Flags,
}

impl Attribute {
    /// The name as the dictionary spells it. Look-ups ignore case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the attribute stands in a packet.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its value is.
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// How its value is treated.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// True for what never goes into a packet: numbers above 255 outside any vendor's space, such as
    /// Cleartext-Password or Auth-Type.
    pub fn is_internal(&self) -> bool {
        self.path.carrier == Carrier::Standard && self.path.numbers.first().is_none_or(|number| *number > 255)
    }
}

/// Where an attribute stands: whose number space, and the numbers from the outermost in.
///
/// `User-Name` is Standard `[1]`, `Frag-Status` Standard `[241, 1]`, `Cisco-AVPair` Vendor(9) `[1]`,
/// `WiMAX-Release` Vendor(24757) `[1, 1]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// Whose numbers these are.
    pub carrier: Carrier,
    /// The numbers, outermost first; never empty, at most [`Path::DEPTH_MAX`].
    pub numbers: Box<[u32]>,
}

impl Path {
    /// Deepest nesting: an attribute and its TLVs.
    pub const DEPTH_MAX: usize = 6;

    /// The vendor's number, 0 for standard attributes.
    pub fn vendor(&self) -> u32 {
        match self.carrier {
            Carrier::Standard => 0,
            Carrier::Vendor(vendor) | Carrier::ExtendedVendor { vendor, .. } => vendor,
        }
    }
}

impl fmt::Display for Path {
    /// As in `Attr-26.9.1`: every number from the packet's outermost attribute inwards.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        match self.carrier {
            Carrier::Standard => {}
            Carrier::Vendor(vendor) => {
                write!(f, "26.{vendor}")?;
                separator = ".";
            }
            Carrier::ExtendedVendor { attribute, vendor } => {
                write!(f, "{attribute}.26.{vendor}")?;
                separator = ".";
            }
        }
        for number in &self.numbers {
            write!(f, "{separator}{number}")?;
            separator = ".";
        }
        Ok(())
    }
}

/// The number space of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// The IETF's space: 1 to 255, the extended attributes below 241 to 246 (RFC 6929), and above 255 the
    /// server's own, which never leave it.
    Standard,
    /// Vendor-Specific, attribute 26 (RFC 2865 5.26).
    Vendor(u32),
    /// Extended-Vendor-Specific: `attribute`.26 (RFC 6929 2.4), `attribute` being 241 to 246.
    ExtendedVendor {
        /// The extended attribute, 241 to 246.
        attribute: u8,
        /// The vendor's number.
        vendor: u32,
    },
}

/// The data types of FreeRADIUS 3 (RFC 8044 where it has them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `string`: text, UTF-8 by custom, not always in practice.
    Text,
    /// `octets`, or `octets[n]` of exactly n.
    Octets {
        /// The only length allowed, in octets; None is any.
        exactly: Option<u16>,
    },
    /// `byte` (`uint8`).
    Byte,
    /// `short` (`uint16`).
    Short,
    /// `integer` (`uint32`).
    Integer,
    /// `integer64` (`uint64`).
    Integer64,
    /// `signed` (`int32`).
    Signed,
    /// `date`: seconds since 1970, 32 bits.
    Date,
    /// `ipaddr`: 4 octets.
    Ipv4Address,
    /// `ipv6addr`: 16 octets.
    Ipv6Address,
    /// `combo-ip`: 4 or 16 octets.
    IpAddress,
    /// `ipv4prefix`: reserved, length, 4 octets (RFC 8044 3.11).
    Ipv4Prefix,
    /// `ipv6prefix`: reserved, length, 0 to 16 octets (RFC 3162 2.3).
    Ipv6Prefix,
    /// `ifid`: 8 octets of interface identifier.
    InterfaceId,
    /// `ether`: 6 octets.
    Ethernet,
    /// `abinary`: Ascend's binary filters.
    AscendFilter,
    /// `tlv`: attributes inside.
    Tlv,
    /// `vsa`: Vendor-Specific itself.
    VendorSpecific,
    /// `extended`: 241 to 244.
    Extended,
    /// `long-extended`: 245 and 246.
    LongExtended,
    /// `evs`: Extended-Vendor-Specific.
    ExtendedVendorSpecific,
}

impl DataType {
    /// True for the types whose values may have names.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Byte | Self::Short | Self::Integer | Self::Integer64 | Self::Signed | Self::Date)
    }

    /// True for the types that hold other attributes.
    pub fn is_container(self) -> bool {
        matches!(
            self,
            Self::Tlv
                | Self::VendorSpecific
                | Self::Extended
                | Self::LongExtended
                | Self::ExtendedVendorSpecific
        )
    }
}

impl fmt::Display for DataType {
    /// The word a dictionary uses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Octets { exactly: Some(length) } = self {
            return write!(f, "octets[{length}]");
        }
        f.write_str(match self {
            Self::Text => "string",
            Self::Octets { .. } => "octets",
            Self::Byte => "byte",
            Self::Short => "short",
            Self::Integer => "integer",
            Self::Integer64 => "integer64",
            Self::Signed => "signed",
            Self::Date => "date",
            Self::Ipv4Address => "ipaddr",
            Self::Ipv6Address => "ipv6addr",
            Self::IpAddress => "combo-ip",
            Self::Ipv4Prefix => "ipv4prefix",
            Self::Ipv6Prefix => "ipv6prefix",
            Self::InterfaceId => "ifid",
            Self::Ethernet => "ether",
            Self::AscendFilter => "abinary",
            Self::Tlv => "tlv",
            Self::VendorSpecific => "vsa",
            Self::Extended => "extended",
            Self::LongExtended => "long-extended",
            Self::ExtendedVendorSpecific => "evs",
        })
    }
}

/// The flags of an ATTRIBUTE line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `has_tag`: the value begins with a tag (RFC 2868 3.1), or may do so for strings.
    pub tag: bool,
    /// `encrypt=N`: how the value is hidden on the wire.
    pub encrypt: Option<Encrypt>,
    /// `array`: the value is as many of its type as fit.
    pub array: bool,
    /// `concat`: a long value goes on in further attributes of the same number, as EAP-Message does.
    pub concat: bool,
    /// `virtual`: computed, never stored or sent.
    pub computed: bool,
    /// `secret`: not to be shown.
    pub secret: bool,
}

/// How a value is hidden: the N of `encrypt=N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encrypt {
    /// 1: as User-Password (RFC 2865 5.2).
    UserPassword,
    /// 2: as Tunnel-Password, with salt (RFC 2868 3.5); MS-MPPE keys too (RFC 2548 2.4.2).
    TunnelPassword,
    /// 3: Ascend's, one block of MD5 over the request authenticator.
    AscendSecret,
}
