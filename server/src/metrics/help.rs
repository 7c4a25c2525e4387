//! What has a dotted name in `forewarn status`, as Prometheus names and explains it.

use std::borrow::Cow;

/// `listeners.dropped-by-kernel` as part of a metric's name: `listeners_dropped_by_kernel`.
pub(super) fn metric_name(dotted: &str) -> String {
    dotted.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

/// What it means.
pub(super) fn of(dotted: &str) -> Cow<'static, str> {
    match HELPS.iter().find(|(name, _)| *name == dotted) {
        Some((_, help)) => Cow::Borrowed(help),
        None => Cow::Owned(format!("{dotted} of forewarn status.")),
    }
}

const HELPS: &[(&str, &str)] = &[
    ("listeners.dropped-by-kernel", "Datagrams the kernel dropped because a receive queue was full."),
    ("listeners.refused-by-kernel", "Replies the kernel would not send."),
    ("workers.done", "Jobs the worker pool has finished."),
    ("workers.refused", "Jobs refused because the worker pool's queue was full."),
    ("workers.panicked", "Jobs that ended in a defect of ours."),
    ("workers.max", "Threads of the worker pool."),
    ("workers.busy", "Threads of the worker pool at work."),
    ("workers.queued", "Jobs that wait for a thread of the worker pool."),
    ("workers.queue-age-seconds", "How long the oldest of them has waited."),
    ("store.done", "Accounting records the store has dealt with."),
    ("store.refused", "Accounting records refused because the store's queue was full."),
    ("store.queued", "Accounting records that wait for the store."),
    ("store.queue-age-seconds", "How long the oldest of them has waited."),
    (
        "requests.in-flight",
        "Requests received and not answered yet, rejects that wait for their time among them.",
    ),
    (
        "requests.queue-delay-seconds",
        "Age of the oldest request that waits for something other than its reject's time.",
    ),
    ("log.lost", "Lines of the log that were dropped because nobody read."),
    ("decisions.written", "Records of decisions written."),
    ("decisions.lost", "Records of decisions dropped because their writer was behind."),
    ("coa.requests", "CoA- and Disconnect-Requests sent."),
    ("coa.retransmissions", "CoA- and Disconnect-Requests sent again."),
    ("coa.acks", "CoA- and Disconnect-ACKs received."),
    ("coa.naks", "CoA- and Disconnect-NAKs received."),
    ("coa.timed-out", "CoA- and Disconnect-Requests that nobody answered."),
    ("coa.unreachable", "CoA- and Disconnect-Requests that the kernel could not deliver."),
    ("coa.replies-forged", "Replies to them with a wrong authenticator."),
    ("coa.replies-without-message-authenticator", "Replies to them without Message-Authenticator."),
    ("coa.replies-stale", "Replies to them whose Event-Timestamp was out of bounds."),
    ("coa.replies-stray", "Replies to none of them."),
    ("ldap.searches", "Names looked for in the directory."),
    ("ldap.binds", "Passwords verified by a bind."),
    ("ldap.away", "Operations that found no directory, or none in time."),
    ("ldap.ambiguous", "Names that more than one entry of the directory has."),
    ("proxy.requests", "Requests handed to pools of home servers."),
    ("proxy.answered", "Replies of home servers brought back."),
    ("proxy.timed-out", "Requests that no home server answered in time."),
    ("proxy.unforwardable", "Requests, or replies, that could not be written for the other side."),
    ("proxy.refused", "Requests refused because too many were on their way to home servers."),
    ("proxy.switches", "Times a pool moved from one home server to another."),
    ("reloads.refused", "Reloads of the configuration that were refused."),
];
