//! The schema and how it comes about.

use service_core::{StoreError, StoreErrorKind};
use sqlx::PgConnection;
use store_sql::migration::{Migration, none, outstanding};

use crate::error::store_error;
use crate::transaction::{Connections, Transaction};

/// All steps, in order.
const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, sql: include_str!("../migrations/0001_registry.sql") }];

/// The lock that whoever migrates holds: the first bytes of "service-registry", as a number.
const LOCK: i64 = i64::from_be_bytes(*b"service-");

/// The steps that a database remembers to have seen.
async fn applied(connection: &mut PgConnection, prepared: bool) -> Result<Vec<(i64, String)>, StoreError> {
    let has_table: bool = sqlx::query_scalar("SELECT to_regclass('service_registry.migrations') IS NOT NULL")
        .persistent(prepared)
        .fetch_one(&mut *connection)
        .await
        .map_err(store_error)?;
    if !has_table {
        return Ok(Vec::new());
    }
    sqlx::query_as("SELECT version, sql FROM service_registry.migrations ORDER BY version")
        .persistent(prepared)
        .fetch_all(connection)
        .await
        .map_err(store_error)
}

/// Whether the database has seen any step.
pub(crate) async fn has_schema(connections: &Connections) -> Result<bool, StoreError> {
    let mut reader = connections.statements().await?;
    let prepared = reader.prepared;
    let applied = applied(&mut reader, prepared).await?;
    reader.end().await?;
    Ok(!applied.is_empty())
}

async fn pending(connections: &Connections) -> Result<&'static [Migration], StoreError> {
    let mut reader = connections.statements().await?;
    let prepared = reader.prepared;
    let applied = applied(&mut reader, prepared).await?;
    reader.end().await?;
    outstanding(MIGRATIONS, &applied)
}

/// Applies the steps that a database has not seen, all or none. Of several processes that try at once, one applies them and
/// the others find them applied.
pub(crate) async fn migrate(connections: &Connections) -> Result<(), StoreError> {
    // A database that is up to date is not written, nor even locked.
    if pending(connections).await?.is_empty() {
        return Ok(());
    }
    let mut transaction = connections.write().await?;
    // Another process may need longer than a service write does, and so may a step.
    let patience = "SET LOCAL lock_timeout = '5min'; SET LOCAL statement_timeout = '5min'";
    sqlx::raw_sql(patience).execute(&mut *transaction).await.map_err(store_error)?;
    let prepared = transaction.prepared;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .persistent(prepared)
        .bind(LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    check_encoding(&mut transaction).await?;
    let applied = applied(&mut transaction, prepared).await?;
    create_schema(&mut transaction).await?;
    for migration in outstanding(MIGRATIONS, &applied)? {
        sqlx::raw_sql(migration.sql).execute(&mut *transaction).await.map_err(store_error)?;
        sqlx::query("INSERT INTO service_registry.migrations (version, sql) VALUES ($1, $2)")
            .persistent(prepared)
            .bind(migration.version)
            .bind(migration.sql)
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        tracing::info!(version = migration.version, "applied a migration");
    }
    transaction.commit().await
}

/// Text that is kept in another encoding does not sort by code points, and does not hold all of them.
async fn check_encoding(transaction: &mut Transaction) -> Result<(), StoreError> {
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
        .persistent(transaction.prepared)
        .fetch_one(&mut **transaction)
        .await
        .map_err(store_error)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    let fault = format!("the database has the encoding {encoding}: create one with the encoding UTF8");
    Err(StoreError::new(StoreErrorKind::Schema, fault))
}

/// Makes the schema and the table that remembers the steps, if they are not there. Where an administrator has made the schema,
/// no right to make one is needed.
async fn create_schema(transaction: &mut Transaction) -> Result<(), StoreError> {
    let statement = "DO $$ BEGIN \
         IF to_regnamespace('service_registry') IS NULL THEN CREATE SCHEMA service_registry; END IF; \
         IF to_regclass('service_registry.migrations') IS NULL THEN \
             CREATE TABLE service_registry.migrations (version BIGINT NOT NULL PRIMARY KEY, sql TEXT NOT NULL); \
         END IF; END $$";
    sqlx::raw_sql(statement).execute(&mut **transaction).await.map_err(store_error)?;
    Ok(())
}

/// Succeeds if the database has seen all steps and no others.
pub(crate) async fn check(connections: &Connections) -> Result<(), StoreError> {
    none(pending(connections).await?)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::MIGRATIONS;

    /// The hashes of the migrations that were shipped. One is added with each new migration; none ever changes, because the
    /// databases out there were made by those.
    const SHIPPED: [&str; 1] = ["8ae21f732be749b954d3e25d8bf108bbc93a5218fdbbc057af18ce78ae64bac2"];

    #[test]
    fn what_was_shipped_never_changes() {
        let hash =
            |sql: &str| Sha256::digest(sql).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(MIGRATIONS.iter().map(|migration| hash(migration.sql)).collect::<Vec<_>>(), SHIPPED);
        assert!(MIGRATIONS.iter().map(|migration| migration.version).eq(1..=1));
    }
}
