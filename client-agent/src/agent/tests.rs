//! In steady state a request costs no memory from the heap, from socket to socket.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use forewarn_shell::state::StateDir;
use forewarn_wire::{
    Code, MessageAuthenticatorRule, Packet, RadiusKey, RequestAuthenticator, Writer, number,
};

use super::*;
use crate::config;

const LOCAL: &[u8] = b"localsecretlocalsecret";
const SHARED: &[u8] = b"testing123testing123";

/// More requests than are remembered, so that every slot has been used.
const WARM_UP: u64 = crate::local::REMEMBERED_MAX as u64 + 500;
const MEASURED: u64 = 1000;

fn config(folder: &std::path::Path, home: &UdpSocket) -> Config {
    let port = home.local_addr().unwrap().port();
    let text = format!(
        r#"
[agent]
name = "agent"
identity = "127.0.0.1"
state_dir = "state"
[[listen]]
kind = "auth"
address = "127.0.0.1:0"
secret = "localsecretlocalsecret"
[[server]]
name = "home"
address = "127.0.0.1"
auth_port = {port}
secret = "testing123testing123"
[inbox]
transports = []
"#
    );
    let file = folder.join("agent.toml");
    std::fs::write(&file, text).unwrap();
    config::load(&file, &[]).unwrap_or_else(|found| panic!("{found}")).0
}

/// A home server that accepts everybody, on a thread of its own.
fn serve(home: &UdpSocket) {
    let key = RadiusKey::new(SHARED).unwrap();
    let mut datagram = [0; 4096];
    while let Ok((length, from)) = home.recv_from(&mut datagram) {
        let request = Packet::parse(&datagram[..length]).unwrap();
        let request = request.verify_request(&key, MessageAuthenticatorRule::Required).unwrap();
        let mut buffer = [0; 256];
        let mut writer = Writer::new(&mut buffer, Code::ACCESS_ACCEPT, request.identifier());
        writer.message_authenticator().unwrap();
        home.send_to(writer.reply(&key, request.authenticator()).unwrap(), from).unwrap();
    }
}

/// A NAS that asks one question after another, `count` of them.
fn ask(door: SocketAddr, answered: &AtomicU64, count: u64) {
    let key = RadiusKey::new(LOCAL).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for number in 0..count {
        let mut authenticator = [7; 16];
        authenticator[..8].copy_from_slice(&number.to_be_bytes());
        let mut buffer = [0; 256];
        let mut writer = Writer::new(&mut buffer, Code::ACCESS_REQUEST, number as u8);
        writer.message_authenticator().unwrap();
        writer.attribute(number::USER_NAME, b"alice").unwrap();
        writer.user_password(&key, &authenticator, b"wonderland").unwrap();
        let request = writer.request(&key, RequestAuthenticator::Chosen(authenticator)).unwrap();
        socket.send_to(request, door).unwrap();
        let mut reply = [0; 256];
        let length = socket.recv(&mut reply).expect("an answer");
        Packet::parse(&reply[..length])
            .unwrap()
            .verify_reply(&key, Code::ACCESS_REQUEST, &authenticator, MessageAuthenticatorRule::Required)
            .unwrap();
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_request_takes_no_heap_from_socket_to_socket() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(StateDir::open(&folder.path().join("state")).unwrap());
    let home = UdpSocket::bind("127.0.0.1:0").unwrap();
    home.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let config = config(folder.path(), &home);
    let keeper = Keeper::start(state).unwrap();
    let inside = runtime.enter();
    let hooks = Hooks::start(&[], folder.path());
    let mut agent = Agent::open(config, 1, &Marks::new(), keeper, hooks).unwrap();
    drop(inside);
    let door = agent.listening().next().unwrap();

    let answered = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&answered);
    let nas = std::thread::spawn(move || ask(door, &counted, WARM_UP + MEASURED));
    let server = std::thread::spawn(move || serve(&home));

    let work_until = |agent: &mut Agent, count: u64| {
        runtime.block_on(async {
            while answered.load(Ordering::SeqCst) < count && !nas.is_finished() {
                tokio::select! {
                    () = agent.work() => {}
                    () = tokio::time::sleep(Duration::from_millis(1)) => {}
                }
            }
        });
    };
    work_until(&mut agent, WARM_UP);
    let taken = allocation_counter::measure(|| work_until(&mut agent, WARM_UP + MEASURED - 1));
    assert!(answered.load(Ordering::SeqCst) >= WARM_UP + MEASURED - 1, "the NAS gets all its answers");
    assert_eq!(taken.count_total, 0, "{taken:?}");
    work_until(&mut agent, WARM_UP + MEASURED);
    nas.join().unwrap();
    drop(server);
}
