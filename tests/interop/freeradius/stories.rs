//! What both servers are told of sessions: each story by itself, record after record.

/// One Accounting-Request: attributes by name.
pub(super) type Record = Vec<(&'static str, String)>;

/// 1 January 2026, 00:00 UTC: when the stories begin.
const BEGIN: u64 = 1_767_225_600;

/// A session being told.
struct Session {
    id: String,
    user: String,
    nas: Option<&'static str>,
}

/// What every record of a session says.
impl Session {
    fn of(story: &str) -> Session {
        Session {
            id: format!("session of {story}"),
            user: format!("user of {story}"),
            nas: Some("192.0.2.1"),
        }
    }

    fn at(nas: &'static str, story: &str) -> Session {
        Session { nas: Some(nas), ..Session::of(story) }
    }

    /// A record of this session, `after` seconds from the beginning.
    fn record(&self, status: &str, after: u64, more: &[(&'static str, &str)]) -> Record {
        let mut record = vec![
            ("Acct-Status-Type", status.to_owned()),
            ("Acct-Session-Id", self.id.clone()),
            ("User-Name", self.user.clone()),
            ("Event-Timestamp", (BEGIN + after).to_string()),
        ];
        record.extend(self.nas.map(|nas| ("NAS-IP-Address", nas.to_owned())));
        record.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        record
    }
}

/// Everything that a NAS may say of a session.
const ALL: [(&str, &str); 17] = [
    ("NAS-Identifier", "ap-17"),
    ("NAS-Port", "7"),
    ("NAS-Port-Id", "slot 1 port 7"),
    ("NAS-Port-Type", "Wireless-802.11"),
    ("Service-Type", "Framed-User"),
    ("Framed-Protocol", "PPP"),
    ("Acct-Authentic", "RADIUS"),
    ("Connect-Info", "54 Mbit/s"),
    ("Called-Station-Id", "02-00-00-00-00-01:house"),
    ("Calling-Station-Id", "02-00-00-00-00-02"),
    ("Framed-IP-Address", "198.51.100.7"),
    ("Framed-IPv6-Address", "2001:db8::7"),
    ("Framed-IPv6-Prefix", "2001:db8:7::/64"),
    ("Framed-Interface-Id", "0:0:0:7"),
    ("Delegated-IPv6-Prefix", "2001:db8:700::/56"),
    ("Class", "gold"),
    ("Acct-Multi-Session-Id", "many"),
];

const USED: [(&str, &str); 5] = [
    ("Acct-Session-Time", "600"),
    ("Acct-Input-Octets", "1000"),
    ("Acct-Output-Octets", "2000"),
    ("Acct-Input-Packets", "10"),
    ("Acct-Output-Packets", "20"),
];

const STOP: [(&str, &str); 4] = [
    ("Acct-Session-Time", "1200"),
    ("Acct-Input-Octets", "3000"),
    ("Acct-Output-Octets", "4000"),
    ("Acct-Terminate-Cause", "User-Request"),
];

/// All stories, by name.
pub(super) fn told() -> Vec<(String, Vec<Record>)> {
    let mut told = Told::default();
    told.in_order();
    told.out_of_order();
    told.repeated();
    told.values();
    told.missing();
    told.strange();
    told.restarts();
    told.hostile();
    told.0
}

#[derive(Default)]
struct Told(Vec<(String, Vec<Record>)>);

impl Told {
    fn tell(&mut self, story: &str, records: impl FnOnce(&Session) -> Vec<Record>) {
        let records = records(&Session::of(story));
        self.0.push((story.to_owned(), records));
    }

    fn in_order(&mut self) {
        self.tell("start only", |s| vec![s.record("Start", 0, &[])]);
        self.tell("start and stop", |s| vec![s.record("Start", 0, &[]), s.record("Stop", 60, &STOP)]);
        self.tell("a whole session", |s| {
            let used = [&ALL[..], &USED[..]].concat();
            let last = [&ALL[..], &STOP[..]].concat();
            vec![
                s.record("Start", 0, &ALL),
                s.record("Interim-Update", 300, &used),
                s.record("Alive", 600, &used),
                s.record("Stop", 1200, &last),
            ]
        });
        self.tell("addresses that come later", |s| {
            vec![
                s.record("Start", 0, &[]),
                s.record("Interim-Update", 5, &[("Framed-IP-Address", "198.51.100.8")]),
                s.record("Interim-Update", 10, &[("Framed-IPv6-Address", "2001:db8::8")]),
                s.record("Stop", 20, &[("Connect-Info", "at the end")]),
            ]
        });
        self.tell("connect info at both ends", |s| {
            vec![
                s.record("Start", 0, &[("Connect-Info", "first")]),
                s.record("Stop", 60, &[("Connect-Info", "last")]),
            ]
        });
    }

    fn out_of_order(&mut self) {
        self.tell("interim without start", |s| {
            vec![s.record("Interim-Update", 300, &[&ALL[..], &USED[..]].concat())]
        });
        self.tell("stop without start", |s| vec![s.record("Stop", 1200, &[&ALL[..], &STOP[..]].concat())]);
        self.tell("stop without start or time", |s| {
            vec![s.record("Stop", 1200, &[("Acct-Input-Octets", "1")])]
        });
        self.tell("interim, then stop", |s| {
            vec![s.record("Interim-Update", 300, &USED), s.record("Stop", 1200, &STOP)]
        });
        self.tell("start after stop", |s| vec![s.record("Stop", 1200, &STOP), s.record("Start", 0, &ALL)]);
        self.tell("start after interim", |s| {
            vec![s.record("Interim-Update", 300, &USED), s.record("Start", 0, &ALL)]
        });
        self.tell("interim after stop", |s| {
            vec![
                s.record("Start", 0, &[]),
                s.record("Stop", 1200, &STOP),
                s.record("Interim-Update", 300, &USED),
            ]
        });
        self.tell("an older interim after a newer", |s| {
            vec![
                s.record("Start", 0, &[]),
                s.record("Interim-Update", 600, &USED),
                s.record("Interim-Update", 300, &[]),
            ]
        });
        self.tell("a stop before its start's time", |s| {
            vec![s.record("Start", 100, &[]), s.record("Stop", 50, &[])]
        });
    }

    fn repeated(&mut self) {
        self.tell("start twice", |s| vec![s.record("Start", 0, &ALL), s.record("Start", 0, &ALL)]);
        self.tell("start again later, otherwise", |s| {
            vec![
                s.record("Start", 0, &ALL),
                s.record("Start", 30, &[("Connect-Info", "other"), ("Framed-IP-Address", "198.51.100.9")]),
            ]
        });
        self.tell("interim twice", |s| {
            vec![
                s.record("Start", 0, &[]),
                s.record("Interim-Update", 300, &USED),
                s.record("Interim-Update", 300, &USED),
            ]
        });
        self.tell("stop twice", |s| {
            vec![s.record("Start", 0, &[]), s.record("Stop", 1200, &STOP), s.record("Stop", 1200, &STOP)]
        });
        self.tell("stop again, otherwise", |s| {
            let other = [
                ("Acct-Session-Time", "7"),
                ("Acct-Input-Octets", "8"),
                ("Acct-Terminate-Cause", "Lost-Carrier"),
            ];
            vec![s.record("Start", 0, &[]), s.record("Stop", 1200, &STOP), s.record("Stop", 1300, &other)]
        });
        self.tell("the same session id again", |s| {
            vec![
                s.record("Start", 0, &[]),
                s.record("Stop", 1200, &STOP),
                s.record("Start", 2000, &ALL),
                s.record("Interim-Update", 2300, &USED),
                s.record("Stop", 2600, &STOP),
            ]
        });
        self.tell("delayed repetitions", |s| {
            let mut records = vec![s.record("Start", 0, &[])];
            for delay in ["0", "3", "9"] {
                records.push(s.record(
                    "Stop",
                    1200,
                    &[("Acct-Delay-Time", delay), ("Acct-Session-Time", "1200")],
                ));
            }
            records
        });
    }

    fn values(&mut self) {
        for (input, more, output, many) in [
            ("0", "0", "0", "0"),
            ("4294967295", "0", "4294967295", "0"),
            ("0", "1", "1", "2"),
            ("4294967295", "4294967295", "5", "7"),
            ("1", "2147483647", "0", "2147483647"),
        ] {
            self.tell(&format!("octets {input} {more} {output} {many}"), |s| {
                let octets = [
                    ("Acct-Input-Octets", input),
                    ("Acct-Input-Gigawords", more),
                    ("Acct-Output-Octets", output),
                    ("Acct-Output-Gigawords", many),
                ];
                vec![
                    s.record("Start", 0, &[]),
                    s.record("Interim-Update", 60, &octets),
                    s.record("Stop", 120, &octets),
                ]
            });
        }
        for time in ["0", "1", "4294967295", "2147483648"] {
            self.tell(&format!("session time {time}"), |s| {
                let time = [("Acct-Session-Time", time)];
                vec![
                    s.record("Start", 0, &[]),
                    s.record("Interim-Update", 60, &time),
                    s.record("Stop", 120, &time),
                ]
            });
            self.tell(&format!("session time {time} without start"), |s| {
                vec![s.record("Stop", 120, &[("Acct-Session-Time", time)])]
            });
        }
        for (name, value) in [
            ("Service-Type", "12345"),
            ("NAS-Port-Type", "99"),
            ("Framed-Protocol", "9999"),
            ("Acct-Authentic", "77"),
            ("Acct-Terminate-Cause", "200"),
            ("Acct-Terminate-Cause", "NAS-Reboot"),
            ("NAS-Port", "4294967295"),
            ("NAS-Port", "0"),
            ("NAS-Port-Id", "port"),
            ("NAS-Port-Type", "Virtual"),
            ("Framed-IP-Address", "255.255.255.254"),
            ("Framed-IP-Address", "0.0.0.0"),
            ("Framed-IPv6-Prefix", "2001:db8::/0"),
            ("Framed-IPv6-Prefix", "2001:db8:1:2:3:4:5:6/128"),
            ("Delegated-IPv6-Prefix", "::/0"),
            ("Framed-Interface-Id", "ff:fe:1:2"),
            ("NAS-Identifier", "an identifier"),
            ("Class", "0x00ff01"),
            ("Class", "ai:0123456789abcdef0123456789abcdef"),
            ("Class", "ai:0123456789ABCDEF0123456789abcdef and more"),
            ("Class", "ai:short"),
            ("Connect-Info", ""),
            ("Acct-Link-Count", "3"),
            ("Chargeable-User-Identity", "0x00"),
        ] {
            if value.is_empty() {
                continue;
            }
            self.tell(&format!("{name} {value}"), |s| {
                let mut one = vec![(name, value)];
                if name == "Acct-Terminate-Cause" {
                    one.push(("Acct-Session-Time", "5"));
                }
                vec![
                    s.record("Start", 0, &one),
                    s.record("Interim-Update", 5, &one),
                    s.record("Stop", 10, &one),
                ]
            });
        }
        self.tell("two of each", |s| {
            let two = [
                ("Framed-IP-Address", "198.51.100.1"),
                ("Framed-IP-Address", "198.51.100.2"),
                ("Class", "one"),
                ("Class", "two"),
                ("Calling-Station-Id", "a"),
                ("Calling-Station-Id", "b"),
                ("Framed-IPv6-Prefix", "2001:db8:1::/64"),
                ("Framed-IPv6-Prefix", "2001:db8:2::/64"),
            ];
            vec![s.record("Start", 0, &two), s.record("Stop", 10, &two)]
        });
        self.tell("an IPv6 NAS", |s| {
            let session = Session { nas: None, id: s.id.clone(), user: s.user.clone() };
            let nas = [("NAS-IPv6-Address", "2001:db8::1")];
            vec![
                session.record("Start", 0, &nas),
                session.record("Interim-Update", 5, &nas),
                session.record("Stop", 9, &nas),
            ]
        });
        self.tell("a NAS of both kinds", |s| {
            let nas = [("NAS-IPv6-Address", "2001:db8::1")];
            vec![s.record("Start", 0, &nas), s.record("Stop", 9, &nas)]
        });
        self.tell("a realm in the name", |s| {
            let session = Session { user: "carol@example.org".to_owned(), id: s.id.clone(), nas: s.nas };
            vec![session.record("Start", 0, &[]), session.record("Stop", 9, &[])]
        });
    }

    fn missing(&mut self) {
        for name in ["Acct-Session-Id", "User-Name", "NAS-IP-Address", "Event-Timestamp", "Acct-Status-Type"]
        {
            self.tell(&format!("without {name}"), |s| {
                let all = [
                    s.record("Start", 0, &ALL),
                    s.record("Interim-Update", 300, &USED),
                    s.record("Stop", 600, &STOP),
                ];
                all.into_iter()
                    .map(|record| record.into_iter().filter(|(other, _)| *other != name).collect())
                    .collect()
            });
        }
        self.tell("a start delayed, without a time of its own", |s| {
            let record = s.record("Start", 0, &[("Acct-Delay-Time", "1000")]);
            vec![record.into_iter().filter(|(name, _)| *name != "Event-Timestamp").collect()]
        });
    }

    fn strange(&mut self) {
        for status in ["Tunnel-Start", "Tunnel-Stop", "Tunnel-Link-Start", "Failed", "99", "0"] {
            self.tell(&format!("status {status}"), |s| vec![s.record(status, 0, &ALL)]);
            self.tell(&format!("status {status} in a session"), |s| {
                vec![s.record("Start", 0, &[]), s.record(status, 5, &USED), s.record("Stop", 9, &STOP)]
            });
        }
    }

    /// Accounting-On and -Off, from a NAS of their own.
    fn restarts(&mut self) {
        for (nas, status, cause) in [
            ("192.0.2.101", "Accounting-On", None),
            ("192.0.2.102", "Accounting-Off", None),
            ("192.0.2.103", "Accounting-Off", Some("Admin-Reset")),
        ] {
            let sessions = ["first", "second", "ended", "later"]
                .map(|name| Session::at(nas, &format!("{status} {} {name}", cause.unwrap_or("no cause"))));
            let mut records: Vec<Record> =
                sessions.iter().map(|session| session.record("Start", 0, &[])).collect();
            records.push(sessions[1].record("Interim-Update", 100, &USED));
            records.push(sessions[2].record("Stop", 200, &STOP));
            records.push(sessions[3].record("Start", 900, &[]));
            let nas_itself = |after: u64| {
                let mut record = vec![
                    ("Acct-Status-Type", status.to_owned()),
                    ("NAS-IP-Address", nas.to_owned()),
                    ("Acct-Session-Id", "00000000".to_owned()),
                    ("Event-Timestamp", (BEGIN + after).to_string()),
                ];
                record.extend(cause.map(|cause| ("Acct-Terminate-Cause", cause.to_owned())));
                record
            };
            records.push(nas_itself(500));
            records.push(nas_itself(500));
            records.push(sessions[0].record("Interim-Update", 600, &USED));
            records.push(sessions[0].record("Stop", 700, &STOP));
            records.push(nas_itself(1000));
            self.0.push((format!("{status}, {}", cause.unwrap_or("no cause")), records));
        }
        // A NAS that nothing is known of.
        self.tell("Accounting-On of a stranger", |_| {
            vec![vec![
                ("Acct-Status-Type", "Accounting-On".to_owned()),
                ("NAS-IP-Address", "192.0.2.200".to_owned()),
                ("Event-Timestamp", BEGIN.to_string()),
            ]]
        });
    }

    fn hostile(&mut self) {
        for (at, name) in super::cases::NAMES.into_iter().enumerate() {
            self.tell(&format!("hostile name {at}"), |s| {
                let session = Session { user: name.to_owned(), id: s.id.clone(), nas: s.nas };
                let other =
                    Session { user: s.user.clone(), id: format!("{name} in the session"), nas: s.nas };
                vec![
                    session.record(
                        "Start",
                        0,
                        &[("Called-Station-Id", name), ("Connect-Info", name), ("Class", name)],
                    ),
                    session.record("Interim-Update", 5, &USED),
                    session.record("Stop", 9, &[("Connect-Info", name)]),
                    other.record("Start", 0, &[("NAS-Port-Id", name), ("NAS-Identifier", name)]),
                    other.record("Stop", 9, &[]),
                ]
            });
        }
        self.tell("the longest values", |s| {
            let long = "x".repeat(253);
            let (user, id) = (long.clone(), format!("{}{}", "y".repeat(200), s.id));
            let session = Session { user, id, nas: s.nas };
            vec![
                session.record("Start", 0, &[("Called-Station-Id", &long), ("Connect-Info", &long)]),
                session.record("Stop", 9, &[]),
            ]
        });
    }
}
