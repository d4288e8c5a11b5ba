//! How the schema comes about, and where it does not.

use std::error::Error;

use service_core::{Operations, StoreError, StoreErrorKind};
use sqlx::Connection;
use store_postgres::PostgresStore;
use test_postgres::Database;

use crate::support::{CATALOG, apply, beside, create, database, revision, run, service_id, with};

async fn open(database: &Database) -> PostgresStore {
    PostgresStore::open(&with(database, "max-connections=2")).await.unwrap()
}

/// The line that says why a database is refused.
fn line(refused: Result<(), StoreError>) -> String {
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Schema, "{error:?}");
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn eight_that_find_an_empty_database_all_come_up_and_one_migrates() {
    let database = Database::empty().await;
    let migrating: Vec<_> = (0..8)
        .map(|_| {
            let url = with(&database, "max-connections=2");
            tokio::spawn(async move {
                let store = PostgresStore::open(&url).await.unwrap();
                store.migrate().await.unwrap();
                store.ready().await.unwrap();
                store
            })
        })
        .collect();
    let mut stores = Vec::new();
    for migrating in migrating {
        stores.push(migrating.await.unwrap());
    }
    let mut connection = beside(&database).await;
    // The steps, and the rows that the first step makes: none was made twice, nor lost.
    let applied = "SELECT (SELECT count(*) FROM service_registry.migrations),
         (SELECT count(*) FROM service_registry.settings),
         (SELECT count(DISTINCT xmin::text) FROM service_registry.migrations)";
    let applied: (i64, i64, i64) = sqlx::query_as(applied).fetch_one(&mut connection).await.unwrap();
    assert_eq!(applied, (1, 1, 1));
    apply(&stores[0], CATALOG).await;
    assert_eq!(create(&stores[7], service_id(1), "a name").await.get(), 1);
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let database = database().await;
    let mut connection = beside(&database).await;
    run(&mut connection, "INSERT INTO service_registry.migrations VALUES (2, 'what is to come')").await;
    let store = open(&database).await;
    for refused in [store.migrate().await, store.ready().await] {
        let expected = "the database has migration 2, this program knows only 1: use a newer program";
        assert_eq!(line(refused), expected);
    }
    let count = "SELECT count(*) FROM service_registry.migrations";
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut connection).await.unwrap(), 2);
}

#[tokio::test]
async fn an_empty_database_lacks_the_first_migration() {
    let database = Database::empty().await;
    let store = open(&database).await;
    assert!(!store.has_schema().await.unwrap());
    assert!(line(store.ready().await).contains("lacks migration 1"));
    store.migrate().await.unwrap();
    assert!(store.has_schema().await.unwrap());
    store.ready().await.unwrap();
}

#[tokio::test]
async fn an_encoding_that_does_not_hold_all_text_is_refused_and_nothing_is_left() {
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let database = Database::made(&format!("ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")).await;
        let store = open(&database).await;
        let expected = format!("the database has the encoding {encoding}: create one with the encoding UTF8");
        assert_eq!(line(store.migrate().await), expected);
        assert!(!store.has_schema().await.unwrap());
        let schema = "SELECT to_regnamespace('service_registry') IS NULL";
        let mut connection = beside(&database).await;
        assert!(sqlx::query_scalar::<_, bool>(schema).fetch_one(&mut connection).await.unwrap());
    }
}

#[tokio::test]
async fn a_user_who_owns_the_schema_needs_no_other_right() {
    let database = Database::empty().await;
    let mut administrator = beside(&database).await;
    let user = format!("user_of_{}", database.name());
    run(&mut administrator, &format!("CREATE ROLE {user}")).await;
    run(&mut administrator, "REVOKE ALL ON SCHEMA public FROM public").await;
    let store = PostgresStore::open(&with(&database, &format!("max-connections=2&options[role]={user}")))
        .await
        .unwrap();
    let error = store.migrate().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Internal);
    assert!(format!("{error:?}").contains("permission denied for database"), "{error:?}");

    run(&mut administrator, &format!("CREATE SCHEMA service_registry AUTHORIZATION {user}")).await;
    store.migrate().await.unwrap();
    store.ready().await.unwrap();
    apply(&store, CATALOG).await;
    assert_eq!(create(&store, service_id(1), "a name").await.get(), 1);
    assert_eq!(revision(&store).await, 1);
    store.close().await;
    run(&mut administrator, &format!("DROP OWNED BY {user}; DROP ROLE {user}")).await;
    administrator.close().await.unwrap();
}
