//! The schema and how it comes about.

use service_core::StoreError;
use sqlx::{SqliteConnection, SqlitePool};
use store_sql::migration::{self, Migration};

use crate::error::store_error;
use crate::transaction::Transaction;

/// All steps, in order.
const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, sql: include_str!("../migrations/0001_registry.sql") }];

/// The steps that a database has not seen.
async fn pending(connection: &mut SqliteConnection) -> Result<&'static [Migration], StoreError> {
    let has_table: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migrations')",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(store_error)?;
    let applied: Vec<(i64, String)> = if has_table {
        sqlx::query_as("SELECT version, sql FROM migrations ORDER BY version")
            .fetch_all(connection)
            .await
            .map_err(store_error)?
    } else {
        Vec::new()
    };
    migration::outstanding(MIGRATIONS, &applied)
}

/// Applies the steps that a database has not seen, all or none. Of several processes that try at once, one applies them and
/// the others find them applied.
pub(crate) async fn migrate(reader: &SqlitePool, writer: &SqlitePool) -> Result<(), StoreError> {
    // A database that is up to date is not written, nor even locked.
    let mut snapshot = Transaction::read(reader).await?;
    let outstanding = pending(&mut snapshot).await?;
    snapshot.end().await?;
    if outstanding.is_empty() {
        return Ok(());
    }
    let mut transaction = Transaction::write(writer).await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS migrations (version INTEGER NOT NULL PRIMARY KEY, sql TEXT NOT NULL) STRICT")
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    for migration in pending(&mut transaction).await? {
        sqlx::raw_sql(migration.sql).execute(&mut *transaction).await.map_err(store_error)?;
        sqlx::query("INSERT INTO migrations (version, sql) VALUES (?1, ?2)")
            .bind(migration.version)
            .bind(migration.sql)
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        tracing::info!(version = migration.version, "applied a migration");
    }
    transaction.commit().await
}

/// Succeeds if the database has seen all steps and no others.
pub(crate) async fn check(reader: &SqlitePool) -> Result<(), StoreError> {
    let mut snapshot = Transaction::read(reader).await?;
    let outstanding = pending(&mut snapshot).await?;
    snapshot.end().await?;
    migration::none(outstanding)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// The hashes of what has been released: databases out there were made by it, so it never changes.
    const SHIPPED: &[(i64, &str)] =
        &[(1, "f7898be8a59fdbde99f1e8feb08276cfa08e832994ab17e5a31320fbc33f2c56")];

    #[test]
    fn a_migration_that_has_shipped_never_changes() {
        let hash = |sql: &str| -> String {
            Sha256::digest(sql.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let found: Vec<(i64, String)> =
            MIGRATIONS.iter().map(|migration| (migration.version, hash(migration.sql))).collect();
        let shipped: Vec<(i64, String)> =
            SHIPPED.iter().map(|(version, hash)| (*version, (*hash).to_owned())).collect();
        assert_eq!(found, shipped, "add a migration, and its hash here, instead of changing one");
    }
}
