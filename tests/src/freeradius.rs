//! FreeRADIUS 3.2 of Debian's packages, to compare with: a `raddb` in a temporary folder made from the shipped one
//! (dictionaries, modules' options, queries and policies as they are), as an unprivileged user, with the SQL module on
//! a test's PostgreSQL for authorize, accounting, session and post-auth, then pap, chap and mschap; no files, no EAP.
//!
//! ```no_run
//! use forewarn_tests::{FreeRadius, Hosts, Postgres};
//! let mut hosts = Hosts::claim();
//! let database = Postgres::with_schema(hosts.host());
//! let server = FreeRadius::start(hosts.host(), &database); // ports 1812 and 1813, clients 127.0.0.0/8
//! ```

pub mod eap;

use std::fs;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use forewarn_wire::{Code, Packet, RadiusKey, RequestAuthenticator, Writer};

use crate::config::SECRET;
use crate::daemon::{Daemon, packaged};
use crate::matrix::proxies;
use crate::postgres::Postgres;

const SHIPPED: &str = "/etc/freeradius/3.0";
/// Modules of the shipped `mods-available` that are on, with the options they are shipped with.
const MODULES: [&str; 10] = [
    "always",
    "attr_filter",
    "chap",
    "expiration",
    "expr",
    "logintime",
    "mschap",
    "pap",
    "preprocess",
    "utf8",
];

/// A running FreeRADIUS.
#[derive(Debug)]
pub struct FreeRadius {
    daemon: Daemon,
    address: IpAddr,
}

/// How it differs from the shipped configuration.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads, and with them connections to the database.
    pub threads: usize,
    /// Names are escaped by the database's own rules, rather than written in `=XX` (`auto_escape` of queries.conf).
    pub auto_escape: bool,
    /// The delay of rejects, in seconds.
    pub reject_delay: u32,
    /// A row of radpostauth for each answer, as shipped.
    pub post_auth: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { threads: 4, auto_escape: true, reject_delay: 0, post_auth: false }
    }
}

impl FreeRadius {
    /// Starts one on `address`, ports 1812 and 1813, whose clients are all loopback addresses with
    /// `SECRET`.
    ///
    /// # Panics
    /// When it doesn't come up, with its log.
    pub fn start(address: IpAddr, database: &Postgres) -> FreeRadius {
        FreeRadius::start_with(address, database, Options::default())
    }

    /// The same with options.
    ///
    /// # Panics
    /// As [`FreeRadius::start`].
    pub fn start_with(address: IpAddr, database: &Postgres, options: Options) -> FreeRadius {
        let program = packaged("freeradius", &["/usr/sbin/freeradius"]);
        let mut daemon = Daemon::new("FreeRADIUS", "freerad");
        let raddb = daemon.make("raddb");
        copy(Path::new(SHIPPED), &raddb);
        for (name, text) in [
            ("raddb/radiusd.conf", main(&daemon, options)),
            (
                "raddb/clients.conf",
                format!("client loopback {{\n\tipaddr = 127.0.0.0/8\n\tsecret = {SECRET}\n}}\n"),
            ),
            ("raddb/sites-enabled/default", site(address, options)),
            ("raddb/mods-enabled/sql", sql(database, options)),
        ] {
            daemon.write(name, &text);
        }
        if options.auto_escape {
            let queries = raddb.join("mods-config/sql/main/postgresql/queries.conf");
            let text = fs::read_to_string(&queries).expect("the queries are shipped");
            fs::write(&queries, text.replace("#auto_escape = yes", "auto_escape = yes"))
                .expect("they can be written");
        }
        daemon.make("logs");
        daemon.account.take(daemon.folder.path());
        let mut command = daemon.account.command(program);
        command.args(["-f", "-l", "stdout", "-d"]).arg(&raddb);
        daemon.start(&mut command, || answers(address));
        FreeRadius { daemon, address }
    }

    /// Starts one as a proxy on `address`, for the NAS on 127.0.0.1 with `LOCAL_SECRET`, in front of these servers by
    /// name, in their order: Status-Server, and the shortest times that it takes.
    ///
    /// # Panics
    /// When it doesn't come up, with its log.
    pub fn in_front_of(address: IpAddr, servers: &[(&str, IpAddr)]) -> FreeRadius {
        let program = packaged("freeradius", &["/usr/sbin/freeradius"]);
        let mut daemon = Daemon::new("FreeRADIUS", "freerad");
        let folder = daemon.folder.path().display().to_string();
        daemon.make("raddb");
        daemon.write("raddb/radiusd.conf", &proxies::freeradius(&folder, address, servers, true));
        let mut command = daemon.account.command(program);
        command.args(["-f", "-l", "stdout", "-d"]).arg(daemon.path("raddb"));
        // Only a socket that is bound can't be bound again.
        daemon.start(&mut command, || UdpSocket::bind((address, 1812)).is_err());
        FreeRadius { daemon, address }
    }

    /// Where it takes Access-Requests.
    pub fn auth(&self) -> SocketAddr {
        SocketAddr::new(self.address, 1812)
    }

    /// Where it takes Accounting-Requests.
    pub fn acct(&self) -> SocketAddr {
        SocketAddr::new(self.address, 1813)
    }

