//! What the data plane tells about itself: gauges that the threads doing the work write, and `health` reads.
//!
//! Every figure is the work itself, not a model of it: the pool measured is the pool that verifies passwords,
//! the cores measured are the threads that read the sockets. All times are nanoseconds of the monotonic clock
//! (`forewarn_shell::clock::now`); kernel receive stamps are converted to it once, on arrival.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

use tokio::sync::Notify;

use crate::process::leaving::Departure;

/// The gauges of one process: its listener cores, its worker pool and its accounting writer.
#[derive(Debug)]
pub struct Vitals {
    cores: Box<[CoreVitals]>,
    pool: QueueVitals,
    store: QueueVitals,
    queue_delay_limit_ns: AtomicU64,
    poke: Notify,
    taking: AtomicBool,
    departure: Departure,
}

impl Vitals {
    /// Gauges for `cores` listener cores. Taking requests; no limit on the queue delay yet.
    pub fn new(cores: usize) -> Self {
        Self {
            cores: (0..cores).map(|_| CoreVitals::default()).collect(),
            pool: QueueVitals::default(),
            store: QueueVitals::default(),
            queue_delay_limit_ns: AtomicU64::new(u64::MAX),
            poke: Notify::new(),
            taking: AtomicBool::new(true),
            departure: Departure::default(),
        }
    }

    /// The listener cores, by number.
    pub fn cores(&self) -> &[CoreVitals] {
        &self.cores
    }

    /// The worker pool: threads for what blocks or burns CPU.
    pub fn pool(&self) -> &QueueVitals {
        &self.pool
    }

    /// The accounting store: one writer thread.
    pub fn store(&self) -> &QueueVitals {
        &self.store
    }

    /// Requests received and not yet answered or dropped, over all cores. A reject that waits out its delay
    /// counts: it holds a place.
    pub fn in_flight(&self) -> u64 {
        self.cores.iter().map(|core| u64::from(core.in_flight.load(Relaxed))).sum()
    }

    /// The receive stamp of the oldest request that waits for something other than its own reject delay.
    pub fn oldest_waiting_ns(&self) -> Option<u64> {
        self.cores.iter().filter_map(CoreVitals::oldest_waiting_ns).min()
    }

    /// Age at `now_ns` of the oldest request that waits; zero when none does.
    pub fn queue_delay(&self, now_ns: u64) -> Duration {
        let oldest = self.oldest_waiting_ns().unwrap_or(now_ns);
        Duration::from_nanos(now_ns.saturating_sub(oldest))
    }

    /// The greatest age at which any request was taken off a socket since the last call: what a core that is
    /// late sees, and `queue_delay`, which looks at one moment, may miss.
    pub fn take_queue_delay_peak(&self) -> Duration {
        let peak = self.cores.iter().map(|core| core.delay_peak_ns.swap(0, Relaxed)).max();
        Duration::from_nanos(peak.unwrap_or(0))
    }

    /// From which age of the oldest waiting request on the cores poke whoever waits in [`Vitals::poked`].
    /// `None`: never.
    pub fn limit_queue_delay(&self, limit: Option<Duration>) {
        let limit_ns = limit.map_or(u64::MAX, |limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
        self.queue_delay_limit_ns.store(limit_ns, Relaxed);
    }

    /// The limit set by [`Vitals::limit_queue_delay`]; `u64::MAX`: none.
    pub fn queue_delay_limit_ns(&self) -> u64 {
        self.queue_delay_limit_ns.load(Relaxed)
    }

    /// Wakes the reader of [`Vitals::poked`]: a request has waited longer than the limit.
    pub fn poke(&self) {
        self.poke.notify_one();
    }

    /// Returns when a core found that the oldest waiting request had passed the limit. For one reader.
    pub async fn poked(&self) {
        self.poke.notified().await;
    }

    /// How far this server is on its way out, for clients without the agent.
    pub fn departure(&self) -> &Departure {
        &self.departure
    }

    /// Whether the cores take requests off their sockets.
    pub fn taking(&self) -> bool {
        self.taking.load(Relaxed)
    }

    /// Starts or stops taking requests. Stopped, what arrives is read and dropped unanswered (counted as
    /// `stopped`); what was taken before is still answered.
    pub fn set_taking(&self, taking: bool) {
        self.taking.store(taking, Relaxed);
    }
}

/// One listener core. On cache lines of its own, since another thread writes each of its neighbours.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct CoreVitals {
    /// Nanoseconds not asleep, up to the last time it fell asleep.
    busy_ns: AtomicU64,
    /// When it woke; 0 while asleep.
    awake_since_ns: AtomicU64,
    in_flight: AtomicU32,
    /// Receive stamp; 0: nothing waits.
    oldest_waiting_ns: AtomicU64,
    delay_peak_ns: AtomicU64,
}

