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
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::api::Shared;
use crate::error::Failure;
use crate::instruments::{IN_FLIGHT, Instrument, SHED, WAITING};

/// How many requests a processor works on at once, unless the embedder says otherwise: enough to keep it at work while one waits for
/// the disk or the database. Each more makes all of them slower where there is too much to do.
const REQUESTS_PER_PROCESSOR: NonZeroUsize = NonZeroUsize::new(2).expect("it is not zero");
/// How many requests wait for each that works.
const WAITING_PER_SLOT: usize = 32;
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
            most_waiting: number.get().saturating_mul(WAITING_PER_SLOT),
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

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Gives the slot back once whatever has come by now has been read: nobody reads while an answer is made, so those who wait are
    /// not the last that came.
    fn pass_on(self) {
        if self.0.lock().waiting.is_empty() {
            return;
        }
        tokio::spawn(async move {
            // The first lets the runtime look for what has come, the second read it.
            for _ in 0..2 {
                behind_the_others().await;
            }
            drop(self);
        });
    }
}

/// Lets everything go on first that can. Unlike [`yield_now`](tokio::task::yield_now), which has a task wait until the runtime has looked
/// for more to do, and then puts it first.
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
}

impl Drop for Slot {
    /// Hands the slot to the last who came and still waits.
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.lock();
            let next = loop {
                match queue.waiting.pop_back() {
                    Some(gone) if gone.is_closed() => {}
                    other => break other,
                }
            };
            if next.is_none() {
                queue.free += 1;
            }
            next
        };
        if let Some(next) = next {
            // Should it have gone just now, the slot comes back and is dropped, which hands it to another.
            drop(next.send(Slot(self.0.clone())));
        }
    }
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
        Ok(answer) => {
            slot.pass_on();
            answer
        }
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