    /// Its process id, for measuring.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

/// Copies the shipped folder, following links within it; leaves out what is enabled by default.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    let entries = fs::read_dir(from).expect("freeradius-config is installed, and may be read (root may)");
    for entry in entries {
        let entry = entry.expect("a folder can be read");
        let (name, path) = (entry.file_name(), entry.path());
        match (name.to_str(), path.is_dir()) {
            (Some("mods-enabled" | "sites-enabled"), _) => {
                fs::create_dir_all(to.join(&name)).expect("a folder can be made");
            }
            (_, true) => copy(&path, &to.join(&name)),
            (_, false) => {
                // A link to something that isn't installed is no loss.
                let _ = fs::copy(&path, to.join(&name));
            }
        }
    }
    for module in MODULES {
        let shipped = from.join("mods-available").join(module);
        if shipped.is_file() {
            fs::copy(shipped, to.join("mods-enabled").join(module))
                .expect("a module's options can be copied");
        }
    }
}

fn main(daemon: &Daemon, options: Options) -> String {
    let folder = daemon.folder.path().display();
    let Options { threads, reject_delay, .. } = options;
    format!(
        "prefix = /usr
exec_prefix = /usr
sysconfdir = {folder}
localstatedir = {folder}
sbindir = /usr/sbin
logdir = {folder}/logs
raddbdir = {folder}/raddb
radacctdir = {folder}/logs
name = freeradius
confdir = ${{raddbdir}}
modconfdir = ${{confdir}}/mods-config
certdir = ${{confdir}}/certs
cadir = ${{confdir}}/certs
run_dir = {folder}
db_dir = {folder}
libdir = /usr/lib/freeradius
max_request_time = 30
cleanup_delay = 5
max_requests = 65536
hostname_lookups = no
proxy_requests = no
log {{
	destination = stdout
	auth = no
	msg_denied = \"You are already logged in - access denied\"
}}
security {{
	max_attributes = 200
	reject_delay = {reject_delay}
	status_server = yes
}}
$INCLUDE clients.conf
thread pool {{
	start_servers = {threads}
	max_servers = {threads}
	min_spare_servers = 1
	max_spare_servers = {threads}
	max_requests_per_server = 0
	auto_limit_acct = no
}}
modules {{
	$INCLUDE mods-enabled/
}}
instantiate {{
}}
policy {{
	$INCLUDE policy.d/
}}
$INCLUDE sites-enabled/
"
    )
}

fn site(address: IpAddr, options: Options) -> String {
    let post_auth = if options.post_auth { "sql" } else { "" };
    format!(
        "server default {{
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
	preprocess
	chap
	mschap
	sql
	expiration
	logintime
	pap
}}
authenticate {{
	Auth-Type PAP {{
		pap
	}}
	Auth-Type CHAP {{
		chap
	}}
	Auth-Type MS-CHAP {{
		mschap
	}}
	mschap
}}
preacct {{
	preprocess
	acct_unique
}}
accounting {{
	sql
	attr_filter.accounting_response
}}
session {{
	sql
}}
post-auth {{
	{post_auth}
	Post-Auth-Type REJECT {{
		{post_auth}
		attr_filter.access_reject
	}}
}}
}}
"
    )
}

fn sql(database: &Postgres, options: Options) -> String {
    let Options { threads, .. } = options;
    // A session is counted on a second connection while the first is still held.
    let connections = 2 * threads;
    format!(
        "sql {{
	dialect = \"postgresql\"
	driver = \"rlm_sql_postgresql\"
	server = \"{}\"
	port = {}
	login = \"{}\"
	radius_db = \"{}\"
	acct_table1 = \"radacct\"
	acct_table2 = \"radacct\"
	postauth_table = \"radpostauth\"
	authcheck_table = \"radcheck\"
	groupcheck_table = \"radgroupcheck\"
	authreply_table = \"radreply\"
	groupreply_table = \"radgroupreply\"
	usergroup_table = \"radusergroup\"
	delete_stale_sessions = yes
	pool {{
		start = {connections}
		min = {connections}
		max = {connections}
		spare = 0
		uses = 0
		retry_delay = 1
		lifetime = 0
		idle_timeout = 0
	}}
	read_clients = no
	client_table = \"nas\"
	group_attribute = \"SQL-Group\"
	$INCLUDE ${{modconfdir}}/sql/main/postgresql/queries.conf
}}
",
        database.socket().display(),
        database.address().port(),
        Postgres::USER,
        Postgres::DATABASE,
    )
}

/// Whether a Status-Server is answered.
fn answers(address: IpAddr) -> bool {
    let exchange = || -> Option<bool> {
        let key = RadiusKey::new(SECRET.as_bytes()).ok()?;
        let mut room = [0; 64];
        let mut writer = Writer::new(&mut room, Code::STATUS_SERVER, 1);
        writer.message_authenticator().ok()?;
        let request = writer.request(&key, RequestAuthenticator::Chosen([7; 16])).ok()?;
        let socket = UdpSocket::bind((address, 0)).ok()?;
        socket.connect((address, 1812)).ok()?;
        socket.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
        socket.send(request).ok()?;
        let mut octets = [0; 4096];
        let length = socket.recv(&mut octets).ok()?;
        Some(Packet::parse(&octets[..length]).is_ok())
    };
    exchange() == Some(true)
}
