//! "Did you mean": the known name nearest to a mistyped one.

/// The candidate with the fewest edits from `wrong`, if they are few for its length. The first of equals.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.len() > LENGTH_MAX {
        return None;
    }
    let wrong = wrong.to_ascii_lowercase();
    let limit = (wrong.len() / 4).clamp(1, 4);
    candidates
        .filter(|candidate| candidate.len().abs_diff(wrong.len()) <= limit)
        .map(|candidate| (edits(&wrong, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Octets inserted, removed, replaced, or swapped with their neighbour.
fn edits(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let mut best = (above[j] + usize::from(l != r)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

/// Names longer than this are no typing errors.
const LENGTH_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_or_none() {
        let names = ["Session-Timeout", "Idle-Timeout", "Service-Type", "User-Name"];
        assert_eq!(nearest("Session-Timeuot", names.into_iter()), Some("Session-Timeout"));
        assert_eq!(nearest("session_timeout", names.into_iter()), Some("Session-Timeout"));
        assert_eq!(nearest("Usr-Name", names.into_iter()), Some("User-Name"));
        assert_eq!(nearest("Frobnicate", names.into_iter()), None);
        assert_eq!(nearest("", names.into_iter()), None);
    }
}
