//! An agent's page.

use forewarn_shell::control::{AgentStatus, PoolStatus, SwitchStatus, UpstreamStatus};

use super::layout::{Page, Tone, length, percent};

pub(super) fn write(page: &mut Page, status: &AgentStatus) {
    let first = status.servers.first().is_some_and(|server| server.name == status.current);
    let tone = if first { Tone::Good } else { Tone::Attention };
    let current = if status.current.is_empty() { "nowhere" } else { &status.current };
    page.head("agent", &status.program, tone, &format!("at {current}"), status.since, &status.why);
    page.line(&format!("{} requests on their way", status.in_flight));
    last_switch(page, status.last_switch.as_ref());
    servers(page, "servers", &status.servers);
    page.counts("switches", &status.switches);
    page.counts("requests", &status.requests);
    page.counts("notices", &status.notices);
    page.counts("counters", &status.counters);
}

/// A proxy's pool: what there is to see is the same.
pub(super) fn pool(page: &mut Page, pool: &PoolStatus) {
    let PoolStatus { name, strategy, current, why, in_flight, .. } = pool;
    let since = page.since(pool.since);
    page.line(&format!(
        "pool {name} ({strategy}): at {current} for {since}: {why}; {in_flight} requests on their way"
    ));
    last_switch(page, pool.last_switch.as_ref());
    servers(page, &format!("home servers of {name}"), &pool.servers);
    page.counts(&format!("switches of {name}"), &pool.switches);
}

fn last_switch(page: &mut Page, last: Option<&SwitchStatus>) {
    if let Some(switch) = last {
        let first = switch.first_request_at.map_or_else(
            || "no request since".to_owned(),
            |at| format!("first request after {}", length(at.saturating_sub(switch.caused_at))),
        );
        page.line(&format!(
            "last switch {} ago: {} to {}, {}; {first}",
            page.since(switch.decided_at),
            switch.from,
            switch.to,
            switch.cause
        ));
    }
}

fn servers(page: &mut Page, title: &str, servers: &[UpstreamStatus]) {
    let columns =
        ["server", "address", "standing", "for", "share", "sent", "answered", "waiting", "heard", "cause"];
    let rows: Vec<Vec<String>> = servers
        .iter()
        .map(|server| {
            vec![
                server.name.clone(),
                server.address.clone(),
                server.standing.clone(),
                page.since(server.since),
                percent(server.weight),
                server.sent.to_string(),
                server.answered.to_string(),
                server.outstanding.to_string(),
                page.ago(server.heard_at),
                server.cause.clone(),
            ]
        })
        .collect();
    page.table(title, &columns, &rows);
}
