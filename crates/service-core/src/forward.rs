//! A pointer to a store is a store: whatever takes a `T: Repository` takes an `Arc<dyn Repository>` too.

#![deny(clippy::missing_trait_methods)] // a method with a default would otherwise be answered here, not by the store

use std::sync::Arc;

use async_trait::async_trait;

use crate::api_key::ApiKeyHash;
use crate::archive::{ArchiveSink, ArchiveSource, ArchiveSummary, ExportError, ImportError};
use crate::catalog::{CatalogChanges, CatalogDocument, Llms};
use crate::error::StoreError;
use crate::page::Listing;
use crate::repository::{
    Access, CatalogError, Commit, CommitOutcome, FactsQuery, Listed, Operations, OrganizationRecord,
    Repository, Standing,
};
use crate::rules::Facts;
use crate::service::Service;
use crate::value::{ApiKeyId, OrganizationId, Principal, Revision, Timestamp};

macro_rules! forward_through {
    ($pointer:ident) => {
        #[async_trait]
        impl<T: Repository + ?Sized> Repository for $pointer<T> {
            async fn facts(
                &self,
                organization: &OrganizationId,
                query: &FactsQuery,
            ) -> Result<Option<Facts>, StoreError> {
                (**self).facts(organization, query).await
            }

            async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
                (**self).commit(commit).await
            }

            async fn list(
                &self,
                organization: &OrganizationId,
                listing: &Listing,
            ) -> Result<Listed, StoreError> {
                (**self).list(organization, listing).await
            }

            async fn history(
                &self,
                organization: &OrganizationId,
                after: Revision,
                limit: usize,
            ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
                (**self).history(organization, after, limit).await
            }

            async fn organization(
                &self,
                organization: &OrganizationId,
            ) -> Result<Option<OrganizationRecord>, StoreError> {
                (**self).organization(organization).await
            }

            async fn llms(&self) -> Result<Llms, StoreError> {
                (**self).llms().await
            }

            async fn apply_catalog(
                &self,
                document: &CatalogDocument,
            ) -> Result<CatalogChanges, CatalogError> {
                (**self).apply_catalog(document).await
            }
        }

        #[async_trait]
        impl<T: Access + ?Sized> Access for $pointer<T> {
            async fn standing(
                &self,
                organization: &OrganizationId,
                principal: &Principal,
            ) -> Result<Standing, StoreError> {
                (**self).standing(organization, principal).await
            }

            async fn verify_api_key(
                &self,
                organization: &OrganizationId,
                id: &ApiKeyId,
                key: &str,
            ) -> Result<bool, StoreError> {
                (**self).verify_api_key(organization, id, key).await
            }

            async fn add_api_key(
                &self,
                organization: &OrganizationId,
                id: &ApiKeyId,
                hash: &ApiKeyHash,
                created_at: Timestamp,
            ) -> Result<bool, StoreError> {
                (**self).add_api_key(organization, id, hash, created_at).await
            }
        }

        #[async_trait]
        impl<T: Operations + ?Sized> Operations for $pointer<T> {
            async fn migrate(&self) -> Result<(), StoreError> {
                (**self).migrate().await
            }

            async fn ready(&self) -> Result<(), StoreError> {
                (**self).ready().await
            }

            async fn maintenance(&self) -> Result<bool, StoreError> {
                (**self).maintenance().await
            }

            async fn set_maintenance(&self, on: bool) -> Result<(), StoreError> {
                (**self).set_maintenance(on).await
            }

            async fn export(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, ExportError> {
                (**self).export(sink).await
            }

            async fn import(&self, source: &mut dyn ArchiveSource) -> Result<ArchiveSummary, ImportError> {
                (**self).import(source).await
            }

            async fn check(&self) -> Result<Vec<String>, StoreError> {
                (**self).check().await
            }
        }
    };
}

forward_through!(Arc);
forward_through!(Box);
