#![no_main]

use forewarn_eap::Kind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| forewarn_fuzz::converse(&[Kind::Teap], octets));
