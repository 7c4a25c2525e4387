//! EAP, as wpa_supplicant speaks it.

mod passwords;
mod supplicants;
mod tunnels;
