//! Every built-in store passes the suite, by itself and behind pointers to its traits.

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
