//! Settings of servers, databases, users and sessions change no answer.

use std::sync::Arc;

use service_core::Operations;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor};
use store_conformance::{Fresh, Store, run_case};
use store_postgres::{PoolUse, PostgresStore};
use test_postgres::Database;

use crate::support::{beside, database, run, with};

/// What each store is held to here: every kind of call, nasty text in every order, locks, tokens and facets.
const CASES: [&str; 7] = [
    "random::operations_answer_as_the_model_does",
    "commit::keeps_every_value_as_it_was",
    "listing::is_what_paginate_says",
    "listing::counts_facets_exactly",
    "facts::come_with_what_the_service_refers_to",
    "access::standing_follows_the_catalog",
    "concurrent::updates_of_one_service_are_all_counted",
];

fn passes<Make, Made>(make: Make)
where
    Make: Fn() -> Made + Send + Sync + 'static,
    Made: Future<Output = Store> + Send + 'static,
{
    let fresh = Fresh::new(make);
    for case in CASES {
        println!("{case}");
        run_case(case, &fresh);
    }
}

async fn on(database: Database) -> Store {
    Store::new(PostgresStore::open(database.url()).await.unwrap()).keeping(database)
}

/// A store on a pool of the caller's, each of whose sessions begins with a statement.
async fn with_pool(database: Database, begin: &'static str) -> Store {
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .after_connect(move |session, _| {
            Box::pin(async move {
                session.execute(AssertSqlSafe(begin.to_owned())).await?;
                Ok(())
            })
        })
        .connect(database.url())
        .await
        .unwrap();
    Store::new(PostgresStore::with_pool(pool)).keeping(database)
}

#[test]
fn transactions_that_are_serializable_and_only_read_by_default() {
    passes(|| async {
        let database = database().await;
        let database = database.with("default_transaction_isolation", "serializable").await;
        let database = database.with("default_transaction_deferrable", "on").await;
        on(database.with("default_transaction_read_only", "on").await).await
    });
}

#[test]
fn text_in_other_forms() {
    passes(|| async {
        let mut database = database().await;
        for (parameter, value) in [
            ("bytea_output", "escape"),
            ("standard_conforming_strings", "off"),
            ("backslash_quote", "on"),
            ("array_nulls", "off"),
            ("transform_null_equals", "on"),
            ("quote_all_identifiers", "on"),
            ("lc_numeric", "C"),
        ] {
            database = database.with(parameter, value).await;
        }
        on(database).await
    });
}

/// What sqlx decides itself when it connects, a caller may decide again.
#[test]
fn a_pool_of_the_callers_whatever_its_sessions_are_told() {
    const SESSION: &str = "SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'SQL, DMY';
        SET IntervalStyle = 'sql_standard'; SET bytea_output = 'escape'; SET extra_float_digits = -15;
        SET plan_cache_mode = force_generic_plan; SET default_transaction_isolation = 'serializable';
        SET default_transaction_read_only = on; SET search_path = ''; SET work_mem = '64kB'";
    passes(|| async { with_pool(database().await, SESSION).await });
}

/// Tables, views and functions that have the names of ours, or fit our calls better than PostgreSQL's own.
const HOSTILE: &str = "
CREATE SCHEMA hostile;
SET search_path = hostile;
CREATE TABLE organizations (organization text, revision bigint DEFAULT 4711, catalog_revision bigint DEFAULT 4711);
CREATE TABLE history (organization text, revision bigint, id bytea, name text, is_active boolean, body text);
CREATE TABLE services (organization text, id bytea, name text, is_active boolean, tags text, revision bigint);
CREATE TABLE facets (organization text, key text, has_value boolean, value text, services bigint);
CREATE TABLE settings (one integer, maintenance boolean);
CREATE TABLE migrations (version bigint, sql text);
CREATE TABLE users (organization text, user_organization text, user_id text, roles text);
CREATE TABLE page (is_active boolean, name text, id bytea);
CREATE TABLE position (id bytea, name text, is_active boolean);
INSERT INTO organizations VALUES ('acme');
INSERT INTO settings VALUES (1, true);
INSERT INTO migrations VALUES (99, 'hostile');";

#[test]
fn a_schema_of_others_with_tables_of_the_same_names() {
    async fn hostile() -> Database {
        let database = database().await.with("search_path", "hostile").await;
        run(&mut beside(&database).await, HOSTILE).await;
        database
    }
    passes(|| async { on(hostile().await).await });
    passes(|| async { with_pool(hostile().await, "SET search_path = hostile, pg_catalog").await });
}

#[test]
fn a_schema_of_others_with_functions_that_fit_better() {
    const FUNCTIONS: &str = "
        CREATE FUNCTION hostile.unnest(text[]) RETURNS SETOF text LANGUAGE sql AS 'SELECT NULL::text';
        CREATE FUNCTION hostile.unnest(bytea[]) RETURNS SETOF bytea LANGUAGE sql AS 'SELECT NULL::bytea';
        CREATE FUNCTION hostile.array_append(bytea[], bytea) RETURNS bytea[] LANGUAGE sql AS 'SELECT NULL::bytea[]'";
    async fn hostile() -> Database {
        let database = database().await.with("search_path", "hostile").await;
        let mut connection = beside(&database).await;
        run(&mut connection, HOSTILE).await;
        run(&mut connection, FUNCTIONS).await;
        database
    }
    passes(|| async { on(hostile().await).await });
    passes(|| async {
        let database = hostile().await;
        let url = with(&database, "prepared-statements=off");
        Store::new(PostgresStore::open(&url).await.unwrap()).keeping(database)
    });
}

#[test]
fn databases_of_any_locale() {
    async fn migrated(how: &'static str) -> Store {
        let store = on(Database::made(how).await).await;
        store.operations.migrate().await.unwrap();
        store
    }
    passes(|| migrated("ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"));
    // Letters of either case are equal here to whoever asks no further.
    passes(|| {
        migrated("ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'sv-u-kf-upper' LC_COLLATE 'C' LC_CTYPE 'C'")
    });
}

#[tokio::test]
async fn a_pool_of_the_callers_is_shared_and_closed_with_the_store() {
    let database = database().await;
    let pool = PgPoolOptions::new().max_connections(2).connect(database.url()).await.unwrap();
    let (one, two) =
        (PostgresStore::with_pool(pool.clone()), PostgresStore::with_transaction_pool(pool.clone()));
    let stores: [Arc<dyn Operations>; 2] = [Arc::new(one.clone()), Arc::new(two)];
    for store in stores {
        store.ready().await.unwrap();
    }
    one.close().await;
    assert!(pool.is_closed());
}

#[tokio::test]
async fn connections_at_work_are_told_from_those_that_wait() {
    let database = database().await;
    let pool = PgPoolOptions::new().max_connections(3).connect(database.url()).await.unwrap();
    let store = PostgresStore::with_pool(pool.clone());
    assert_eq!(store.pool_use(), PoolUse { pool: "all", most: 3, in_use: 0, idle: 1 });
    let _held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    assert_eq!(store.pool_use(), PoolUse { pool: "all", most: 3, in_use: 2, idle: 0 });
}
