//! One value, and what it can be read as.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::Document;
use super::diagnostic::{Severity, Wrong};
use super::table::Table;
use super::tree::{Node, Place, Shape};

/// One value of a [`Document`], with its place.
#[derive(Clone, Copy, Debug)]
pub struct Value<'d> {
    pub(super) document: &'d Document,
    pub(super) node: &'d Node,
}

/// The type of a value, for keys that may hold more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// An integer or a float.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A date or time; no key of ours takes one.
    Date,
    /// A table.
    Table,
    /// An array.
    Array,
}

impl<'d> Value<'d> {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self.typed() {
            Shape::Text(_) => Kind::Text,
            Shape::Integer(_) | Shape::Float(_) => Kind::Number,
            Shape::Boolean(_) => Kind::Boolean,
            Shape::Date => Kind::Date,
            Shape::Table(_) => Kind::Table,
            Shape::Array(_) | Shape::Untyped(..) => Kind::Array,
        }
    }

    /// Where it was written.
    pub fn place(&self) -> Place {
        self.node.at
    }

    /// Reports what is wrong with it.
    pub fn error(&self, wrong: Wrong) {
        self.document.report(Severity::Error, self.node.at, wrong);
    }

    /// Reports what an operator should know about it.
    pub fn warning(&self, wrong: Wrong) {
        self.document.report(Severity::Warning, self.node.at, wrong);
    }

    /// As a string, not empty.
    pub fn text(&self) -> Result<&'d str, Wrong> {
        match &self.node.shape {
            Shape::Text(text) | Shape::Untyped(text, _) if text.is_empty() => {
                Err(Wrong::new("an empty string", "write something between the quotes, or remove the key"))
            }
            Shape::Text(text) | Shape::Untyped(text, _) => Ok(text),
            _ => Err(self.expected("a string", "put it between quotes")),
        }
    }

    /// As a string, which may be empty.
    pub fn text_or_empty(&self) -> Result<&'d str, Wrong> {
        match &self.node.shape {
            Shape::Text(text) | Shape::Untyped(text, _) => Ok(text),
            _ => Err(self.expected("a string", "put it between quotes")),
        }
    }

    /// As a whole number that `T` can hold.
    pub fn integer<T: TryFrom<i64>>(&self) -> Result<T, Wrong> {
        match self.typed() {
            Shape::Integer(integer) => T::try_from(*integer).map_err(|_| {
                Wrong::new(format!("{integer} is out of range"), format!("write a {}", size_of_type::<T>()))
            }),
            _ => Err(self.expected("an integer", "write a whole number without quotes")),
        }
    }

    /// As a number.
    pub fn number(&self) -> Result<f64, Wrong> {
        match self.typed() {
            Shape::Float(float) if float.is_finite() => Ok(*float),
            #[allow(clippy::cast_precision_loss)]
            Shape::Integer(integer) => Ok(*integer as f64),
            _ => Err(self.expected("a number", "write one without quotes")),
        }
    }

    /// As `true` or `false`.
    pub fn boolean(&self) -> Result<bool, Wrong> {
        match self.typed() {
            Shape::Boolean(boolean) => Ok(*boolean),
            _ => Err(self.expected("a boolean", "write true or false")),
        }
    }

    /// As a share: a number from 0 to 1, or `"25%"`.
    pub fn fraction(&self) -> Result<f64, Wrong> {
        let hint = "write a share from 0 to 1, or from \"0%\" to \"100%\"";
        let share = match self.typed() {
            Shape::Text(text) => {
                match text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok()) {
                    Some(percent) => percent / 100.0,
                    None => return Err(Wrong::new(format!("`{}` is not a share", text.as_str()), hint)),
                }
            }
            _ => self.number().map_err(|_| self.expected("a share", hint))?,
        };
        if (0.0..=1.0).contains(&share) {
            Ok(share)
        } else {
            Err(Wrong::new(format!("{share} is not from 0 to 1"), hint))
        }
    }

    /// As a length of time: `"500ms"`, `"2s"`, `"5m"`.
    pub fn duration(&self) -> Result<Duration, Wrong> {
        match self.typed() {
            Shape::Text(text) => parse_duration(text).ok_or_else(|| {
                Wrong::new(format!("`{}` is not a length of time", text.as_str()), DURATION_HINT)
            }),
            _ => Err(self.expected("a length of time", DURATION_HINT)),
        }
    }

    /// As an IP address.
    pub fn address(&self) -> Result<IpAddr, Wrong> {
        let address = self.parsed("an IP address", "write \"192.0.2.1\" or \"2001:db8::1\"")?;
        plain(address, address, |plain| plain.to_string())
    }

    /// As an IP address and a port.
    pub fn socket(&self) -> Result<SocketAddr, Wrong> {
        let hint = "write \"192.0.2.1:1812\" or \"[2001:db8::1]:1812\"";
        let socket: SocketAddr = self.parsed("an address and a port", hint)?;
        plain(socket, socket.ip(), |plain| SocketAddr::new(plain, socket.port()).to_string())
    }

    /// As a prefix; an address is the prefix that holds just this one.
    pub fn prefix(&self) -> Result<IpNet, Wrong> {
        let text = self.text()?;
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(IpNet::from(address.to_canonical()));
        }
        let hint = "write \"192.0.2.1\", \"192.0.2.0/24\" or \"2001:db8::/32\"";
        let prefix: IpNet = self.parsed("an address or a prefix", hint)?;
        if prefix == prefix.trunc() {
            Ok(canonical(prefix))
        } else {
            Err(Wrong::new(
                format!("`{text}` has bits set beyond its length"),
                format!(
                    "write \"{}\" for the network or \"{}\" for the one address",
                    prefix.trunc(),
                    prefix.addr()
                ),
            ))
        }
    }

    /// As a path; a relative one is relative to the configuration file's folder.
    pub fn path(&self) -> Result<PathBuf, Wrong> {
        Ok(self.document.folder().join(self.text()?))
    }

    /// As a table; reports when it is none.
    pub fn table(&self) -> Option<Table<'d>> {
        if !matches!(self.node.shape, Shape::Table(_)) {
            self.error(self.expected("a table", "write { key = value }"));
            return None;
        }
        Some(Table::new(self.document, self.node, "this table"))
    }

    /// As an array; reports when it is none.
    pub fn array(&self) -> Option<Vec<Value<'d>>> {
        match &self.node.shape {
            Shape::Array(nodes) => {
                Some(nodes.iter().map(|node| Value { document: self.document, node }).collect())
            }
            _ => {
                self.error(self.expected("an array", "write [value, value]"));
                None
            }
        }
    }

    /// As anything that is read from text. `what` it is, with its article; `hint` what would be right.
    pub fn parsed<T: FromStr>(&self, what: &str, hint: &str) -> Result<T, Wrong> {
        let text = self.text().map_err(|_| self.expected(what, hint))?;
        text.parse().map_err(|_| Wrong::new(format!("`{text}` is not {what}"), hint))
    }

    /// One of the names in `choices`. `later` are names whose feature is not available yet.
    pub fn choice<T: Clone>(&self, choices: &[(&str, T)], later: &[&str]) -> Result<T, Wrong> {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let hint = format!("write {}", one_of(&names));
        let text = self.text().map_err(|_| self.expected("a string", &hint))?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Ok(choice.clone());
        }
        if later.contains(&text) {
            return Err(Wrong::new(format!("`{text}` is not available yet"), hint));
        }
        Err(Wrong::new(format!("`{text}` is not known here"), hint))
    }

    /// `"1GiB"`, `"512MiB"`, or octets as a number.
    pub fn size(&self) -> Result<u64, Wrong> {
        let hint = "write \"512MiB\" or \"1GiB\", or octets as a number without quotes";
        if let Ok(octets) = self.integer::<u64>() {
            return Ok(octets);
        }
        let text = self.text().map_err(|wrong| Wrong::new(wrong.what, hint))?;
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let unit = match text[digits.len()..].trim() {
            "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            "TiB" => Some(1u64 << 40),
            _ => None,
        };
        let octets = digits.parse::<u64>().ok().zip(unit).and_then(|(count, unit)| count.checked_mul(unit));
        octets.ok_or_else(|| Wrong::new(format!("`{text}` is not a size"), hint))
    }

    /// None for `"off"` or `false`, otherwise what `read` makes of it.
    pub fn unless_off<T>(
        &self,
        read: impl FnOnce(&Value<'d>) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Wrong> {
        match self.typed() {
            Shape::Text(text) if text.as_str() == "off" => Ok(None),
            Shape::Boolean(false) => Ok(None),
            _ => read(self)
                .map(Some)
                .map_err(|wrong| Wrong::new(wrong.what, format!("{}, or \"off\"", wrong.hint))),
        }
    }

    /// "expected X, found Y".
    pub fn expected(&self, what: &str, hint: &str) -> Wrong {
        Wrong::new(format!("expected {what}, found {}", self.node.shape.name()), hint)
    }

    fn typed(&self) -> &'d Shape {
        match &self.node.shape {
            Shape::Untyped(_, read) => read,
            shape => shape,
        }
    }
}

