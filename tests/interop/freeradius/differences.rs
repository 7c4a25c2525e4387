//! Where forewarnd does otherwise than FreeRADIUS, on purpose: the beginning of what is compared, and why.

/// Of answers: the beginning of what a question is about.
const ANSWERS: &[(&str, &str)] = &[
    (
        "the name \"\\\\",
        "FreeRADIUS doubles backslashes before it looks a name up; here the name is what was sent",
    ),
    ("reply User-Password = x", "a password isn't for replies: the row is left out, and the log says so"),
];

/// Of accounting: `COLUMN, SESSION / USER`, `row, SESSION / USER` or `answers, STORY`.
const ACCOUNTING: &[(&str, &str)] = &[
    ("answers, without Acct-Session-Id", "RFC 2866 section 5.5 requires one: what has none isn't answered"),
    (
        "row,  / user of without Acct-Session-Id",
        "RFC 2866 section 5.5 requires one: what has none isn't kept",
    ),
    ("answers, without Acct-Status-Type", "RFC 2866 section 5.1 requires one: what has none isn't answered"),
    (
        "answers, Accounting-O",
        "FreeRADIUS doesn't answer when nothing was to be closed; the NAS would repeat it in vain",
    ),
    (
        "acctinterval, session of interim twice",
        "a record that comes twice leaves the same row; there it becomes 0",
    ),
    // A carriage return hides the line feed after it from FreeRADIUS, which writes that one as =0A and not as \n.
    ("row, two\\r", "there =0A, here \\n: the session"),
    ("connectinfo_start, session of hostile name 14", "the same of Connect-Info"),
    ("connectinfo_stop, session of hostile name 14", "the same of Connect-Info"),
    ("calledstationid, session of hostile name 14", "the same of Called-Station-Id"),
];

/// Which of them have explained something.
#[derive(Debug)]
pub(super) struct Reasons {
    list: &'static [(&'static str, &'static str)],
    used: Vec<bool>,
}

impl Reasons {
    pub(super) fn for_answers() -> Reasons {
        Reasons::new(ANSWERS)
    }

    pub(super) fn for_accounting() -> Reasons {
        Reasons::new(ACCOUNTING)
    }

    fn new(list: &'static [(&'static str, &'static str)]) -> Reasons {
        Reasons { list, used: vec![false; list.len()] }
    }

    /// Whether what this is about may differ.
    pub(super) fn explain(&mut self, about: &str) -> bool {
        let mut found = false;
        for (used, (beginning, _)) in self.used.iter_mut().zip(self.list) {
            if about.starts_with(beginning) {
                *used = true;
                found = true;
            }
        }
        found
    }

    /// Those that haven't been needed: the list is out of date.
    pub(super) fn unused(&self) -> Vec<&'static str> {
        let unused = self.used.iter().zip(self.list).filter(|(used, _)| !**used);
        unused.map(|(_, (beginning, _))| *beginning).collect()
    }
}
