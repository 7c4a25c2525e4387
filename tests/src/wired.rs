//! Wired 802.1X by real software: hostapd is the switch, wpa_supplicant the devices, one on each of its ports. Both run on
//! hosts of their own and are told their interfaces by name: this machine's own are out of their sight.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::folder::Folder;
use crate::network::Host;
use crate::wait::eventually;

/// What a switch knows of RADIUS.
#[derive(Clone, Debug)]
pub struct Radius {
    /// The server's address, ports 1812 and 1813.
    pub server: std::net::IpAddr,
    /// The secret.
    pub secret: String,
    /// A port that is put into VLANs. It never opens: hostapd's driver for cables knows which one is wanted, and has none.
    pub vlan_port: Option<usize>,
}

/// A switch with ports, each with a device.
#[derive(Debug)]
pub struct Wired {
    switch: Daemon,
    devices: Daemon,
    ports: usize,
}

impl Wired {
    /// Plugs one device of `desk` into a port of `switch` for each network block of wpa_supplicant, and starts both.
    ///
    /// # Panics
    /// When hostapd or wpa_supplicant isn't installed, or doesn't come up, with its log.
    pub fn start(switch: &Host, desk: &Host, radius: &Radius, networks: &[String]) -> Wired {
        for port in 0..networks.len() {
            switch.run(&format!(
                "ip link add port{port} type veth peer name eth{place} netns {desk}
                 ip link set port{port} up",
                place = port + 1,
                desk = desk.holder_pid(),
            ));
            desk.run(&format!("ip link set eth{} up", port + 1));
        }
        let wired = Wired {
            switch: Daemon::start(switch, "hostapd", |folder| {
                let files = (0..networks.len()).map(|port| {
                    let file = folder.write(&format!("port{port}.conf"), &hostapd(folder, port, radius));
                    file.display().to_string()
                });
                [vec!["-dd".to_owned()], files.collect()].concat()
            }),
            devices: Daemon::start(desk, "wpa_supplicant", |folder| {
                let mut arguments = vec!["-d".to_owned()];
                for (number, network) in networks.iter().enumerate() {
                    let text = format!(
                        "ctrl_interface={}\nap_scan=0\nnetwork={{\nkey_mgmt=IEEE8021X\neapol_flags=0\n{network}\n}}\n",
                        folder.path().join("control").display()
                    );
                    let file = folder.write(&format!("eth{}.conf", number + 1), &text);
                    if number > 0 {
                        arguments.push("-N".to_owned());
                    }
                    arguments.extend(["-D".to_owned(), "wired".to_owned()]);
                    arguments.extend([format!("-ieth{}", number + 1), format!("-c{}", file.display())]);
                }
                arguments
            }),
            ports: networks.len(),
        };
        let last = wired.ports - 1;
        eventually("hostapd has all its ports", || {
            wired
                .switch
                .ask("hostapd_cli", &format!("port{last}"), "ping")
                .filter(|said| said.contains("PONG"))
        });
        wired
    }

    /// What hostapd says of the device on a port; empty: nobody was seen there.
    pub fn seen(&self, port: usize) -> String {
        self.switch.ask("hostapd_cli", &format!("port{port}"), "all_sta").unwrap_or_default()
    }

    /// Whether hostapd has opened a port.
    pub fn is_open(&self, port: usize) -> bool {
        self.seen(port).contains("[AUTHORIZED]")
    }

    /// How many ports are open.
    pub fn open(&self) -> usize {
        (0..self.ports).filter(|&port| self.is_open(port)).count()
    }

    /// What wpa_supplicant says of the device on a port.
    pub fn device(&self, port: usize) -> String {
        self.devices.ask("wpa_cli", &format!("eth{}", port + 1), "status").unwrap_or_default()
    }

    /// Has the device on a port begin anew.
    pub fn again(&self, port: usize) {
        let _ = self.devices.ask("wpa_cli", &format!("eth{}", port + 1), "reassociate");
    }

    /// Everything hostapd has logged, with each RADIUS packet attribute by attribute.
    pub fn switch_log(&self) -> String {
        self.switch.log()
    }

    /// Everything wpa_supplicant has logged.
    pub fn device_log(&self) -> String {
        self.devices.log()
    }
}

/// One port of the switch.
fn hostapd(folder: &Folder, port: usize, Radius { server, secret, vlan_port }: &Radius) -> String {
    let vlans = if *vlan_port == Some(port) { "dynamic_vlan=1\n" } else { "" };
    format!(
        "interface=port{port}
driver=wired
ctrl_interface={control}
ieee8021x=1
use_pae_group_addr=1
eap_reauth_period=0
{vlans}own_ip_addr=127.0.0.1
nas_identifier=switch-port{port}
auth_server_addr={server}
auth_server_port=1812
auth_server_shared_secret={secret}
acct_server_addr={server}
acct_server_port=1813
acct_server_shared_secret={secret}
",
        control = folder.path().join("control").display()
    )
}

/// One of the two, on its host.
#[derive(Debug)]
struct Daemon {
    prefix: Vec<String>,
    folder: Folder,
    child: Child,
}

impl Daemon {
    fn start(host: &Host, program: &str, arguments: impl FnOnce(&Folder) -> Vec<String>) -> Daemon {
        let (prefix, folder) = (host.prefix(), Folder::new());
        let arguments = arguments(&folder);
        let log = File::create(folder.path().join("log")).expect("a log file");
        let child = Command::new(&prefix[0])
            .args(&prefix[1..])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("nsenter of util-linux is installed");
        Daemon { prefix, folder, child }
    }

    /// Asks it by its own tool. `None`: it doesn't answer.
    fn ask(&self, tool: &str, interface: &str, question: &str) -> Option<String> {
        let control = self.folder.path().join("control");
        let own = self.folder.path();
        let output = Command::new(&self.prefix[0])
            .args(&self.prefix[1..])
            .arg(tool)
            .args([Path::new("-p"), &control, Path::new("-s"), own, Path::new("-i"), Path::new(interface)])
            .arg(question)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap_or_default())
            .into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already gone is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let end = log.lines().rev().take(200).collect::<Vec<_>>();
            eprintln!("--- end of a log ---");
            end.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
