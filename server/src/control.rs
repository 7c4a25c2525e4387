//! What the data plane adds to a status.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use forewarn_shell::control::{CertificateStatus, ClientStatus, Counts, PoolStatus, StoreStatus};
use forewarn_shell::{clock, log};
use forewarn_wire::MessageAuthenticatorRule;

use crate::config::RequireMessageAuthenticator;
use crate::listen::Cores;
use crate::process::eap::expiry::Expiry;
use crate::process::eap::seals::Refusal;
use crate::process::eap::sessions::{Handshake, SESSIONS};
use crate::process::failures::Hold;
use crate::process::tables::Client;
use crate::proxy;
use crate::shared::Shared;
use crate::store::sql;

/// Everything that is counted besides requests: limits reached, drops of the kernel, the store.
pub fn counters(shared: &Shared, cores: &Cores) -> Counts {
    let vitals = shared.vitals();
    let (pool, store) = (vitals.pool(), vitals.store());
    let verified = shared.verifier().counts();
    let eap = shared.conversations().counts();
    let counted = [
        ("listeners.dropped-by-kernel", cores.dropped()),
        ("listeners.refused-by-kernel", cores.refused()),
        ("workers.done", pool.done()),
        ("workers.refused", pool.refused()),
        ("workers.panicked", pool.panicked()),
        ("store.done", store.done()),
        ("store.refused", store.refused()),
        ("failures.holds", shared.failures().holds()),
        ("verified.hits", verified.hits),
        ("verified.joined", verified.joined),
        ("verified.refused", verified.refused),
        ("eap.begun", eap.begun),
        ("eap.expired", eap.expired),
        ("eap.evicted", eap.evicted),
        ("eap.strays", eap.strays),
        ("eap.taken-over", eap.taken_over),
        ("eap.handshakes.full", SESSIONS.counted(Handshake::Full)),
        ("eap.handshakes.resumed", SESSIONS.counted(Handshake::Resumed)),
        ("eap.handshakes.failed", SESSIONS.counted(Handshake::Failed)),
        ("log.lost", log::lost()),
        ("decisions.written", shared.decisions().written()),
        ("decisions.lost", shared.decisions().lost()),
    ];
    let accounting = shared.accounting().figures().counts().chain(shared.admissions().counts());
    let refused = Refusal::ALL.iter().zip(eap.refused).map(|(refusal, times)| (refusal.name(), times));
    let counted = counted
        .into_iter()
        .chain(refused)
        .chain(shared.dynauth().iter())
        .chain(accounting)
        .chain(users(shared))
        .chain(post_auth(shared))
        .chain(home_servers(shared));
    counted.map(|(name, count)| (name.to_owned(), count)).collect()
}

/// What is so at present besides what a reading has, by dotted name: metrics show it.
pub fn gauges(shared: &Shared) -> Vec<(&'static str, f64)> {
    let vitals = shared.vitals();
    let (pool, store) = (vitals.pool(), vitals.store());
    let now_ns = clock::now().as_nanos();
    let eap = shared.conversations().counts();
    let age = |since_ns: Option<u64>| since_ns.map_or(0.0, |since| now_ns.saturating_sub(since) as f64 / 1e9);
    let mut gauges = vec![
        ("requests.in-flight", vitals.in_flight() as f64),
        ("requests.queue-delay-seconds", vitals.queue_delay(now_ns).as_secs_f64()),
        ("workers.max", f64::from(pool.max())),
        ("workers.busy", f64::from(pool.busy())),
        ("workers.queued", f64::from(pool.queued())),
        ("workers.queue-age-seconds", age(pool.oldest_queued_ns())),
        ("eap.open", eap.open as f64),
        ("eap.remembered", eap.remembered as f64),
        ("eap.sessions", SESSIONS.kept() as f64),
        ("store.queued", f64::from(store.queued())),
        ("store.queue-age-seconds", age(store.oldest_queued_ns())),
    ];
    let directory = shared.directory();
    if directory.has_sources() {
        gauges.push(("users.cache.size", directory.cache().size() as f64));
        gauges.push(("users.cache.size-max", directory.cache().size_max() as f64));
        gauges.push(("users.under-way", directory.under_way() as f64));
    }
    if let Some(sql) = shared.sources().sql() {
        gauges.push(("sql.connections", f64::from(sql.standing().live())));
        gauges.push(("sql.away", f64::from(u8::from(sql.standing().is_away()))));
    }
    let accounting = shared.accounting().figures().gauges(clock::utc().as_millis());
    gauges.into_iter().chain(accounting).collect()
}

