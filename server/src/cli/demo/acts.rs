//! The four acts.

use std::io;
use std::time::Duration;

use forewarn_shell::clock;
use forewarn_shell::control::Request;

use super::nas::{Nas, Tally};
use super::observe::{Show, command};
use super::stage::{AGENT, EAST, POOL_THREADS, Stage, WEST};

/// How many there are.
pub(super) const NUMBER: usize = 4;

/// How long the pool is held.
const HELD: Duration = Duration::from_secs(10);
/// How long anything that has to happen may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long requests under way take at the most while nothing is wrong, delayed rejects aside.
const SETTLE: Duration = Duration::from_millis(200);
/// Traffic before the first act, and between an act's end and the next.
const BREATH: Duration = Duration::from_secs(2);

/// What an act showed.
pub(super) struct Shown {
    pub(super) title: &'static str,
    pub(super) tally: Tally,
    /// From the reading that was over the threshold (an operator's command, the kill) to the first notice.
    pub(super) to_notice: Option<Duration>,
    /// From the notice at the agent (the kill) to the first request on the alternate.
    pub(super) to_alternate: Option<Duration>,
    /// Whether losing nothing is what this act promises.
    pub(super) promised: bool,
}

impl Shown {
    fn new(title: &'static str, promised: bool) -> Shown {
        Shown { title, tally: Tally::default(), to_notice: None, to_alternate: None, promised }
    }
}

/// Performs them in order.
pub(super) fn perform(show: &mut Show, stage: &mut Stage, nas: &Nas) -> io::Result<Vec<Shown>> {
    breathe(show, stage, nas)?;
    Ok(vec![
        overload(show, stage, nas)?,
        overload_unannounced(show, stage, nas)?,
        drain(show, stage, nas)?,
        kill(show, stage, nas)?,
    ])
}

fn overload(show: &mut Show, stage: &mut Stage, nas: &Nas) -> io::Result<Shown> {
    show.heading("Act 1: overload, announced. Blocking work takes 15 of 16 pool threads, and the last once the notice is out.");
    nas.act(0);
    let began = micros();
    hold(show, stage, nas, |show, stage| {
        show.until(stage, Some(nas), LIMIT, |view| {
            view.east.as_ref().and_then(|east| east.watch.warned_at).is_some_and(|at| at >= began)
        })
    })?;
    let mut shown = Shown::new("1 overload, announced", true);
    if let Some(east) = &show.view.east {
        shown.to_notice = span(east.watch.over_since, east.watch.warned_at);
    }
    shown.to_alternate = first_request(show, began);
    come_home(show, stage, nas)?;
    Ok(shown)
}

fn overload_unannounced(show: &mut Show, stage: &mut Stage, nas: &Nas) -> io::Result<Shown> {
    show.heading("Act 2: the same overload, with notices off (audience: nobody, by a reload).");
    stage.hush(true)?;
    show.line(EAST.name, &command(stage, EAST, &Request::Reload)?);
    nas.act(1);
    hold(show, stage, nas, |show, stage| {
        show.until(stage, Some(nas), LIMIT, |view| {
            view.east.as_ref().is_some_and(|east| matches!(east.watch.state.as_str(), "shedding" | "away"))
        })
    })?;
    show.until(stage, Some(nas), LIMIT, |view| view.state() == "serving")?;
    breathe(show, stage, nas)?;
    stage.hush(false)?;
    show.line(EAST.name, &command(stage, EAST, &Request::Reload)?);
    Ok(Shown::new("2 overload, notices off", false))
}

fn drain(show: &mut Show, stage: &mut Stage, nas: &Nas) -> io::Result<Shown> {
    show.heading("Act 3: drain. The operator takes the server out of service, and puts it back.");
    nas.act(2);
    let began = micros();
    show.line("operator", "forewarn drain aaa-east");
    show.line(EAST.name, &command(stage, EAST, &Request::Drain { wait: false })?);
    show.until(stage, Some(nas), LIMIT, |view| view.state() == "drained" && view.current() == WEST.name)?;
    let mut shown = Shown::new("3 drain", true);
    let warned = show.view.east.as_ref().and_then(|east| east.watch.warned_at);
    shown.to_notice = span(Some(began), warned);
    shown.to_alternate = first_request(show, began);
    breathe(show, stage, nas)?;
    show.line("operator", "forewarn resume aaa-east");
    show.line(EAST.name, &command(stage, EAST, &Request::Resume)?);
    come_home(show, stage, nas)?;
    Ok(shown)
}

fn kill(show: &mut Show, stage: &mut Stage, nas: &Nas) -> io::Result<Shown> {
    show.heading("Act 4: kill -9. Nobody is left to warn anybody.");
    nas.act(3);
    // What act 3 sent is answered before the kill.
    show.until(stage, Some(nas), SETTLE, |_| false)?;
    let began = micros();
    stage.kill(EAST)?;
    show.line("operator", "kill -9 aaa-east");
    show.until(stage, Some(nas), LIMIT, |view| view.current() == WEST.name)?;
    show.until(stage, Some(nas), 2 * BREATH, |_| false)?;
    let mut shown = Shown::new("4 kill -9", false);
    shown.to_alternate = show
        .view
        .agent
        .as_ref()
        .and_then(|agent| agent.last_switch.as_ref())
        .and_then(|switch| span(Some(began), switch.first_request_at));
    Ok(shown)
}

/// Holds 15 threads of the pool until `noticed`, then all 16, for [`HELD`] in all.
fn hold(
    show: &mut Show,
    stage: &mut Stage,
    nas: &Nas,
    noticed: impl FnOnce(&mut Show, &mut Stage) -> io::Result<bool>,
) -> io::Result<()> {
    let began = clock::now();
    let most = stage.hold(0..POOL_THREADS - 1)?;
    show.line("load", "15 of 16 threads are held");
    if !noticed(show, stage)? {
        return Err(io::Error::other("the overload wasn't noticed"));
    }
    let last = stage.hold(POOL_THREADS - 1..POOL_THREADS)?;
    show.line("load", "all 16 threads are held");
    let left = HELD.saturating_sub(clock::now().since(began));
    show.until(stage, Some(nas), left, |_| false)?;
    drop((most, last));
    show.line("load", "released");
    Ok(())
}

fn come_home(show: &mut Show, stage: &mut Stage, nas: &Nas) -> io::Result<()> {
    if !show.until(stage, Some(nas), LIMIT, |view| view.state() == "serving" && view.is_home())? {
        return Err(io::Error::other("the traffic didn't come back"));
    }
    show.line(AGENT.name, "all traffic is back");
    breathe(show, stage, nas)
}

fn breathe(show: &mut Show, stage: &mut Stage, nas: &Nas) -> io::Result<()> {
    show.until(stage, Some(nas), BREATH, |_| false).map(drop)
}

/// From the arrival of the notice to the first request on the alternate, for a switch since `began`.
fn first_request(show: &Show, began: u64) -> Option<Duration> {
    let switch = show.view.agent.as_ref()?.last_switch.as_ref()?;
    if switch.decided_at < began {
        return None;
    }
    span(Some(switch.caused_at), switch.first_request_at)
}

fn span(from: Option<u64>, to: Option<u64>) -> Option<Duration> {
    Some(Duration::from_micros(to?.checked_sub(from?)?))
}

fn micros() -> u64 {
    clock::utc_nanos() / 1000
}
