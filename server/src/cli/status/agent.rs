//! An agent's page.

use forewarn_shell::control::AgentStatus;

use super::layout::{Page, Tone, length, percent};

pub(super) fn write(page: &mut Page, status: &AgentStatus) {
    let first = status.servers.first().is_some_and(|server| server.name == status.current);
    let tone = if first { Tone::Good } else { Tone::Attention };
    let current = if status.current.is_empty() { "nowhere" } else { &status.current };
    page.head("agent", &status.program, tone, &format!("at {current}"), status.since, &status.why);
    page.line(&format!("{} requests on their way", status.in_flight));
    if let Some(switch) = &status.last_switch {
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
    let columns =
        ["server", "address", "standing", "for", "share", "sent", "answered", "waiting", "heard", "cause"];
    let rows: Vec<Vec<String>> = status
        .servers
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
    page.table("servers", &columns, &rows);
    page.counts("switches", &status.switches);
    page.counts("requests", &status.requests);
    page.counts("notices", &status.notices);
    page.counts("counters", &status.counters);
}
