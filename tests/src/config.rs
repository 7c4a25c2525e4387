//! Configurations of the tests: the least a program needs, and whatever a test adds.

use std::net::{IpAddr, SocketAddr};

use crate::address::Hosts;

/// The secret between servers and their clients.
pub const SECRET: &str = "testing123testing123testing123";
/// The secret between an agent and its NAS.
pub const LOCAL_SECRET: &str = "localsecretlocalsecretlocal";
/// The notice key of the pairs.
pub const NOTICE_KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A mandatory service that is well while the file `well` is in its folder.
pub const WELL: &str = r#"
[[service]]
name = "it"
role = "mandatory"
check = { kind = "command", command = ["test", "-e", "well"] }
interval = "20ms"
fall = 1
rise = 1
hold_down = "100ms"
"#;

/// A server on `host` whose clients are all hosts of the test (without notices) and `agents` (with them), with quick
/// timers and a few users. The limits that are the machine's are off.
pub fn server(hosts: &Hosts, name: &str, host: IpAddr, agents: &[IpAddr], more: &str) -> String {
    let mut text = format!(
        r#"
[server]
name = "{name}"
identity = "{host}"
state_dir = "state"

[[listen]]
kind = "auth"
transport = "udp"
address = "{auth}"

[[listen]]
kind = "acct"
transport = "udp"
address = "{acct}"

[[client]]
name = "hosts"
address = "{prefix}"
secret = "{SECRET}"

[[client]]
name = "loopback"
address = "127.0.0.1"
secret = "{SECRET}"

[[user]]
name = "alice"
password = "wonderland"
groups = ["staff"]
reply = {{ Session-Timeout = 3600, Reply-Message = "Hello, alice" }}

[[user]]
name = "bob"
password_hash = "$6$rounds=1000$forewarn$dK/Yn/3hQG.UNu6pYac5DYjruCpoeg09NGvd1AdJRncOPX78U9nP78LbRobIz7MZdQ7IY9Q8rdFovyTSoWSZa."

[health]
interval = "50ms"
failover_after = 2
connection_after = 2
away_min = "500ms"

[health.limits]
cpu = "off"
memory = "off"
processes = "off"

[notice]
listen = "{notices}"

[reconnect]
window = "500ms"

[drain]
deadline = "2s"
"#,
        prefix = hosts.prefix(),
        auth = SocketAddr::new(host, 1812),
        acct = SocketAddr::new(host, 1813),
        notices = SocketAddr::new(host, 3798),
    );
    for (index, agent) in agents.iter().enumerate() {
        text.push_str(&format!(
            r#"
[[client]]
name = "agent-{index}"
address = "{agent}"
secret = "{SECRET}"
group = "wifi/branch-{index}"
notice_key = "{NOTICE_KEY}"
"#
        ));
    }
    text.push_str(more);
    text
}

/// An agent on `host` in front of `servers`, given as (name, address) in order of preference.
pub fn agent(host: IpAddr, servers: &[(&str, IpAddr)], more: &str) -> String {
    let mut text = format!(
        r#"
[agent]
name = "agent-0"
identity = "{host}"
state_dir = "state"

[[listen]]
kind = "auth"
address = "{auth}"
clients = ["127.0.0.0/8"]
secret = "{LOCAL_SECRET}"

[[listen]]
kind = "acct"
address = "{acct}"
clients = ["127.0.0.0/8"]
secret = "{LOCAL_SECRET}"

[inbox]
udp = "{notices}"

[failover]
drain_conversations = "2s"

[reconnect]
ramp = "500ms"
"#,
        auth = SocketAddr::new(host, 1812),
        acct = SocketAddr::new(host, 1813),
        notices = SocketAddr::new(host, 3798),
    );
    for (name, address) in servers {
        text.push_str(&format!(
            r#"
[[server]]
name = "{name}"
address = "{address}"
secret = "{SECRET}"
notice_key = "{NOTICE_KEY}"
"#
        ));
    }
    text.push_str(more);
    text
}
