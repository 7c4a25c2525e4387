//! wpa_supplicant's eapol_test, the real thing from Debian's eapoltest: a supplicant and its access point in one.

use std::net::SocketAddr;
use std::process::Command;

use crate::folder::Folder;

/// What eapol_test said.
#[derive(Debug)]
pub struct Authenticated {
    /// Whether it was let in, with the keys of its own making where the method has keys.
    pub success: bool,
    /// Everything it printed.
    pub text: String,
}

impl Authenticated {
    /// Whether an EAP-Failure ended it, and not its patience.
    pub fn was_refused(&self) -> bool {
        !self.success && self.text.contains("EAP: Received EAP-Failure") && !self.text.contains("timed out")
    }

    /// Whether the server's EAP-Key-Name is the Session-Id that it computes itself.
    pub fn has_key_name(&self) -> bool {
        self.text.contains("EAP-Key-Name from server") && !self.text.contains("does not match EAP-Key-Name")
    }

    /// The value of an attribute in the Access-Accept, by its number: hexadecimal digits.
    pub fn accepted_with(&self, number: u8) -> Option<&str> {
        let (_, accept) = self.text.rsplit_once("(Access-Accept)")?;
        let (_, attribute) = accept.split_once(&format!("Attribute {number} ("))?;
        attribute.lines().nth(1)?.trim().strip_prefix("Value: ")
    }

    /// How many Access-Challenges it received.
    pub fn challenges(&self) -> usize {
        self.text.lines().filter(|line| line.contains("(Access-Challenge)")).count()
    }
}

/// Authenticates at `server` by a network block of wpa_supplicant (`lines`); `keys`: those of both sides are compared.
/// It always asks for EAP-Key-Name; what it has received and what it computes are in the text.
///
/// # Panics
/// When eapol_test isn't installed (`make test` installs it).
pub fn eapol_test(server: SocketAddr, secret: &str, lines: &str, keys: bool) -> Authenticated {
    authenticate(server, secret, lines, keys, &[])
}

/// As [`eapol_test`], with further attributes in its requests, each as its `-N` has them: `89`, `126:s:4house`.
///
/// # Panics
/// As [`eapol_test`].
pub fn eapol_test_with(server: SocketAddr, secret: &str, lines: &str, attributes: &[&str]) -> Authenticated {
    let options: Vec<&str> = attributes.iter().flat_map(|attribute| ["-N", attribute]).collect();
    authenticate(server, secret, lines, true, &options)
}

/// As [`eapol_test`], and then once more: with its session of TLS, as after a move to another access point.
///
/// # Panics
/// As [`eapol_test`].
pub fn eapol_test_twice(server: SocketAddr, secret: &str, lines: &str) -> Authenticated {
    authenticate(server, secret, lines, true, &["-r", "1"])
}

fn authenticate(server: SocketAddr, secret: &str, lines: &str, keys: bool, more: &[&str]) -> Authenticated {
    let folder = Folder::new();
    let config = folder.write("network.conf", &format!("network={{\nkey_mgmt=WPA-EAP\n{lines}\n}}\n"));
    let mut command = Command::new("eapol_test");
    command.arg("-c").arg(config).args(["-e", "-t", "20", "-s", secret]).args(more);
    command.args(["-a", &server.ip().to_string(), "-p", &server.port().to_string()]);
    if !keys {
        command.arg("-n");
    }
    let output = command.output().expect("eapol_test of eapoltest is installed");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Authenticated { success: output.status.success(), text }
}
