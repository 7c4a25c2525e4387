//! FreeRADIUS with EAP instead of a database: EAP-TLS, EAP-TTLS with PAP, PEAP with EAP-MSCHAPv2, one user in a file.

use std::fs;
use std::net::IpAddr;

use super::{FreeRadius, Options, SHIPPED, answers, copy, main};
use crate::authority::{Authority, Leaf};
use crate::config::SECRET;
use crate::daemon::{Daemon, packaged};

/// What its TLS is made of.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// Who signs the certificates of clients.
    pub authority: &'a Authority,
    /// Its own certificate.
    pub leaf: &'a Leaf,
    /// Whether sessions are resumed.
    pub resumes: bool,
    /// Octets of TLS in one packet, at most.
    pub fragment: usize,
}

impl FreeRadius {
    /// Starts one on `address`, port 1812, whose clients are all loopback addresses with `SECRET`, with `threads`, for
    /// the user alice with the password wonderland.
    ///
    /// # Panics
    /// When it doesn't come up, with its log.
    pub fn with_eap(address: IpAddr, tls: Tls<'_>, threads: usize) -> FreeRadius {
        let program = packaged("freeradius", &["/usr/sbin/freeradius"]);
        let mut daemon = Daemon::new("FreeRADIUS", "freerad");
        let raddb = daemon.make("raddb");
        copy(SHIPPED.as_ref(), &raddb);
        let (certificates, sessions) = (daemon.make("certificates"), daemon.make("sessions"));
        for (from, name) in [
            (&tls.authority.certificate(), "ca.pem"),
            (&tls.leaf.certificate, "server.pem"),
            (&tls.leaf.key, "server.key"),
        ] {
            fs::copy(from, certificates.join(name)).expect("a certificate can be copied");
        }
        let options = Options { threads, ..Options::default() };
        for (name, text) in [
            ("raddb/radiusd.conf", main(&daemon, options)),
            (
                "raddb/clients.conf",
                format!("client loopback {{\n\tipaddr = 127.0.0.0/8\n\tsecret = {SECRET}\n}}\n"),
            ),
            ("raddb/users", "alice Cleartext-Password := \"wonderland\"\n".to_owned()),
            ("raddb/mods-enabled/users", "files {\n\tusersfile = ${confdir}/users\n}\n".to_owned()),
            (
                "raddb/mods-enabled/eap",
                module(&certificates.display().to_string(), &sessions.display().to_string(), tls),
            ),
            ("raddb/sites-enabled/default", SITES.replace("ADDRESS", &address.to_string())),
        ] {
            daemon.write(name, &text);
        }
        daemon.make("logs");
        daemon.account.take(daemon.folder.path());
        let mut command = daemon.account.command(program);
        command.args(["-f", "-l", "stdout", "-d"]).arg(&raddb);
        daemon.start(&mut command, || answers(address));
        FreeRadius { daemon, address }
    }
}

/// Sessions are files: 3.2.1 keeps them nowhere else.
fn module(certificates: &str, sessions: &str, Tls { resumes, fragment, .. }: Tls<'_>) -> String {
    let resumes = if resumes { "yes" } else { "no" };
    format!(
        "eap {{
	default_eap_type = tls
	timer_expire = 60
	max_sessions = 16384
	tls-config tls-common {{
		private_key_file = {certificates}/server.key
		certificate_file = {certificates}/server.pem
		ca_file = {certificates}/ca.pem
		fragment_size = {fragment}
		tls_min_version = \"1.2\"
		tls_max_version = \"1.3\"
		ecdh_curve = \"\"
		cache {{
			enable = {resumes}
			lifetime = 1
			name = \"bench\"
			persist_dir = {sessions}
		}}
	}}
	tls {{
		tls = tls-common
	}}
	ttls {{
		tls = tls-common
		default_eap_type = mschapv2
		virtual_server = \"inner\"
	}}
	peap {{
		tls = tls-common
		default_eap_type = mschapv2
		virtual_server = \"inner\"
	}}
	mschapv2 {{
	}}
}}
"
    )
}

/// A session is resumed only where there is something to remember of it: the name in the reply.
const SITES: &str = "server default {
listen {
	type = auth
	ipaddr = ADDRESS
	port = 1812
}
authorize {
	update reply {
		User-Name := \"%{User-Name}\"
	}
	eap {
		ok = return
	}
}
authenticate {
	eap
}
}
server inner {
authorize {
	files
	mschap
	eap {
		ok = return
	}
	pap
}
authenticate {
	Auth-Type PAP {
		pap
	}
	mschap
	eap
}
}
";
