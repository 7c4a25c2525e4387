//! RADIUS dictionaries: names to numbers and back.
//!
//! The files are those of FreeRADIUS 3 (`ATTRIBUTE`, `VALUE`, `VENDOR`, `$INCLUDE`, ...), so that an operator's
//! own dictionary goes on working. [`Dictionary::embedded`] holds ours, compiled in; [`Dictionary::load`] reads a
//! tree from disk and reports every error at once, each with file, line and column; [`Dictionary::extend`] adds
//! such a tree to what is known already.
//!
//! Nothing here is on the way of a packet: names and texts become octets while a configuration is loaded.
//!
//! ```
//! use forewarn_dict::{Dictionary, Value};
//!
//! let dictionary = Dictionary::embedded();
//! // "Session-Timeout = 3600" of a configuration: the whole attribute as it stands in a packet
//! let reply = dictionary.pair("Session-Timeout", Value::Number(3600)).unwrap();
//! assert_eq!(reply.wire().unwrap(), [27, 6, 0, 0, 14, 16]);
//! let reply = dictionary.pair("Tunnel-Type", Value::Text("VLAN")).unwrap();
//! assert_eq!(reply.wire().unwrap(), [64, 6, 0, 0, 0, 13]);
//! ```

mod attribute;
mod check;
mod dictionary;
mod display;
mod embedded;
mod error;
mod load;
mod pair;
mod suggest;
mod syntax;
mod value;
mod vendor;

pub use attribute::{Attribute, Carrier, DataType, Encrypt, Flags, Path};
pub use check::{Report, check};
pub use dictionary::Dictionary;
pub use error::{DictError, DictErrorKind};
pub use pair::{Pair, PairError};
pub use value::{Value, ValueError};
pub use vendor::{Vendor, VendorFormat};
