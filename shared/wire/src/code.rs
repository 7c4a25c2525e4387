//! Packet codes.

use core::fmt;

/// The first octet of a packet: what it is. Unknown codes are values too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u8);

impl Code {
    /// Access-Request (RFC 2865 section 4.1).
    pub const ACCESS_REQUEST: Code = Code(1);
    /// Access-Accept (RFC 2865 section 4.2).
    pub const ACCESS_ACCEPT: Code = Code(2);
    /// Access-Reject (RFC 2865 section 4.3).
    pub const ACCESS_REJECT: Code = Code(3);
    /// Accounting-Request (RFC 2866 section 4.1).
    pub const ACCOUNTING_REQUEST: Code = Code(4);
    /// Accounting-Response (RFC 2866 section 4.2).
    pub const ACCOUNTING_RESPONSE: Code = Code(5);
    /// Access-Challenge (RFC 2865 section 4.4).
    pub const ACCESS_CHALLENGE: Code = Code(11);
    /// Status-Server (RFC 5997).
    pub const STATUS_SERVER: Code = Code(12);
    /// Status-Client (RFC 2865 section 3; never defined further).
    pub const STATUS_CLIENT: Code = Code(13);
    /// Disconnect-Request (RFC 5176 section 2.1).
    pub const DISCONNECT_REQUEST: Code = Code(40);
    /// Disconnect-ACK (RFC 5176 section 2.1).
    pub const DISCONNECT_ACK: Code = Code(41);
    /// Disconnect-NAK (RFC 5176 section 2.1).
    pub const DISCONNECT_NAK: Code = Code(42);
    /// CoA-Request (RFC 5176 section 2.2).
    pub const COA_REQUEST: Code = Code(43);
    /// CoA-ACK (RFC 5176 section 2.2).
    pub const COA_ACK: Code = Code(44);
    /// CoA-NAK (RFC 5176 section 2.2).
    pub const COA_NAK: Code = Code(45);
    /// Protocol-Error (RFC 7930 section 4).
    pub const PROTOCOL_ERROR: Code = Code(52);

    /// Whether a packet of this code asks for an answer.
    pub const fn is_request(self) -> bool {
        self.has_chosen_authenticator() || self.has_computed_authenticator()
    }

    /// Requests whose authenticator is a random number of the sender's: Access-Request and Status-Server.
    pub const fn has_chosen_authenticator(self) -> bool {
        matches!(self, Code::ACCESS_REQUEST | Code::STATUS_SERVER)
    }

    /// Requests whose authenticator is a digest over packet and secret: accounting, CoA and Disconnect
    /// (RFC 2866 section 3, RFC 5176 section 2.3).
    pub const fn has_computed_authenticator(self) -> bool {
        matches!(self, Code::ACCOUNTING_REQUEST | Code::DISCONNECT_REQUEST | Code::COA_REQUEST)
    }

    /// CoA-Request and Disconnect-Request: what a NAS is asked (RFC 5176).
    pub const fn is_dynamic_authorization_request(self) -> bool {
        matches!(self, Code::DISCONNECT_REQUEST | Code::COA_REQUEST)
    }

    /// Access-Accept, Access-Reject and Access-Challenge: replies whose first attribute has to be a
    /// Message-Authenticator (CVE-2024-3596).
    pub const fn is_access_reply(self) -> bool {
        matches!(self, Code::ACCESS_ACCEPT | Code::ACCESS_REJECT | Code::ACCESS_CHALLENGE)
    }

    /// Whether `self` is a reply that a request of code `request` may get.
    ///
    /// Status-Server is answered by Access-Accept on an authentication port and by Accounting-Response on an
    /// accounting port (RFC 5997 section 4.2); Protocol-Error may answer anything (RFC 7930 section 4).
    pub const fn answers(self, request: Code) -> bool {
        match request {
            Code::ACCESS_REQUEST => self.is_access_reply() || matches!(self, Code::PROTOCOL_ERROR),
            Code::ACCOUNTING_REQUEST => matches!(self, Code::ACCOUNTING_RESPONSE | Code::PROTOCOL_ERROR),
            Code::STATUS_SERVER => {
                matches!(self, Code::ACCESS_ACCEPT | Code::ACCOUNTING_RESPONSE | Code::PROTOCOL_ERROR)
            }
            Code::DISCONNECT_REQUEST => {
                matches!(self, Code::DISCONNECT_ACK | Code::DISCONNECT_NAK | Code::PROTOCOL_ERROR)
            }
            Code::COA_REQUEST => matches!(self, Code::COA_ACK | Code::COA_NAK | Code::PROTOCOL_ERROR),
            _ => false,
        }
    }

    /// The name RADIUS people use, or `None` for a code we don't know.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Code::ACCESS_REQUEST => "Access-Request",
            Code::ACCESS_ACCEPT => "Access-Accept",
            Code::ACCESS_REJECT => "Access-Reject",
            Code::ACCOUNTING_REQUEST => "Accounting-Request",
            Code::ACCOUNTING_RESPONSE => "Accounting-Response",
            Code::ACCESS_CHALLENGE => "Access-Challenge",
            Code::STATUS_SERVER => "Status-Server",
            Code::STATUS_CLIENT => "Status-Client",
            Code::DISCONNECT_REQUEST => "Disconnect-Request",
            Code::DISCONNECT_ACK => "Disconnect-ACK",
            Code::DISCONNECT_NAK => "Disconnect-NAK",
            Code::COA_REQUEST => "CoA-Request",
            Code::COA_ACK => "CoA-ACK",
            Code::COA_NAK => "CoA-NAK",
            Code::PROTOCOL_ERROR => "Protocol-Error",
            _ => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "code {}", self.0),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
