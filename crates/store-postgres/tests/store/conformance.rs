//! The store passes the suite behind a pooler as well. That it does by itself is shown beside the other stores.

mod direct {
    use store_conformance::{Store, conformance_tests};
    use store_postgres::PostgresStore;

    use crate::support::database;

    async fn fresh() -> Store {
        let database = database().await;
        let store = PostgresStore::open(database.url()).await.expect("a database");
        Store::new(store).keeping(database)
    }

    conformance_tests!(fresh);
}
