//! Users in a real LDAP directory: Debian's slapd.

use std::net::IpAddr;

use forewarn_tests::config::{self, SECRET};
use forewarn_tests::radclient::{Said, radclient};
use forewarn_tests::wait::eventually;
use forewarn_tests::{Hosts, Postgres, Server, Slapd};

const PEOPLE: &str = "\
dn: uid=anna,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Anna
sn: A
uid: anna
employeeNumber: 120
userPassword: {SSHA}2a1zKXJl3sRDW0nzVpR3B1X1vK7mYmJiYmJiYg==

dn: uid=ben,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Ben
sn: B
uid: ben
userPassword: builder

dn: uid=twin,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Twin
sn: T
uid: twin
uid: other-twin
userPassword: one

dn: cn=another,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: another
sn: T
uid: twin
userPassword: two

dn: uid=many,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Many
sn: M
uid: many
userPassword: in-clear
userPassword: {CRYPT}$6$rounds=1000$forewarn$dK/Yn/3hQG.UNu6pYac5DYjruCpoeg09NGvd1AdJRncOPX78U9nP78LbRobIz7MZdQ7IY9Q8rdFovyTSoWSZa.
userPassword: {CRYPT}$2b$10$abcdefghijklmnopqrstuuwmjOOgyx/jknFqeF8sHrF2cGgSECl/q
userPassword: another

dn: uid=kept,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Kept
sn: K
uid: kept
userPassword: {SASL}kept@EXAMPLE.ORG
userPassword: own

dn: cn=staff,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: staff
member: uid=ben,ou=people,dc=example,dc=org
";

/// A policy for one of them.
const ONE_SESSION: &str = "[[policy]]\nname = \"anna\"\naction = \"reject\"\n\
    when = 'user.name == \"anna\" && session.count > 0'\n";

/// A directory with people in it, and a server that asks it with these further lines in `[ldap]`.
struct Scene {
    directory: Slapd,
    server: Server,
    host: IpAddr,
}

fn scene(connection: impl Fn(&Slapd) -> String) -> Scene {
    scene_with(connection, "")
}

fn scene_with(connection: impl Fn(&Slapd) -> String, further: &str) -> Scene {
    let mut hosts = Hosts::claim();
    let (host, home) = (hosts.host(), hosts.host());
    let directory = Slapd::start(home);
    directory.add(PEOPLE);
    let more = format!(
        "[ldap]\nbase = \"{}\"\ntimeout = \"1s\"\ncache = \"0s\"\nnegative_cache = \"0s\"\n{}\n\
         groups = {{ base = \"ou=groups,dc=example,dc=org\" }}\n\
         reply = {{ Tunnel-Private-Group-Id = \"employeeNumber\" }}\n\
         [[policy]]\nname = \"staff\"\nwhen = '\"staff\" in user.groups'\nreply = {{ Filter-Id = \"staff\" }}\n{further}",
        Slapd::BASE,
        connection(&directory)
    );
    let server = Server::start(&config::server(&hosts, "east", host, &[], &more));
    Scene { directory, server, host }
}

fn as_admin(url: &str) -> String {
    format!("servers = [\"{url}\"]\nbind_dn = \"{}\"\nbind_password = \"{}\"", Slapd::ADMIN, Slapd::PASSWORD)
}

impl Scene {
    fn ask(&self, name: &str, password: &str) -> Said {
        self.send(name, &format!("User-Password = \"{password}\""), &["-t", "3"])
    }

    fn send(&self, name: &str, proof: &str, options: &[&str]) -> Said {
        let request = format!("User-Name = \"{name}\", {proof}, Message-Authenticator = 0x00\n");
        radclient((self.host, 1812).into(), "auth", SECRET, &request, options)
    }

    /// With [`ONE_SESSION`]: however she is spelled, she is let in until her session has begun.
    fn anna_has_one_session(&self) {
        self.directory.modify(
            "dn: uid=anna,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: userPassword\nuserPassword: wonderland\n",
        );
        for spelled in ["anna", "ANNA", "anna "] {
            assert_eq!(self.ask(spelled, "wonderland").received("Access-Accept"), 1, "{spelled:?}");
        }
        let start = "Acct-Status-Type = Start, Acct-Session-Id = s, NAS-IP-Address = 127.0.0.9";
        let told = format!("User-Name = \" Anna\", {start}\n");
        let said = radclient((self.host, 1813).into(), "acct", SECRET, &told, &["-t", "3"]);
        assert_eq!(said.received("Accounting-Response"), 1, "{}", said.text);
        for spelled in ["anna", "ANNA", "anna "] {
            assert_eq!(self.ask(spelled, "wonderland").received("Access-Reject"), 1, "{spelled:?}");
        }
        assert_eq!(self.outcome("access-reject.policy"), 3);
    }

    fn outcome(&self, name: &str) -> u64 {
        self.server.status()["requests"][name].as_u64().unwrap_or(0)
    }
}

