//! 802.1X on cables: hostapd and wpa_supplicant authenticate through an agent at two servers.

use std::fs::File;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use forewarn_tests::authority::{Authority, Key, Leaf, Usage};
use forewarn_tests::config::{self, LOCAL_SECRET};
use forewarn_tests::network::is_mine;
use forewarn_tests::program::built;
use forewarn_tests::wired::{Radius, Wired};
use forewarn_tests::{Agent, Folder, Host, Hosts, Network, Server, eventually, within};

/// Two servers, an agent on the switch, and a desk of devices.
struct Office {
    wired: Wired,
    agent: Agent,
    east: Server,
    west: Server,
    _at: [Host; 4],
    _folder: Folder,
}

impl Office {
    /// With a device for each network block, which `blocks` gives; the first server's configuration goes on with `more`.
    fn open(
        more: &str,
        vlan_port: Option<usize>,
        blocks: impl FnOnce(&Authority, &Leaf) -> Vec<String>,
    ) -> Office {
        let mut network = Network::new();
        let at = [network.host(), network.host(), network.host(), network.host()];
        let [east, west, agent, _]: [IpAddr; 4] = std::array::from_fn(|place| at[place].v4());
        let folder = Folder::new();
        let authority = Authority::make(&folder.path().join("authority"), Key::Rsa);
        let (server, alice) = (authority.leaf(NAME, Usage::Server), authority.leaf("alice", Usage::Client));
        let eap = format!(
            "[[policy]]\nname = \"staff\"\nwhen = '\"staff\" in user.groups'\n\
             reply = {{ Tunnel-Type = \"VLAN\", Tunnel-Medium-Type = \"IEEE-802\", Tunnel-Private-Group-Id = \"120\" }}\n\
             [eap]\nmethods = [\"peap\", \"ttls\", \"tls\"]\n[eap.tls]\n\
             certificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n",
            server.certificate.display(),
            server.key.display(),
            authority.certificate().display()
        );
        let unused = Hosts::claim();
        // A machine that is busy with other tests delays what isn't to be lost for it, and is no overload.
        let text = |name, host, more: &str| {
            config::server(&unused, name, host, &[agent], &(eap.clone() + more))
                .replace("processes = \"off\"", "processes = \"off\"\nqueue_delay = \"off\"")
                .replace("deadline = \"2s\"", "deadline = \"20s\"")
        };
        let in_front = config::agent(agent, &[("east", east), ("west", west)], "")
            .replace("clients = [\"127.0.0.0/8\"]", &format!("clients = {:?}", Network::PREFIXES))
            .replace("drain_conversations = \"2s\"", "drain_conversations = \"20s\"");
        let east_server = Server::start_on(&at[0], Folder::new(), &text("east", east, more));
        let west_server = Server::start_on(&at[1], Folder::new(), &text("west", west, ""));
        let agent_program = Agent::start_on(&at[2], true, Folder::new(), &in_front);
        eventually("the agent begins with its first server", || {
            (agent_program.status()["current"] == "east").then_some(())
        });
        let radius = Radius { server: agent, secret: LOCAL_SECRET.to_owned(), vlan_port };
        let wired = Wired::start(&at[2], &at[3], &radius, &blocks(&authority, &alice));
        Office { wired, agent: agent_program, east: east_server, west: west_server, _at: at, _folder: folder }
    }
}

impl Office {
    /// Waits until the agent sends what is new to the other server.
    fn is_left(&self) {
        eventually("the first server is left", || (self.agent.status()["current"] == "west").then_some(()));
    }

    /// How many each server has let in.
    fn accepts(&self) -> (u64, u64) {
        let of =
            |server: &Server| server.status()["requests"]["access-accept.eap"].as_u64().unwrap_or_default();
        (of(&self.east), of(&self.west))
    }
}

/// How many come at once.
const DEVICES: usize = 50;
/// What devices look for in a server's certificate.
const NAME: &str = "radius.example.org";

fn by_password(authority: &Authority) -> String {
    format!(
        "eap=PEAP\nidentity=\"alice\"\nanonymous_identity=\"anonymous\"\npassword=\"wonderland\"\n\
         phase2=\"auth=MSCHAPV2\"\nca_cert=\"{}\"",
        authority.certificate().display()
    )
}

fn by_certificate(authority: &Authority, leaf: &Leaf) -> String {
    format!(
        "eap=TLS\nidentity=\"alice\"\nca_cert=\"{}\"\nclient_cert=\"{}\"\nprivate_key=\"{}\"",
        authority.certificate().display(),
        leaf.certificate.display(),
        leaf.key.display()
    )
}

