//! What a control item means.

use forewarn_dict::Attribute;

use super::item::{AuthType, Meaning};
use super::login_time::LoginTime;
use super::parse::Problem;
use super::value;
use crate::process::password::Password;
use crate::process::totp::Totp;

/// What a control item means, with what the operator should know about it.
pub(super) fn meaning(
    attribute: &Attribute,
    text: &str,
    octets: &[u8],
) -> Result<(Meaning, Option<Problem>), Problem> {
    let number = || value::unsigned(octets) as u32;
    let meaning = match attribute.name() {
        "Auth-Type" => Meaning::AuthType(auth_type(text)),
        "Expiration" => Meaning::Expiration(number()),
        "Login-Time" => Meaning::LoginTime(LoginTime::read(text)),
        "Simultaneous-Use" => Meaning::SimultaneousUse(number()),
        "Pool-Name" => Meaning::Pool(String::from_utf8_lossy(octets).into()),
        // Samba's flags: disabled, or locked out.
        "SMB-Account-CTRL-TEXT" if text.starts_with('[') && text.contains(['D', 'L']) => Meaning::Closed,
        // Left out, it would let in whoever has the password alone.
        "TOTP-Secret" => Meaning::Totp(Totp::base32(text, 6).map_err(|error| {
            let text = error.to_string();
            let (what, hint) = text.split_once("; would be right: ").unwrap_or((&text, "another secret"));
            Problem::refusing(what, hint)
        })?),
        "User-Profile" => {
            let hint = "membership of the groups themselves, in radusergroup";
            let problem = Problem::leaving_out("User-Profile isn't available here", hint);
            return Ok((Meaning::Nothing, Some(problem)));
        }
        "User-Password" => {
            let what = "User-Password is no stored password, here as in FreeRADIUS";
            return Ok((Meaning::Nothing, Some(Problem::leaving_out(what, "Cleartext-Password"))));
        }
        name => match Password::of_attribute(name, octets) {
            None => Meaning::Nothing,
            Some(read) => {
                let with_header = name == "Password-With-Header";
                let problem = read.as_ref().err().map(|error| {
                    let text = error.to_string();
                    let (what, hint) =
                        text.split_once("; would be right: ").unwrap_or((&text, "another form"));
                    Problem::leaving_out(format!("no password is this one: {what}"), hint)
                });
                return Ok((Meaning::Password { password: read.ok(), with_header }, problem));
            }
        },
    };
    Ok((meaning, None))
}

/// By its name: FreeRADIUS numbers those of its modules as it starts.
fn auth_type(text: &str) -> AuthType {
    match text.trim().to_ascii_lowercase().as_str() {
        "accept" | "254" => AuthType::Accept,
        "reject" | "4" => AuthType::Reject,
        "pap" => AuthType::Pap,
        "chap" => AuthType::Chap,
        "ms-chap" | "mschap" => AuthType::MsChap,
        "eap" => AuthType::Eap,
        _ => AuthType::Other,
    }
}
