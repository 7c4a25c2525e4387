//! Watch, readings, services and notices as `forewarn status` shows them.

use std::collections::BTreeMap;

use forewarn_proto::notice::issue::{self, Standing, Told};
use forewarn_proto::peers::View;
use forewarn_proto::trend::Verdicts;
use forewarn_proto::watch::Phase;
use forewarn_shell::clock::{self, micros_since_1970};
use forewarn_shell::control::{
    ClientStatus, Counts, ForeseenStatus, PeerStatus, ServerStatus, ToldStatus, WatchStatus,
};
use forewarn_wire::notice::{Outcome, Takes};

use super::Announcer;
use super::campaign::Campaign;
use super::roster::Known;
use crate::config::{self, Config};
use crate::metrics::Figures;

impl Announcer {
    /// Puts what this room knows into a status whose `clients` (by name and configured address) stand there already.
    /// Devices of a client that is a network get entries of their own.
    pub fn fill(&self, status: &mut ServerStatus) {
        let config = self.campaign.config();
        status.watch = watch(&self.campaign);
        status.load = self.health.status(&config.health);
        status.services = self.services.statuses();
        status.peers = peers(&self.campaign);
        status.rate = self.campaign.rate();
        status.notices = notices(&self.campaign, self.post.refused());
        status.program.complaints.extend(self.post.complaints().iter().cloned());
        told(&self.campaign, &mut status.clients);
    }
}

impl Announcer {
    /// Puts what this room knows into the figures of a scrape.
    pub fn figures(&self, figures: &mut Figures) {
        let watch = self.campaign.watch();
        figures.phase = watch.phase().name().to_lowercase();
        figures.since = micros_since_1970(watch.since()) as f64 / 1e6;
        figures.share = watch.moved();
        figures.reading = self.health.last().map(|(_, reading, load)| (reading.clone(), *load));
        figures.doubts = self.doubts;
        figures.expression_failures = self.health.expression().map(|(_, failures)| failures);
        figures.foreseen = foreseen(watch.verdicts());
        figures.services = self.services.statuses();
        figures.peers = peers(&self.campaign);
        figures.staying = self.campaign.staying();
        figures.notices = notices(&self.campaign, self.post.refused());
        let mut told = [("nothing-to-tell", 0), ("telling", 0), ("told", 0), ("not-told", 0)];
        for view in self.campaign.issuer().clients() {
            let place = match view.told {
                Told::Nothing => 0,
                Told::Telling { .. } => 1,
                Told::Told { .. } => 2,
                Told::NotTold { .. } => 3,
            };
            told[place].1 += 1;
        }
        figures.told = told.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    }
}

fn watch(campaign: &Campaign) -> WatchStatus {
    let (watch, moments) = (campaign.watch(), campaign.moments());
    let cause = match watch.phase() {
        Phase::Returning { paused: true } => format!("{}; admits nobody for now", watch.cause()),
        _ => watch.cause().to_string(),
    };
    WatchStatus {
        state: watch.phase().name().to_lowercase(),
        cause,
        since: micros_since_1970(watch.since()),
        share: watch.moved(),
        staying: campaign.staying() as u64,
        over_since: moments.over_since.map(micros_since_1970),
        warned_at: moments.warned_at.map(micros_since_1970),
        invited_at: moments.invited_at.map(micros_since_1970),
        foreseen: foreseen(watch.verdicts()),
    }
}

fn foreseen(verdicts: Verdicts) -> ForeseenStatus {
    let Verdicts { foreseen, confirmed, false_alarms, averted } = verdicts;
    ForeseenStatus { warnings: foreseen, confirmed, false_alarms, averted }
}

/// In the order of the configuration, which the campaign has too.
fn peers(campaign: &Campaign) -> Vec<PeerStatus> {
    let configured = &campaign.config().peers.list;
    let peer = |(peer, view): (&config::Peer, View)| PeerStatus {
        name: peer.name.to_string(),
        address: peer.address.to_string(),
        state: match view.known.map(|known| known.report.takes) {
            Some(Takes::Anybody | Takes::Other(_)) => "open",
            Some(Takes::ItsOwn) => "closed",
            Some(Takes::Nobody) => "leaving",
            None if view.heard.is_some() => "silent",
            None => "unheard",
        }
        .to_owned(),
        load: view.known.map(|known| f64::from(known.report.load) / 100.0),
        rate: view.known.map(|known| known.used),
        headroom: view.known.and_then(|known| known.headroom()),
        cause: view
            .known
            .filter(|known| known.report.takes != Takes::Anybody)
            .map_or_else(String::new, |known| known.report.reason.to_string()),
        heard_at: view.heard.map(micros_since_1970),
    };
    configured.iter().zip(campaign.peers().views(clock::now())).map(peer).collect()
}

