//! Locks of others: who waits, who is made to give up, and who sees what.

use service_core::{
    CatalogDocument, CatalogRevision, Commit, CommitOutcome, Operations, Repository, ServiceId,
    StoreErrorKind,
};
use sqlx::PgConnection;
use sqlx::postgres::PgPoolOptions;
use store_postgres::PostgresStore;
use test_postgres::Database;

use crate::proxy::{Gate, Proxy};
use crate::support::{
    acme, apply, beside, committed, create, creation, renaming, retagging, revision, run, service_id, state,
    store, waiting, with,
};

/// A connection that is never chosen to give up: whoever else is in a deadlock with it looks for that first.
async fn stubborn(database: &Database) -> PgConnection {
    let mut connection = beside(database).await;
    run(&mut connection, "SET deadlock_timeout = '10min'; BEGIN").await;
    connection
}

const LOCK: &str = "SELECT * FROM service_registry.organizations WHERE organization = 'acme' FOR UPDATE";

#[tokio::test]
async fn a_commit_that_a_deadlock_ends_is_made_again() {
    let (store, database) = store().await;
    create(&store, service_id(1), "before").await;
    let (mut other, mut operator) = (stubborn(&database).await, beside(&database).await);
    run(&mut other, "SELECT * FROM service_registry.services FOR UPDATE").await;
    let commit = renaming(&store, service_id(1), "after").await;
    let writer = store.clone();
    let writing = tokio::spawn(async move { writer.commit(commit).await });
    // It holds the guard and waits for the service, for which the other now waits.
    waiting(&mut operator).await;
    run(&mut other, LOCK).await;
    run(&mut other, "COMMIT").await;
    assert_eq!(committed(writing.await.unwrap()).get(), 2);
    assert_eq!(deadlocks(&mut operator).await, 1);
    assert_eq!(state(&store, service_id(1)).await, Some((2, "after".to_owned())));
}

#[tokio::test]
async fn a_catalog_change_that_a_deadlock_ends_is_made_again() {
    let (store, database) = store().await;
    apply(&store, r#"{"organizations": [{"id": "zebra"}]}"#).await;
    let (mut other, mut operator) = (stubborn(&database).await, beside(&database).await);
    let lock = "SELECT * FROM service_registry.organizations WHERE organization = 'zebra' FOR UPDATE";
    run(&mut other, lock).await;
    let document = r#"{"organizations": [
        {"id": "acme", "users": [{"id": "bob"}]}, {"id": "zebra", "users": [{"id": "bob"}]}]}"#;
    let document = CatalogDocument::parse(document.as_bytes()).unwrap();
    let writer = store.clone();
    let writing = tokio::spawn(async move { writer.apply_catalog(&document).await });
    waiting(&mut operator).await;
    run(&mut other, LOCK).await;
    run(&mut other, "COMMIT").await;
    assert_eq!(writing.await.unwrap().unwrap().organizations.len(), 2);
    assert_eq!(deadlocks(&mut operator).await, 1);
    assert_eq!(store.organization(&acme()).await.unwrap().unwrap().catalog_revision.get(), 2);
}

/// How many deadlocks the server has ended in the database.
async fn deadlocks(connection: &mut PgConnection) -> i64 {
    loop {
        let count = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut *connection).await.unwrap();
        // The statistics follow when the session that was ended is idle.
        if count > 0 {
            return count;
        }
    }
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_makes_the_store_unavailable() {
    let (store, database) = store().await;
    let mut other = stubborn(&database).await;
    run(&mut other, LOCK).await;
    let error = store.commit(creation(&store, service_id(1), "a name").await).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(format!("{error:?}").contains("55P03"), "{error:?}");
    run(&mut other, "ROLLBACK").await;
    assert_eq!(state(&store, service_id(1)).await, None);
    assert_eq!(create(&store, service_id(1), "a name").await.get(), 1);
}

#[tokio::test]
async fn a_commit_that_waits_sees_what_the_one_before_it_committed() {
    let (store, database) = store().await;
    create(&store, service_id(1), "before").await;
    let proxy = Proxy::before(&database).await;
    let first = PostgresStore::open(proxy.url()).await.unwrap();
    let (one, another) =
        (renaming(&store, service_id(1), "one").await, renaming(&store, service_id(1), "another").await);
    proxy.heard();
    proxy.set(Gate::Closed);
    let writing = tokio::spawn(async move { first.commit(one).await });
    proxy.commit_heard().await;
    let second = store.clone();
    let late = tokio::spawn(async move { second.commit(another).await });
    waiting(&mut beside(&database).await).await;
    // What is under way holds up nobody who reads.
    assert_eq!(state(&store, service_id(1)).await, Some((1, "before".to_owned())));
    proxy.set(Gate::Open);
    assert_eq!(committed(writing.await.unwrap()).get(), 2);
    assert_eq!(late.await.unwrap().unwrap(), CommitOutcome::Stale);
    assert_eq!(state(&store, service_id(1)).await, Some((2, "one".to_owned())));
    assert_eq!(revision(&store).await, 2);
}

