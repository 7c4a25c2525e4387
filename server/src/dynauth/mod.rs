//! Dynamic authorization (RFC 5176): the NAS of a live session is asked to end it or to change it.
//!
//! An operator's [`Order`] becomes [`Target`]s, straight or by the live sessions; each is an [`Exchange`], one after
//! the other, and the operator hears of each as it ends. What decides is pure; [`serve`] does.

mod attributes;
mod cause;
mod counters;
mod exchange;
mod report;
mod session;
mod target;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forewarn_proto::exchange::Timing;
use forewarn_shell::control::{Asked, Reply, Request, SessionResult};
use forewarn_shell::{clock, random};
use forewarn_wire::{Attributes, Code, MAX_PACKET, RequestAuthenticator, WriteError, Writer, number};
use rand::rngs::StdRng;
use rand_core::Rng as _;
use tokio::net::UdpSocket;

use crate::config::Config;
use crate::shared::Shared;

pub use cause::{Cause, cause};
pub use counters::Counters;
pub use exchange::{End, Exchange, Seen};
pub use session::{Filter, SESSIONS_MAX, Session};
pub use target::{Order, Target, Whose};

/// How long a NAS is waited for: the least and the most that an operator may ask for.
const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);

/// Serves an operator who asks for [`Request::Disconnect`] or [`Request::Coa`], to the end. Nothing else is waited for
/// meanwhile, and an operator who goes away ends it after the present session.
pub async fn serve(shared: Arc<Shared>, asked: Asked) {
    let last = match work(&shared, &asked).await {
        Ok(message) => Reply::Done { message },
        Err(errors) => Reply::Refused { errors },
    };
    asked.reply(last);
}

async fn work(shared: &Arc<Shared>, asked: &Asked) -> Result<String, Vec<String>> {
    let (selection, set) = match &asked.request {
        Request::Disconnect { sessions } => (sessions, None),
        Request::Coa { sessions, set } => (sessions, Some(&**set)),
        _ => return Err(vec!["not a request for sessions".to_owned()]),
    };
    let config = shared.config();
    let order = Order::read(&config.dictionary, selection, set)?;
    let timing = timing(selection.timeout_ms)?;
    let targets = targets(shared, &config, &order).await?;
    let mut run = Run { shared, asked, config: &config, order: &order, timing, silent: Vec::new(), good: 0 };
    let of = targets.len();
    for (index, target) in targets.into_iter().enumerate() {
        if !asked.is_open() {
            tracing::info!("the operator has gone: {} of {of} sessions weren't asked for", of - index);
            break;
        }
        run.one(index + 1, of, target).await;
    }
    run.summary(of)
}

fn timing(timeout_ms: Option<u64>) -> Result<Timing, Vec<String>> {
    let default = Timing::default();
    let Some(duration) = timeout_ms.map(Duration::from_millis) else { return Ok(default) };
    if !TIMEOUT.contains(&duration) {
        return Err(vec!["--timeout takes 100ms to 5m".to_owned()]);
    }
    Ok(Timing { duration, initial: default.initial.min(duration / 3), ..default })
}

/// A request, or why there is none for that session.
type Planned = Result<Target, (Session, String)>;

async fn targets(shared: &Arc<Shared>, config: &Config, order: &Order) -> Result<Vec<Planned>, Vec<String>> {
    let tables = shared.tables();
    let filter = match &order.whose {
        Whose::Nas(nas) => {
            return order.straight(&tables, nas).map(|target| vec![Ok(target)]).map_err(|error| vec![error]);
        }
        Whose::Matching(filter) => filter.clone(),
    };
    let sessions = session::live(config, &filter).await.map_err(|error| {
        vec![error, "a NAS can be asked straight all the same: add --nas NAME".to_owned()]
    })?;
    target::check_sessions(&filter, &sessions)?;
    let mut planned = Vec::with_capacity(sessions.len());
    for session in sessions {
        planned.push(match order.for_session(&tables, &session) {
            Ok(target) => Ok(target),
            Err(error) => Err((session, error)),
        });
    }
    Ok(planned)
}

/// One command under way.
struct Run<'r> {
    shared: &'r Arc<Shared>,
    asked: &'r Asked,
    config: &'r Config,
    order: &'r Order,
    timing: Timing,
    /// NASes that didn't answer: their other sessions aren't waited for too.
    silent: Vec<SocketAddr>,
    good: usize,
}

