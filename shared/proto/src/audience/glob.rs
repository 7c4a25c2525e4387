//! Names by pattern: `*` is any run of characters, `/` included; `?` is any one character; the rest is itself.

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl Glob {
    /// The pattern in `text`; every text is one.
    pub fn new(text: &str) -> Glob {
        Glob(text.chars().collect())
    }

    /// The whole of `name` fits. Takes time in proportion to both lengths multiplied, at the worst.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (&self.0, name.chars().collect::<Vec<_>>());
        let (mut p, mut n) = (0, 0);
        let mut last_star: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some('*') => {
                    last_star = Some((p, n));
                    p += 1;
                }
                Some(&c) if c == '?' || c == name[n] => {
                    p += 1;
                    n += 1;
                }
                _ => {
                    // Let the last star take one character more.
                    let Some((star, taken)) = last_star else { return false };
                    last_star = Some((star, taken + 1));
                    p = star + 1;
                    n = taken + 1;
                }
            }
        }
        pattern[p..].iter().all(|&c| c == '*')
    }
}
