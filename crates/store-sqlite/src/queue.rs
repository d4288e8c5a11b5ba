//! Commits that wait at the same time share a transaction, so that one flush to the disk makes all of them durable.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use service_core::{Commit, CommitOutcome, StoreError, StoreErrorKind};
use sqlx::SqlitePool;
use tokio::sync::oneshot;
use tracing::{Instrument as _, Span};

use crate::commit;
use crate::store::PATIENCE;
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
    since: Instant,
    /// What the caller is doing.
    span: Span,
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
            let (since, span) = (Instant::now(), Span::current());
            waiting.commits.push_back(Wanted { commit, since, span, answer });
            std::mem::replace(&mut waiting.is_served, true)
        };
        if !is_served {
            let mut serving = Serving { queue: Arc::clone(self), has_ended: false };
            let writer = writer.clone();
            tokio::spawn(async move {
                while serving.goes_on() {
                    let attempt = Instant::now();
                    // Whoever comes while this waits is made with the others.
                    match Transaction::write(&writer).instrument(serving.span()).await {
                        Ok(transaction) => make(&writer, transaction, serving.next()).await,
                        Err(fault) => refuse(serving.out_of_patience(attempt), &fault),
                    }
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
    /// Whether somebody waits. If not, another task may serve from that moment on.
    fn goes_on(&mut self) -> bool {
        let mut waiting = self.queue.waiting();
        waiting.commits.retain(|wanted| !wanted.answer.is_closed());
        waiting.is_served = !waiting.commits.is_empty();
        self.has_ended = !waiting.is_served;
        waiting.is_served
    }

    /// What the caller is doing who has waited longest: what is done for all is done for that one first.
    fn span(&self) -> Span {
        self.queue.waiting().commits.front().map_or_else(Span::none, |wanted| wanted.span.clone())
    }

    /// The next commits that somebody waits for.
    fn next(&self) -> Vec<Wanted> {
        let mut waiting = self.queue.waiting();
        waiting.commits.retain(|wanted| !wanted.answer.is_closed());
        let count = waiting.commits.len().min(MOST);
        waiting.commits.drain(..count).collect()
    }

    /// The commits that have waited for an attempt to write that failed, or for as long as a write waits for other processes. So
    /// none waits for two attempts that are both long.
    fn out_of_patience(&self, attempt: Instant) -> Vec<Wanted> {
        let mut waiting = self.queue.waiting();
        let has_waited = |wanted: &Wanted| wanted.since <= attempt || wanted.since.elapsed() >= PATIENCE;
        // They stand in the order in which they came.
        let count = waiting.commits.partition_point(has_waited);
        waiting.commits.drain(..count).collect()
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
async fn make(writer: &SqlitePool, transaction: Transaction, batch: Vec<Wanted>) {
    let commits: Vec<_> = batch.iter().map(|wanted| (&wanted.commit, &wanted.span)).collect();
    match together(transaction, &commits).await {
        Ok(outcomes) => {
            for (Wanted { answer, .. }, outcome) in batch.into_iter().zip(outcomes) {
                // Whoever went away meanwhile wants no answer.
                let _ = answer.send(Ok(outcome));
            }
        }
        // Nothing happened, because of one of them: the others are made without it.
        Err(fault) if batch.len() > 1 && is_of_one(&fault) => {
            for Wanted { commit, span, answer, .. } in batch {
                let _ = answer.send(alone(writer, &commit, &span).await);
            }
        }
        Err(fault) => refuse(batch, &fault),
    }
}

/// Tells those who wait of a failure that is none of their own.
fn refuse(batch: Vec<Wanted>, fault: &StoreError) {
    let source = fault.source().map_or_else(|| fault.to_string(), ToString::to_string);
    for Wanted { answer, .. } in batch {
        let _ = answer.send(Err(StoreError::new(fault.kind(), source.clone())));
    }
}

async fn alone(writer: &SqlitePool, commit: &Commit, span: &Span) -> Result<CommitOutcome, StoreError> {
    let outcomes = together(Transaction::write(writer).await?, &[(commit, span)]).await?;
    Ok(outcomes.first().copied().unwrap_or(CommitOutcome::Stale))
}

/// Whether a failure may be due to one commit, and not to the file or who else uses it.
fn is_of_one(fault: &StoreError) -> bool {
    matches!(fault.kind(), StoreErrorKind::Internal | StoreErrorKind::Corrupt)
}

/// Makes commits in one transaction, each on what those before it left: all of them, as far as they are not stale, or none. The
/// statements of each belong to its caller's span; those that end the transaction, to the first one's.
async fn together(
    mut transaction: Transaction,
    commits: &[(&Commit, &Span)],
) -> Result<Vec<CommitOutcome>, StoreError> {
    let first = commits.first().map_or_else(Span::none, |(_, span)| Span::clone(span));
    let mut outcomes = Vec::new();
    for (commit, span) in commits {
        let made = commit::commit(&mut transaction, commit).instrument(Span::clone(span));
        outcomes.push(made.await?);
    }
    if outcomes.iter().all(|outcome| *outcome == CommitOutcome::Stale) {
        transaction.end().instrument(first).await?;
    } else {
        transaction.commit().instrument(first).await?;
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use service_core::{
        Caller, CatalogDocument, CreateService, Facts, FactsQuery, Grants, Operations, OrganizationId,
        Repository, Revision, ServiceId, Timestamp, rules,
    };
    use tempfile::TempDir;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::SqliteStore;

    const CATALOG: &str = r#"{"organizations": [{
        "id": "acme",
        "agents": [{"id": "000000000000000000000001", "latest_version": 1}],
        "state_machines": [{"id": "000000000000000000000002", "latest_version": 1}]
    }]}"#;

    fn acme() -> OrganizationId {
        "acme".parse().unwrap()
    }

    /// A store, and the facts that creates rest on.
    async fn store() -> (SqliteStore, Facts, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("services.db")).await.unwrap();
        store.migrate().await.unwrap();
        store.apply_catalog(&CatalogDocument::parse(CATALOG.as_bytes()).unwrap()).await.unwrap();
        let query = FactsQuery {
            agents: vec!["000000000000000000000001".parse().unwrap()],
            state_machines: vec!["000000000000000000000002".parse().unwrap()],
            ..FactsQuery::default()
        };
        let facts = store.facts(&acme(), &query).await.unwrap().unwrap();
        (store, facts, directory)
    }

    fn create(facts: &Facts, number: u8, name: &str) -> Commit {
        let grant = |name: &str| {
            serde_json::from_value(serde_json::json!({"permission_name": format!("Service:{name}")})).unwrap()
        };
        let caller = Caller {
            principal: serde_json::from_value(serde_json::json!({"organization": "acme", "user": "alice"}))
                .unwrap(),
            grants: Grants::new(["CreateService", "CreateVersionSet"].map(grant)).unwrap(),
        };
        let request = CreateService {
            name: name.parse().unwrap(),
            description: "what it does".parse().unwrap(),
            is_active: true,
            agent_id: "000000000000000000000001".parse().unwrap(),
            state_machine_id: "000000000000000000000002".parse().unwrap(),
            tags: Default::default(),
            keyterms: Default::default(),
            release: None,
        };
        let id = ServiceId::from_bytes([number; 12]);
        let draft =
            rules::decide_create(facts, &acme(), &request, &caller, id, Timestamp::UNIX_EPOCH).unwrap();
        Commit { draft, expected: None, catalog_revision: facts.catalog_revision }
    }

    type Outcome = JoinHandle<Result<CommitOutcome, StoreError>>;

    /// Commits that all wait: on this runtime of one thread, none is made before the last has come.
    fn at_once(store: &SqliteStore, commits: impl IntoIterator<Item = Commit>) -> Vec<Outcome> {
        let commit = |commit| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(commit).await })
        };
        commits.into_iter().map(commit).collect()
    }

    fn committed(revision: i64) -> CommitOutcome {
        CommitOutcome::Committed(Revision::new(revision).unwrap())
    }

    #[tokio::test]
    async fn commits_that_wait_share_transactions_and_keep_their_order() {
        let (store, facts, _directory) = store().await;
        let transactions = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&transactions);
        store.writer.acquire().await.unwrap().lock_handle().await.unwrap().set_commit_hook(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            true
        });
        let count = 2 * u8::try_from(MOST).unwrap();
        let commits = (1..=count).map(|number| create(&facts, number, &format!("service {number}")));
        for (outcome, revision) in at_once(&store, commits).into_iter().zip(1..) {
            assert_eq!(outcome.await.unwrap().unwrap(), committed(revision));
        }
        assert_eq!(transactions.load(Ordering::SeqCst), 2);
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn each_is_decided_on_what_those_before_it_left() {
        let (store, facts, _directory) = store().await;
        let commits = [create(&facts, 1, "taken"), create(&facts, 2, "taken"), create(&facts, 3, "free")];
        let mut outcomes = Vec::new();
        for outcome in at_once(&store, commits) {
            outcomes.push(outcome.await.unwrap().unwrap());
        }
        assert_eq!(outcomes, [committed(1), CommitOutcome::Stale, committed(2)]);
    }

    #[tokio::test]
    async fn one_that_fails_is_in_nobodys_way() {
        let (store, facts, _directory) = store().await;
        let first = at_once(&store, [create(&facts, 1, "first")]).remove(0);
        assert_eq!(first.await.unwrap().unwrap(), committed(1));
        sqlx::query("UPDATE history SET body = '{'").execute(&store.writer).await.unwrap();
        let commits = [create(&facts, 2, "second"), create(&facts, 1, "damaged"), create(&facts, 3, "third")];
        let mut outcomes = Vec::new();
        for outcome in at_once(&store, commits) {
            outcomes.push(outcome.await.unwrap().map_err(|fault| fault.kind()));
        }
        assert_eq!(outcomes, [Ok(committed(2)), Err(StoreErrorKind::Corrupt), Ok(committed(3))]);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_begun_and_leaves_the_queue_in_order() {
        let (store, facts, _directory) = store().await;
        let held = store.writer.acquire().await.unwrap();
        let gone = at_once(&store, (1..=5).map(|number| create(&facts, number, &format!("gone {number}"))));
        tokio::task::yield_now().await;
        gone.iter().for_each(JoinHandle::abort);
        drop(held);
        let kept = at_once(&store, [create(&facts, 9, "kept")]).remove(0).await.unwrap().unwrap();
        let CommitOutcome::Committed(revision) = kept else { panic!("{kept:?}") };
        let history = store.history(&acme(), Revision::ZERO, 100).await.unwrap().unwrap();
        assert_eq!(history.len(), usize::try_from(revision.get()).unwrap());
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn none_waits_for_two_attempts_that_are_both_long() {
        let (_store, facts, _directory) = store().await;
        let (queue, now) = (Arc::<Queue>::default(), Instant::now());
        let serving = Serving { queue: Arc::clone(&queue), has_ended: true };
        let came = [now - PATIENCE - PATIENCE, now - PATIENCE, now];
        let mut outcomes = Vec::new();
        for (since, number) in came.into_iter().zip(1..) {
            let (answer, outcome) = oneshot::channel();
            let commit = create(&facts, number, &format!("service {number}"));
            queue.waiting().commits.push_back(Wanted { commit, since, span: Span::none(), answer });
            outcomes.push(outcome);
        }
        // An attempt that began between the first two has failed just now.
        let refused = serving.out_of_patience(now - PATIENCE - PATIENCE / 2);
        assert_eq!(refused.iter().map(|wanted| wanted.since).collect::<Vec<_>>(), came[..2]);
        // One that failed at once is of those who were there when it began.
        assert_eq!(serving.out_of_patience(now).len(), 1);
        assert_eq!(queue.waiting().commits.len(), 0);
    }

    #[tokio::test]
    async fn a_closed_store_fails_every_commit_that_waits() {
        let (store, facts, _directory) = store().await;
        store.close().await;
        for outcome in
            at_once(&store, (1..=3).map(|number| create(&facts, number, &format!("late {number}"))))
        {
            assert_eq!(outcome.await.unwrap().unwrap_err().kind(), StoreErrorKind::Unavailable);
        }
    }
}