#[test]
fn passwords_are_verified_by_a_bind_where_they_may_not_be_read() {
    let scene = scene(|directory| format!("servers = [\"{}\"]", directory.url()));
    let said = scene.ask("ben", "builder");
    assert_eq!(said.received("Access-Accept"), 1, "{}", said.text);
    assert!(said.text.contains("Filter-Id = \"staff\""), "{}", said.text);
    assert_eq!(scene.ask("ben", "wrong").received("Access-Reject"), 1);
    assert_eq!(scene.ask("nobody", "builder").received("Access-Reject"), 1);
    // RFC 4513 section 5.1.2: a bind without a password would be let in as anonymous.
    assert_eq!(scene.ask("ben", "").received("Access-Accept"), 0);
}

#[test]
fn passwords_that_may_be_read_serve_chap_too() {
    let scene = scene(|directory| as_admin(&directory.url()));
    assert_eq!(scene.ask("ben", "builder").received("Access-Accept"), 1);
    let said = scene.send("ben", "CHAP-Password = builder", &["-t", "3"]);
    assert_eq!(said.received("Access-Accept"), 1, "{}", said.text);
    let said = scene.send("ben", "CHAP-Password = wrong", &["-t", "3"]);
    assert_eq!(said.received("Access-Reject"), 1, "{}", said.text);
}

#[test]
fn attributes_of_the_entry_go_into_the_reply() {
    let scene = scene(|directory| as_admin(&directory.url()));
    scene.directory.modify(
        "dn: uid=anna,ou=people,dc=example,dc=org\nchangetype: modify\nreplace: userPassword\nuserPassword: wonderland\n",
    );
    let said = scene.ask("anna", "wonderland");
    assert_eq!(said.received("Access-Accept"), 1, "{}", said.text);
    assert!(said.text.contains("Tunnel-Private-Group-Id:0 = \"120\""), "{}", said.text);
}

#[test]
fn start_tls_ldaps_and_the_socket_lead_there_too() {
    for which in ["starttls", "ldaps", "ldapi"] {
        let scene = scene(|directory| {
            let authority = directory.certificate().authority.display().to_string();
            match which {
                "starttls" => {
                    format!("{}\nstarttls = true\nca = \"{authority}\"", as_admin(&directory.url()))
                }
                "ldaps" => format!("{}\nca = \"{authority}\"", as_admin(&directory.tls_url())),
                _ => as_admin(&directory.socket_url()),
            }
        });
        let said = scene.ask("ben", "builder");
        assert_eq!(said.received("Access-Accept"), 1, "{which}: {}\n{}", said.text, scene.server.log());
    }
}

#[test]
fn an_authority_that_nobody_trusts_is_no_directory() {
    let scene = scene(|directory| as_admin(&directory.tls_url()));
    let said = scene.ask("ben", "builder");
    assert_eq!(said.received("Access-"), 0, "{}", said.text);
    scene.server.says("the LDAP directory can't be asked");
    assert!(scene.outcome("silence.source-away") > 0);
}

#[test]
fn names_are_data_in_a_filter() {
    let scene = scene(|directory| format!("servers = [\"{}\"]", directory.url()));
    for name in ["*", "be*", "*)(uid=*", "ben)(|(uid=*", r"\\2a", "ben\\00", "(", "ben)(cn=Ben"] {
        let said = scene.ask(name, "builder");
        assert_eq!(said.received("Access-Reject"), 1, "{name}: {}", said.text);
    }
    assert_eq!(scene.ask("ben", "builder").received("Access-Accept"), 1);
}

#[test]
fn a_name_that_two_entries_have_is_nobodys() {
    let scene = scene(|directory| format!("servers = [\"{}\"]", directory.url()));
    assert_eq!(scene.ask("twin", "one").received("Access-Reject"), 1);
    scene.server.says("more than one entry");
}

#[test]
fn a_directory_that_is_away_costs_silence_and_comes_back_by_itself() {
    let mut scene = scene(|directory| format!("servers = [\"{}\"]", directory.url()));
    assert_eq!(scene.ask("ben", "builder").received("Access-Accept"), 1);
    scene.directory.stop();
    let said = scene.send("ben", "User-Password = builder", &["-t", "1"]);
    assert_eq!(said.received("Access-"), 0, "a directory that is away must not reject: {}", said.text);
    scene.directory.start_again();
    let back = || {
        let said = scene.send("ben", "User-Password = builder", &["-t", "2"]);
        (said.received("Access-Accept") == 1).then_some(())
    };
    eventually("the directory is asked again", back);
    scene.server.says("answers again");
}

#[test]
fn any_of_several_passwords_lets_in() {
    let scene = scene(|directory| as_admin(&directory.url()));
    for right in ["in-clear", "builder", "wonderland", "another", "wonderland"] {
        assert_eq!(scene.ask("many", right).received("Access-Accept"), 1, "{right}");
    }
    for method in ["CHAP-Password", "MS-CHAP-Password"] {
        for right in ["in-clear", "another"] {
            let said = scene.send("many", &format!("{method} = {right}"), &["-t", "3"]);
            assert_eq!(said.received("Access-Accept"), 1, "{method} {right}: {}", said.text);
        }
        let said = scene.send("many", &format!("{method} = builder"), &["-t", "3"]);
        assert_eq!(said.received("Access-Reject"), 1, "{method}: {}", said.text);
    }
    assert_eq!(scene.ask("many", "none-of-them").received("Access-Reject"), 1);
}

