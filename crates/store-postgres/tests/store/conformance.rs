//! The store passes the suite behind a pooler as well. That it does by itself is shown beside the other stores.

mod behind_pgbouncer {
    use std::sync::OnceLock;

    use store_conformance::{Store, conformance_tests};
    use store_postgres::PostgresStore;
    use test_postgres::PgBouncer;

    use crate::support::database;

    /// More connections than the pooler has to the server, so that transactions of one session are on several of them.
    const CONNECTIONS: u32 = 30;

    async fn fresh() -> Store {
        static POOLER: OnceLock<PgBouncer> = OnceLock::new();
        let database = database().await;
        let pooler = POOLER.get_or_init(|| PgBouncer::start(database.url()).expect("a pooler"));
        // It takes the name of any database.
        let (place, _) = pooler.url().rsplit_once('/').expect("a path");
        let url =
            format!("{place}/{}?prepared-statements=off&max-connections={CONNECTIONS}", database.name());
        let store = PostgresStore::open(&url).await.expect("a database");
        Store::new(store).keeping(database)
    }

    conformance_tests!(fresh);
}
