//! Hosts of their own: network namespaces on one switch, as separate machines would be.
//!
//! The test itself runs in a namespace that [`is_mine`] makes for it; there it is the NAS, the switches, and the router
//! between them. Each [`Host`] is a namespace more, held by a process that ends with the test, whatever becomes of it:
//! then the kernel removes namespaces, cables and switches.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Child, Command, ExitStatus, Stdio};

use forewarn_proto::notice::Transport;
use forewarn_shell::privilege::{Capability, may};
use forewarn_wire::notice::UDP_PORT;

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
    let output = again_in_its_own().args(["--exact", name, "--nocapture"]).output().expect(UNSHARE);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    // What it measured, for whoever runs a test for its figures.
    print!("{said}");
    false
}

/// Whether this program runs in a network of its own. If not, it has been run there, with what it said and how it ended.
///
/// # Errors
/// When it can't be: only root can make a network namespace.
pub fn moved_in() -> io::Result<Option<ExitStatus>> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(None);
    }
    if !may(Capability::CAP_SYS_ADMIN) {
        return Err(io::Error::other("only root can make a network namespace"));
    }
    again_in_its_own().args(std::env::args_os().skip(1)).status().map(Some)
}

const UNSHARE: &str = "unshare of util-linux is installed";

/// This program again, as the first process of namespaces that end with it.
fn again_in_its_own() -> Command {
    // Who interrupts this program ends that one too.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL"])
        .args(["unshare", "--net", "--pid", "--mount-proc", "--fork", "--kill-child=KILL"])
        .arg(std::env::current_exe().expect("a program has a file"))
        .env(INSIDE, "1");
    command
}

/// Two switches, with the router between them at their first addresses.
#[derive(Debug)]
pub struct Network {
    last: [u8; 2],
}

impl Network {
    /// The prefixes of everybody on the first one.
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
             ip link set switch up
             ip link add edge type bridge mcast_snooping 0
             ip addr add 10.99.1.1/24 dev edge
             ip link set edge up
             echo 1 >/proc/sys/net/ipv4/ip_forward",
        );
        Network { last: [1, 1] }
    }

    /// Another host, with a cable to the first switch.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn host(&mut self) -> Host {
        self.plugged_into(0)
    }

    /// Another host, with a cable to the second switch: whatever it says to one at the first goes through the router.
    /// It has no IPv6.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn edge(&mut self) -> Host {
        self.plugged_into(1)
    }

    /// A host that sees its own interfaces in `/sys`, as a machine does.
    fn plugged_into(&mut self, switch: u8) -> Host {
        self.last[usize::from(switch)] += 1;
        let holder = Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", OWN_SYS])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect(UNSHARE);
        let mut host =
            Host { switch, number: self.last[usize::from(switch)], holder, disturbed: Cell::default() };
        let mut ready = String::new();
        let said = host.holder.stdout.take().expect("it is piped");
        BufReader::new(said).read_line(&mut ready).expect("a line of the holder's");
        assert_eq!(ready.trim(), "ready", "the kernel gives no network namespace");
        shell(
            Command::new("sh"),
            &format!(
                "ip link add {cable} type veth peer name eth0 netns {pid}
                 ip link set {cable} master {switch} up",
                cable = host.cable(),
                pid = host.holder.id(),
                switch = SWITCHES[usize::from(switch)],
            ),
        );
        let six = format!("ip addr add {}/64 dev eth0 nodad\n", host.v6());
        host.run(&format!(
            "ip link set lo up
             ip addr add {}/24 dev eth0
             {}ip link set eth0 up
             ip route add default via 10.99.{switch}.1",
            host.v4(),
            if switch == 0 { &six } else { "" },
        ));
        host
    }
}

const SWITCHES: [&str; 2] = ["switch", "edge"];

/// `/sys` shows the interfaces of the namespace it is mounted in; what else there is of it stays.
const OWN_SYS: &str =
    "mount -t tmpfs none /mnt && mkdir /mnt/cgroup && mount --rbind /sys/fs/cgroup /mnt/cgroup &&
    mount -t sysfs none /sys && mount --rbind /mnt/cgroup /sys/fs/cgroup && umount -l /mnt &&
    echo ready && exec setpriv --pdeathsig KILL sleep 3600";

/// A machine of its own, but for the file system.
#[derive(Debug)]
pub struct Host {
    switch: u8,
    number: u8,
    holder: Child,
    /// Whether its cable was unplugged, or its port closed.
    disturbed: Cell<bool>,
}

impl Host {
    /// Its IPv4 address.
    pub fn v4(&self) -> IpAddr {
        Ipv4Addr::new(10, 99, self.switch, self.number).into()
    }

    /// Its IPv6 address.
    pub fn v6(&self) -> IpAddr {
        Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, self.number.into()).into()
    }

    /// The process that holds its namespaces, by which commands of `ip` name them.
    pub fn holder_pid(&self) -> u32 {
        self.holder.id()
    }

    /// What a command line starts with to run on it.
    pub fn prefix(&self) -> Vec<String> {
        let namespace = |kind, file| format!("--{kind}=/proc/{}/ns/{file}", self.holder.id());
        vec!["nsenter".to_owned(), namespace("net", "net"), namespace("mount", "mnt")]
    }

    /// What [`setns(2)`](rustix::thread::move_into_link_name_space) takes to enter its network.
    ///
    /// # Errors
    /// When it is gone.
    pub fn namespace(&self) -> io::Result<File> {
        File::open(format!("/proc/{}/ns/net", self.holder.id()))
    }

    /// Whether somebody there has a UDP socket of this port, over IPv4.
    pub fn hears_at(&self, port: u16) -> bool {
        let table = std::fs::read_to_string(format!("/proc/{}/net/udp", self.holder.id()));
        table.is_ok_and(|table| table.contains(&format!(":{port:04X} ")))
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
        self.disturbed.set(true);
        shell(Command::new("sh"), &format!("ip link set {} down", self.cable()));
    }

    /// Puts it back.
    pub fn plug(&self) {
        shell(Command::new("sh"), &format!("ip link set {} up", self.cable()));
    }

    /// Everything about its cable is as it was, and the host has noticed.
    ///
    /// # Panics
    /// When it doesn't.
    pub fn repair(&self) {
        if self.disturbed.take() {
            // A port that comes up forwards, whatever it did before.
            shell(Command::new("sh"), &format!("ip link set {0} down; ip link set {0} up", self.cable()));
            self.run("until [ $(cat /sys/class/net/eth0/operstate) = up ]; do sleep 0.02; done");
        }
    }

    /// The switch passes none of its frames any more, until it is repaired. Its link stays up.
    pub fn isolate(&self) {
        self.disturbed.set(true);
        // IEEE 802.1D: disabled.
        shell(Command::new("sh"), &format!("bridge link set dev {} state 0", self.cable()));
    }

    fn cable(&self) -> String {
        format!("cable{}-{}", self.switch, self.number)
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

/// Runs a shell script where the switches are.
///
/// # Panics
/// When a command of it fails.
pub fn at_the_router(script: &str) {
    shell(Command::new("sh"), script);
}

fn shell(mut command: Command, script: &str) {
    let output = command.args(["-ec", script]).output().expect("a shell");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}
