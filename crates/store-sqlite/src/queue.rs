//! Commits that wait at the same time share a transaction, so that one flush to the disk makes all of them durable.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use service_core::{Commit, CommitOutcome, StoreError, StoreErrorKind};
use sqlx::SqlitePool;
use tokio::sync::oneshot;

use crate::commit;
use crate::transaction::Transaction;

/// How many commits share a transaction at most: reads of other processes wait for none of it, other writers for all.
const MOST: usize = 64;

/// The commits that wait. One task at a time makes them, in the order in which they came, and ends when there are none: commits
/// that come while it writes wait for the next transaction, all together.
#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    commits: VecDeque<Wanted>,
    /// Whether there is a task that makes them.
    is_served: bool,
}

#[derive(Debug)]
struct Wanted {
    commit: Commit,
    answer: oneshot::Sender<Result<CommitOutcome, StoreError>>,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a commit, alone or with others. If the caller goes away it happens all the same, or not at all.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        writer: &SqlitePool,
        commit: Commit,
    ) -> Result<CommitOutcome, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let is_served = {
            let mut waiting = self.waiting();
            waiting.commits.push_back(Wanted { commit, answer });
            std::mem::replace(&mut waiting.is_served, true)
        };
        if !is_served {
            let mut serving = Serving { queue: Arc::clone(self), has_ended: false };
            let writer = writer.clone();
            tokio::spawn(async move {
                while let Some(batch) = serving.next() {
                    make(&writer, batch).await;
                }
            });
        }
        outcome.await.unwrap_or_else(|_| {
            // The runtime that made it ended, or there is a bug here.
            Err(StoreError::new(
                StoreErrorKind::OutcomeUnknown,
                "nobody is left who knows what became of the write",
            ))
        })
    }
}

/// The task that makes the commits. If it ends before its time, those who wait hear of it, and the next commit begins another.
struct Serving {
    queue: Arc<Queue>,
    has_ended: bool,
}

impl Serving {
    /// The next commits that somebody waits for; `None` if there are none, from which moment on another task may serve.
    fn next(&mut self) -> Option<Vec<Wanted>> {
        let mut waiting = self.queue.waiting();
        waiting.commits.retain(|wanted| !wanted.answer.is_closed());
        let count = waiting.commits.len().min(MOST);
        let batch: Vec<Wanted> = waiting.commits.drain(..count).collect();
        self.has_ended = batch.is_empty();
        waiting.is_served = !self.has_ended;
        waiting.is_served.then_some(batch)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.has_ended {
            *self.queue.waiting() = Waiting::default();
        }
    }
}

/// Makes commits, and tells those who wait.
async fn make(writer: &SqlitePool, batch: Vec<Wanted>) {
    let commits: Vec<&Commit> = batch.iter().map(|wanted| &wanted.commit).collect();
    match together(writer, &commits).await {
        Ok(outcomes) => {
            for (Wanted { answer, .. }, outcome) in batch.into_iter().zip(outcomes) {
                // Whoever went away meanwhile wants no answer.
                let _ = answer.send(Ok(outcome));
            }
        }
        // Nothing happened, because of one of them: the others are made without it.
        Err(fault) if batch.len() > 1 && is_of_one(&fault) => {
            for Wanted { commit, answer } in batch {
                let outcome = together(writer, &[&commit]).await;
                let _ = answer
                    .send(outcome.map(|outcomes| outcomes.first().copied().unwrap_or(CommitOutcome::Stale)));
            }
        }
        Err(fault) => {
            let source = fault.source().map_or_else(|| fault.to_string(), ToString::to_string);
            for Wanted { answer, .. } in batch {
                let _ = answer.send(Err(StoreError::new(fault.kind(), source.clone())));
            }
        }
    }
}

/// Whether a failure may be due to one commit, and not to the file or who else uses it.
fn is_of_one(fault: &StoreError) -> bool {
    matches!(fault.kind(), StoreErrorKind::Internal | StoreErrorKind::Corrupt)
}

/// Makes commits in one transaction, each on what those before it left: all of them, as far as they are not stale, or none.
async fn together(writer: &SqlitePool, commits: &[&Commit]) -> Result<Vec<CommitOutcome>, StoreError> {
    let mut transaction = Transaction::write(writer).await?;
    let mut outcomes = Vec::new();
    for commit in commits {
        outcomes.push(commit::commit(&mut transaction, commit).await?);
    }
    if outcomes.iter().all(|outcome| *outcome == CommitOutcome::Stale) {
        transaction.end().await?;
    } else {
        transaction.commit().await?;
    }
    Ok(outcomes)
}
