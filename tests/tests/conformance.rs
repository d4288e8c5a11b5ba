//! Every built-in store passes the suite.

mod memory {
    use store_conformance::{Store, conformance_tests};
    use store_memory::MemoryStore;

    async fn fresh() -> Store {
        Store::new(MemoryStore::new())
    }

    conformance_tests!(fresh);
}

mod sqlite {
    use service_core::Operations;
    use store_conformance::{Store, conformance_tests};
    use store_sqlite::SqliteStore;

    async fn fresh() -> Store {
        let directory = tempfile::tempdir().expect("a directory for a database");
        let store = SqliteStore::open(directory.path().join("store.sqlite")).await.expect("a database");
        store.migrate().await.expect("a schema");
        Store::new(store).keeping(directory)
    }

    conformance_tests!(fresh);
}
