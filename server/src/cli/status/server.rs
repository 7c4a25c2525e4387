//! A server's page.

use forewarn_shell::control::{
    CertificateStatus, ClientStatus, PeerStatus, ServerStatus, ServiceStatus, StoreStatus, ToldStatus,
};

use super::layout::{Page, Tone, or_dash, percent};
use super::{agent, blastradius};

/// Clients that are shown for each reason to show one; the rest are counted.
const CLIENTS_SHOWN: usize = 50;

pub(super) fn write(page: &mut Page, status: &ServerStatus) {
    let watch = &status.watch;
    page.head("server", &status.program, tone(&watch.state), &watch.state, watch.since, &watch.cause);
    if watch.share > 0.0 {
        page.line(&format!("{} of the audience asked to leave", percent(watch.share)));
    }
    if watch.staying > 0 {
        page.line(&format!("{} clients stay: no alternate has room for them", watch.staying));
    }
    let foreseen = watch.foreseen;
    if foreseen.warnings > 0 {
        page.line(&format!(
            "{} warnings foreseen: {} confirmed, {} false, {} averted",
            foreseen.warnings, foreseen.confirmed, foreseen.false_alarms, foreseen.averted
        ));
    }
    load(page, status);
    services(page, status);
    peers(page, status);
    stores(page, status);
    certificates(page, status);
    for pool in &status.pools {
        agent::pool(page, pool);
    }
    clients(page, status);
    page.counts("requests", &status.requests);
    page.counts("notices", &status.notices);
    page.counts("counters", &status.counters);
    for held in &status.held {
        page.line(&format!("rejected unseen: {held}"));
    }
    if !status.strangers.is_empty() {
        page.line(&format!("asked and are no clients: {}", status.strangers.join(", ")));
    }
}

fn tone(state: &str) -> Tone {
    match state {
        "serving" => Tone::Good,
        "returning" | "quiesced" | "draining" => Tone::Attention,
        _ => Tone::Bad,
    }
}

fn load(page: &mut Page, status: &ServerStatus) {
    let load = &status.load;
    let worst = if load.worst.is_empty() { String::new() } else { format!(" by {}", load.worst) };
    page.line(&format!(
        "load {:.2}{worst}, read {} ago; warns above {:.2}, invites back below {:.2}",
        load.value,
        page.since(load.read_at),
        load.failover_threshold,
        load.connection_threshold
    ));
    if let Some(expression) = &load.expression {
        page.line(&format!("load = {expression}"));
        if load.expression_failures > 0 {
            let failures = load.expression_failures;
            page.line(&format!("which gave no number {failures} times: then the worst reading counts"));
        }
    }
    let rows: Vec<Vec<String>> = load
        .parameters
        .iter()
        .map(|parameter| {
            vec![
                parameter.name.clone(),
                or_dash(parameter.value.as_ref()),
                parameter.limit.clone().unwrap_or_else(|| no_limit(&parameter.name).to_owned()),
                parameter.load.map_or_else(|| "-".to_owned(), |load| format!("{load:.2}")),
            ]
        })
        .collect();
    page.table("readings", &["parameter", "value", "limit", "load"], &rows);
}

/// Without a limit: switched off, or of another kind.
fn no_limit(parameter: &str) -> &'static str {
    if ["mandatory_services", "dependent_services", "load"].contains(&parameter) { "-" } else { "off" }
}

fn services(page: &mut Page, status: &ServerStatus) {
    let rows: Vec<Vec<String>> = status
        .services
        .iter()
        .map(|service| {
            vec![
                service.name.clone(),
                service.role.clone(),
                service.state.clone(),
                page.since(service.since),
                format!("{:.2}", service.weight),
                service.cause.clone(),
                restarts(service),
            ]
        })
        .collect();
    page.table("services", &["service", "role", "state", "for", "weight", "last check", "restarts"], &rows);
}

/// How often it was restarted, and how that went the last time.
fn restarts(service: &ServiceStatus) -> String {
    match (service.restarts, service.restarted.as_str()) {
        (None, _) => "-".to_owned(),
        (Some(count), "") => count.to_string(),
        (Some(count), last) => format!("{count}: {last}"),
    }
}

fn peers(page: &mut Page, status: &ServerStatus) {
    let figure = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.1}"));
    let row = |peer: &PeerStatus| {
        vec![
            peer.name.clone(),
            peer.address.clone(),
            peer.state.clone(),
            peer.load.map_or_else(|| "-".to_owned(), |load| format!("{load:.2}")),
            figure(peer.rate),
            figure(peer.headroom),
            page.ago(peer.heard_at),
            peer.cause.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = status.peers.iter().map(row).collect();
    let columns = ["peer", "address", "state", "load", "requests/s", "headroom", "heard", "cause"];
    page.table("peers", &columns, &rows);
}

fn stores(page: &mut Page, status: &ServerStatus) {
    let row = |store: &StoreStatus| {
        let since = store.since.map_or_else(|| "-".to_owned(), |since| page.since(since));
        vec![store.name.clone(), store.state.clone(), since, store.cause.clone()]
    };
    let rows: Vec<Vec<String>> = status.stores.iter().map(row).collect();
    page.table("databases", &["database", "state", "for", "cause"], &rows);
}

fn certificates(page: &mut Page, status: &ServerStatus) {
    let row = |it: &CertificateStatus| {
        let at = jiff::Timestamp::from_second(i64::try_from(it.expires_at).unwrap_or(i64::MAX));
        let until = at.map_or_else(|_| "never".to_owned(), |at| at.strftime("%Y-%m-%d").to_string());
        vec![it.kind.clone(), it.subject.clone(), until]
    };
    let rows: Vec<Vec<String>> = status.certificates.iter().map(row).collect();
    page.table("certificates", &["certificate", "of", "good until"], &rows);
}

fn clients(page: &mut Page, status: &ServerStatus) {
    let untold =
        |client: &&ClientStatus| client.notice.as_ref().is_some_and(|notice| notice.told == "not-told");
    // Who was not told comes first: somebody may have to do something about it.
    let first = status.clients.iter().filter(untold);
    let rest = status.clients.iter().filter(|client| !untold(client));
    let rows: Vec<Vec<String>> =
        first.chain(rest).take(CLIENTS_SHOWN).map(|client| row(page, client)).collect();
    let columns = [
        "client",
        "address",
        "group",
        "requests",
        "message-authenticator",
        "notice",
        "to",
        "told",
        "by",
        "did",
    ];
    page.table("clients", &columns, &rows);
    if let Some(more) = status.clients.len().checked_sub(CLIENTS_SHOWN).filter(|more| *more > 0) {
        page.line(&format!("and {more} more clients; --json shows them all"));
    }
    if let Some(summary) = blastradius::summary(status) {
        page.line(&summary);
    }
}

fn row(page: &Page, client: &ClientStatus) -> Vec<String> {
    let none = ToldStatus { standing: "-".to_owned(), told: "gets none".to_owned(), ..ToldStatus::default() };
    let notice = client.notice.as_ref().unwrap_or(&none);
    let told = match notice.acknowledged_at {
        Some(at) if notice.told == "told" => format!("{} {} ago", notice.told, page.since(at)),
        _ => notice.told.clone(),
    };
    vec![
        client.name.clone(),
        client.address.clone(),
        client.group.clone(),
        client.requests.to_string(),
        client.message_authenticator.clone(),
        if notice.by_hand { format!("{} by hand", notice.standing) } else { notice.standing.clone() },
        or_dash(notice.to.as_ref()),
        told,
        or_dash(notice.transport.as_ref()),
        or_dash(notice.outcome.as_ref()),
    ]
}
