//! Databases for tests.

use service_core::Operations;
use store_postgres::PostgresStore;
use test_postgres::{Database, Template};

/// A migrated database of a test's own.
pub(crate) async fn database() -> Database {
    let version = include_str!("../../migrations/0001_registry.sql");
    Database::migrated(Template { name: "registry", version }, |url| async move {
        let store = PostgresStore::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        store.close().await;
    })
    .await
}