fn notices(campaign: &Campaign, refused: u64) -> Counts {
    let (sent, received) = (campaign.issuer().sent(), campaign.issuer().received());
    let peers = campaign.peers().received();
    let counted = [
        ("loads-sent", campaign.peers().sent()),
        ("loads-received", peers.accepted),
        ("loads-received-again", peers.duplicate),
        ("loads-refused", peers.refused()),
        ("issued", sent.issued),
        ("issued-failover", sent.failovers),
        ("issued-reconnect", sent.reconnects),
        ("issued-refused", sent.refusals),
        ("datagrams", sent.datagrams),
        ("acknowledged", sent.acknowledged),
        ("not-told", sent.not_told),
        ("no-place", sent.no_place),
        ("refused-by-kernel", refused),
        ("received", received.accepted),
        ("received-again", received.duplicate),
        ("challenges-answered", received.challenges),
        ("malformed", received.malformed),
        ("unknown-sender", received.unknown_sender),
        ("unknown-key", received.unknown_key),
        ("wrong-kind", received.wrong_kind),
        ("bad-mac", received.bad_mac),
        ("replay", received.replay),
    ];
    counted.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

fn told(campaign: &Campaign, clients: &mut Vec<ClientStatus>) {
    let place =
        |(index, client): (usize, &ClientStatus)| ((client.name.clone(), client.address.clone()), index);
    let places: BTreeMap<(String, String), usize> = clients.iter().enumerate().map(place).collect();
    for view in campaign.issuer().clients() {
        let Some(known) = campaign.known(view.id) else { continue };
        let key = (known.name.to_string(), known.address.to_string());
        let notice = Some(told_status(&view, known, campaign.config()));
        match places.get(&key) {
            Some(&index) => (clients[index].notice, clients[index].rate) = (notice, Some(known.asks)),
            None => {
                let (name, address) = key;
                let group = known.group.to_string();
                let rate = Some(known.asks);
                clients.push(ClientStatus { name, address, group, rate, notice, ..ClientStatus::default() });
            }
        }
    }
}

fn told_status(view: &issue::View<'_>, known: &Known, config: &Config) -> ToldStatus {
    let standing = match view.standing {
        Standing::Clear => "nothing",
        Standing::Leave(_) => "failover",
        Standing::Invited(_) => "reconnect",
    };
    let at =
        known.gone.as_ref().and_then(|gone| gone.at).filter(|_| matches!(view.standing, Standing::Leave(_)));
    let mut status = ToldStatus {
        standing: standing.to_owned(),
        by_hand: known.by_hand,
        to: at.map(|address| config.peers.name_of(address)),
        ..ToldStatus::default()
    };
    let told = match view.told {
        Told::Nothing => "-",
        Told::Telling { since } => {
            status.sent_at = Some(micros_since_1970(since));
            "telling"
        }
        Told::Told { at, took, outcome, by } => {
            status.sent_at = Some(micros_since_1970(at.before(took)));
            status.acknowledged_at = Some(micros_since_1970(at));
            status.outcome = Some(outcome_name(outcome));
            status.transport = Some(by.name().to_owned());
            "told"
        }
        Told::NotTold { since } => {
            status.sent_at = Some(micros_since_1970(since));
            "not-told"
        }
    };
    status.told = told.to_owned();
    status
}

pub(super) fn outcome_name(outcome: Outcome) -> String {
    match outcome {
        Outcome::Moved => "moved".to_owned(),
        Outcome::AlreadyAway => "already-away".to_owned(),
        Outcome::LastUsable => "last-usable".to_owned(),
        Outcome::NoAlternate => "no-alternate".to_owned(),
        Outcome::Noted => "noted".to_owned(),
        Outcome::Other(number) => format!("outcome {number}"),
    }
}
