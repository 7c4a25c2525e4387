//! Names that wait to be looked up, and those that are under way: batches without an artificial delay. What arrives
//! while a batch is under way is the next one.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::store::directory::Query;

/// Names in one batch at most.
pub(super) const BATCH_MAX: usize = 256;
/// How often a name is tried when the connection breaks that it was asked on.
const TRIES_MAX: u8 = 2;

/// A name, and how often it has been tried.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) query: Query,
    tries: u8,
}

/// The names that wait. Bounded by what the directory looks up at one time.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// For threads.
    ready: Condvar,
    /// For tasks.
    arrival: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    closed: bool,
}

impl Queue {
    /// Puts a name in. Once the queue is closed it is lost, which is an answer too.
    pub(super) fn push(&self, query: Query) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            return drop(query);
        }
        state.waiting.push_back(Waiting { query, tries: 0 });
        drop(state);
        self.wake();
    }

    /// Takes up to [`BATCH_MAX`] names, when there are any. `None`: the queue is closed.
    pub(super) async fn next(self: &Arc<Self>) -> Option<Batch> {
        loop {
            if let Some(taken) = self.take() {
                return taken;
            }
            self.arrival.notified().await;
        }
    }

    /// The same for a thread, which waits for at most `patience`. `Some` of an empty batch: nothing came.
    pub(super) fn next_within(self: &Arc<Self>, patience: Duration) -> Option<Batch> {
        let state = self.lock();
        let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let waited = self.ready.wait_timeout_while(state, patience, idle);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.take().unwrap_or_else(|| Some(Batch { waiting: Vec::new(), queue: Arc::clone(self) }))
    }

    /// `None`: there is nothing yet. `Some(None)`: there never will be.
    fn take(self: &Arc<Self>) -> Option<Option<Batch>> {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            if state.closed {
                // For the next one that waits.
                self.arrival.notify_one();
            }
            return state.closed.then_some(None);
        }
        let count = state.waiting.len().min(BATCH_MAX);
        let waiting = state.waiting.drain(..count).collect();
        let more = !state.waiting.is_empty();
        drop(state);
        if more {
            self.wake();
        }
        Some(Some(Batch { waiting, queue: Arc::clone(self) }))
    }

    /// Gives up all that wait: nobody will look them up soon.
    pub(super) fn give_up(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting);
    }

    /// No more names; whoever takes them ends.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.give_up();
        self.ready.notify_all();
        self.arrival.notify_one();
    }

    /// Whether it was closed.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn wake(&self) {
        self.ready.notify_one();
        self.arrival.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names that are under way. Those left in it when it is dropped wait again, if they haven't been tried too often.
#[derive(Debug)]
pub(super) struct Batch {
    waiting: Vec<Waiting>,
    queue: Arc<Queue>,
}

impl Batch {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The names, in their order.
    pub(super) fn names(&self) -> Vec<&str> {
        self.waiting.iter().map(|waiting| &**waiting.query.name()).collect()
    }

    /// The names to answer, in their order.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Query> {
        self.waiting.drain(..).map(|waiting| waiting.query)
    }

    /// Nobody will look these up.
    pub(super) fn give_up(&mut self) {
        self.waiting.clear();
    }

    /// Cuts it in two halves; the second is returned.
    pub(super) fn halve(&mut self) -> Batch {
        let waiting = self.waiting.split_off(self.waiting.len() / 2);
        Batch { waiting, queue: Arc::clone(&self.queue) }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut given_up = Vec::new();
        let mut state = self.queue.lock();
        for mut waiting in self.waiting.drain(..).rev() {
            waiting.tries += 1;
            match waiting.tries < TRIES_MAX && !state.closed {
                true => state.waiting.push_front(waiting),
                false => given_up.push(waiting),
            }
        }
        let again = !state.waiting.is_empty();
        drop(state);
        if again {
            self.queue.wake();
        }
    }
}
