//! A store whose callers let others run before each call, so that races happen however fast it answers.

use std::sync::Arc;

use async_trait::async_trait;
use service_core::{
    CatalogChanges, CatalogDocument, CatalogError, Commit, CommitOutcome, Facts, FactsQuery, Listed, Listing,
    Llms, OrganizationId, OrganizationRecord, Repository, Revision, Service, StoreError,
};
use tokio::task::yield_now;

/// Without this, whoever asks a store in memory has loaded, decided and committed before anybody else gets a turn.
#[derive(Debug)]
pub(super) struct Interleaved(pub(super) Arc<dyn Repository>);

#[async_trait]
impl Repository for Interleaved {
    async fn facts(
        &self,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        yield_now().await;
        self.0.facts(organization, query).await
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        yield_now().await;
        self.0.commit(commit).await
    }

    async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Result<Listed, StoreError> {
        yield_now().await;
        self.0.list(organization, listing).await
    }

    async fn history(
        &self,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
        yield_now().await;
        self.0.history(organization, after, limit).await
    }

    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationRecord>, StoreError> {
        yield_now().await;
        self.0.organization(organization).await
    }

    async fn llms(&self) -> Result<Llms, StoreError> {
        yield_now().await;
        self.0.llms().await
    }

    async fn apply_catalog(&self, document: &CatalogDocument) -> Result<CatalogChanges, CatalogError> {
        yield_now().await;
        self.0.apply_catalog(document).await
    }
}