impl CoreVitals {
    /// Nanoseconds this core has not been asleep, since its start. Busy over an interval is the difference of
    /// two readings over the interval.
    pub fn busy_ns(&self, now_ns: u64) -> u64 {
        // In this order, the reverse of `sleep`'s: a turn that ends meanwhile is missing once, rather than counted twice.
        let busy_ns = self.busy_ns.load(Acquire);
        let awake_since_ns = self.awake_since_ns.load(Relaxed);
        let current_ns = if awake_since_ns == 0 { 0 } else { now_ns.saturating_sub(awake_since_ns) };
        busy_ns + current_ns
    }

    /// Requests this core received and has not yet answered or dropped.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Receive stamp of the oldest request that waits here.
    pub fn oldest_waiting_ns(&self) -> Option<u64> {
        match self.oldest_waiting_ns.load(Relaxed) {
            0 => None,
            stamp_ns => Some(stamp_ns),
        }
    }

    /// The core woke.
    pub fn wake(&self, now_ns: u64) {
        self.awake_since_ns.store(now_ns.max(1), Relaxed);
    }

    /// The core goes to sleep. Only the core itself writes here, so plain loads and stores do.
    pub fn sleep(&self, now_ns: u64) {
        let busy_ns = self.busy_ns(now_ns);
        self.awake_since_ns.store(0, Relaxed);
        self.busy_ns.store(busy_ns, Release);
    }

    /// Sets the number of requests in flight.
    pub fn set_in_flight(&self, count: u32) {
        self.in_flight.store(count, Relaxed);
    }

    /// Sets the receive stamp of the oldest request that waits.
    pub fn set_oldest_waiting(&self, stamp_ns: Option<u64>) {
        self.oldest_waiting_ns.store(stamp_ns.map_or(0, |stamp_ns| stamp_ns.max(1)), Relaxed);
    }

    /// A request was taken off the socket at this age.
    pub fn note_delay(&self, age_ns: u64) {
        self.delay_peak_ns.fetch_max(age_ns, Relaxed);
    }
}

/// A queue with threads behind it.
#[derive(Debug, Default)]
pub struct QueueVitals {
    max: AtomicU32,
    busy: AtomicU32,
    queued: AtomicU32,
    oldest_queued_ns: AtomicU64,
    done: AtomicU64,
    refused: AtomicU64,
    panicked: AtomicU64,
}

impl QueueVitals {
    /// Threads there are.
    pub fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// Threads at work.
    pub fn busy(&self) -> u32 {
        self.busy.load(Relaxed)
    }

    /// Jobs that wait for a thread.
    pub fn queued(&self) -> u32 {
        self.queued.load(Relaxed)
    }

    /// When the oldest job that still waits for a thread was handed in.
    pub fn oldest_queued_ns(&self) -> Option<u64> {
        match self.oldest_queued_ns.load(Relaxed) {
            0 => None,
            stamp_ns => Some(stamp_ns),
        }
    }

    /// Jobs finished since the start, well or badly.
    pub fn done(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// Jobs refused because the queue was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Jobs that ended in a panic (a defect of ours; contained, counted and logged).
    pub fn panicked(&self) -> u64 {
        self.panicked.load(Relaxed)
    }

    pub(crate) fn set_max(&self, threads: u32) {
        self.max.store(threads, Relaxed);
    }

    pub(crate) fn set_queue(&self, queued: usize, oldest_ns: Option<u64>) {
        self.queued.store(u32::try_from(queued).unwrap_or(u32::MAX), Relaxed);
        self.oldest_queued_ns.store(oldest_ns.map_or(0, |stamp_ns| stamp_ns.max(1)), Relaxed);
    }

    pub(crate) fn begin(&self) {
        self.busy.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self, jobs: u64) {
        self.busy.fetch_sub(1, Relaxed);
        self.done.fetch_add(jobs, Relaxed);
    }

    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn panic(&self) {
        self.panicked.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_busy_while_not_asleep() {
        let vitals = Vitals::new(2);
        let core = &vitals.cores()[0];
        assert_eq!(core.busy_ns(50), 0);
        core.wake(100);
        assert_eq!(core.busy_ns(130), 30);
        core.sleep(150);
        assert_eq!(core.busy_ns(1_000), 50);
        core.wake(2_000);
        assert_eq!(core.busy_ns(2_010), 60);
        assert_eq!(vitals.cores()[1].busy_ns(5_000), 0);
    }

    #[test]
    fn the_oldest_of_all_cores_is_the_queue_delay() {
        let vitals = Vitals::new(2);
        assert_eq!(vitals.queue_delay(500), Duration::ZERO);
        vitals.cores()[0].set_oldest_waiting(Some(400));
        vitals.cores()[1].set_oldest_waiting(Some(300));
        assert_eq!(vitals.queue_delay(500), Duration::from_nanos(200));
        vitals.cores()[1].set_oldest_waiting(None);
        assert_eq!(vitals.queue_delay(500), Duration::from_nanos(100));
    }

    #[test]
    fn a_peak_is_told_once() {
        let vitals = Vitals::new(1);
        vitals.cores()[0].note_delay(70);
        vitals.cores()[0].note_delay(20);
        assert_eq!(vitals.take_queue_delay_peak(), Duration::from_nanos(70));
        assert_eq!(vitals.take_queue_delay_peak(), Duration::ZERO);
    }
}
