//! How much a step of shedding moves: a share of the load, where it is known who makes it, else of the clients.

use super::share_of;

/// The indices of those to move so that `share` (0 to 1) of all has moved: each entry is a client's requests a second
/// and whether it has moved already, in the order in which they are to go.
///
/// Whoever is heavier than what the step still lacks is passed over for a lighter one; if all are, the last of the
/// heavier goes, since a step moves somebody.
pub fn step(clients: &[(f64, bool)], share: f64) -> Vec<usize> {
    let total: f64 = clients.iter().map(|(rate, _)| rate).sum();
    let waiting = || clients.iter().enumerate().filter(|(_, (_, moved))| !moved).map(|(index, _)| index);
    if total <= 0.0 || share >= 1.0 {
        let moved = clients.iter().filter(|(_, moved)| *moved).count();
        return waiting().take(share_of(clients.len(), share).saturating_sub(moved)).collect();
    }
    let moved: f64 = clients.iter().filter(|(_, moved)| *moved).map(|(rate, _)| rate).sum();
    let mut lacks = total * share - moved;
    // The epsilon is for sums that come out a hair beside.
    let nothing = total * 1e-9;
    let mut chosen = Vec::new();
    let mut passed_over = None;
    for index in waiting() {
        let rate = clients[index].0;
        if lacks <= nothing {
            break;
        }
        if rate <= lacks + nothing {
            lacks -= rate;
            chosen.push(index);
        } else {
            passed_over = Some(index);
        }
    }
    if chosen.is_empty() && lacks > nothing {
        chosen.extend(passed_over);
    }
    chosen
}
