//! OpenLDAP's slapd of Debian's package: a directory of its own for one test, in a temporary folder, as an
//! unprivileged user, reached by a private Unix socket (ldapi), by TCP with StartTLS, and by TLS.
//!
//! ```no_run
//! use forewarn_tests::{Hosts, Slapd};
//! let mut hosts = Hosts::claim();
//! let mut directory = Slapd::start(hosts.host());
//! directory.add("dn: uid=alice,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\ncn: A\nsn: A\nuid: alice\nuserPassword: x\n");
//! let url = directory.url(); // ldap://127.x.y.z:3389
//! directory.stop();
//! directory.start_again();
//! ```

use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::certificate::Certificate;
use crate::daemon::{Daemon, packaged};

const PORT: u16 = 3389;
const TLS_PORT: u16 = 3636;

/// A directory.
#[derive(Debug)]
pub struct Slapd {
    daemon: Daemon,
    program: PathBuf,
    address: IpAddr,
    certificate: Certificate,
}

/// Everything below it is the tests'.
const ROOT: &str = "dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups
";

impl Slapd {
    /// The top of its tree; `ou=people` and `ou=groups` are below it.
    pub const BASE: &str = "dc=example,dc=org";
    /// Who may do everything.
    pub const ADMIN: &str = "cn=admin,dc=example,dc=org";
    /// And the password for it.
    pub const PASSWORD: &str = "admin-password";

    /// Starts one on `address`, ports 3389 (LDAP with StartTLS) and 3636 (LDAPS). Anybody may bind, nobody but the
    /// administrator may read passwords. The `memberof` overlay keeps that attribute for `groupOfNames`.
    ///
    /// # Panics
    /// When it doesn't come up, with its log.
    pub fn start(address: IpAddr) -> Slapd {
        let program = packaged("slapd", &["/usr/sbin/slapd"]);
        let daemon = Daemon::new("slapd", "openldap");
        daemon.make("data");
        let certificate = Certificate::make(daemon.folder.path(), address);
        daemon.account.take(daemon.folder.path());
        let mut slapd = Slapd { daemon, program, address, certificate };
        slapd.daemon.write("slapd.conf", &slapd.configuration());
        slapd.start_again();
        slapd.add(ROOT);
        slapd
    }

    fn configuration(&self) -> String {
        let path = |name: &str| self.daemon.path(name).display().to_string();
        format!(
            "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
TLSCACertificateFile {}
TLSCertificateFile {}
TLSCertificateKeyFile {}
loglevel stats
database mdb
suffix {}
rootdn {}
rootpw {}
directory {}
maxsize 1073741824
index objectClass,uid,member,memberUid eq
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by * read
",
            self.certificate.authority.display(),
            self.certificate.certificate.display(),
            self.certificate.key.display(),
            Self::BASE,
            Self::ADMIN,
            Self::PASSWORD,
            path("data"),
        )
    }

    /// Where it answers LDAP, with StartTLS offered.
    pub fn url(&self) -> String {
        format!("ldap://{}:{PORT}", self.address)
    }

    /// Where it answers over TLS from the first octet.
    pub fn tls_url(&self) -> String {
        format!("ldaps://{}:{TLS_PORT}", self.address)
    }

    /// Its Unix socket, as a URL.
    pub fn socket_url(&self) -> String {
        format!("ldapi://{}", self.daemon.path("ldapi").display().to_string().replace('/', "%2F"))
    }

    /// What vouches for it.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Adds entries, in LDIF.
    ///
    /// # Panics
    /// When the directory refuses them.
    pub fn add(&self, ldif: &str) {
        self.change("ldapadd", ldif);
    }

    /// Changes entries, in LDIF with `changetype`.
    ///
    /// # Panics
    /// When the directory refuses them.
    pub fn modify(&self, ldif: &str) {
        self.change("ldapmodify", ldif);
    }

    fn change(&self, tool: &str, ldif: &str) {
        let mut child = self
            .client(tool)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ldap-utils are installed: make test installs them");
        child.stdin.take().expect("a pipe").write_all(ldif.as_bytes()).expect("the tool reads");
        let output = child.wait_with_output().expect("the tool ends");
        assert!(output.status.success(), "{tool}: {}\nof: {ldif}", String::from_utf8_lossy(&output.stderr));
    }

    /// Everything in it, as LDIF.
    ///
    /// # Panics
    /// When it doesn't answer.
    pub fn dump(&self) -> String {
        let mut command = self.client("ldapsearch");
        self.daemon.run(command.args(["-LLL", "-o", "ldif-wrap=no", "-b", Self::BASE]))
    }

    /// `ldapsearch`, `ldapadd`, ... of ldap-utils, bound as the administrator over the socket.
    pub fn client(&self, tool: &str) -> Command {
        let mut command = Command::new(tool);
        command.args(["-x", "-H", &self.socket_url(), "-D", Self::ADMIN, "-w", Self::PASSWORD]);
        command.env("LDAPNOINIT", "1").stdin(Stdio::null());
        command
    }

    /// Stops it in order.
    ///
    /// # Panics
    /// When it doesn't stop.
    pub fn stop(&mut self) {
        self.daemon.end("TERM");
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again on what it had, and waits until it answers.
    ///
    /// # Panics
    /// When it doesn't, with its log.
    pub fn start_again(&mut self) {
        let urls = format!("{} {} {}", self.url(), self.tls_url(), self.socket_url());
        let mut command = self.daemon.account.command(&self.program);
        command.args(["-h", &urls, "-d", "stats"]).arg("-f").arg(self.daemon.path("slapd.conf"));
        let mut probe = self.client("ldapsearch");
        probe.args(["-s", "base", "-b", "", "-LLL"]).stdout(Stdio::null()).stderr(Stdio::null());
        self.daemon.start(&mut command, || probe.status().is_ok_and(|status| status.success()));
    }

    /// Stops its clock: connections stay, nothing answers.
    pub fn pause(&self) {
        self.daemon.signal_family("STOP");
    }

    /// Ends [`Slapd::pause`].
    pub fn resume(&self) {
        self.daemon.signal_family("CONT");
    }

    /// What it was asked, and what it answered: one line each.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}
