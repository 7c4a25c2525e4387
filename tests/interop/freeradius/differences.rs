//! Where forewarnd does otherwise than FreeRADIUS, on purpose, and why.

/// The beginnings of what differs, and why it may.
type Reason = (&'static [&'static str], &'static str);

/// Of answers: `code, QUESTION` where the codes differ, and with them what else is in the answers; else
/// `ATTRIBUTE, QUESTION`.
const ANSWERS: &[Reason] = &[
    (
        &[
            "code, the name \"\\\\",
            "code, the name \"\\\"quoted",
            "code, the name \"\\u{1b}",
            "code, the name \"two\\n",
            "code, the name \"two\\r\\n",
            "code, the name \"tab\\t",
            "code, the name \"bell\\u{7}",
            "code, a domain before the name",
        ],
        "FreeRADIUS looks a name up as it prints it, with a backslash before quotes, backslashes and what stands for \
         control characters; here the name is what was sent",
    ),
    (
        &["code, the password \"\\\\\"", "MS-CHAP-Error, the password \"\\\\\""],
        "a row whose value is one backslash can't be read there; here it is a password like others",
    ),
    (
        &["code, the password \"\u{1f511}\"", "MS-CHAP-Error, the password \"\u{1f511}\""],
        "FreeRADIUS makes no NT hash of what is beyond Unicode's first plane; here it is that of its UTF-16",
    ),
    (
        &["code, SSHA3-", "code, PBKDF2-Password := HMACSHA2"],
        "3.2.1 has these attributes in its dictionary and looks at none of them; here they are verified",
    ),
    (
        &["code, Expiration := \"2030-01-01\"", "code, Expiration == \"2030-01-01\""],
        "a date of ISO 8601 can't be read there, which keeps the user out; here it is one",
    ),
    (
        &["code, Auth-Type == EAP"],
        "this FreeRADIUS has no module for EAP, so the value isn't known to it; with one it accepts as well",
    ),
    (
        &["code, SMB-Account-CTRL-TEXT [DU", "code, SMB-Account-CTRL-TEXT [UL"],
        "FreeRADIUS keeps a disabled or locked account out of MS-CHAP only; here it is kept out by every method",
    ),
    (
        &["MS-CHAP-Error, SMB-Account-CTRL-TEXT [DU"],
        "there a disabled account is called a wrong password; RFC 2759 section 6 has a code for it",
    ),
    (
        &[
            "MS-CHAP2-Success, SMB-Account-CTRL-TEXT [N",
            "MS-CHAP-MPPE-Keys, SMB-Account-CTRL-TEXT [N",
            "MS-MPPE-Encryption-Policy, SMB-Account-CTRL-TEXT [N",
            "MS-MPPE-Encryption-Types, SMB-Account-CTRL-TEXT [N",
            "MS-MPPE-Recv-Key, SMB-Account-CTRL-TEXT [N",
            "MS-MPPE-Send-Key, SMB-Account-CTRL-TEXT [N",
            "code, SMB-Account-CTRL-TEXT [N",
        ],
        "with N (no password is needed) FreeRADIUS lets in without a look at the response, and without keys; here the \
         password is verified",
    ),
    (
        &["MS-CHAP-Error, Expiration", "MS-CHAP-Error, Login-Time"],
        "RFC 2759 section 6 has codes for these, and the user is told; FreeRADIUS says nothing",
    ),
    (
        &["Reply-Message, Simultaneous-Use"],
        "who has too many sessions is told so in both, in words of each server's own",
    ),
    (
        &["User-Password, reply User-Password = x"],
        "a password isn't for replies: the row is left out, and the log says so",
    ),
];

/// Of accounting: `COLUMN, SESSION / USER`, `row, SESSION / USER` or `answers, STORY`.
const ACCOUNTING: &[Reason] = &[
    (
        &["answers, without Acct-Session-Id", "row,  / user of without Acct-Session-Id"],
        "RFC 2866 section 5.5 requires one: what has none isn't answered, and isn't kept",
    ),
    (
        &["answers, without Acct-Status-Type"],
        "RFC 2866 section 5.1 requires one: what has none isn't answered",
    ),
    (
        &["answers, Accounting-O"],
        "FreeRADIUS doesn't answer when nothing was to be closed; the NAS would repeat it in vain",
    ),
    (
        &["acctinterval, session of interim twice"],
        "a record that comes twice leaves the same row; there it becomes 0",
    ),
    (
        &[
            "row, two\\r",
            "connectinfo_start, session of hostile name 14",
            "connectinfo_stop, session of hostile name 14",
            "calledstationid, session of hostile name 14",
        ],
        "a carriage return hides the line feed after it from FreeRADIUS, which writes that one as =0A and not as \\n",
    ),
];

/// The list, and how often each beginning has explained something.
#[derive(Debug)]
pub(super) struct Reasons {
    list: &'static [Reason],
    used: Vec<Vec<usize>>,
}

impl Reasons {
    pub(super) fn for_answers() -> Reasons {
        Reasons::new(ANSWERS)
    }

    pub(super) fn for_accounting() -> Reasons {
        Reasons::new(ACCOUNTING)
    }

    fn new(list: &'static [Reason]) -> Reasons {
        Reasons { list, used: list.iter().map(|(beginnings, _)| vec![0; beginnings.len()]).collect() }
    }

    /// Whether what this is about may differ.
    pub(super) fn explain(&mut self, about: &str) -> bool {
        let mut found = false;
        for (used, (beginnings, _)) in self.used.iter_mut().zip(self.list) {
            for (used, beginning) in used.iter_mut().zip(*beginnings) {
                if about.starts_with(beginning) {
                    *used += 1;
                    found = true;
                }
            }
        }
        found
    }

    /// How much each reason has explained.
    pub(super) fn counts(&self) -> impl Iterator<Item = (usize, &'static str)> {
        self.used.iter().zip(self.list).map(|(used, (_, why))| (used.iter().sum(), *why))
    }

    /// Beginnings that haven't been needed: the list is out of date.
    pub(super) fn unused(&self) -> Vec<&'static str> {
        let all =
            self.used.iter().zip(self.list).flat_map(|(used, (beginnings, _))| used.iter().zip(*beginnings));
        all.filter(|(used, _)| **used == 0).map(|(_, beginning)| *beginning).collect()
    }
}
