//! `[eap]`: which methods there are, and how far a conversation goes.

use std::sync::Arc;
use std::time::Duration;

use forewarn_eap::Settings;

use crate::process::eap::expiry::Expiry;
use crate::process::eap::seals::Seals;

/// `[eap]`
#[derive(Debug, Clone)]
pub struct Eap {
    /// What conversations offer.
    pub settings: Arc<Settings>,
    /// How long one may last, from its first packet to its last.
    pub timeout: Duration,
    /// How many there may be at one time, over all cores.
    pub conversations: usize,
    /// What States are sealed with, so that other servers go on with conversations; `None`: nobody else can.
    pub seals: Option<Arc<Seals>>,
    /// Whether who has a certificate needs an account too.
    pub needs_account: bool,
    /// What of its certificates runs out, and when.
    pub expiries: Vec<Expiry>,
}