#[test]
fn a_port_opens_and_its_vlan_is_the_policys() {
    if is_mine("namespaces::wired::a_port_opens_and_its_vlan_is_the_policys") {
        let office = Office::open("", Some(2), |authority, alice| {
            let wrong = by_password(authority).replace("wonderland", "wonderlamp");
            vec![by_password(authority), by_certificate(authority, alice), by_password(authority), wrong]
        });
        let wired = &office.wired;
        within(Duration::from_secs(20), "two ports open", || (wired.open() == 2).then_some(()));
        for port in 0..2 {
            let (seen, device) = (wired.seen(port), wired.device(port));
            assert!(seen.contains("[AUTHORIZED]"), "{seen}");
            assert!(device.contains("suppPortStatus=Authorized"), "{device}");
        }
        let log = eventually("the switch wants VLAN 120 for its third port", || {
            Some(wired.switch_log()).filter(|log| log.contains("vlan_add_dynamic(vlan_id=120 ifname=port2"))
        });
        // Tagged or not, as hostapd prints them: VLAN (13), IEEE-802 (6), "120".
        let dump = log.lines().map(str::trim).collect::<Vec<_>>();
        for (name, value) in [
            ("Attribute 64 (Tunnel-Type) length=6", "Value: 0000000d"),
            ("Attribute 65 (Tunnel-Medium-Type) length=6", "Value: 00000006"),
            ("Attribute 81 (Tunnel-Private-Group-Id) length=5", "Value: 313230"),
        ] {
            let told = dump.windows(2).filter(|pair| pair[0] == name && pair[1] == value).count();
            assert!(told >= 3, "{name}, once for each that is let in: {told}");
        }
        eventually("the fourth is refused", || {
            office.wired.device_log().contains("eth4: CTRL-EVENT-EAP-FAILURE").then_some(())
        });
        assert!(!wired.is_open(3), "{}", wired.seen(3));
        // The third port's device tries again and again.
        assert!(office.accepts().0 >= 3 && office.accepts().1 == 0, "{:?}", office.accepts());
    }
}

/// Fifty come at once, with passwords and with certificates; while they are at it their server wants to be left.
fn all_get_in(more: &str, leave: impl FnOnce(&Office)) {
    let office = Office::open(more, None, |authority, alice| {
        let block = |number| match number % 2 {
            0 => by_password(authority),
            _ => by_certificate(authority, alice),
        };
        (0..DEVICES).map(block).collect()
    });
    eventually("some are underway", || {
        let log = office.wired.device_log();
        (log.matches("CTRL-EVENT-EAP-METHOD").count() >= 5).then_some(())
    });
    leave(&office);
    within(Duration::from_secs(60), "all ports open", || (office.wired.open() == DEVICES).then_some(()));
    let log = office.wired.device_log();
    let times = ["STARTED", "METHOD", "SUCCESS", "FAILURE"]
        .map(|event| log.matches(&format!("CTRL-EVENT-EAP-{event}")).count());
    let once = [DEVICES, DEVICES, DEVICES, 0];
    assert_eq!(times, once, "a conversation was lost, or begun anew:\n{log}");
    let (east, west) = office.accepts();
    println!("{DEVICES} devices let in: {east} by the server that was left, {west} by the other");
    assert!(east > 0 && west > 0 && east + west == DEVICES as u64, "{east} and {west}");
}

/// Threads of a server's pool, unless it is told otherwise.
const THREADS: usize = 16;

/// Checks without weight, of which each waits for a lock on a thread of the pool: free, until a test takes it.
fn holds() -> String {
    let hold = |number| {
        format!(
            "[[service]]\nname = \"hold-{number}\"\nrole = \"dependent\"\nweight = 0.0\ninterval = \"100ms\"\n\
             timeout = \"60s\"\ncheck = {{ kind = \"command\", command = [\"flock\", \"hold-{number}\", \"true\"] }}\n"
        )
    };
    (0..THREADS).map(hold).collect()
}

/// Takes the locks of so many threads; dropped, they are free again.
fn hold(server: &Server, threads: Range<usize>) -> Vec<File> {
    let take = |number| {
        let file = File::create(server.folder().path().join(format!("hold-{number}"))).expect("a file");
        file.lock().expect("a lock");
        file
    };
    threads.map(take).collect()
}

#[test]
fn fifty_devices_get_in_while_their_server_is_drained() {
    if is_mine("namespaces::wired::fifty_devices_get_in_while_their_server_is_drained") {
        all_get_in("", |office| {
            assert!(office.east.forewarn(&["drain"]).status.success());
            office.is_left();
        });
    }
}

#[test]
fn fifty_devices_get_in_while_their_server_is_overloaded() {
    if is_mine("namespaces::wired::fifty_devices_get_in_while_their_server_is_overloaded") {
        all_get_in(&holds(), |office| {
            let held = hold(&office.east, 0..THREADS);
            office.is_left();
            let log = office.agent.log();
            assert!(log.contains("FAILOVER") && log.contains("workers busy"), "{log}");
            // No handshake goes on there, and the other server goes on with its own.
            eventually("some get in by the other", || (office.accepts().1 >= 5).then_some(()));
            drop(held);
        });
    }
}

#[test]
fn the_manuals_ten_minutes_end_with_an_open_port() {
    if is_mine("namespaces::wired::the_manuals_ten_minutes_end_with_an_open_port") {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/802.1x.md");
        let page = std::fs::read_to_string(page).expect("the manual");
        let steps: Vec<&str> =
            page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert_eq!(steps.len(), 7, "the page's steps");
        let home = Folder::new();
        let programs = built("forewarnd").parent().expect("a folder").display().to_string();
        let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
        // The names of namespaces are files: here they are this test's own.
        let before = "set -e\nip link set lo up\nmkdir -p /run/netns\nmount -t tmpfs none /run/netns\n";
        let output = Command::new("timeout")
            .args(["60", "bash", "-c", &(before.to_owned() + &steps.concat())])
            .env("HOME", home.path())
            .env("PATH", path)
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.matches("suppPortStatus=Authorized").count(), 2, "{said}");
        assert!(said.contains("flags=[AUTHORIZED]") && !said.contains("warning"), "{said}");
    }
}
