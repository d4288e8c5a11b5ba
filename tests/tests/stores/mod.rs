//! Fresh stores of every built-in kind.

use service_core::Operations;
use store_conformance::Store;
use store_memory::MemoryStore;
use store_sqlite::SqliteStore;

pub async fn memory() -> Store {
    Store::new(MemoryStore::new())
}

pub async fn sqlite() -> Store {
    let directory = tempfile::tempdir().expect("a directory for a database");
    let store = SqliteStore::open(directory.path().join("store.sqlite")).await.expect("a database");
    store.migrate().await.expect("a schema");
    Store::new(store).keeping(directory)
}
