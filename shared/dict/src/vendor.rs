//! Vendors and the layout of their attributes.

/// A vendor: its name, its enterprise number (IANA), and how its attributes are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    pub(crate) name: Box<str>,
    pub(crate) number: u32,
    pub(crate) format: VendorFormat,
}

impl Vendor {
    /// The name as the dictionary spells it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The private enterprise number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// How the attributes inside Vendor-Specific are laid out.
    pub fn format(&self) -> VendorFormat {
        self.format
    }
}

/// The layout inside Vendor-Specific: `format=t,l[,c]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VendorFormat {
    /// Octets of the type field: 1, 2 or 4.
    pub type_octets: u8,
    /// Octets of the length field: 0, 1 or 2.
    pub length_octets: u8,
    /// A continuation octet follows the length (WiMAX).
    pub continuation: bool,
}

impl VendorFormat {
    /// `format=1,1`, what RFC 2865 5.26 recommends.
    pub const RFC: Self = Self { type_octets: 1, length_octets: 1, continuation: false };

    /// The greatest attribute number the type field can hold.
    pub fn number_max(self) -> u32 {
        match self.type_octets {
            1 => 0xff,
            2 => 0xffff,
            _ => 0xffff_ffff,
        }
    }
}

impl Default for VendorFormat {
    fn default() -> Self {
        Self::RFC
    }
}
