//! What to do with what was made.

use std::fmt::Write as _;
use std::path::Path;

use forewarn_shell::log::escaped;

use super::Made;
use super::authority::Leaf;
use crate::cli::import::output::quoted;

/// The lines that use it, at the server and at a supplicant.
pub(super) fn in_words(made: &Made) -> String {
    let mut text = String::new();
    // Writing into a text can't fail.
    let mut line = |line: &str| {
        let _ = writeln!(text, "{line}");
    };
    if let Some(server) = &made.server {
        line("# forewarnd: in server.toml");
        line("[eap]");
        line("methods = [\"peap\", \"ttls\", \"tls\"]");
        line("");
        line("[eap.tls]");
        line(&format!("certificate = {}", toml(&server.certificate)));
        line(&format!("key = {}", toml(&server.key)));
        line(&format!("client_ca = {}", toml(&made.authority)));
        line(&format!("crl = [{}]", toml(&made.crl)));
    }
    if let Some(name) = &made.server_name {
        line("");
        line("# a supplicant with a password: in wpa_supplicant.conf");
        line("network={");
        line("    key_mgmt=IEEE8021X");
        line("    eap=PEAP");
        line("    identity=\"alice\"");
        line("    password=\"...\"");
        line(&format!("    ca_cert=\"{}\"", shown(&made.authority)));
        line(&format!("    domain_match=\"{}\"", escaped(name)));
        line("    phase2=\"auth=MSCHAPV2\"");
        line("}");
    }
    for client in &made.clients {
        line("");
        network(&mut line, made, client);
    }
    if !made.revoked.is_empty() {
        line(&format!("revoked: {}", escaped(&made.revoked.join(", "))));
        line(&format!("{} is written anew; `forewarn reload` has a server read it", shown(&made.crl)));
    }
    if made.server.is_some() {
        line("");
        line(&format!("# devices trust {} and nothing else of this folder;", shown(&made.authority)));
        line("# keys never leave this machine but to their owners");
        line(
            "# for trying things out: whoever can read ca.key can be anybody. In production, use an authority",
        );
        line("# that somebody guards, and that devices renew their certificates at");
    }
    text.truncate(text.trim_end().len());
    text
}

fn network(line: &mut impl FnMut(&str), made: &Made, client: &Leaf) {
    line(&format!("# {}: in wpa_supplicant.conf", escaped(&client.name)));
    line("network={");
    line("    key_mgmt=IEEE8021X");
    line("    eap=TLS");
    line(&format!("    identity=\"{}\"", escaped(&client.name)));
    line(&format!("    ca_cert=\"{}\"", shown(&made.authority)));
    if let Some(name) = &made.server_name {
        line(&format!("    domain_match=\"{}\"", escaped(name)));
    }
    line(&format!("    client_cert=\"{}\"", shown(&client.certificate)));
    line(&format!("    private_key=\"{}\"", shown(&client.key)));
    line("}");
    let file = client.certificate.with_extension("p12");
    line(&format!(
        "# for Windows, macOS, Android: openssl pkcs12 -export -in {} -inkey {} -certfile {} -out {}",
        shown(&client.certificate),
        shown(&client.key),
        shown(&made.authority),
        shown(&file)
    ));
}

fn toml(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy()).to_string()
}
