//! EAP, as wpa_supplicant speaks it.

mod passwords;
mod pki;
mod supplicants;
mod tunnels;
