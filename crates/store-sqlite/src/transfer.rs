//! What SQLite is asked and told to export, import and check a store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use service_core::archive::ArchivedOrganization;
use service_core::{
    CatalogChanges, Llms, OrganizationId, OrganizationRecord, Revision, Service, ServiceId, StoreError,
    TagFacet,
};
use store_sql::change::Change;
use store_sql::row::{FacetRow, PlacedRow, ServiceRow};
use store_sql::transfer::{Snapshot, Takeover};

use crate::error::store_error;
use crate::transaction::Transaction;
use crate::write;
use crate::{catalog, json};

#[async_trait]
impl Snapshot for Transaction {
    async fn llms(&mut self) -> Result<Llms, StoreError> {
        catalog::llms(self).await
    }

    async fn organization_after(
        &mut self,
        id: Option<&OrganizationId>,
    ) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT organization FROM organizations WHERE organization > ?1 ORDER BY organization LIMIT 1",
        )
        .bind(id.map_or("", OrganizationId::as_str))
        .fetch_optional(&mut **self)
        .await
        .map_err(store_error)
    }

    async fn record(&mut self, id: &OrganizationId) -> Result<Option<OrganizationRecord>, StoreError> {
        catalog::organization(self, id).await
    }

    async fn api_keys(&mut self, id: &OrganizationId) -> Result<Vec<(String, Vec<u8>, i64)>, StoreError> {
        sqlx::query_as("SELECT id, hash, created_at FROM api_keys WHERE organization = ?1 ORDER BY id")
            .bind(id.as_str())
            .fetch_all(&mut **self)
            .await
            .map_err(store_error)
    }

    async fn history(
        &mut self,
        id: &OrganizationId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<PlacedRow>, StoreError> {
        sqlx::query_as(
            "SELECT revision, id, body, name, is_active FROM history WHERE organization = ?1 AND revision > ?2
             ORDER BY revision LIMIT ?3 + 0",
        )
        .bind(id.as_str())
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut **self)
        .await
        .map_err(store_error)
    }

    async fn services(
        &mut self,
        id: &OrganizationId,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<ServiceRow>, StoreError> {
        sqlx::query_as(
            "SELECT s.id AS service_id, s.name, s.is_active, s.agent_id, s.state_machine_id, s.tags, s.revision, h.body
             FROM services AS s
             LEFT JOIN history AS h ON h.organization = ?1 AND h.revision = s.revision AND h.id = s.id
             WHERE s.organization = ?1 AND s.id > ?2
             ORDER BY s.id LIMIT ?3 + 0",
        )
        .bind(id.as_str())
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut **self)
        .await
        .map_err(store_error)
    }

    async fn facets(&mut self, id: &OrganizationId) -> Result<Vec<FacetRow>, StoreError> {
        sqlx::query_as("SELECT key, has_value, value, services FROM facets WHERE organization = ?1")
            .bind(id.as_str())
            .fetch_all(&mut **self)
            .await
            .map_err(store_error)
    }
}

/// A transaction that writes holds off all others by itself.
#[async_trait]
impl Takeover for Transaction {
    async fn is_empty(&mut self) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "SELECT NOT EXISTS (SELECT 1 FROM organizations) AND NOT EXISTS (SELECT 1 FROM llms)",
        )
        .fetch_one(&mut **self)
        .await
        .map_err(store_error)
    }

    async fn add_catalog(&mut self, changes: &CatalogChanges) -> Result<(), StoreError> {
        catalog::write(self, changes).await
    }

    async fn complete(&mut self, organization: &ArchivedOrganization) -> Result<(), StoreError> {
        let id = organization.id.as_str();
        sqlx::query("UPDATE organizations SET catalog_revision = ?2 WHERE organization = ?1")
            .bind(id)
            .bind(organization.record.catalog_revision.get())
            .execute(&mut **self)
            .await
            .map_err(store_error)?;
        for (key_id, key) in &organization.api_keys {
            sqlx::query("INSERT INTO api_keys (organization, id, hash, created_at) VALUES (?1, ?2, ?3, ?4)")
                .bind(id)
                .bind(key_id.as_str())
                .bind(key.hash.as_bytes().as_slice())
                .bind(key.created_at.as_microseconds())
                .execute(&mut **self)
                .await
                .map_err(store_error)?;
        }
        Ok(())
    }

    async fn services_of(
        &mut self,
        organization: &OrganizationId,
        ids: &BTreeSet<ServiceId>,
    ) -> Result<Vec<Arc<Service>>, StoreError> {
        catalog::services_of(self, organization, ids).await
    }

    async fn holders_of(
        &mut self,
        organization: &OrganizationId,
        names: &BTreeSet<&str>,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        sqlx::query_as(
            "SELECT s.name, s.id
             FROM json_each(?2) AS wanted
             CROSS JOIN services AS s
             WHERE s.organization = ?1 AND s.name = wanted.value AND s.is_active = 1",
        )
        .bind(organization.as_str())
        .bind(json::of(names)?)
        .fetch_all(&mut **self)
        .await
        .map_err(store_error)
    }

    async fn write(&mut self, organization: &OrganizationId, changes: &[Change]) -> Result<(), StoreError> {
        write::write(self, organization, changes).await
    }

    async fn finish(
        &mut self,
        organization: &OrganizationId,
        facets: &BTreeMap<TagFacet, i64>,
        revision: Revision,
    ) -> Result<(), StoreError> {
        write::count(self, organization, facets).await?;
        sqlx::query("UPDATE organizations SET revision = ?2 WHERE organization = ?1")
            .bind(organization.as_str())
            .bind(revision.get())
            .execute(&mut **self)
            .await
            .map_err(store_error)?;
        Ok(())
    }
}
