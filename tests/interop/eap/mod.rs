//! EAP, as wpa_supplicant speaks it.

mod certificates;
mod chargeable;
mod dying;
mod moving;
mod openssl;
mod passwords;
mod pki;
mod pwd;
mod resumption;
mod supplicants;
mod teap;
mod tunnels;
