//! EAP, as wpa_supplicant speaks it.

mod passwords;
mod pki;
mod resumption;
mod supplicants;
mod tunnels;
