//! The worker pool: a bounded number of threads for what blocks or burns CPU, behind a bounded queue.
//!
//! A core hands a job in and goes on; it never waits for a place. The pool that is measured ([`Vitals::pool`])
//! is the pool that does the work: load by busy workers means exactly these threads.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::contained::contained;
use crate::vitals::{QueueVitals, Vitals};

/// Jobs that may wait for a thread, unless configured otherwise. At 80 ms a hash (bcrypt, cost 10) and 16
/// threads, this many are 20 s of work: more would be answered after the client has given up.
pub const DEFAULT_QUEUE_MAX: usize = 4096;

/// A bounded pool of threads. Dropping it lets the jobs under way finish, drops those that wait, and joins.
#[derive(Debug)]
pub struct Workers {
    inner: Arc<Inner>,
}

impl Workers {
    /// Starts `threads` threads behind a queue of at most `queue_max` jobs.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(threads: usize, queue_max: usize, vitals: Arc<Vitals>) -> io::Result<Self> {
        let state = State { jobs: VecDeque::with_capacity(queue_max), ..State::default() };
        let inner = Arc::new(Inner { state: Mutex::new(state), ready: Condvar::new(), queue_max, vitals });
        let workers = Self { inner };
        workers.resize(threads)?;
        Ok(workers)
    }

    /// Hands a job in. `stamp_ns`, when its request arrived, is what the oldest job's age is counted from.
    ///
    /// # Errors
    /// The queue is full; the job was dropped, and counted as refused.
    pub fn submit(&self, stamp_ns: u64, job: impl FnOnce() + Send + 'static) -> Result<(), QueueFull> {
        let mut state = self.inner.lock();
        if state.jobs.len() >= self.inner.queue_max || state.stopping {
            self.inner.gauges().refuse();
            return Err(QueueFull);
        }
        state.jobs.push_back(Waiting { stamp_ns, job: Box::new(job) });
        self.inner.show_queue(&state);
        drop(state);
        self.inner.ready.notify_one();
        Ok(())
    }

    /// How many threads there are to be.
    pub fn threads(&self) -> usize {
        self.inner.gauges().max() as usize
    }

    /// Sets the number of threads. Surplus ones leave after the job they are at.
    ///
    /// # Errors
    /// The system has no thread to give; those already started stay.
    pub fn resize(&self, threads: usize) -> io::Result<()> {
        let mut state = self.inner.lock();
        state.wanted = threads.max(1);
        while state.running < state.wanted {
            let inner = Arc::clone(&self.inner);
            let name = format!("worker-{}", state.started);
            let handle = thread::Builder::new().name(name).spawn(move || work(&inner))?;
            state.handles.retain(|handle| !handle.is_finished());
            state.handles.push(handle);
            state.running += 1;
            state.started += 1;
        }
        self.inner.gauges().set_max(u32::try_from(state.wanted).unwrap_or(u32::MAX));
        drop(state);
        self.inner.ready.notify_all();
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        state.stopping = true;
        let waiting = std::mem::take(&mut state.jobs);
        let handles = std::mem::take(&mut state.handles);
        self.inner.show_queue(&state);
        drop(state);
        drop(waiting);
        self.inner.ready.notify_all();
        // A job may have held the pool's last owner: a worker can't wait for itself.
        let own = thread::current().id();
        for handle in handles.into_iter().filter(|handle| handle.thread().id() != own) {
            // A worker contains its jobs' panics; one that could not is already counted.
            let _ = handle.join();
        }
    }
}

/// The pool's queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the worker pool's queue is full")]
pub struct QueueFull;

struct Inner {
    state: Mutex<State>,
    ready: Condvar,
    queue_max: usize,
    vitals: Arc<Vitals>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("queue_max", &self.queue_max).finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gauges(&self) -> &QueueVitals {
        self.vitals.pool()
    }