/// Case and blanks around it don't matter to `uid` (RFC 4519 section 2.39), so they mustn't to limits and policies.
#[test]
fn however_a_name_is_spelled_it_is_one_user() {
    let limits = format!("{ONE_SESSION}[limits]\nfailures = 3\nhold = \"1h\"\n");
    let scene = scene_with(|directory| format!("servers = [\"{}\"]", directory.url()), &limits);
    for spelled in ["ben", "BEN", " Ben "] {
        assert_eq!(scene.ask(spelled, "wrong").received("Access-Reject"), 1, "{spelled:?}");
    }
    scene.server.says("user \"ben\" has failed 3 times");
    for spelled in ["bEn", "ben", "  ben"] {
        assert_eq!(scene.ask(spelled, "builder").received("Access-Reject"), 1, "{spelled:?}");
    }
    assert_eq!(scene.outcome("access-reject.too-many-failures"), 3);
    scene.anna_has_one_session();
}

#[test]
fn so_it_is_for_sessions_in_postgresql() {
    let mut hosts = Hosts::claim();
    let database = Postgres::with_schema(hosts.host());
    let further = format!("{ONE_SESSION}{}", database.section());
    let scene = scene_with(|directory| as_admin(&directory.url()), &further);
    scene.anna_has_one_session();
    assert_eq!(database.value("SELECT username FROM radacct"), " Anna", "as the NAS has sent it");
}

#[test]
fn what_only_the_directory_can_verify_is_left_to_it_and_last() {
    let scene = scene(|directory| as_admin(&directory.url()));
    let binds =
        || scene.directory.log().matches("BIND dn=\"uid=kept,ou=people,dc=example,dc=org\" method=").count();
    assert_eq!(scene.ask("kept", "own").received("Access-Accept"), 1);
    assert_eq!(binds(), 0);
    for wrong in ["other", "kept@EXAMPLE.ORG", "{SASL}kept@EXAMPLE.ORG"] {
        assert_eq!(scene.ask("kept", wrong).received("Access-Reject"), 1, "{wrong}");
    }
    assert_eq!(binds(), 3);
}

/// Directories count failures too, and lock accounts (`ppolicy`).
#[test]
fn a_wrong_password_is_one_bind_whatever_became_of_the_connections() {
    let mut scene = scene(|directory| format!("servers = [\"{}\"]", directory.url()));
    let binds = |scene: &Scene| {
        let of_ben = "BIND dn=\"uid=ben,ou=people,dc=example,dc=org\" method=128";
        scene.directory.log().matches(of_ben).count()
    };
    assert_eq!(scene.ask("ben", "wrong").received("Access-Reject"), 1);
    assert_eq!(binds(&scene), 1);
    scene.directory.stop();
    scene.directory.start_again();
    eventually("the directory is asked again", || {
        (scene.ask("ben", "wrong").received("Access-Reject") == 1).then_some(())
    });
    assert_eq!(binds(&scene), 2);
    // It takes the bind, and answers it too late.
    scene.directory.pause();
    let said = scene.send("ben", "User-Password = wrong", &["-t", "3", "-r", "1"]);
    assert_eq!(said.received("Access-"), 0, "{}", said.text);
    scene.directory.resume();
    eventually("it is back", || (scene.ask("ben", "builder").received("Access-Accept") == 1).then_some(()));
    let (accepted, refused) = (1, 2);
    assert!(binds(&scene) <= accepted + refused + 1, "{}", scene.directory.log());
}

#[test]
fn it_is_explained_what_a_directory_makes_of_a_request() {
    let scene = scene(|directory| format!("servers = [\"{}\"]", directory.url()));
    for (file, password) in [("right", "builder\n"), ("wrong", "wrong\n")] {
        scene.server.folder().write(file, password);
    }
    let explain = |user: &str, file: &str| {
        let ask = ["explain", "-c", "server.toml", "--client", "loopback", "--user", user];
        let output = scene.server.forewarn(&[&ask[..], &["--password-file", file]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), text + &String::from_utf8_lossy(&output.stderr))
    };
    let (accepted, shown) = explain(" BEN", "right");
    assert!(accepted, "{shown}");
    for line in [
        "\"ben\" is a user of the source ldap",
        "user.groups is staff",
        "uid=ben,ou=people,dc=example,dc=org",
        "it is right",
        "Filter-Id = \"staff\"  (staff)",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let (accepted, shown) = explain("ben", "wrong");
    assert!(!accepted && shown.contains("cause wrong-password"), "{shown}");
    let (accepted, shown) = explain("nobody", "right");
    assert!(!accepted && shown.contains("nobody is called"), "{shown}");
    let (accepted, shown) = explain("twin", "right");
    assert!(!accepted && shown.contains("cause unknown-user"), "{shown}");
}
