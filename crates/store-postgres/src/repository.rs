//! Each call on connections of its own.

use std::sync::Arc;

use async_trait::async_trait;
use service_core::{
    CatalogChanges, CatalogDocument, CatalogError, Commit, CommitOutcome, Facts, FactsQuery, Listed, Listing,
    Llms, OrganizationId, OrganizationRecord, Repository, Revision, Service, StoreError,
};
use store_sql::row;

use crate::error::store_error;
use crate::store::PostgresStore;
use crate::{catalog, commit, facts, list};

#[async_trait]
impl Repository for PostgresStore {
    async fn facts(
        &self,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        let connections = &self.connections;
        connections.reading(|| facts::facts(connections, organization, query)).await
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let connections = &self.connections;
        connections.repeating(|| commit::commit(connections, commit.clone())).await
    }

    async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Result<Listed, StoreError> {
        let connections = &self.connections;
        connections.reading(|| list::list(connections, &self.caches, organization, listing)).await
    }

    async fn history(
        &self,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
        self.connections.reading(|| history(self, organization, after, limit)).await
    }

    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationRecord>, StoreError> {
        let connections = &self.connections;
        connections.reading(|| catalog::organization(connections, organization)).await
    }

    async fn llms(&self) -> Result<Llms, StoreError> {
        let connections = &self.connections;
        connections.reading(|| catalog::llms(connections)).await
    }

    async fn apply_catalog(&self, document: &CatalogDocument) -> Result<CatalogChanges, CatalogError> {
        let connections = &self.connections;
        Ok(connections.repeating(|| catalog::apply(connections, document)).await??)
    }
}

async fn history(
    store: &PostgresStore,
    organization: &OrganizationId,
    after: Revision,
    limit: usize,
) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
    // An organization without such rows is one row without any.
    type Row = (Option<i64>, Option<Vec<u8>>, Option<String>);
    let mut reader = store.connections.statements().await?;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT h.revision, h.id, h.body
         FROM service_registry.organizations AS o
         LEFT JOIN LATERAL (
             SELECT revision, id, body FROM service_registry.history
             WHERE organization = $1 AND revision > $2
             ORDER BY revision LIMIT $3) AS h ON TRUE
         WHERE o.organization = $1
         ORDER BY h.revision",
    )
    .persistent(reader.prepared)
    .bind(organization.as_str())
    .bind(after.get())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(&mut *reader)
    .await
    .map_err(store_error)?;
    reader.end().await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut services = Vec::new();
    for row in rows {
        if let (Some(revision), Some(id), Some(body)) = row {
            services.push(row::service(organization, &(revision, id, body))?);
        }
    }
    Ok(Some(services))
}
