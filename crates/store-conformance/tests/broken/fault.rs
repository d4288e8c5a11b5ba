//! A store with one fault: the model's answer to every call but those that the fault gives itself.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use service_core::archive::{ArchiveSink, ArchiveSource, ArchiveSummary, ExportError, ImportError};
use service_core::*;
use store_conformance::reference::ModelStore;

macro_rules! faults {
    ($($trait:ident { $(async fn $method:ident(&self $(, $argument:ident: $type:ty)*) -> $answer:ty;)+ })+) => {
        /// What is wrong with a store: the calls that are answered otherwise than the model does.
        #[async_trait]
        pub(crate) trait Fault: Debug + Default + Send + Sync + 'static {
            $($(async fn $method(&self, store: &ModelStore $(, $argument: $type)*) -> $answer {
                store.$method($($argument),*).await
            })+)+
        }

        /// A store with a fault.
        #[derive(Debug, Default)]
        pub(crate) struct Broken<F> {
            store: ModelStore,
            fault: F,
        }

        $(#[async_trait]
        impl<F: Fault> $trait for Broken<F> {
            $(async fn $method(&self $(, $argument: $type)*) -> $answer {
                self.fault.$method(&self.store $(, $argument)*).await
            })+
        })+
    };
}

faults! {
    Repository {
        async fn facts(&self, organization: &OrganizationId, query: &FactsQuery) -> Result<Option<Facts>, StoreError>;
        async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError>;
        async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Result<Listed, StoreError>;
        async fn history(&self, organization: &OrganizationId, after: Revision, limit: usize) -> Result<Option<Vec<Arc<Service>>>, StoreError>;
        async fn organization(&self, organization: &OrganizationId) -> Result<Option<OrganizationRecord>, StoreError>;
        async fn llms(&self) -> Result<Llms, StoreError>;
        async fn apply_catalog(&self, document: &CatalogDocument) -> Result<CatalogChanges, CatalogError>;
    }
    Access {
        async fn standing(&self, organization: &OrganizationId, principal: &Principal) -> Result<Standing, StoreError>;
        async fn verify_api_key(&self, organization: &OrganizationId, id: &ApiKeyId, key: &str) -> Result<bool, StoreError>;
        async fn add_api_key(&self, organization: &OrganizationId, id: &ApiKeyId, hash: &ApiKeyHash, created_at: Timestamp) -> Result<bool, StoreError>;
    }
    Operations {
        async fn migrate(&self) -> Result<(), StoreError>;
        async fn ready(&self) -> Result<(), StoreError>;
        async fn maintenance(&self) -> Result<bool, StoreError>;
        async fn set_maintenance(&self, on: bool) -> Result<(), StoreError>;
        async fn export(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, ExportError>;
        async fn import(&self, source: &mut dyn ArchiveSource) -> Result<ArchiveSummary, ImportError>;
        async fn check(&self) -> Result<Vec<String>, StoreError>;
    }
}
