//! Hosts of their own: network namespaces on one switch, as separate machines would be.
//!
//! The test itself runs in a namespace that [`is_mine`] makes for it; there it is the NAS, and the switch. Each
//! [`Host`] is a namespace more, held by a process that ends with the test, whatever becomes of it: then the kernel
//! removes namespaces, cables and switch.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Child, Command, Stdio};

use forewarn_proto::notice::Transport;
use forewarn_shell::privilege::{Capability, may};
use forewarn_wire::notice::UDP_PORT;

use crate::wait::eventually;

/// Set in the namespace of a test.
const INSIDE: &str = "FOREWARN_TEST_NETWORK";

/// Whether this is the test called `name` in a network of its own. If not, it has been run there, or can't be.
///
/// # Panics
/// When it failed there, with what it said.
pub fn is_mine(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if !may(Capability::CAP_SYS_ADMIN) {
        eprintln!("not run: only root can make a network namespace");
        return false;
    }
    let output = Command::new("unshare")
        .arg("--net")
        .arg(std::env::current_exe().expect("a test has a program file"))
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare of util-linux is installed");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    false
}

/// A switch, with the NAS at its first addresses.
#[derive(Debug)]
pub struct Network {
    last: u8,
}

impl Network {
    /// The prefixes of everybody on it.
    pub const PREFIXES: [&str; 2] = ["10.99.0.0/24", "fd99::/64"];

    /// One per namespace.
    ///
    /// # Panics
    /// When the kernel has no bridges.
    #[allow(clippy::new_without_default, reason = "it changes the machine")]
    pub fn new() -> Network {
        shell(
            Command::new("sh"),
            "ip link set lo up
             ip link add switch type bridge mcast_snooping 0
             ip addr add 10.99.0.1/24 dev switch
             ip addr add fd99::1/64 dev switch nodad
             ip link set switch up",
        );
        Network { last: 1 }
    }

    /// Another host, with a cable to the switch.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn host(&mut self) -> Host {
        self.last += 1;
        let holder = Command::new("unshare")
            .args(["--net", "setpriv", "--pdeathsig", "KILL", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare of util-linux is installed");
        let host = Host { number: self.last, holder };
        let own = std::fs::read_link("/proc/self/ns/net").expect("this process has a network");
        eventually("a namespace of its own", || {
            let theirs = std::fs::read_link(format!("/proc/{}/ns/net", host.holder.id())).ok()?;
            (theirs != own).then_some(())
        });
        shell(
            Command::new("sh"),
            &format!(
                "ip link add cable{number} type veth peer name eth0 netns {pid}
                 ip link set cable{number} master switch up",
                number = host.number,
                pid = host.holder.id(),
            ),
        );
        host.run(&format!(
            "ip link set lo up
             ip addr add {}/24 dev eth0
             ip addr add {}/64 dev eth0 nodad
             ip link set eth0 up",
            host.v4(),
            host.v6(),
        ));
        host
    }
}

/// A machine of its own, but for the file system.
#[derive(Debug)]
pub struct Host {
    number: u8,
    holder: Child,
}

impl Host {
    /// Its IPv4 address.
    pub fn v4(&self) -> IpAddr {
        Ipv4Addr::new(10, 99, 0, self.number).into()
    }

    /// Its IPv6 address.
    pub fn v6(&self) -> IpAddr {
        Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, self.number.into()).into()
    }

    /// What a command line starts with to run on it.
    pub fn prefix(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/proc/{}/ns/net", self.holder.id())]
    }

    /// Runs a shell script on it, as root.
    ///
    /// # Panics
    /// When a command of it fails.
    pub fn run(&self, script: &str) {
        let prefix = self.prefix();
        let mut command = Command::new(&prefix[0]);
        command.args(&prefix[1..]).arg("sh");
        shell(command, script);
    }

    /// Takes it off the switch and puts it behind `router`, which translates addresses: all its datagrams seem to come
    /// from there, and only answers find the way back (the switch itself knows another). Tells its new address.
    ///
    /// # Panics
    /// When the kernel can't translate addresses.
    pub fn put_behind(&self, router: &Host) -> IpAddr {
        router.run(&format!(
            "ip link add inside type veth peer name eth1 netns {}
             ip addr add 10.98.0.1/24 dev inside
             ip link set inside up
             echo 1 > /proc/sys/net/ipv4/ip_forward
             nft add table ip nat
             nft 'add chain ip nat out {{ type nat hook postrouting priority 100; }}'
             nft add rule ip nat out oifname eth0 ip saddr 10.98.0.0/24 masquerade",
            self.holder.id(),
        ));
        self.run(
            "ip link del eth0
             ip addr add 10.98.0.2/24 dev eth1
             ip link set eth1 up
             ip route add default via 10.98.0.1",
        );
        shell(Command::new("sh"), &format!("ip route add 10.98.0.0/24 via {}", router.v4()));
        Ipv4Addr::new(10, 98, 0, 2).into()
    }

    /// Pulls its cable out of the switch.
    pub fn unplug(&self) {
        self.cable("down");
    }

    /// Puts it back.
    pub fn plug(&self) {
        self.cable("up");
    }

    fn cable(&self, state: &str) {
        shell(Command::new("sh"), &format!("ip link set cable{} {state}", self.number));
    }

    /// From now on it neither gets nor sends notices by this transport over IPv4, as behind a filter; nobody is told.
    ///
    /// # Panics
    /// When the kernel has no rules for routing, or this is filtered already.
    pub fn filter(&self, transport: Transport) {
        let selector = match transport {
            Transport::Icmp => "ipproto icmp".to_owned(),
            Transport::Udp => format!("ipproto udp dport {UDP_PORT}"),
        };
        // The rule for its own addresses is the first one otherwise, and knows no exception.
        self.run(&format!(
            "ip rule add pref 10 lookup local
             ip rule add pref 5 {selector} blackhole
             ip rule del pref 0"
        ));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn shell(mut command: Command, script: &str) {
    let output = command.args(["-ec", script]).output().expect("a shell");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}