const DURATION_HINT: &str = "write \"500ms\", \"2s\", \"5m\", \"1h\" or \"1d\"";

/// `"500ms"`, `"1.5s"`, `"5m"`: a number and one of us, ms, s, m, h, d.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    let duration = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
    // To the microsecond: 0.1 is no binary fraction.
    Some(Duration::from_micros(u64::try_from((duration + Duration::from_nanos(500)).as_micros()).ok()?))
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn one_of(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}

fn size_of_type<T>() -> String {
    match std::any::type_name::<T>() {
        "u8" => "whole number from 0 to 255".to_owned(),
        "u16" => "whole number from 0 to 65535".to_owned(),
        "u32" => "whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "whole number, 0 or more".to_owned(),
        _ => "smaller whole number".to_owned(),
    }
}

/// `value`, unless its `address` is IPv4 within IPv6: no interface has such an address, so nothing could be bound to it,
/// and peers compare addresses as they are. `written` shows what would be right.
fn plain<T>(value: T, address: IpAddr, written: impl FnOnce(IpAddr) -> String) -> Result<T, Wrong> {
    match address.to_canonical() {
        same if same == address => Ok(value),
        plain => Err(Wrong::new(
            format!("{address} is an IPv4 address within IPv6"),
            format!("write it as IPv4: \"{}\"", written(plain)),
        )),
    }
}

/// Of IPv4 within IPv6 (`::ffff:192.0.2.0/120`), what it means: sources are looked up as the IPv4 addresses they are.
fn canonical(prefix: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let length = prefix.prefix_len().checked_sub(MAPPED);
    match (prefix.addr().to_canonical(), length) {
        (address @ IpAddr::V4(_), Some(length)) if prefix.addr().is_ipv6() => {
            IpNet::new(address, length).unwrap_or(prefix)
        }
        _ => prefix,
    }
}