/// What of `[eap.tls]` runs out, and when.
pub fn certificates(shared: &Shared) -> Vec<CertificateStatus> {
    let tables = shared.tables();
    let expiries = tables.eap().map(|eap| eap.expiries.as_slice()).unwrap_or_default();
    let status = |expiry: &Expiry| CertificateStatus {
        kind: expiry.kind.name().to_owned(),
        subject: expiry.subject.clone(),
        expires_at: expiry.at,
    };
    expiries.iter().map(status).collect()
}

/// What the operator should hear of those that run out soon.
pub fn expiring(shared: &Shared) -> Vec<String> {
    let now = clock::utc().as_millis() / 1000;
    let tables = shared.tables();
    let expiries = tables.eap().map(|eap| eap.expiries.as_slice()).unwrap_or_default();
    expiries.iter().filter_map(|expiry| expiry.complaint(now)).collect()
}

/// Of users that are kept elsewhere; nothing where all are in the configuration.
fn users(shared: &Shared) -> Vec<(&'static str, u64)> {
    let (directory, sources) = (shared.directory(), shared.sources());
    if !directory.has_sources() {
        return Vec::new();
    }
    let (cache, counts) = (directory.cache(), directory.counts());
    let mut counted = vec![
        ("users.cache.hits", cache.counts.hits()),
        ("users.cache.negative", cache.counts.negative.load(Relaxed)),
        ("users.cache.misses", cache.counts.misses.load(Relaxed)),
        ("users.cache.expired", cache.counts.expired.load(Relaxed)),
        ("users.cache.stale", cache.counts.stale.load(Relaxed)),
        ("users.cache.invalidated", cache.counts.invalidated.load(Relaxed)),
        ("users.asked", counts.asked.load(Relaxed)),
        ("users.joined", counts.joined.load(Relaxed)),
        ("users.away", counts.away.load(Relaxed)),
        ("users.refused", counts.refused.load(Relaxed)),
    ];
    if let Some(ldap) = sources.ldap() {
        let ldap = ldap.counters();
        counted.extend([
            ("ldap.searches", ldap.searches.load(Relaxed)),
            ("ldap.binds", ldap.binds.load(Relaxed)),
            ("ldap.away", ldap.away.load(Relaxed)),
            ("ldap.ambiguous", ldap.ambiguous.load(Relaxed)),
            ("ldap.passwords-left-out", ldap.passwords_left_out.load(Relaxed)),
        ]);
    }
    if let Some(sql) = sources.sql() {
        let sql = sql.counts();
        counted.extend([
            ("sql.batches", sql.batches),
            ("sql.names", sql.names),
            ("sql.faulty-rows", sql.faults),
            ("sql.changes", sql.changes),
            ("sql.losses", sql.losses),
        ]);
    }
    counted
}

/// Of radpostauth; nothing where it isn't written.
fn post_auth(shared: &Shared) -> Vec<(&'static str, u64)> {
    let Some(post_auth) = &*shared.post_auth() else { return Vec::new() };
    let (written, dropped) = post_auth.counts();
    vec![("sql.post-auth.written", written), ("sql.post-auth.dropped", dropped)]
}

/// Of home servers, all pools together; nothing where there is none.
fn home_servers(shared: &Shared) -> Vec<(&'static str, u64)> {
    let Some(proxy) = shared.proxy() else { return Vec::new() };
    let pools = proxy.counters();
    let sum = |of: fn(&proxy::Counters) -> &AtomicU64| {
        pools.iter().map(|(_, counters)| of(counters).load(Relaxed)).sum()
    };
    let mut counted = vec![
        ("proxy.requests", sum(|pool| &pool.requests)),
        ("proxy.answered", sum(|pool| &pool.answered)),
        ("proxy.timed-out", sum(|pool| &pool.timed_out)),
        ("proxy.unforwardable", sum(|pool| &pool.unforwardable)),
        ("proxy.refused", sum(|pool| &pool.refused)),
        ("proxy.switches", sum(|pool| &pool.switches)),
    ];
    counted.extend(proxy.notice_counts());
    counted
}

