//! EAP-Message out of a RADIUS packet, and EAP out of that.
#![no_main]

use forewarn_wire::eap::Eap;
use forewarn_wire::{MAX_PACKET, Packet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    whole(octets);
    let Ok(packet) = Packet::parse(octets) else { return };
    let mut room = [0; MAX_PACKET];
    let packet = packet.peek();
    if let Some(message) = packet.eap_message() {
        let message = message.copy_to(&mut room).expect("no message is longer than its packet");
        whole(message);
    }
});

/// What was parsed is written as it was.
fn whole(octets: &[u8]) {
    let Some(packet) = Eap::parse(octets) else { return };
    let mut room = [0; MAX_PACKET];
    if let Some(written) = packet.write(&mut room) {
        assert_eq!(Eap::parse(written), Some(packet));
        assert!(octets.starts_with(written));
    }
}
