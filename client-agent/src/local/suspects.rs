//! Senders whose packets don't verify: most likely their secret is wrong.

use std::net::IpAddr;

/// Senders watched at once; the one accused longest ago makes room.
const SUSPECTS_MAX: usize = 16;

/// Who sent packets running that didn't verify, and how many; the one accused last stands last.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    accused: Vec<(IpAddr, u32)>,
}

impl Suspects {
    /// Another packet of this sender didn't verify. Answers how many running by now.
    pub(crate) fn accuse(&mut self, sender: IpAddr) -> u32 {
        let before = match self.accused.iter().position(|(other, _)| *other == sender) {
            Some(place) => self.accused.remove(place).1,
            None => {
                if self.accused.len() == SUSPECTS_MAX {
                    self.accused.remove(0);
                }
                0
            }
        };
        let now = before.saturating_add(1);
        self.accused.push((sender, now));
        now
    }

    /// A packet of this sender verified.
    pub(crate) fn acquit(&mut self, sender: IpAddr) {
        if !self.accused.is_empty() {
            self.accused.retain(|(other, _)| *other != sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(host: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, host])
    }

    #[test]
    fn each_sender_has_its_own_count_and_one_good_packet_clears_it() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.accuse(sender(1)), 1);
        assert_eq!(suspects.accuse(sender(2)), 1);
        assert_eq!(suspects.accuse(sender(1)), 2);
        suspects.acquit(sender(1));
        assert_eq!(suspects.accuse(sender(1)), 1);
        assert_eq!(suspects.accuse(sender(2)), 2);
    }

    #[test]
    fn the_list_never_grows_beyond_its_limit() {
        let mut suspects = Suspects::default();
        suspects.accuse(sender(1));
        for host in 2..=SUSPECTS_MAX as u8 + 1 {
            suspects.accuse(sender(host));
        }
        assert_eq!(suspects.accused.len(), SUSPECTS_MAX);
        assert_eq!(suspects.accuse(sender(1)), 1, "the oldest was forgotten");
    }
}