#[tokio::test]
async fn a_catalog_change_between_what_a_commit_reads_and_what_it_writes_makes_it_stale() {
    let (store, database) = store().await;
    create(&store, service_id(1), "a name").await;
    for commit in [creation(&store, service_id(2), "another").await, retagging(&store, service_id(1)).await] {
        let mut other = beside(&database).await;
        // Who reads does not wait for this, and who writes does.
        run(&mut other, "BEGIN; LOCK TABLE service_registry.organizations IN SHARE MODE").await;
        let writer = store.clone();
        let commit = Commit { catalog_revision: catalog_revision(&store).await, ..commit };
        let writing = tokio::spawn(async move { writer.commit(commit).await });
        waiting(&mut beside(&database).await).await;
        let moves =
            "UPDATE service_registry.organizations SET catalog_revision = catalog_revision + 1; COMMIT";
        run(&mut other, moves).await;
        assert_eq!(writing.await.unwrap().unwrap(), CommitOutcome::Stale);
        assert_eq!(revision(&store).await, 1);
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }
}

async fn catalog_revision(store: &PostgresStore) -> CatalogRevision {
    store.organization(&acme()).await.unwrap().unwrap().catalog_revision
}

#[tokio::test]
async fn a_name_that_is_taken_behind_the_guards_back_makes_a_commit_stale() {
    let (own, database) = store().await;
    name_taken_behind_the_guards_back(&own, &database).await;
}

#[tokio::test]
async fn a_name_that_is_taken_behind_the_guards_back_makes_a_commit_in_a_transaction_stale() {
    let (_own, database) = store().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(database.url()).await.unwrap();
    name_taken_behind_the_guards_back(&PostgresStore::with_pool(pool), &database).await;
}

async fn name_taken_behind_the_guards_back(store: &PostgresStore, database: &Database) {
    let commit = creation(store, service_id(1), "a name").await;
    let mut other = stubborn(database).await;
    let taken =
        "INSERT INTO service_registry.history VALUES ('acme', 4711, '\\x000000000000000000000001', 'a name', true, '{}');
         INSERT INTO service_registry.services VALUES ('acme', '\\x000000000000000000000001', 'a name', true,
             '\\x000000000000000000000001', '\\x000000000000000000000001', '{}', 4711)";
    run(&mut other, taken).await;
    let writer = store.clone();
    let writing = tokio::spawn(async move { writer.commit(commit).await });
    waiting(&mut beside(database).await).await;
    run(&mut other, "COMMIT").await;
    assert_eq!(writing.await.unwrap().unwrap(), CommitOutcome::Stale);
    assert_eq!(state(store, service_id(1)).await, None);
    assert_eq!(revision(store).await, 0);
}

#[tokio::test]
async fn writers_of_several_processes_lose_and_skip_no_revision() {
    const EACH: usize = 6;
    let (store, database) = store().await;
    create(&store, service_id(0), "shared").await;
    let mut writers = Vec::new();
    for process in 0..3_u32 {
        let store = PostgresStore::open(&with(&database, "max-connections=2")).await.unwrap();
        for task in 0..2_u32 {
            let (store, own) = (store.clone(), process * 2 + task + 1);
            writers.push(tokio::spawn(async move {
                create(&store, service_id(own), &format!("of {own}")).await;
                for round in 0..EACH {
                    let name = format!("round {round} of {own}");
                    rename(&store, service_id(0), &name).await;
                    rename(&store, service_id(own), &format!("own {name}")).await;
                }
            }));
        }
    }
    let count = writers.len() * (1 + 2 * EACH) + 1;
    for writer in writers {
        writer.await.unwrap();
    }
    let history = store.history(&acme(), Default::default(), 1000).await.unwrap().unwrap();
    let revisions: Vec<i64> = history.iter().map(|service| service.revision.get()).collect();
    assert_eq!(revisions, (1..=i64::try_from(count).unwrap()).collect::<Vec<_>>());
    let shared = history.iter().filter(|service| service.id == service_id(0));
    let names: Vec<&str> = shared.skip(1).map(|service| service.name.as_str()).collect();
    for own in 1..=6 {
        let of_one: Vec<&str> =
            names.iter().copied().filter(|name| name.ends_with(&format!(" of {own}"))).collect();
        let expected: Vec<String> = (0..EACH).map(|round| format!("round {round} of {own}")).collect();
        assert_eq!(of_one, expected);
    }
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

/// Renames a service, however often somebody else is quicker.
async fn rename(store: &PostgresStore, id: ServiceId, name: &str) {
    loop {
        let commit = renaming(store, id, name).await;
        if let CommitOutcome::Committed(_) = store.commit(commit).await.unwrap() {
            return;
        }
    }
}