impl Run<'_> {
    async fn one(&mut self, number: usize, of: usize, planned: Planned) {
        let result = match planned {
            Ok(target) if self.silent.contains(&target.address) => {
                let meaning = "its NAS hasn't answered for another session".to_owned();
                report::not_asked(&target, meaning, "ask again once the NAS answers")
            }
            Ok(target) => self.ask(&target).await,
            Err((session, meaning)) => SessionResult {
                user: session.user,
                session: session.id,
                address: session.nas,
                outcome: "not-asked".to_owned(),
                meaning,
                ..SessionResult::default()
            },
        };
        self.good += usize::from(["ack", "initiated"].contains(&&*result.outcome));
        let result = SessionResult { number: number as u64, of: of as u64, ..result };
        note(self.order, &result);
        self.asked.reply(Reply::Session { result: Box::new(result) });
    }

    async fn ask(&mut self, target: &Target) -> SessionResult {
        let mut rng = random::generator();
        let mut room = [0; MAX_PACKET];
        let request = match write(self.order, target, &mut rng, &mut room) {
            Ok(request) => request,
            Err(error) => {
                return report::not_asked(
                    target,
                    format!("the request can't be written: {error}"),
                    "ask for less",
                );
            }
        };
        match self.exchange(target, request, &mut rng).await {
            Ok(ended) => {
                self.shared.dynauth().add(ended.end, ended.seen, ended.transmissions);
                if ended.end == End::TimeOut {
                    self.silent.push(target.address);
                }
                report::ended(target, self.order.disconnect, &ended)
            }
            Err(error) => {
                self.silent.push(target.address);
                let advice = "check that this host has an address and a route of that kind";
                report::not_asked(target, format!("{} can't be sent to: {error}", target.address), advice)
            }
        }
    }

    /// Sends, waits, sends again.
    async fn exchange(&self, target: &Target, request: &[u8], rng: &mut StdRng) -> io::Result<report::Ended> {
        let socket = UdpSocket::bind((source(self.config, target.address.ip()), 0)).await?;
        socket.connect(target.address).await?;
        let from = socket.local_addr()?.ip();
        let requires = target.requires_message_authenticator;
        let key = target.key.clone();
        let mut exchange = Exchange::begin(clock::now(), rng, key, requires, request, self.timing);
        let mut room = [0; MAX_PACKET];
        while let Some(due) = exchange.poll_timeout() {
            if let Some(datagram) = exchange.poll_transmit() {
                match socket.send(datagram).await {
                    // The kernel tells here of what became of the datagram before.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                        exchange.handle_unreachable();
                    }
                    Err(error) => return Err(error),
                    Ok(_) => {}
                }
            }
            tokio::select! {
                came = socket.recv(&mut room) => match came {
                    Ok(length) => exchange.handle_datagram(clock::utc(), &room[..length]),
                    Err(_) => exchange.handle_unreachable(),
                },
                () = clock::sleep_until(due) => {
                    let before = exchange.transmissions();
                    exchange.handle_timeout(clock::now(), rng);
                    if exchange.transmissions() > before {
                        self.say_it_waits(target, &exchange);
                    }
                }
            }
        }
        Ok(report::Ended {
            end: exchange.end().unwrap_or(End::TimeOut),
            seen: exchange.seen(),
            transmissions: exchange.transmissions(),
            took: clock::now().since(exchange.began()),
            from,
        })
    }

    fn say_it_waits(&self, target: &Target, exchange: &Exchange) {
        let (number, most) = (exchange.transmissions(), exchange.transmissions_max());
        let Target { client, address, .. } = target;
        let message = format!("{client} ({address}) hasn't answered yet: asking again, {number} of {most}");
        self.asked.reply(Reply::Progress { message });
    }

    fn summary(&self, of: usize) -> Result<String, Vec<String>> {
        let done = if self.order.disconnect { "ended" } else { "changed" };
        let sessions = if of == 1 { "session" } else { "sessions" };
        match self.good {
            good if good == of => Ok(format!("{of} {sessions} {done}")),
            good => Err(vec![format!("{good} of {of} {sessions} {done}")]),
        }
    }
}

/// Writes the request: Message-Authenticator first, then when it was made, whose session it is, and what to change.
fn write<'b>(
    order: &Order,
    target: &Target,
    rng: &mut StdRng,
    room: &'b mut [u8],
) -> Result<&'b [u8], WriteError> {
    let code = if order.disconnect { Code::DISCONNECT_REQUEST } else { Code::COA_REQUEST };
    let mut writer = Writer::new(room, code, rng.next_u32() as u8);
    writer.message_authenticator()?;
    writer.integer(number::EVENT_TIMESTAMP, clock::utc().as_secs_u32())?;
    for given in target.identifying.iter().chain(&order.set) {
        let list = Attributes::parse(&given.wire).map_err(|_| WriteError::Full)?;
        writer.attributes(list)?;
    }
    writer.request(&target.key, RequestAuthenticator::Computed)
}

/// The address that a NAS is called from: the identity, which it knows; else a listening address of its kind.
fn source(config: &Config, nas: IpAddr) -> IpAddr {
    let own = std::iter::once(config.server.identity);
    let mut all = own.chain(config.listens.iter().map(|listen| listen.address.ip()));
    all.find(|address| address.is_ipv4() == nas.is_ipv4()).unwrap_or(match nas {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    })
}

/// Who was disconnected by whom is asked for later.
fn note(order: &Order, result: &SessionResult) {
    let what = if order.disconnect { "Disconnect-Request" } else { "CoA-Request" };
    let SessionResult { user, session, nas, address, outcome, error_cause, meaning, .. } = result;
    let cause = error_cause.map_or_else(String::new, |number| format!(" {number}"));
    tracing::info!(
        "{what} for user {user:?}, session {session:?}, to {nas:?} ({address}): {outcome}{cause}, {meaning}"
    );
}
