//! Random numbers. Machines take a generator as an argument; this is where it comes from.

use rand::rngs::{StdRng, SysRng};
use rand::{SeedableRng, TryRng};

/// A generator of cryptographic quality, seeded by the kernel. One per thread; no lock, no system call per
/// number.
pub fn generator() -> StdRng {
    let mut seed = <StdRng as SeedableRng>::Seed::default();
    fill(&mut seed);
    StdRng::from_seed(seed)
}

/// Fills `bytes` from the kernel's generator.
pub fn fill(bytes: &mut [u8]) {
    SysRng.try_fill_bytes(bytes).expect("getrandom(2) serves every process on Linux");
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn two_generators_differ() {
        assert_ne!(generator().next_u64(), generator().next_u64());
    }
}
