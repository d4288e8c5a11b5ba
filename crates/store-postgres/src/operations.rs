//! What operators do with the store.

use async_trait::async_trait;
use service_core::{
    ArchiveSink, ArchiveSource, ArchiveSummary, ExportError, ImportError, Operations, StoreError,
};
use store_sql::transfer;

use crate::error::store_error;
use crate::migration;
use crate::store::PostgresStore;
use crate::transaction::Transaction;

#[async_trait]
impl Operations for PostgresStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        let connections = &self.connections;
        connections.repeating(|| migration::migrate(connections)).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        let connections = &self.connections;
        connections.reading(|| migration::check(connections)).await
    }

    async fn maintenance(&self) -> Result<bool, StoreError> {
        self.connections.reading(|| maintenance(self)).await
    }

    async fn set_maintenance(&self, on: bool) -> Result<(), StoreError> {
        self.connections.repeating(|| set_maintenance(self, on)).await
    }

    async fn export(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, ExportError> {
        let mut snapshot = self.connections.snapshot().await?;
        without_hurry(&mut snapshot).await?;
        let summary = transfer::export(&mut snapshot, sink).await?;
        snapshot.end().await?;
        Ok(summary)
    }

    async fn import(&self, source: &mut dyn ArchiveSource) -> Result<ArchiveSummary, ImportError> {
        let mut transaction = self.connections.write().await?;
        without_hurry(&mut transaction).await?;
        hold_off_others(&mut transaction).await?;
        let summary = transfer::import(&mut transaction, source).await?;
        count(&mut transaction).await?;
        transaction.commit().await?;
        Ok(summary)
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        let mut snapshot = self.connections.snapshot().await?;
        without_hurry(&mut snapshot).await?;
        let violations = transfer::check(&mut snapshot).await?;
        snapshot.end().await?;
        Ok(violations)
    }
}

/// Lets a transaction wait for whoever takes or gives an archive, and for statements that read all of a table.
async fn without_hurry(transaction: &mut Transaction) -> Result<(), StoreError> {
    let patience = "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0";
    sqlx::raw_sql(patience).execute(&mut **transaction).await.map_err(store_error)?;
    Ok(())
}

/// Keeps organizations and LLMs from coming in while an archive does. Whoever reads is not kept.
async fn hold_off_others(transaction: &mut Transaction) -> Result<(), StoreError> {
    let lock = "LOCK TABLE service_registry.organizations, service_registry.llms IN SHARE ROW EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut **transaction).await.map_err(store_error)?;
    Ok(())
}

/// Tells the planner what has come in. It would be told some time later by itself, and take the tables for empty meanwhile.
async fn count(transaction: &mut Transaction) -> Result<(), StoreError> {
    let tables = "ANALYZE service_registry.history, service_registry.services, service_registry.facets";
    sqlx::raw_sql(tables).execute(&mut **transaction).await.map_err(store_error)?;
    Ok(())
}

async fn maintenance(store: &PostgresStore) -> Result<bool, StoreError> {
    let mut reader = store.connections.statements().await?;
    let maintenance = sqlx::query_scalar("SELECT maintenance FROM service_registry.settings")
        .persistent(reader.prepared)
        .fetch_one(&mut *reader)
        .await
        .map_err(store_error)?;
    reader.end().await?;
    Ok(maintenance)
}

async fn set_maintenance(store: &PostgresStore, on: bool) -> Result<(), StoreError> {
    let mut transaction = store.connections.write().await?;
    sqlx::query("UPDATE service_registry.settings SET maintenance = $1")
        .persistent(transaction.prepared)
        .bind(on)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    transaction.commit().await
}
