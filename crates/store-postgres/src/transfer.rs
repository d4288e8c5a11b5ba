//! What PostgreSQL is asked and told to export, import and check a store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use service_core::archive::ArchivedOrganization;
use service_core::{
    CatalogChanges, Llms, OrganizationId, OrganizationRecord, Revision, Service, ServiceId, StoreError,
    StoreErrorKind, TagFacet,
};
use store_sql::change::Change;
use store_sql::row::{FacetRow, PlacedRow, ServiceRow};
use store_sql::transfer::{Snapshot, Takeover};

use crate::catalog;
use crate::error::store_error;
use crate::transaction::Transaction;
use crate::write::{self, Guard, Written};

#[async_trait]
impl Snapshot for Transaction {
    async fn llms(&mut self) -> Result<Llms, StoreError> {
        catalog::known_llms(self).await
    }

    async fn organization_after(
        &mut self,
        id: Option<&OrganizationId>,
    ) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT organization FROM service_registry.organizations WHERE organization > $1
             ORDER BY organization LIMIT 1",
        )
        .persistent(self.prepared)
        .bind(id.map_or("", OrganizationId::as_str))
        .fetch_optional(&mut **self)
        .await
        .map_err(store_error)
    }

    async fn record(&mut self, id: &OrganizationId) -> Result<Option<OrganizationRecord>, StoreError> {
        catalog::record(self, id).await
    }

    async fn api_keys(&mut self, id: &OrganizationId) -> Result<Vec<(String, Vec<u8>, i64)>, StoreError> {
        sqlx::query_as(
            "SELECT id, hash, created_at FROM service_registry.api_keys WHERE organization = $1 ORDER BY id",
        )
        .persistent(self.prepared)
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
            "SELECT revision, id, body, name, is_active FROM service_registry.history
             WHERE organization = $1 AND revision > $2
             ORDER BY revision LIMIT $3",
        )
        .persistent(self.prepared)
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
             FROM service_registry.services AS s
             LEFT JOIN service_registry.history AS h
                 ON h.organization = $1 AND h.revision = s.revision AND h.id = s.id
             WHERE s.organization = $1 AND s.id > $2
             ORDER BY s.id LIMIT $3",
        )
        .persistent(self.prepared)
        .bind(id.as_str())
        .bind(after)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut **self)
        .await
        .map_err(store_error)
    }

    async fn facets(&mut self, id: &OrganizationId) -> Result<Vec<FacetRow>, StoreError> {
        sqlx::query_as(
            "SELECT key, has_value, value, services FROM service_registry.facets WHERE organization = $1",
        )
        .persistent(self.prepared)
        .bind(id.as_str())
        .fetch_all(&mut **self)
        .await
        .map_err(store_error)
    }
}

#[async_trait]
impl Takeover for Transaction {
    async fn is_empty(&mut self) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "SELECT NOT EXISTS (SELECT 1 FROM service_registry.organizations)
                 AND NOT EXISTS (SELECT 1 FROM service_registry.llms)",
        )
        .persistent(self.prepared)
        .fetch_one(&mut **self)
        .await
        .map_err(store_error)
    }

    async fn add_catalog(&mut self, changes: &CatalogChanges) -> Result<(), StoreError> {
        let organizations = changes.organizations.keys().map(OrganizationId::as_str);
        sqlx::query("INSERT INTO service_registry.organizations (organization) SELECT unnest($1::text[])")
            .persistent(self.prepared)
            .bind(organizations.collect::<Vec<_>>())
            .execute(&mut **self)
            .await
            .map_err(store_error)?;
        catalog::write(self, changes).await
    }

    async fn complete(&mut self, organization: &ArchivedOrganization) -> Result<(), StoreError> {
        let id = organization.id.as_str();
        sqlx::query(
            "UPDATE service_registry.organizations SET catalog_revision = $2 WHERE organization = $1",
        )
        .persistent(self.prepared)
        .bind(id)
        .bind(organization.record.catalog_revision.get())
        .execute(&mut **self)
        .await
        .map_err(store_error)?;
        let keys = || organization.api_keys.values();
        sqlx::query(
            "INSERT INTO service_registry.api_keys (organization, id, hash, created_at)
             SELECT $1, * FROM unnest($2, $3, $4)",
        )
        .persistent(self.prepared)
        .bind(id)
        .bind(organization.api_keys.keys().map(|id| id.as_str()).collect::<Vec<_>>())
        .bind(keys().map(|key| key.hash.as_bytes().as_slice()).collect::<Vec<_>>())
        .bind(keys().map(|key| key.created_at.as_microseconds()).collect::<Vec<_>>())
        .execute(&mut **self)
        .await
        .map_err(store_error)?;
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
             FROM unnest($2) AS wanted (name)
             CROSS JOIN LATERAL (
                 SELECT s.name, s.id FROM service_registry.services AS s
                 WHERE s.organization = $1 AND s.name = wanted.name AND s.is_active
                 OFFSET 0) AS s",
        )
        .persistent(self.prepared)
        .bind(organization.as_str())
        .bind(names.iter().copied().collect::<Vec<_>>())
        .fetch_all(&mut **self)
        .await
        .map_err(store_error)
    }

    async fn write(&mut self, organization: &OrganizationId, changes: &[Change]) -> Result<(), StoreError> {
        let facets = BTreeMap::new();
        written(write::write(self, organization, changes, &facets, Guard::Stays, store_error).await?)
    }

    async fn finish(
        &mut self,
        organization: &OrganizationId,
        facets: &BTreeMap<TagFacet, i64>,
        revision: Revision,
    ) -> Result<(), StoreError> {
        let guard = Guard::Names(revision);
        written(write::write(self, organization, &[], facets, guard, store_error).await?)
    }
}

/// Whoever could take a name waits until the import is over, and an archive that takes one twice was refused before.
fn written(written: Written) -> Result<(), StoreError> {
    match written {
        Written::Done => Ok(()),
        Written::NameTaken | Written::Nothing => {
            let fault = "an organization was written to while it was imported";
            Err(StoreError::new(StoreErrorKind::Internal, fault))
        }
    }
}
