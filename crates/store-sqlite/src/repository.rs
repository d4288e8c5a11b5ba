//! Each call as one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use service_core::{
    CatalogChanges, CatalogDocument, CatalogError, Commit, CommitOutcome, Facts, FactsQuery, Listed, Listing,
    Llms, OrganizationId, OrganizationRecord, Repository, Revision, Service, StoreError,
};
use store_sql::row::{self, HistoryRow};

use crate::error::store_error;
use crate::list::DIALECT;
use crate::store::SqliteStore;
use crate::transaction::{Reading, Transaction};
use crate::{catalog, facts};

#[async_trait]
impl Repository for SqliteStore {
    async fn facts(
        &self,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        let mut snapshot = Transaction::read(&self.reader).await?;
        let facts = facts::facts(&mut snapshot, organization, query).await?;
        snapshot.end().await?;
        Ok(facts)
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        self.commits.commit(&self.writer, commit).await
    }

    async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Result<Listed, StoreError> {
        let turn = self.caches.turn(organization, listing).await;
        let mut reading = Reading::begin(&self.reader).await?;
        let listed =
            store_sql::list::list(&mut reading, &self.caches, turn, &DIALECT, organization, listing).await?;
        reading.end();
        Ok(listed)
    }

    async fn history(
        &self,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
        let mut snapshot = Transaction::read(&self.reader).await?;
        let exists: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM organizations WHERE organization = ?1)")
                .bind(organization.as_str())
                .fetch_one(&mut *snapshot)
                .await
                .map_err(store_error)?;
        let rows: Vec<HistoryRow> = sqlx::query_as(
            "SELECT revision, id, body FROM history WHERE organization = ?1 AND revision > ?2
             ORDER BY revision LIMIT ?3 + 0",
        )
        .bind(organization.as_str())
        .bind(after.get())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *snapshot)
        .await
        .map_err(store_error)?;
        snapshot.end().await?;
        if !exists {
            return Ok(None);
        }
        rows.iter().map(|row| row::service(organization, row)).collect::<Result<_, _>>().map(Some)
    }

    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationRecord>, StoreError> {
        let mut snapshot = Transaction::read(&self.reader).await?;
        let record = catalog::organization(&mut snapshot, organization).await?;
        snapshot.end().await?;
        Ok(record)
    }

    async fn llms(&self) -> Result<Llms, StoreError> {
        let mut snapshot = Transaction::read(&self.reader).await?;
        let llms = catalog::llms(&mut snapshot).await?;
        snapshot.end().await?;
        Ok(llms)
    }

    async fn apply_catalog(&self, document: &CatalogDocument) -> Result<CatalogChanges, CatalogError> {
        let mut transaction = Transaction::write(&self.writer).await?;
        match catalog::apply(&mut transaction, document).await {
            Ok(changes) => {
                transaction.commit().await?;
                Ok(changes)
            }
            Err(CatalogError::Refused(refusal)) => {
                transaction.end().await?;
                Err(refusal.into())
            }
            Err(failure) => Err(failure),
        }
    }
}
