use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{Instant, advance, pause};

use super::*;

fn slots(number: usize) -> Slots {
    Slots::new(NonZeroUsize::new(number).unwrap())
}

async fn taken(slots: &Slots) -> Slot {
    slots.take().await.unwrap()
}

/// Someone who waits, and has begun to.
async fn waits(slots: &Slots) -> JoinHandle<Result<Slot, Shed>> {
    let slots = slots.clone();
    let before = slots.lock().waiting.len();
    let waits = tokio::spawn({
        let slots = slots.clone();
        async move { slots.take().await }
    });
    while slots.lock().waiting.len() == before && !waits.is_finished() {
        yield_now().await;
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn the_last_that_came_is_the_next_to_work() {
    let slots = slots(1);
    let working = taken(&slots).await;
    let first = waits(&slots).await;
    let last = waits(&slots).await;
    drop(working);
    let working = last.await.unwrap().unwrap();
    assert!(!first.is_finished());
    drop(working);
    drop(first.await.unwrap().unwrap());
    assert_eq!(slots.lock().free, 1);
}

#[test]
fn a_free_slot_goes_to_whoever_has_come_but_was_not_read_yet() {
    // As the server's, with one thread, so that there is only one who reads.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).event_interval(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let slots = slots(1);
        let working = taken(&slots).await;
        let first = waits(&slots).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let reads = Arc::new(Notify::new());
        let last = tokio::spawn({
            let (slots, reads) = (slots.clone(), Arc::clone(&reads));
            async move {
                reads.notify_one();
                server.read_u8().await.unwrap();
                slots.take().await
            }
        });
        reads.notified().await;
        // One step of the runtime, in which a request comes and an answer is made.
        tokio::spawn(async move {
            client.write_all(&[7]).unwrap();
            drop(working);
        });
        let working = last.await.unwrap().unwrap();
        assert!(!first.is_finished());
        drop(working);
        drop(first.await.unwrap().unwrap());
    });
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_for_long_enough_is_refused_and_leaves_nothing_behind() {
    let slots = slots(1);
    let working = taken(&slots).await;
    let begun = Instant::now();
    assert_eq!(slots.take().await.unwrap_err(), Shed::WaitedTooLong);
    assert_eq!(begun.elapsed().as_millis(), MOST_WAIT.as_millis());
    drop(working);
    assert_eq!(slots.lock().free, 1);
    drop(taken(&slots).await);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_goes_when_too_many_wait() {
    let slots = slots(1);
    let working = taken(&slots).await;
    let mut waiting = VecDeque::new();
    for _ in 0..LEAST_WAITING {
        waiting.push_back(waits(&slots).await);
    }
    let (oldest, last) = (waiting.pop_front().unwrap(), slots.clone());
    assert!(!oldest.is_finished());
    let last = tokio::spawn(async move { last.take().await });
    assert_eq!(oldest.await.unwrap().unwrap_err(), Shed::QueueFull);
    assert_eq!(slots.lock().waiting.len(), LEAST_WAITING);
    drop(working);
    drop(last.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn who_has_gone_takes_nobodys_place() {
    let slots = slots(1);
    let working = taken(&slots).await;
    let oldest = waits(&slots).await;
    for _ in 1..LEAST_WAITING {
        let gone = waits(&slots).await;
        gone.abort();
        gone.await.unwrap_err();
    }
    let last = waits(&slots).await;
    assert!(!oldest.is_finished());
    drop(working);
    drop(last.await.unwrap().unwrap());
    drop(oldest.await.unwrap().unwrap());
    assert_eq!(slots.lock().free, 1);
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_comes_too_late_is_not_lost() {
    let slots = slots(1);
    let working = taken(&slots).await;
    let gone = waits(&slots).await;
    // The slot is on its way when the one who waited goes.
    drop(working);
    gone.abort();
    let _ = gone.await;
    assert_eq!(slots.lock().free, 1);
}

/// One more that works, until it is dropped, however it ends.
struct Working(Arc<AtomicUsize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

proptest! {
    #[test]
    fn no_more_work_than_may_and_no_slot_is_lost(
        number in 1usize..5,
        requests in prop::collection::vec((0u64..200, 0u64..1500, any::<prop::sample::Index>(), any::<bool>()), 0..100),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            pause();
            let slots = slots(number);
            let working = Arc::new(AtomicUsize::new(0));
            let mut tasks: Vec<JoinHandle<()>> = Vec::new();
            for (comes_after, works_for, other, other_goes) in requests {
                advance(Duration::from_millis(comes_after)).await;
                if other_goes && !tasks.is_empty() {
                    other.get(&tasks).abort();
                }
                let (slots, working) = (slots.clone(), Arc::clone(&working));
                tasks.push(tokio::spawn(async move {
                    let Ok(_slot) = slots.take().await else { return };
                    assert!(working.fetch_add(1, Ordering::SeqCst) < number);
                    let _working = Working(working);
                    tokio::time::sleep(Duration::from_millis(works_for)).await;
                }));
            }
            for task in tasks {
                prop_assert!(task.await.map_or_else(|error| error.is_cancelled(), |()| true));
            }
            // The last may be on their way still.
            for _ in 0..3 {
                behind_the_others().await;
            }
            prop_assert_eq!(slots.lock().free, number);
            prop_assert!(slots.lock().waiting.iter().all(oneshot::Sender::is_closed));
            Ok(())
        })?;
    }
}