/// The pools of home servers, in the order of the configuration.
pub async fn pools(shared: &Shared) -> Vec<PoolStatus> {
    match shared.proxy() {
        Some(proxy) => proxy.status().await,
        None => Vec::new(),
    }
}

/// The databases and directories that are asked for users.
pub fn stores(shared: &Shared) -> Vec<StoreStatus> {
    let sources = shared.sources();
    let ldap = sources.ldap().map(|directory| {
        let (cause, since) = directory.state();
        let state = match (directory.is_here(), since) {
            (false, _) => "away",
            (true, None) => "starting",
            (true, Some(_)) => "running",
        };
        let since = since.map(clock::micros_since_1970);
        StoreStatus { name: "ldap".to_owned(), state: state.to_owned(), cause, since }
    });
    sources.sql().map(users_store).into_iter().chain(ldap).collect()
}

fn users_store(sql: &sql::Users) -> StoreStatus {
    let standing = sql.standing();
    let (cause, since) = standing.state();
    let state = match (standing.is_away(), since) {
        (true, _) => "away",
        (false, None) => "starting",
        (false, Some(_)) => "running",
    };
    let since = since.map(clock::micros_since_1970);
    StoreStatus { name: "users".to_owned(), state: state.to_owned(), cause, since }
}

/// Who is held off for guessing, in words.
pub fn held(shared: &Shared) -> Vec<String> {
    let now = clock::now();
    let line = |hold: Hold| {
        let Hold { user, address, failures, until } = hold;
        let left = until.since(now).as_secs() + 1;
        format!("{} from {address} after {failures} failures, for {left} s more", log::quoted(&user))
    };
    shared.failures().held(now).into_iter().map(line).collect()
}

/// The clients of the configuration, in its order, without what they were told.
pub fn clients(shared: &Shared) -> Vec<ClientStatus> {
    shared.tables().clients().iter().map(client).collect()
}

fn client(client: &Client) -> ClientStatus {
    let address =
        if client.is_single() { client.network.addr().to_string() } else { client.network.to_string() };
    let (without, with) =
        (client.ledger.without_message_authenticator(), client.ledger.with_message_authenticator());
    ClientStatus {
        name: client.name.to_string(),
        address,
        group: client.group.to_string(),
        requests: client.ledger.requests(),
        message_authenticator: requirement(client).to_owned(),
        without_message_authenticator: without.count,
        without_message_authenticator_at: without.last.map(clock::micros_since_1970),
        with_message_authenticator: with.count,
        with_message_authenticator_at: with.last.map(clock::micros_since_1970),
        eap_requests: client.ledger.eap_requests(),
        limit_proxy_state: client.limit_proxy_state,
        readiness: readiness(client).to_owned(),
        rate: None,
        notice: None,
    }
}

/// What `require_message_authenticator = "yes"` would do, by what was seen since the start.
fn readiness(client: &Client) -> &'static str {
    let without = client.ledger.without_message_authenticator().count > 0;
    let with = client.ledger.with_message_authenticator().count > 0;
    match (client.rule() == MessageAuthenticatorRule::Required, without, with) {
        (true, true, _) => "dropping",
        (true, false, _) => "required",
        (false, true, true) => "would-break-partly",
        (false, true, false) => "would-break",
        (false, false, true) => "ready",
        (false, false, false) if client.ledger.eap_requests() > 0 => "eap-only",
        (false, false, false) => "unheard",
    }
}

fn requirement(client: &Client) -> &'static str {
    match client.message_authenticator {
        RequireMessageAuthenticator::Yes => "required",
        RequireMessageAuthenticator::No => "optional",
        RequireMessageAuthenticator::Auto if client.is_learning() => "learning",
        RequireMessageAuthenticator::Auto => "learnt",
    }
}
