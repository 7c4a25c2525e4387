//! What a notice says: the standing in force, or a refusal, as header and TLVs.

use std::time::Duration;

use forewarn_wire::notice::{self, Flags, Header, Identity, Kind, MAX_OCTETS, Tlv};

use super::client::{ALTERNATES_MAX, Alternate, Client, Refused, Standing};
use crate::time::{Instant, Utc};

/// Writes a client's current notice as of now: what was in force when it was issued, with the time that is left.
pub(super) fn write(
    client: &Client,
    server: Identity,
    sender: u32,
    now: Instant,
    utc: Utc,
    out: &mut [u8; MAX_OCTETS],
) -> Option<usize> {
    let current = client.current.as_ref()?;
    let (key_id, key) = client.keys.sending();
    let is_again = current.attempt > 0 || current.used > 0;
    let flags = if is_again { Flags::ACK_WANTED | Flags::RETRANSMISSION } else { Flags::ACK_WANTED };
    let mut header = Header {
        flags,
        key_id,
        sender,
        epoch: current.mark.epoch,
        sequence: current.mark.sequence,
        utc_ms: utc.as_millis(),
        ..Header::new(Kind::Failover, server, client.identity)
    };
    let (slot, alternates) = state(current.refused.as_ref(), &client.standing, now, &mut header);
    let tlvs = alternates
        .iter()
        .take(ALTERNATES_MAX)
        .map(|alternate| Tlv::alternate(alternate.weight, alternate.address))
        .chain(slot.map(|slot| Tlv::Slot { ms: u32::try_from(slot.as_millis()).unwrap_or(u32::MAX) }))
        .chain(current.nonce.map(Tlv::Nonce));
    notice::write(out, &header, tlvs, key).ok()
}

/// Puts what is to be said into `header`; answers the slot and the alternates that go with it.
fn state<'c>(
    refused: Option<&Refused>,
    standing: &'c Standing,
    now: Instant,
    header: &mut Header,
) -> (Option<Duration>, &'c [Alternate]) {
    if let Some(refused) = refused {
        header.kind = Kind::Refused;
        header.reason = refused.reason;
        header.load_percent = refused.load.min(100);
        return (Some(refused.until.since(now)), &[]);
    }
    match standing {
        Standing::Clear => (None, &[]),
        Standing::Leave(leave) => {
            header.flags = if leave.hard { header.flags | Flags::HARD } else { header.flags };
            header.reason = leave.reason;
            header.validity_s = seconds(leave.validity).max(1);
            header.reduction_percent = leave.reduction.min(100);
            header.load_percent = leave.load.min(100);
            (None, &leave.alternates)
        }
        Standing::Invited(invitation) => {
            header.kind = Kind::Reconnect;
            header.flags = if invitation.come { header.flags | Flags::COME } else { header.flags };
            header.reason = invitation.reason;
            header.load_percent = invitation.load.min(100);
            header.stagger_s = seconds(invitation.window);
            (Some(invitation.at.since(now)), &[])
        }
    }
}

fn seconds(duration: Duration) -> u16 {
    u16::try_from(duration.as_secs()).unwrap_or(u16::MAX)
}
