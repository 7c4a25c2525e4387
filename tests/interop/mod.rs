//! With what others made: FreeRADIUS's dictionaries and its radclient, wpa_supplicant's eapol_test, all from Debian.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod daemons;
mod dictionaries;
mod eap;
mod facts;
mod freeradius;
mod import;
mod radclient_pairs;
