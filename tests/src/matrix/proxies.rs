//! Other people's proxies in an agent's place: FreeRADIUS and radsecproxy of Debian's packages, with the settings they are
//! shipped with and with those that serve them best here.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::Host;
use crate::config::{LOCAL_SECRET, SECRET};
use crate::daemon::{Daemon, packaged};

use super::site::{Campus, SERVERS};

/// Which one, and how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// FreeRADIUS with the values of its shipped proxy.conf.
    FreeRadius,
    /// FreeRADIUS with the shortest times that don't take a delayed reject for a failure.
    FreeRadiusBest,
    /// radsecproxy with nothing set.
    Radsecproxy,
    /// radsecproxy with its shortest times. Without Status-Server: with it, only what that finds counts, each 25 s.
    RadsecproxyBest,
}

/// One that runs.
#[derive(Debug)]
pub struct RunningProxy(#[allow(dead_code, reason = "it ends with this")] Daemon);

impl Proxy {
    /// All of them.
    pub const ALL: [Proxy; 4] =
        [Proxy::FreeRadius, Proxy::FreeRadiusBest, Proxy::Radsecproxy, Proxy::RadsecproxyBest];

    /// As a table calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Proxy::FreeRadius => "FreeRADIUS, shipped settings",
            Proxy::FreeRadiusBest => "FreeRADIUS, best settings",
            Proxy::Radsecproxy => "radsecproxy, shipped settings",
            Proxy::RadsecproxyBest => "radsecproxy, best settings",
        }
    }

    /// Starts it on a host of the second switch, before all servers.
    ///
    /// # Panics
    /// When it isn't installed, or doesn't come up, with its log.
    #[must_use]
    pub fn start(self, campus: &Campus, host: &Host) -> RunningProxy {
        let servers: Vec<(&str, IpAddr)> =
            SERVERS.into_iter().zip(campus.servers.iter().map(Host::v4)).collect();
        let mut daemon = Daemon::new(self.name(), "root");
        let mut command = std::process::Command::new("nsenter");
        command.args(&host.prefix()[1..]).stdin(std::process::Stdio::null());
        match self {
            Proxy::FreeRadius | Proxy::FreeRadiusBest => {
                let best = self == Proxy::FreeRadiusBest;
                let folder = daemon.folder.path().display().to_string();
                daemon.write("raddb/radiusd.conf", &freeradius(&folder, host.v4(), &servers, best));
                command.arg(packaged("freeradius", &["/usr/sbin/freeradius"]));
                command.args(["-f", "-l", "stdout", "-d"]).arg(daemon.path("raddb"));
            }
            Proxy::Radsecproxy | Proxy::RadsecproxyBest => {
                let best = self == Proxy::RadsecproxyBest;
                let file = daemon.write("radsecproxy.conf", &radsecproxy(host.v4(), &servers, best));
                command.arg(packaged("radsecproxy", &["/usr/sbin/radsecproxy"]));
                command.arg("-f").arg("-c").arg(file);
            }
        }
        daemon.start(&mut command, || host.hears_at(1812) && host.hears_at(1813));
        RunningProxy(daemon)
    }
}

/// Fail-over in the order of the servers, authentication and accounting apart.
pub(crate) fn freeradius(folder: &str, address: IpAddr, servers: &[(&str, IpAddr)], best: bool) -> String {
    let times = match best {
        // Shorter ones, or `response_timeouts` below 1, can't be set; a reject is delayed by a second.
        true => {
            "response_window = 1\n\tresponse_timeouts = 1\n\tzombie_period = 1\n\trevive_interval = 60\n\
             \tstatus_check = status-server\n\tcheck_interval = 6\n\tcheck_timeout = 1\n\tnum_answers_to_alive = 3"
        }
        // proxy.conf of the package.
        false => {
            "response_window = 20\n\tzombie_period = 40\n\trevive_interval = 120\n\
             \tstatus_check = status-server\n\tcheck_interval = 30\n\tcheck_timeout = 4\n\tnum_answers_to_alive = 3"
        }
    };
    let mut homes = String::new();
    for (kind, port) in [("auth", 1812), ("acct", 1813)] {
        let mut pool = String::new();
        for (name, server) in servers {
            let _ = write!(
                homes,
                "home_server {name}-{kind} {{\n\ttype = {kind}\n\tipaddr = {server}\n\tport = {port}\n\
                 \tsecret = {SECRET}\n\tsrc_ipaddr = {address}\n\t{times}\n}}\n"
            );
            let _ = writeln!(pool, "\thome_server = {name}-{kind}");
        }
        let _ = write!(homes, "home_server_pool {kind} {{\n\ttype = fail-over\n{pool}}}\n");
    }
    format!(
        "prefix = /usr
exec_prefix = /usr
sbindir = /usr/sbin
localstatedir = {folder}
logdir = {folder}
raddbdir = {folder}/raddb
confdir = ${{raddbdir}}
run_dir = {folder}
libdir = /usr/lib/freeradius
max_request_time = 30
cleanup_delay = 5
max_requests = 16384
hostname_lookups = no
proxy_requests = yes
log {{
	destination = stdout
}}
security {{
	max_attributes = 200
	reject_delay = 0
	status_server = yes
}}
proxy server {{
	default_fallback = no
}}
{homes}
realm servers {{
	auth_pool = auth
	acct_pool = acct
	nostrip
}}
client nas {{
	ipaddr = 127.0.0.1
	secret = {LOCAL_SECRET}
}}
thread pool {{
	start_servers = 5
	max_servers = 32
	min_spare_servers = 3
	max_spare_servers = 10
	max_requests_per_server = 0
	auto_limit_acct = no
}}
modules {{
}}
server default {{
	listen {{
		type = auth
		ipaddr = {address}
		port = 1812
	}}
	listen {{
		type = acct
		ipaddr = {address}
		port = 1813
	}}
	authorize {{
		update control {{
			Proxy-To-Realm := \"servers\"
		}}
	}}
	preacct {{
		update control {{
			Proxy-To-Realm := \"servers\"
		}}
	}}
}}
"
    )
}

/// One realm for everybody.
fn radsecproxy(address: IpAddr, servers: &[(&str, IpAddr)], best: bool) -> String {
    let times = match best {
        true => "\tRetryInterval 1\n\tRetryCount 0\n",
        false => "",
    };
    let mut blocks = String::new();
    let mut realm = String::new();
    for (name, server) in servers {
        for (block, port, key) in
            [(name.to_string(), 1812, "server"), (format!("{name}-acct"), 1813, "accountingServer")]
        {
            let _ = write!(
                blocks,
                "server {block} {{\n\ttype udp\n\thost {server}\n\tport {port}\n\tsecret {SECRET}\n{times}}}\n"
            );
            let _ = writeln!(realm, "\t{key} {block}");
        }
    }
    format!(
        "ListenUDP {address}:1812
ListenUDP {address}:1813
SourceUDP {address}
client nas {{
	type udp
	host 127.0.0.1
	secret {LOCAL_SECRET}
}}
{blocks}realm * {{
{realm}}}
"
    )
}
