//! How many requests are worked on at once, and what becomes of the others.
//!
//! A request that works has a [`Slot`]. Those for which there is none wait in a stack: the last that came is the next to work.
//! Under a load that lasts longer than a burst somebody has to be refused, and whoever has waited longest is the most likely to have
//! gone; served in the order they came, all would be late. Whoever has waited for [`MOST_WAIT`], and the oldest when too many wait, is
//! answered 503.
//!
//! What takes longer than [`LEASE`] gives its slot back and goes on: it waits for something else than the processor (a slow client, a
//! lock, a database that is away, an index that is built), and those who could work meanwhile need not.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::available_parallelism;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::api::Shared;
use crate::error::Failure;
use crate::instruments::{IN_FLIGHT, Instrument, SHED, WAITING};

/// How many requests a processor works on at once, unless the embedder says otherwise: enough to keep it at work while one waits for
/// the disk or the database. Each more makes all of them slower where there is too much to do.
const REQUESTS_PER_PROCESSOR: NonZeroUsize = NonZeroUsize::new(2).expect("it is not zero");
/// How many requests wait for each that works, and how many in any case: to refuse is quick, and a few hundred clients that ask again as
/// soon as they are refused would leave time for nothing else, while those that wait ask for nothing. They leave room for others among
/// the connections that a server has.
const WAITING_PER_SLOT: usize = 32;
const LEAST_WAITING: usize = 512;
/// How long a request waits for a slot.
const MOST_WAIT: Duration = Duration::from_millis(500);
/// How long a request keeps its slot.
const LEASE: Duration = Duration::from_secs(1);

/// How many requests to work on at once on this machine.
pub(crate) fn default_requests() -> NonZeroUsize {
    REQUESTS_PER_PROCESSOR.saturating_mul(available_parallelism().unwrap_or(NonZeroUsize::MIN))
}

/// Why a request was refused before anybody looked at it.
///
/// Left with the answer for whoever logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shed {
    /// Too many came after it.
    QueueFull,
    /// No slot became free in time.
    WaitedTooLong,
}

impl Shed {
    fn reason(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::WaitedTooLong => "waited_too_long",
        }
    }
}

/// All slots. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Mutex<Queue>>);

#[derive(Debug)]
struct Queue {
    free: usize,
    /// The oldest first. Some may have gone.
    waiting: VecDeque<oneshot::Sender<Slot>>,
    most_waiting: usize,
}

/// The right to work on a request, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Slots);

impl Slots {
    pub(crate) fn new(number: NonZeroUsize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            free: number.get(),
            waiting: VecDeque::new(),
            most_waiting: number.get().saturating_mul(WAITING_PER_SLOT).max(LEAST_WAITING),
        })))
    }

    /// A slot, at once or once one is given back.
    ///
    /// # Errors
    /// When there is none in time.
    pub(crate) async fn take(&self) -> Result<Slot, Shed> {
        let waiting = {
            let mut queue = self.lock();
            if let Some(free) = queue.free.checked_sub(1) {
                queue.free = free;
                return Ok(Slot(self.clone()));
            }
            queue.wait()
        };
        // A slot that comes as the time is over is given back with the receiver.
        match timeout(MOST_WAIT, waiting).await {
            Ok(slot) => slot.map_err(|_| Shed::QueueFull),
            Err(_) => Err(Shed::WaitedTooLong),
        }
    }

    /// Gives free slots to those who wait, to the last that came first.
    fn hand_out(&self) {
        loop {
            let next = self.lock().next();
            let Some(next) = next else { return };
            // Should it have gone just now, the slot comes back and is dropped.
            drop(next.send(Slot(self.clone())));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands free slots out when it is dropped, which it is even if the runtime ends.
struct HandOut(Slots);

impl Drop for HandOut {
    fn drop(&mut self) {
        self.0.hand_out();
    }
}

impl Queue {
    /// A place at the top of the stack.
    fn wait(&mut self) -> oneshot::Receiver<Slot> {
        if self.waiting.len() >= self.most_waiting {
            self.waiting.retain(|waiting| !waiting.is_closed());
        }
        if self.waiting.len() >= self.most_waiting {
            self.waiting.pop_front();
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.push_back(sender);
        receiver
    }

    /// The last who came and still waits, and has a free slot taken for it, if there is one.
    fn next(&mut self) -> Option<oneshot::Sender<Slot>> {
        let free = self.free.checked_sub(1)?;
        while let Some(last) = self.waiting.pop_back() {
            if !last.is_closed() {
                self.free = free;
                return Some(last);
            }
        }
        None
    }
}

impl Drop for Slot {
    /// Frees the slot. Nobody reads while an answer is made, so that those who wait are not the last that came: the slot is handed out
    /// a step of the runtime later, which looks first for what has come, and whoever is read in between takes it.
    fn drop(&mut self) {
        let waits = {
            let mut queue = self.0.lock();
            queue.free += 1;
            !queue.waiting.is_empty()
        };
        if waits {
            let hand_out = HandOut(self.0.clone());
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(async move {
                    behind_the_others().await;
                    drop(hand_out);
                });
            }
        }
    }
}

/// Goes behind what this thread of the runtime has to do already. [`yield_now`](tokio::task::yield_now) does not: whoever waits with it goes
/// on right after the runtime has looked for what has come, and before that is read.
async fn behind_the_others() {
    let mut is_behind = false;
    poll_fn(|context| {
        if is_behind {
            return Poll::Ready(());
        }
        is_behind = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Works on a request as soon as it may be worked on.
pub(crate) async fn bounded(State(api): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let slot = {
        let _waiting = Counted::new(&WAITING);
        api.slots.take().await
    };
    let slot = match slot {
        Ok(slot) => slot,
        Err(shed) => {
            metrics::counter!(SHED.name, "reason" => shed.reason()).increment(1);
            let mut answer = Failure::Overloaded.into_response();
            answer.extensions_mut().insert(shed);
            return answer;
        }
    };
    let _in_flight = Counted::new(&IN_FLIGHT);
    let mut answer = pin!(next.run(request));
    match timeout(LEASE, &mut answer).await {
        Ok(answer) => answer,
        Err(_) => {
            drop(slot);
            answer.await
        }
    }
}

/// One more in a gauge, for as long as it lives: a client that goes takes its request with it.
struct Counted(metrics::Gauge);

impl Counted {
    fn new(gauge: &Instrument) -> Self {
        let gauge = metrics::gauge!(gauge.name);
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

#[cfg(test)]
mod tests;
