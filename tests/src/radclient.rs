//! FreeRADIUS's radclient, the real thing from Debian's freeradius-utils.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

/// What radclient said.
#[derive(Debug)]
pub struct Said {
    /// Whether it got the answers it expected.
    pub success: bool,
    /// Everything it printed.
    pub text: String,
}

impl Said {
    /// How many replies of this name ("Access-Accept") it received.
    pub fn received(&self, name: &str) -> usize {
        self.text.lines().filter(|line| line.starts_with("Received ") && line.contains(name)).count()
    }
}

/// Sends requests of `kind` (auth, acct, status, auto) made of `attributes`, one packet per blank line, with further
/// `options`.
///
/// # Panics
/// When radclient isn't installed (`make test` installs it).
pub fn radclient(server: SocketAddr, kind: &str, secret: &str, attributes: &str, options: &[&str]) -> Said {
    let mut child = Command::new("radclient")
        .args(["-x", "-r", "1", "-t", "5"])
        .args(options)
        .arg(server.to_string())
        .args([kind, secret])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("radclient of freeradius-utils is installed");
    child.stdin.take().expect("a pipe").write_all(attributes.as_bytes()).expect("radclient reads");
    let output = child.wait_with_output().expect("radclient ends");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Said { success: output.status.success(), text }
}
