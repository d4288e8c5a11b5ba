//! What operators do with the store.

use async_trait::async_trait;
use service_core::{
    ArchiveSink, ArchiveSource, ArchiveSummary, ExportError, ImportError, Operations, StoreError,
};
use store_sql::transfer;

use crate::error::store_error;
use crate::migration;
use crate::store::SqliteStore;
use crate::transaction::Transaction;

#[async_trait]
impl Operations for SqliteStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        migration::migrate(&self.reader, &self.writer).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        migration::check(&self.reader).await
    }

    async fn maintenance(&self) -> Result<bool, StoreError> {
        sqlx::query_scalar("SELECT maintenance FROM settings")
            .fetch_one(&self.reader)
            .await
            .map_err(store_error)
    }

    async fn set_maintenance(&self, on: bool) -> Result<(), StoreError> {
        let mut transaction = Transaction::write(&self.writer).await?;
        sqlx::query("UPDATE settings SET maintenance = ?1")
            .bind(on)
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        transaction.commit().await
    }
    async fn export(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, ExportError> {
        let mut snapshot = Transaction::read_while_wanted(&self.reader).await?;
        let summary = transfer::export(&mut snapshot, sink).await?;
        snapshot.end().await?;
        Ok(summary)
    }

    async fn import(&self, source: &mut dyn ArchiveSource) -> Result<ArchiveSummary, ImportError> {
        let mut transaction = Transaction::write(&self.writer).await?;
        let summary = transfer::import(&mut transaction, source).await?;
        transaction.commit().await?;
        Ok(summary)
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        let mut snapshot = Transaction::read_while_wanted(&self.reader).await?;
        let mut violations = damages(&mut snapshot).await?;
        violations.extend(transfer::check(&mut snapshot).await?);
        snapshot.end().await?;
        Ok(violations)
    }
}

/// What SQLite itself finds wrong: pages, indexes that are not in step with their tables, keys that lead nowhere.
async fn damages(snapshot: &mut Transaction) -> Result<Vec<String>, StoreError> {
    let found: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut **snapshot).await.map_err(store_error)?;
    let mut violations: Vec<String> = found
        .into_iter()
        .filter(|line| line != "ok")
        .map(|line| format!("the file is damaged: {line}"))
        .collect();
    let strays: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT \"table\", parent, count(*) FROM pragma_foreign_key_check GROUP BY \"table\", parent",
    )
    .fetch_all(&mut **snapshot)
    .await
    .map_err(store_error)?;
    for (table, parent, rows) in strays {
        violations.push(format!("{rows} rows of `{table}` name rows of `{parent}` that are not there"));
    }
    Ok(violations)
}
