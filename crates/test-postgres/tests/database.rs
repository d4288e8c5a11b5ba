//! Databases for tests, on whatever PostgreSQL the tests have.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::{Connection, Executor, PgConnection};
use test_postgres::{Database, Template};

async fn connect(database: &Database) -> PgConnection {
    PgConnection::connect(database.url()).await.unwrap()
}

async fn migrate(url: String) {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection
        .execute("CREATE TABLE thing (name text NOT NULL); INSERT INTO thing VALUES ('first')")
        .await
        .unwrap();
    // It stays connected for a while, as the connections of a pool that is dropped do.
    std::mem::forget(connection);
}

async fn things(database: &Database) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM thing").fetch_one(&mut connect(database).await).await.unwrap()
}

/// A version that no other run of these tests has had, so that the template is made here.
async fn unused_version() -> String {
    let database = Database::empty().await;
    database.name().to_owned()
}

async fn exists(name: &str) -> bool {
    let database = Database::empty().await;
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)");
    found.bind(name).fetch_one(&mut connect(&database).await).await.unwrap()
}

#[tokio::test]
async fn an_empty_database_is_empty_and_sorts_as_people_expect() {
    let database = Database::empty().await;
    let mut connection = connect(&database).await;
    let tables =
        "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    assert_eq!(sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut connection).await.unwrap(), 0);
    assert!(sqlx::query_scalar::<_, bool>("SELECT 'a' < 'B'").fetch_one(&mut connection).await.unwrap());
    let encoding: String =
        sqlx::query_scalar("SHOW server_encoding").fetch_one(&mut connection).await.unwrap();
    assert_eq!(encoding, "UTF8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_migrated_once_and_its_clones_are_apart() {
    let version = unused_version().await;
    let count = Arc::new(AtomicUsize::new(0));
    let clones: Vec<_> = (0..6)
        .map(|_| {
            let (version, count) = (version.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let template = Template { name: "once", version: &version };
                let migrate = |url| async move {
                    count.fetch_add(1, Ordering::Relaxed);
                    migrate(url).await;
                };
                Database::migrated(template, migrate).await
            })
        })
        .collect();
    let mut databases = Vec::new();
    for clone in clones {
        databases.push(clone.await.unwrap());
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
    connect(&databases[0]).await.execute("INSERT INTO thing VALUES ('second')").await.unwrap();
    assert_eq!(things(&databases[0]).await, 2);
    for database in &databases[1..] {
        assert_eq!(things(database).await, 1);
    }
}

#[tokio::test]
async fn a_template_of_another_version_is_not_used() {
    let (old, new) = (unused_version().await, unused_version().await);
    let with_nothing = |_| async {};
    let empty = Database::migrated(Template { name: "versions", version: &old }, with_nothing).await;
    let full = Database::migrated(Template { name: "versions", version: &new }, migrate).await;
    assert!(connect(&empty).await.execute("SELECT FROM thing").await.is_err());
    assert_eq!(things(&full).await, 1);
}

#[tokio::test]
async fn a_migration_that_fails_leaves_no_template() {
    let version = unused_version().await;
    let failing = version.clone();
    let failed = tokio::spawn(async move {
        let template = Template { name: "failing", version: &failing };
        Database::migrated(template, |url| async {
            migrate(url).await;
            panic!("on purpose");
        })
        .await
    });
    assert!(failed.await.unwrap_err().is_panic());
    let database = Database::migrated(Template { name: "failing", version: &version }, migrate).await;
    assert_eq!(things(&database).await, 1);
}

#[tokio::test]
async fn a_parameter_holds_for_new_sessions_of_one_database() {
    let database = Database::empty().await;
    let database = database.with("default_transaction_isolation", "serializable").await;
    let database = database.with("search_path", "it's").await;
    let show =
        "SELECT current_setting('default_transaction_isolation') || ' ' || current_setting('search_path')";
    let changed: String = sqlx::query_scalar(show).fetch_one(&mut connect(&database).await).await.unwrap();
    assert_eq!(changed, "serializable \"it's\"");
    let other = Database::empty().await;
    let unchanged: String = sqlx::query_scalar(show).fetch_one(&mut connect(&other).await).await.unwrap();
    assert_ne!(changed, unchanged);
}

#[tokio::test]
async fn a_dropped_database_is_gone_though_somebody_is_connected() {
    let database = Database::empty().await;
    let name = database.name().to_owned();
    let mut connection = connect(&database).await;
    assert!(exists(&name).await);
    drop(database);
    assert!(!exists(&name).await);
    assert!(connection.execute("SELECT 1").await.is_err());
}

#[tokio::test]
async fn a_database_goes_with_a_test_that_panics() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let panicking = tokio::spawn(async move {
        let database = Database::empty().await;
        sender.send(database.name().to_owned()).unwrap();
        panic!("on purpose");
    });
    assert!(panicking.await.unwrap_err().is_panic());
    assert!(!exists(&receiver.await.unwrap()).await);
}

#[test]
fn a_database_may_be_dropped_where_there_is_no_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let database = runtime.block_on(Database::empty());
    drop(runtime);
    let name = database.name().to_owned();
    drop(database);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(!runtime.block_on(exists(&name)));
}
