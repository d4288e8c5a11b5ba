//! Fresh stores of every built-in kind.

use std::sync::Arc;

use service_core::{Access, Operations, Repository};
use store_conformance::{Fresh, Store};
use store_memory::MemoryStore;
use store_postgres::PostgresStore;
use store_sqlite::SqliteStore;
use test_postgres::{Database, Template};

/// One in memory.
pub async fn memory() -> Store {
    Store::new(MemoryStore::new())
}

/// One on SQLite, in a directory that goes with it.
pub async fn sqlite() -> Store {
    let directory = tempfile::tempdir().expect("a directory for a database");
    let store = SqliteStore::open(directory.path().join("store.sqlite")).await.expect("a database");
    store.migrate().await.expect("a schema");
    Store::new(store).keeping(directory)
}

/// One on PostgreSQL, in a database that goes with it.
pub async fn postgres() -> Store {
    let version = include_str!("../../crates/store-postgres/migrations/0001_registry.sql");
    let database = Database::migrated(Template { name: "registry", version }, |url| async move {
        let store = PostgresStore::open(&url).await.expect("a database");
        store.migrate().await.expect("a schema");
        store.close().await;
    });
    let database = database.await;
    let store = PostgresStore::open(database.url()).await.expect("a database");
    Store::new(store).keeping(database)
}

/// All of them, by name.
pub fn all() -> [(&'static str, Fresh); 3] {
    [("memory", Fresh::new(memory)), ("sqlite", Fresh::new(sqlite)), ("postgres", Fresh::new(postgres))]
}

/// The same store, behind pointers to its traits: an `Arc` of an `Arc<dyn …>`, and of a `Box<dyn …>`.
pub fn through_pointers(store: Store) -> Store {
    let repository: Arc<dyn Repository> = Arc::new(Arc::clone(&store.repository));
    let access: Box<dyn Access> = Box::new(Arc::clone(&store.access));
    let operations: Box<dyn Operations> = Box::new(Arc::new(Arc::clone(&store.operations)));
    Store::of_parts(repository, Arc::new(access), Arc::new(operations)).keeping(store)
}