    fn show_queue(&self, state: &State) {
        self.gauges().set_queue(state.jobs.len(), state.jobs.front().map(|waiting| waiting.stamp_ns));
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Waiting>,
    handles: Vec<thread::JoinHandle<()>>,
    wanted: usize,
    running: usize,
    started: usize,
    stopping: bool,
}

struct Waiting {
    stamp_ns: u64,
    job: Box<dyn FnOnce() + Send>,
}

/// One worker's life.
fn work(inner: &Inner) {
    while let Some(job) = next_job(inner) {
        // A job owns what it touches and reports by a message it sends when dropped, so a panic leaves nothing
        // half-changed behind that anyone will look at.
        if contained(job).is_err() {
            inner.gauges().panic();
            tracing::error!("a job of the worker pool panicked; its request is not answered");
        }
        inner.gauges().end(1);
    }
}

/// Waits for a job. `None`: this worker is to leave.
fn next_job(inner: &Inner) -> Option<Box<dyn FnOnce() + Send>> {
    let mut state = inner.lock();
    loop {
        if state.stopping || state.running > state.wanted {
            state.running -= 1;
            return None;
        }
        if let Some(waiting) = state.jobs.pop_front() {
            inner.show_queue(&state);
            inner.gauges().begin();
            return Some(waiting.job);
        }
        state = inner.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn pool(threads: usize, queue_max: usize) -> (Arc<Vitals>, Workers) {
        let vitals = Arc::new(Vitals::new(1));
        let workers = Workers::start(threads, queue_max, Arc::clone(&vitals)).unwrap();
        (vitals, workers)
    }

    /// A job that says it runs, then blocks until told.
    fn block(workers: &Workers, stamp_ns: u64) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (running, is_running) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        workers
            .submit(stamp_ns, move || {
                let _ = running.send(());
                let _ = released.recv_timeout(PATIENCE);
            })
            .unwrap();
        (is_running, release)
    }

    #[test]
    fn the_gauges_are_the_pool() {
        let (vitals, workers) = pool(2, 4);
        let first = block(&workers, 1);
        let second = block(&workers, 2);
        first.0.recv_timeout(PATIENCE).unwrap();
        second.0.recv_timeout(PATIENCE).unwrap();
        let (done, is_done) = mpsc::channel();
        workers.submit(30, move || done.send(()).unwrap()).unwrap();
        workers.submit(40, || ()).unwrap();
        let gauges = vitals.pool();
        assert_eq!((gauges.max(), gauges.busy(), gauges.queued()), (2, 2, 2));
        assert_eq!(gauges.oldest_queued_ns(), Some(30));
        first.1.send(()).unwrap();
        is_done.recv_timeout(PATIENCE).unwrap();
        second.1.send(()).unwrap();
        drop(workers);
        assert_eq!((gauges.busy(), gauges.queued()), (0, 0));
        assert_eq!(gauges.oldest_queued_ns(), None);
    }

    #[test]
    fn a_full_queue_refuses_and_blocks_nobody() {
        let (vitals, workers) = pool(1, 1);
        let first = block(&workers, 1);
        first.0.recv_timeout(PATIENCE).unwrap();
        workers.submit(2, || ()).unwrap();
        assert_eq!(workers.submit(3, || ()), Err(QueueFull));
        assert_eq!(vitals.pool().refused(), 1);
        first.1.send(()).unwrap();
    }

    #[test]
    fn a_worker_may_drop_the_pool() {
        let (_, workers) = pool(2, 4);
        let workers = Arc::new(workers);
        let last = Arc::clone(&workers);
        let (done, is_done) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        workers
            .submit(1, move || {
                gone.recv_timeout(PATIENCE).unwrap();
                drop(last);
                done.send(()).unwrap();
            })
            .unwrap();
        drop(workers);
        go.send(()).unwrap();
        is_done.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn a_panic_stays_in_its_job() {
        let (vitals, workers) = pool(1, 4);
        workers.submit(1, || panic!("meant")).unwrap();
        let (done, is_done) = mpsc::channel();
        workers.submit(2, move || done.send(()).unwrap()).unwrap();
        is_done.recv_timeout(PATIENCE).unwrap();
        assert_eq!(vitals.pool().panicked(), 1);
    }

    #[test]
    fn the_pool_grows_and_shrinks() {
        let (vitals, workers) = pool(1, 8);
        workers.resize(3).unwrap();
        let jobs: Vec<_> = (0..3).map(|stamp_ns| block(&workers, stamp_ns)).collect();
        for job in &jobs {
            job.0.recv_timeout(PATIENCE).unwrap();
        }
        assert_eq!((vitals.pool().max(), vitals.pool().busy()), (3, 3));
        workers.resize(1).unwrap();
        assert_eq!(vitals.pool().max(), 1);
        drop(jobs);
        drop(workers);
        assert_eq!(vitals.pool().done(), 3);
    }
}
