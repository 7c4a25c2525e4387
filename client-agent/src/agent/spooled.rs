//! Accounting that no server takes: the agent's turns with its spool.

use std::task::Context;

use forewarn_proto::pool::Kind;
use forewarn_proto::time::Instant;
use forewarn_proto::upstream::{Answer, GiveUp, Refused};
use forewarn_shell::clock;
use forewarn_wire::Packet;

use super::Core;
use crate::spool::End;

impl Core {
    /// Keeps what is overdue, tells the NAS software of what is safe, and delivers what can be. True when there was
    /// something to do.
    pub(super) fn tend_spool(&mut self, cx: &mut Context<'_>) -> bool {
        let now = clock::now();
        let Some(spool) = &mut self.spool else { return false };
        let mut busy = spool.poll(cx, now);
        let utc = clock::utc().as_millis();
        while let Some(ticket) = spool.next_overdue(now) {
            if let Some(request) = self.driver.machine().waiting(ticket) {
                spool.keep(utc, ticket, &request);
            }
        }
        let Some(key) = self.front.accounting_key() else { return busy };
        let mut sent = false;
        while let Some(parcel) = spool.next_parcel(now, utc, &key) {
            let machine = self.driver.machine_mut();
            let taken = parcel.request.packet().map(|request| {
                machine.handle_request(now, &mut self.rng, parcel.ticket, Kind::Acct, &request, &key)
            });
            match taken {
                Some(Ok(())) => sent = true,
                Some(Err(Refused::Full | Refused::NoIdentifier)) => {
                    spool.ended(now, parcel.ticket, End::Silence);
                }
                Some(Err(Refused::Code(_))) | None => spool.ended(now, parcel.ticket, End::Undeliverable),
            }
        }
        busy |= sent;
        self.acknowledge_kept(now);
        if sent {
            self.settle(now);
        }
        busy
    }

    fn acknowledge_kept(&mut self, now: Instant) {
        let Some(spool) = &mut self.spool else { return };
        while let Some(kept) = spool.next_kept() {
            // A server was quicker than the disk: its answer has gone out.
            if !self.driver.machine_mut().abandon(kept.ticket) {
                continue;
            }
            let Ok(request) = Packet::parse(&kept.packet) else { continue };
            let reply = &mut self.reply[..];
            let Some((back, length)) = self.front.acknowledge(now, kept.ticket, request.peek(), reply) else {
                continue;
            };
            self.blocked += self.doors[back.door].push(&self.reply[..length], back.to, Some(back.from));
        }
        for door in &mut self.doors {
            self.blocked += door.flush();
        }
    }

    /// A record that was to be delivered has been, or not.
    pub(super) fn parcel_ended(&mut self, now: Instant, answer: Answer) {
        let Some(spool) = &mut self.spool else { return };
        match answer {
            Answer::Reply { ticket, .. } => spool.ended(now, ticket, End::Taken),
            Answer::Silence { ticket, cause: GiveUp::Request } => {
                spool.ended(now, ticket, End::Undeliverable);
            }
            Answer::Silence { ticket, .. } => spool.ended(now, ticket, End::Silence),
        }
    }
}
