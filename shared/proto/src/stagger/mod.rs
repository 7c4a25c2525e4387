//! Returning clients, spread evenly: each has a slot of its own in the window.
//!
//! The window is W = max(`window`, clients / `rate`), so that no more than `rate` a second come back; the client of
//! rank k of n returns W * k / n after the invitation. Ranks come from a hash of identity and epoch: an even
//! spread without luck, another order at each start of the server, and the same one when it is computed again.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// How fast clients may come back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Spread over this, at least.
    pub window: Duration,
    /// Clients a second, at most; 0 is taken as 1.
    pub rate: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config { window: Duration::from_secs(30), rate: 200 }
    }
}

impl Config {
    /// W, for `clients` of them.
    pub fn window_for(&self, clients: usize) -> Duration {
        let by_rate = Duration::from_secs_f64(clients as f64 / f64::from(self.rate.max(1)));
        self.window.max(by_rate)
    }

    /// The slot of each of `identities` (16 octets each, in the caller's order), counted from the invitation.
    pub fn slots(&self, identities: &[[u8; 16]], epoch: u32) -> Vec<Duration> {
        let count = identities.len();
        let window = self.window_for(count);
        let mut ranked: Vec<usize> = (0..count).collect();
        ranked.sort_by_key(|&index| (place(&identities[index], epoch), identities[index], index));
        let mut slots = vec![Duration::ZERO; count];
        for (rank, index) in ranked.into_iter().enumerate() {
            slots[index] = slot(window, rank, count);
        }
        slots
    }
}

/// Rank `rank` of `count` in `window`: the first at once, the last one share before the end.
pub fn slot(window: Duration, rank: usize, count: usize) -> Duration {
    let nanos = window.as_nanos() * rank as u128 / count.max(1) as u128;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Where an identity falls in the order of an epoch. Not secret and not guarded against choice: an identity is
/// the operator's configuration.
pub fn place(identity: &[u8; 16], epoch: u32) -> u64 {
    let (high, low) = identity.split_at(8);
    let half = |octets: &[u8]| octets.iter().fold(0u64, |sum, &octet| sum << 8 | u64::from(octet));
    mix(mix(half(high) ^ u64::from(epoch).wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ half(low))
}

/// The finalizer of SplitMix64: each input bit moves each output bit.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
