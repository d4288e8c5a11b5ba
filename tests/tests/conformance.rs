//! Every built-in store passes the suite, by itself and behind pointers to its traits; and one does that operators watch.

macro_rules! passes {
    ($store:ident, $behind_pointers:ident) => {
        mod $store {
            use service_registry_tests::stores::$store;
            use store_conformance::conformance_tests;

            conformance_tests!($store);
        }

        mod $behind_pointers {
            use service_registry_tests::stores::{self, through_pointers};
            use store_conformance::{Store, conformance_tests};

            async fn fresh() -> Store {
                through_pointers(stores::$store().await)
            }

            conformance_tests!(fresh);
        }
    };
}

passes!(memory, memory_through_pointers);
passes!(sqlite, sqlite_through_pointers);
passes!(postgres, postgres_through_pointers);

mod observed {
    use std::sync::Arc;

    use service_http::Observed;
    use service_registry_tests::stores;
    use store_conformance::{Store, conformance_tests};

    async fn fresh() -> Store {
        let store = stores::memory().await;
        let repository = Observed::new(Arc::clone(&store.repository), "memory", "default");
        let access = Observed::new(Arc::clone(&store.access), "memory", "default");
        let operations = Observed::new(Arc::clone(&store.operations), "memory", "default");
        Store::of_parts(Arc::new(repository), Arc::new(access), Arc::new(operations)).keeping(store)
    }

    conformance_tests!(fresh);
}
