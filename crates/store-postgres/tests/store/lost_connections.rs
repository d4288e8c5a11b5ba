//! Connections that are lost, servers that are not there, and callers that go away.

use std::error::Error;
use std::time::{Duration, Instant};

use service_core::{
    Access, CatalogDocument, ContinuationToken, Operations, Principal, Repository, Revision, StoreError,
    StoreErrorKind,
};
use sqlx::Connection;
use store_postgres::PostgresStore;
use test_postgres::{Cluster, Crash, Durability};
use tokio::net::TcpListener;

use crate::proxy::{Gate, Proxy};
use crate::support::{
    CATALOG, acme, beside, committed, create, creation, listing, quiet, renaming, revision, run, service_id,
    state, store, terminate, terminate_others, waiting, with,
};

const LOCK: &str =
    "BEGIN; SELECT * FROM service_registry.organizations WHERE organization = 'acme' FOR UPDATE";

/// Opens as many connections as a store may.
async fn warm(store: &PostgresStore) {
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { revision(&store).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_restart_between_calls_goes_unnoticed() {
    let (direct, database) = store().await;
    create(&direct, service_id(1), "first").await;
    let store = PostgresStore::open(&with(&database, "max-connections=3")).await.unwrap();
    let mut operator = beside(&database).await;
    let mut ended = 0;
    let mut restart = async || {
        warm(&store).await;
        ended += terminate_others(&mut operator).await;
    };
    let alice = Principal { organization: acme(), user: "alice".parse().unwrap() };

    restart().await;
    assert!(state(&store, service_id(1)).await.is_some());
    restart().await;
    store.list(&acme(), &listing(&["+name"], &["team:red"], ContinuationToken::START)).await.unwrap();
    restart().await;
    store.organization(&acme()).await.unwrap().unwrap();
    restart().await;
    store.standing(&acme(), &alice).await.unwrap();
    restart().await;
    store.history(&acme(), Revision::default(), 2).await.unwrap().unwrap();
    restart().await;
    store.ready().await.unwrap();
    restart().await;
    assert!(!store.maintenance().await.unwrap());
    let commit = renaming(&store, service_id(1), "second").await;
    restart().await;
    committed(store.commit(commit).await);
    restart().await;
    store.apply_catalog(&CatalogDocument::parse(CATALOG.as_bytes()).unwrap()).await.unwrap();
    restart().await;
    store.set_maintenance(false).await.unwrap();
    assert!(ended > 10, "{ended} connections were ended");
}

#[tokio::test]
async fn a_connection_lost_within_a_write_means_that_nothing_happened() {
    let (store, database) = store().await;
    create(&store, service_id(1), "before").await;
    let (mut locking, mut operator) = (beside(&database).await, beside(&database).await);
    run(&mut locking, LOCK).await;
    let commit = renaming(&store, service_id(1), "after").await;
    let writer = store.clone();
    let writing = tokio::spawn(async move { writer.commit(commit).await });
    let pid = waiting(&mut operator).await;
    terminate(&mut operator, pid).await;
    let error = writing.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    run(&mut locking, "ROLLBACK").await;
    assert_eq!(state(&store, service_id(1)).await, Some((1, "before".to_owned())));
    assert_eq!(revision(&store).await, 1);
    committed(store.commit(renaming(&store, service_id(1), "after").await).await);
}

#[tokio::test]
async fn a_connection_lost_at_commit_leaves_the_outcome_to_be_found_out() {
    let (direct, database) = store().await;
    create(&direct, service_id(1), "before").await;
    let proxy = Proxy::before(&database).await;
    let store = PostgresStore::open(proxy.url()).await.unwrap();
    for (gate, happened) in [(Gate::CutBefore, false), (Gate::CutAfter, true)] {
        let before = revision(&direct).await;
        let commit = renaming(&store, service_id(1), &format!("{gate:?}")).await;
        proxy.set(gate);
        let error = store.commit(commit).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::OutcomeUnknown, "{error:?}");
        assert!(!error.is_retryable());
        proxy.set(Gate::Open);
        // The server may not have noticed yet.
        quiet(&mut beside(&database).await).await;
        let (now, name) = state(&store, service_id(1)).await.unwrap();
        assert_eq!(now, before + i64::from(happened));
        assert_eq!(name == format!("{gate:?}"), happened);
        assert_eq!(revision(&direct).await, now);
    }
    // The same for the catalog, and for creating.
    let commit = creation(&store, service_id(2), "created").await;
    proxy.set(Gate::CutAfter);
    assert_eq!(store.commit(commit).await.unwrap_err().kind(), StoreErrorKind::OutcomeUnknown);
    proxy.set(Gate::CutBefore);
    let document = r#"{"llms": [{"name": "llm one"}]}"#;
    let document = CatalogDocument::parse(document.as_bytes()).unwrap();
    match store.apply_catalog(&document).await {
        Err(service_core::CatalogError::Store(error)) => {
            assert_eq!(error.kind(), StoreErrorKind::OutcomeUnknown);
        }
        outcome => panic!("{outcome:?}"),
    }
    proxy.set(Gate::Open);
    assert_eq!(state(&store, service_id(2)).await, Some((3, "created".to_owned())));
    assert!(store.llms().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_no_lock_and_no_connection_in_doubt() {
    let (direct, database) = store().await;
    create(&direct, service_id(1), "before").await;
    // One connection: it is the one that is left behind.
    let store = PostgresStore::open(&with(&database, "max-connections=1")).await.unwrap();
    let (mut locking, mut operator) = (beside(&database).await, beside(&database).await);
    run(&mut locking, LOCK).await;
    let commit = renaming(&store, service_id(1), "abandoned").await;
    let writer = store.clone();
    let writing = tokio::spawn(async move { writer.commit(commit).await });
    waiting(&mut operator).await;
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    // Nobody waits for its end to read.
    assert_eq!(state(&store, service_id(1)).await, Some((1, "before".to_owned())));
    run(&mut locking, "ROLLBACK").await;
    assert_eq!(committed(store.commit(renaming(&store, service_id(1), "after").await).await).get(), 2);
    locking.close().await.unwrap();
    quiet(&mut operator).await;
    assert_eq!(revision(&store).await, 2);
}

/// The failure to open a store, and how long it took.
async fn failure(url: &str) -> (StoreError, Duration) {
    let begun = Instant::now();
    let error = PostgresStore::open(url).await.unwrap_err();
    (error, begun.elapsed())
}

/// All that an error says.
fn chain(error: &StoreError) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn a_server_that_is_not_there_is_soon_told() {
    // Taken, so that nobody else listens there, and given back.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    drop(listener);
    let (error, took) = failure(&format!("postgres://alice:secret@{place}/registry")).await;
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let text = chain(&error);
    assert!(text.contains("refused") && !text.contains("secret"), "{text}");
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://alice:secret@{}/registry", silent.local_addr().unwrap());
    let (error, took) = failure(&url).await;
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[tokio::test]
async fn a_database_or_a_password_that_is_wrong_is_told_at_once() {
    let (_store, database) = store().await;
    let nowhere = database.url().replace(database.name(), "registry_test_nowhere");
    let (error, took) = failure(&nowhere).await;
    assert_eq!(error.kind(), StoreErrorKind::Internal, "{error:?}");
    assert!(chain(&error).contains("\"registry_test_nowhere\" does not exist"), "{}", chain(&error));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_server_that_goes_is_told_of_before_the_patience_with_a_busy_one_is_over_and_found_when_it_is_back()
{
    let mut cluster = Cluster::start(Durability::Kept).unwrap();
    let store = PostgresStore::open(cluster.url()).await.unwrap();
    store.migrate().await.unwrap();
    for how in [Crash::Immediate, Crash::Killed] {
        cluster.crash(how).unwrap();
        let asked = tokio::time::timeout(Duration::from_secs(8), store.maintenance()).await;
        let error = asked.expect("long before the pool gives up").unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
        assert!(chain(&error).contains("no connection to the database: "), "{}", chain(&error));
        cluster.restart().unwrap();
        assert!(!store.maintenance().await.unwrap());
    }
}

#[tokio::test]
async fn connections_that_are_at_work_are_waited_for() {
    let (direct, database) = store().await;
    create(&direct, service_id(1), "before").await;
    let store = PostgresStore::open(&with(&database, "max-connections=1")).await.unwrap();
    let (mut locking, mut operator) = (beside(&database).await, beside(&database).await);
    run(&mut locking, LOCK).await;
    let commit = renaming(&store, service_id(1), "after").await;
    let writer = store.clone();
    let writing = tokio::spawn(async move { writer.commit(commit).await });
    waiting(&mut operator).await;
    let mut asking = std::pin::pin!(store.maintenance());
    let longer_than_a_moment = Duration::from_millis(1500);
    assert!(tokio::time::timeout(longer_than_a_moment, &mut asking).await.is_err());
    run(&mut locking, "ROLLBACK").await;
    committed(writing.await.unwrap());
    assert!(!asking.await.unwrap());
}
