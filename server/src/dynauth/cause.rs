//! What a NAS says when it doesn't do what it was asked: Error-Cause (RFC 5176 section 3.5).

/// One value of Error-Cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// Its number.
    pub number: u32,
    /// Its name in the RFC.
    pub name: &'static str,
    /// What it means, for an operator.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

/// Session Context Not Found: for a Disconnect-Request, what was wanted is so already.
pub(super) const SESSION_NOT_FOUND: u32 = 503;
/// Request Initiated: the answer to Service-Type = Authorize-Only that went well.
pub(super) const REQUEST_INITIATED: u32 = 507;

/// The values of RFC 5176, and 601 of RFC 7930.
const CAUSES: &[Cause] = &[
    Cause {
        number: 201,
        name: "Residual Session Context Removed",
        meaning: "the session had ended before, what was left of it is removed",
        advice: "",
    },
    Cause {
        number: 202,
        name: "Invalid EAP Packet (Ignored)",
        meaning: "the NAS took no notice of an EAP packet",
        advice: "leave EAP-Message out",
    },
    Cause {
        number: 401,
        name: "Unsupported Attribute",
        meaning: "the NAS doesn't know one of the attributes, or not in such a request",
        advice: "leave out what it may not know: --without NAS-Identifier, --without Calling-Station-Id, ...; see its manual for those it takes",
    },
    Cause {
        number: 402,
        name: "Missing Attribute",
        meaning: "the NAS wants an attribute more to know the session by",
        advice: "add it with --attribute 'NAME = VALUE'; see the NAS's manual: often Calling-Station-Id, NAS-Port or a vendor's own",
    },
    Cause {
        number: 403,
        name: "NAS Identification Mismatch",
        meaning: "NAS-IP-Address or NAS-Identifier isn't what the NAS calls itself",
        advice: "leave them out with --without NAS-IP-Address --without NAS-Identifier, or give the right one with --attribute",
    },
    Cause {
        number: 404,
        name: "Invalid Request",
        meaning: "the NAS finds the request malformed",
        advice: "look into the log of the NAS; a vendor's attribute may have a form of its own",
    },
    Cause {
        number: 405,
        name: "Unsupported Service",
        meaning: "the NAS doesn't support this Service-Type",
        advice: "leave Service-Type out and set the attributes themselves",
    },
    Cause {
        number: 406,
        name: "Unsupported Extension",
        meaning: "the NAS, or a proxy before it, has no support for such requests, or it is switched off",
        advice: "switch dynamic authorization (RFC 5176) on at the NAS; some take Disconnect-Requests only",
    },
    Cause {
        number: 407,
        name: "Invalid Attribute Value",
        meaning: "the NAS can't have one of the values",
        advice: "compare the values with what exists there: the VLAN, the filter or the pool may be unknown to it",
    },
    Cause {
        number: 501,
        name: "Administratively Prohibited",
        meaning: "the NAS is configured to refuse this",
        advice: "allow it at the NAS for this server and this kind of session",
    },
    Cause {
        number: 502,
        name: "Request Not Routable (Proxy)",
        meaning: "a proxy on the way doesn't know where the NAS is",
        advice: "mend the proxy's realms, or have the NAS asked directly",
    },
    Cause {
        number: 503,
        name: "Session Context Not Found",
        meaning: "the NAS has no such session",
        advice: "it has ended, and its accounting Stop is late or lost; or the NAS knows it by other attributes: try --without and --attribute",
    },
    Cause {
        number: 504,
        name: "Session Context Not Removable",
        meaning: "the NAS knows the session and can't end it",
        advice: "look into the log of the NAS; ending it by hand there may be the only way",
    },
    Cause {
        number: 505,
        name: "Other Proxy Processing Error",
        meaning: "a proxy on the way has failed",
        advice: "look into the log of the proxy",
    },
    Cause {
        number: 506,
        name: "Resources Unavailable",
        meaning: "the NAS has no room for it at the moment",
        advice: "try again later",
    },
    Cause {
        number: 507,
        name: "Request Initiated",
        meaning: "the NAS asks for the session's authorization anew, by an Access-Request",
        advice: "",
    },
    Cause {
        number: 508,
        name: "Multiple Session Selection Unsupported",
        meaning: "several sessions match, and the NAS takes one at a time",
        advice: "without --nas each session is asked for by itself; or say which: --session ID",
    },
    Cause {
        number: 601,
        name: "Response Too Big",
        meaning: "the answer would be longer than the NAS may send",
        advice: "ask for less at one time",
    },
];

/// What RFC 5176 says of a number.
pub fn cause(number: u32) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| cause.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_rfc_has_its_name_once_and_a_refusal_has_advice() {
        let numbers: Vec<u32> = CAUSES.iter().map(|cause| cause.number).collect();
        let rfc = [201, 202, 401, 402, 403, 404, 405, 406, 407, 501, 502, 503, 504, 505, 506, 507, 508, 601];
        assert_eq!(numbers, rfc);
        for cause in CAUSES {
            let good = [201, REQUEST_INITIATED].contains(&cause.number);
            assert_eq!(cause.advice.is_empty(), good, "{}", cause.name);
        }
        assert_eq!(cause(503).map(|cause| cause.name), Some("Session Context Not Found"));
        assert_eq!(cause(299), None);
    }
}
