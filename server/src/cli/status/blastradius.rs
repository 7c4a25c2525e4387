//! `forewarn status --blastradius`: who is open to CVE-2024-3596, who would break if it were closed, and the line to
//! change.

use forewarn_shell::control::{AgentStatus, ClientStatus, Program, ServerStatus};

use super::layout::{Page, Tone};

/// Clients that are shown for each reason to show one; the rest are counted.
const SHOWN: usize = 50;

/// What there is to do about the clients of one readiness, the most urgent first.
struct Group {
    readiness: &'static str,
    title: &'static str,
    what: &'static str,
    line: Option<&'static str>,
}

const GROUPS: &[Group] = &[
    Group {
        readiness: "dropping",
        title: "lose requests now, for want of Message-Authenticator",
        what: "update the device, or make it send Message-Authenticator; until then, if it must be let in, at the risk of \
               CVE-2024-3596:",
        line: Some("require_message_authenticator = \"auto\""),
    },
    Group {
        readiness: "would-break",
        title: "would break: none of their requests has Message-Authenticator",
        what: "update the device, or make it send Message-Authenticator; until then, unless it is a proxy, close most of \
               the hole:",
        line: Some("limit_proxy_state = \"yes\""),
    },
    Group {
        readiness: "would-break-partly",
        title: "would break in part: some of their requests have no Message-Authenticator",
        what: "find out which (another device, another service, a forger); until then, unless it is a proxy:",
        line: Some("limit_proxy_state = \"yes\""),
    },
    Group {
        readiness: "ready",
        title: "ready: every request had Message-Authenticator",
        what: "close the hole:",
        line: Some("require_message_authenticator = \"yes\""),
    },
    Group {
        readiness: "eap-only",
        title: "not known: only EAP was heard, which always has Message-Authenticator",
        what: "if they do nothing but EAP, nothing would break:",
        line: Some("require_message_authenticator = \"yes\""),
    },
    Group {
        readiness: "unheard",
        title: "not known: not heard since the start",
        what: "let them learn it by themselves, once they call (single addresses only):",
        line: Some("require_message_authenticator = \"auto\""),
    },
];

/// A server's page.
pub(super) fn server(page: &mut Page, status: &ServerStatus) {
    let open = status.clients.iter().filter(|client| is_open(client)).count();
    let dropping = of(status, "dropping").count();
    let all = status.clients.iter().filter(|client| !client.readiness.is_empty()).count();
    let (tone, state) = match (open, dropping) {
        (0, 0) => (Tone::Good, "closed".to_owned()),
        (0, dropping) => (Tone::Attention, format!("closed, {dropping} lose requests")),
        (open, _) => (Tone::Bad, format!("{open} of {all} clients open")),
    };
    head(page, "server", &status.program, tone, &state);
    for group in GROUPS {
        let rows: Vec<Vec<String>> =
            of(status, group.readiness).take(SHOWN).map(|client| row(page, client)).collect();
        let columns = ["client", "address", "now", "without", "last", "with", "last", "EAP"];
        page.table(group.title, &columns, &rows);
        let more = of(status, group.readiness).count().saturating_sub(SHOWN);
        if more > 0 {
            page.line(&format!("and {more} more; --json shows them all"));
        }
        if !rows.is_empty() {
            page.line(group.what);
            if let Some(line) = group.line {
                page.line(&format!("  {line}    in their [[client]] of {}", status.program.config));
            }
        }
    }
    let closed = of(status, "required").count();
    if closed > 0 {
        let who = if closed == 1 { "1 client needs".to_owned() } else { format!("{closed} clients need") };
        page.line(&format!("{who} nothing: required, and nothing without it was heard"));
    }
    page.line(
        "\"without\" may also be somebody who forges a client's address: nothing vouches for such a request",
    );
}

/// An agent's page: what it takes from its servers.
pub(super) fn agent(page: &mut Page, status: &AgentStatus) {
    let open: Vec<_> =
        status.servers.iter().filter(|server| !server.requires_message_authenticator).collect();
    let discarding = status
        .servers
        .iter()
        .any(|server| server.requires_message_authenticator && server.without_message_authenticator > 0);
    let (tone, state) = match (open.len(), discarding) {
        (0, false) => (Tone::Good, "closed".to_owned()),
        (0, true) => (Tone::Attention, "closed, replies are discarded".to_owned()),
        (open, _) => (Tone::Bad, format!("open towards {open} of {} servers", status.servers.len())),
    };
    head(page, "agent", &status.program, tone, &state);
    let rows: Vec<Vec<String>> = status
        .servers
        .iter()
        .map(|server| {
            let (requires, without) =
                (server.requires_message_authenticator, server.without_message_authenticator);
            let what = match (requires, without, server.answered) {
                (true, 0, _) => "nothing: required, and every reply had it",
                (true, ..) => "its replies without it are discarded: update the server",
                (false, 0, 1..) => "every reply had it: require_message_authenticator = \"yes\"",
                (false, 0, 0) => "not heard since the start",
                (false, ..) => "update the server, then require_message_authenticator = \"yes\"",
            };
            let setting = if requires { "required" } else { "optional" };
            let counts = [server.answered.to_string(), without.to_string()];
            let [answered, without] = counts;
            vec![server.name.clone(), server.address.clone(), setting.into(), answered, without, what.into()]
        })
        .collect();
    page.table("servers", &["server", "address", "now", "answered", "without", "what to do"], &rows);
    page.line(&format!("the lines belong into the [[server]] of {}", status.program.config));
}

/// One line for the ordinary status, where there is something to do.
pub(super) fn summary(status: &ServerStatus) -> Option<String> {
    let count = |readiness: &str| of(status, readiness).count();
    let said = [
        (count("dropping"), "lose requests without Message-Authenticator"),
        (count("would-break") + count("would-break-partly"), "would break if it were required"),
        (count("ready"), "are ready for require_message_authenticator = \"yes\""),
        (count("eap-only") + count("unheard"), "can't be judged yet"),
    ];
    let open = status.clients.iter().any(is_open);
    let parts: Vec<String> =
        said.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    (open || count("dropping") > 0).then(|| {
        format!("BlastRADIUS: of the clients {}; see forewarn status --blastradius", parts.join(", "))
    })
}

fn head(page: &mut Page, kind: &str, program: &Program, tone: Tone, state: &str) {
    page.head(kind, program, tone, &format!("blastradius {state}"), program.started_at, "since its start");
}

fn of<'s>(status: &'s ServerStatus, readiness: &'s str) -> impl Iterator<Item = &'s ClientStatus> {
    status.clients.iter().filter(move |client| client.readiness == readiness)
}

/// Whether somebody in between could turn its Access-Reject into an Access-Accept.
fn is_open(client: &ClientStatus) -> bool {
    !["required", "dropping", ""].contains(&&*client.readiness)
}

fn row(page: &Page, client: &ClientStatus) -> Vec<String> {
    let limited = if client.limit_proxy_state { ", Proxy-State limited" } else { "" };
    vec![
        client.name.clone(),
        client.address.clone(),
        format!("{}{limited}", client.message_authenticator),
        client.without_message_authenticator.to_string(),
        page.ago(client.without_message_authenticator_at),
        client.with_message_authenticator.to_string(),
        page.ago(client.with_message_authenticator_at),
        client.eap_requests.to_string(),
    ]
}
