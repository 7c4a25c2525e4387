//! Where forewarnd answers otherwise than FreeRADIUS does, on purpose: the beginning of what a question is about, and why.

/// Each is used, or the list is out of date.
const LIST: [(&str, &str); 1] = [(
    "the name \"\\\\",
    "FreeRADIUS doubles backslashes before it looks a name up; here the name is what was sent",
)];

/// Which of them have explained something.
#[derive(Debug)]
pub(super) struct Reasons {
    used: [bool; LIST.len()],
}

impl Reasons {
    pub(super) fn new() -> Reasons {
        Reasons { used: [false; LIST.len()] }
    }

    /// Whether the answers to this question may differ.
    pub(super) fn explain(&mut self, about: &str) -> bool {
        let mut found = false;
        for (used, (beginning, _)) in self.used.iter_mut().zip(LIST) {
            if about.starts_with(beginning) {
                *used = true;
                found = true;
            }
        }
        found
    }

    /// Those that haven't.
    pub(super) fn unused(&self) -> Vec<&'static str> {
        self.used.iter().zip(LIST).filter(|(used, _)| !**used).map(|(_, (beginning, _))| beginning).collect()
    }
}
