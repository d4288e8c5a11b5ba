//! The service registry in memory: nothing survives the process.
//!
//! For tests, and for embedders who want speed. Listings are served by a [`service_index::Index`] and cost the same at any depth of
//! any organization. A service takes about 350 bytes of it, beside the service itself.
//!
//! ```
//! use std::sync::Arc;
//!
//! use service_core::{Access, Repository};
//! use store_memory::MemoryStore;
//!
//! let store = Arc::new(MemoryStore::new());
//! let repository: Arc<dyn Repository> = store.clone();
//! let access: Arc<dyn Access> = store;
//! ```

mod operations;
mod organization;
mod restored;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use service_core::{
    Access, ApiKey, ApiKeyHash, ApiKeyId, CatalogChanges, CatalogDocument, CatalogError, Commit,
    CommitOutcome, Facts, FactsQuery, Listed, Listing, Llms, OrganizationId, OrganizationRecord, Principal,
    Repository, Revision, Service, Standing, StoreError, Timestamp,
};

use crate::organization::Organization;

/// A store in memory. Clones share what they hold.
///
/// A service write locks its organization, a catalog change the whole store, both for microseconds; reads share these locks.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
}

#[derive(Debug, Default)]
struct State {
    llms: Llms,
    organizations: HashMap<OrganizationId, RwLock<Organization>>,
    in_maintenance: bool,
}

/// Locks even after a panic elsewhere: no code here leaves a value half changed when it panics.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn with_organization<T>(
        &self,
        organization: &OrganizationId,
        answer: impl FnOnce(&Organization, &Llms) -> T,
    ) -> Option<T> {
        let state = read(&self.state);
        let organization = state.organizations.get(organization)?;
        Some(answer(&read(organization), &state.llms))
    }
}

#[async_trait]
impl Repository for MemoryStore {
    async fn facts(
        &self,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        Ok(self.with_organization(organization, |organization, llms| organization.facts(llms, query)))
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let state = read(&self.state);
        match state.organizations.get(&commit.draft.service().organization) {
            Some(organization) => Ok(write(organization).commit(commit)),
            None => Ok(CommitOutcome::Stale),
        }
    }

    async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Result<Listed, StoreError> {
        let listed = self.with_organization(organization, |organization, _| organization.list(listing));
        Ok(listed.unwrap_or(Listed::UnknownOrganization))
    }

    async fn history(
        &self,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
        Ok(self.with_organization(organization, |organization, _| organization.history(after, limit)))
    }

    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationRecord>, StoreError> {
        Ok(self.with_organization(organization, |organization, _| organization.record().clone()))
    }

    async fn llms(&self) -> Result<Llms, StoreError> {
        Ok(read(&self.state).llms.clone())
    }

    async fn apply_catalog(&self, document: &CatalogDocument) -> Result<CatalogChanges, CatalogError> {
        let mut state = write(&self.state);
        let State { llms, organizations, .. } = &mut *state;
        let changes = {
            let named = document.organizations.iter().map(|entry| &entry.id);
            let present: HashMap<&OrganizationId, RwLockReadGuard<'_, Organization>> =
                named.filter_map(|id| Some((id, read(organizations.get(id)?)))).collect();
            CatalogChanges::decide(
                document,
                llms,
                |id| present.get(id).map(|organization| &organization.record().catalog),
                |id, service| present.get(id).and_then(|organization| organization.service(service)),
            )?
        };
        llms.extend(changes.llms.iter().map(|(name, (_, llm))| (name.clone(), *llm)));
        for (id, changed) in &changes.organizations {
            write(organizations.entry(id.clone()).or_default()).apply_catalog(changed);
        }
        Ok(changes)
    }
}

#[async_trait]
impl Access for MemoryStore {
    async fn standing(
        &self,
        organization: &OrganizationId,
        principal: &Principal,
    ) -> Result<Standing, StoreError> {
        let grants = self
            .with_organization(organization, |organization, _| {
                organization.record().catalog.grants(principal)
            })
            .transpose()
            .map_err(|fault| {
                StoreError::corrupt(format_args!("user `{principal}` of `{organization}`"), fault)
            })?;
        Ok(match grants {
            None => Standing::UnknownOrganization,
            Some(None) => Standing::UnknownPrincipal,
            Some(Some(grants)) => Standing::Known(grants),
        })
    }

    async fn verify_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        key: &str,
    ) -> Result<bool, StoreError> {
        let hash = self.with_organization(organization, |organization, _| organization.api_key(id)).flatten();
        Ok(hash.is_some_and(|hash| hash.verifies(key)))
    }

    async fn add_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        hash: &ApiKeyHash,
        created_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let state = read(&self.state);
        let key = ApiKey { hash: *hash, created_at };
        let organization = state.organizations.get(organization);
        Ok(organization.is_some_and(|organization| write(organization).add_api_key(id.clone(), key)))
    }
}
