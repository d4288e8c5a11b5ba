//! Files and schemas.

use std::error::Error;

use service_core::{Operations, Repository, StoreError, StoreErrorKind};
use sqlx::Connection;
use store_sqlite::SqliteStore;

use crate::support::Pair;

fn cause(error: &StoreError) -> String {
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let pair = Pair::new().await;
    let before = pair.dump().await;
    pair.store.migrate().await.unwrap();
    pair.store.ready().await.unwrap();
    assert_eq!(pair.dump().await, before);
}

#[tokio::test]
async fn a_file_without_a_schema_is_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("services.db")).await.unwrap();
    let error = store.ready().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Schema);
    assert_eq!(cause(&error), "the database lacks migration 1: migrate it");
    store.migrate().await.unwrap();
    store.ready().await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let pair = Pair::new().await;
    let mut beside = pair.beside().await;
    sqlx::query("INSERT INTO migrations (version, sql) VALUES (2, 'of tomorrow')")
        .execute(&mut beside)
        .await
        .unwrap();
    let before = pair.dump().await;
    for refused in [pair.store.ready().await, pair.store.migrate().await] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Schema);
        assert_eq!(
            cause(&error),
            "the database has migration 2, this program knows only 1: use a newer program"
        );
    }
    assert_eq!(pair.dump().await, before);
    beside.close().await.unwrap();
}

#[tokio::test]
async fn a_schema_with_a_gap_is_refused_for_that() {
    let pair = Pair::new().await;
    let mut beside = pair.beside().await;
    for (statement, wrong) in
        [("UPDATE migrations SET version = 2", 2), ("UPDATE migrations SET version = 0", 0)]
    {
        sqlx::query(statement).execute(&mut beside).await.unwrap();
        for refused in [pair.store.ready().await, pair.store.migrate().await] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Schema);
            let wanted = format!("the database has migration {wrong} where migration 1 belongs");
            assert_eq!(cause(&error), wanted);
        }
    }
    beside.close().await.unwrap();
}

#[tokio::test]
async fn a_schema_made_by_another_program_is_refused() {
    let pair = Pair::new().await;
    let mut beside = pair.beside().await;
    sqlx::query("UPDATE migrations SET sql = sql || ' '").execute(&mut beside).await.unwrap();
    for refused in [pair.store.ready().await, pair.store.migrate().await] {
        assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Schema);
    }
    beside.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_open_and_migrate_one_new_file_at_once_all_succeed() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("services.db");
        let opening = (0..4).map(|_| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = SqliteStore::open(path).await?;
                store.migrate().await?;
                store.ready().await
            })
        });
        for task in opening.collect::<Vec<_>>() {
            task.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn the_file_is_durable_by_default() {
    let pair = Pair::new().await;
    let mut beside = pair.beside().await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut beside).await.unwrap();
    assert_eq!(mode, "wal");
    beside.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("services.db");
    let text = "not a database, but long enough that it could be one. ".repeat(40);
    std::fs::write(&path, &text).unwrap();
    assert_eq!(SqliteStore::open(&path).await.unwrap_err().kind(), StoreErrorKind::Corrupt);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_place_that_is_not_there_is_unavailable() {
    let directory = tempfile::tempdir().unwrap();
    let error = SqliteStore::open(directory.path().join("nowhere/services.db")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn maintenance_is_in_force_for_all_who_use_the_file() {
    let pair = Pair::new().await;
    let other = SqliteStore::open(pair.path()).await.unwrap();
    assert!(!other.maintenance().await.unwrap());
    pair.store.set_maintenance(true).await.unwrap();
    assert!(other.maintenance().await.unwrap());
    other.set_maintenance(false).await.unwrap();
    assert!(!pair.store.maintenance().await.unwrap());
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let pair = Pair::new().await;
    pair.store.clone().close().await;
    assert_eq!(pair.store.llms().await.unwrap_err().kind(), StoreErrorKind::Unavailable);
}
