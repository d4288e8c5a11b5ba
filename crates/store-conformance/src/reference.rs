//! The model store: [`OrganizationState`] behind a mutex, which is a whole store in a screenful.
//!
//! It is what other stores are compared with, and the shortest example of how to write one. It keeps nothing when the process
//! ends, and every listing reads every service of the organization.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use service_core::archive::{ArchivedOrganization, Section};
use service_core::{
    Access, ApiKey, ApiKeyHash, ApiKeyId, ArchiveReader, ArchiveSink, ArchiveSource, ArchiveSummary,
    ArchiveWriter, CatalogChanges, CatalogDocument, CatalogError, Commit, CommitOutcome, ExportError, Facts,
    FactsQuery, ImportError, ImportRefusal, Listed, Listing, Llms, Operations, OrganizationId,
    OrganizationRecord, OrganizationState, Principal, Repository, Revision, Service, Standing, StoreError,
    Timestamp,
};

/// A store whose every answer is the model's.
#[derive(Debug, Default)]
pub struct ModelStore(Mutex<Contents>);

/// All that a store holds.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// The organizations.
    pub organizations: BTreeMap<OrganizationId, OrganizationState>,
    /// The LLMs known.
    pub llms: Llms,
    api_keys: BTreeMap<(OrganizationId, ApiKeyId), ApiKey>,
    maintenance: bool,
}

impl ModelStore {
    /// A store with these contents.
    pub fn new(contents: Contents) -> Self {
        Self(Mutex::new(contents))
    }

    /// What the store holds now.
    pub fn contents(&self) -> Contents {
        self.lock().clone()
    }

    /// Changes what the store holds past every rule: for stores that are broken on purpose.
    pub fn change<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> T {
        change(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Nothing in here panics half way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Repository for ModelStore {
    async fn facts(
        &self,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        let contents = self.lock();
        Ok(contents.organizations.get(organization).map(|state| state.facts(&contents.llms, query)))
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let mut contents = self.lock();
        let state = contents.organizations.get_mut(&commit.draft.service().organization);
        Ok(state.map_or(CommitOutcome::Stale, |state| state.commit(commit)))
    }

    async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Result<Listed, StoreError> {
        let contents = self.lock();
        let state = contents.organizations.get(organization);
        Ok(state.map_or(Listed::UnknownOrganization, |state| state.list(listing)))
    }

    async fn history(
        &self,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
        let contents = self.lock();
        Ok(contents.organizations.get(organization).map(|state| state.history_after(after, limit)))
    }

    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationRecord>, StoreError> {
        Ok(self.lock().organizations.get(organization).map(|state| state.record().clone()))
    }

    async fn llms(&self) -> Result<Llms, StoreError> {
        Ok(self.lock().llms.clone())
    }

    async fn apply_catalog(&self, document: &CatalogDocument) -> Result<CatalogChanges, CatalogError> {
        let mut contents = self.lock();
        let organizations = &contents.organizations;
        let changes = CatalogChanges::decide(
            document,
            &contents.llms,
            |organization| organizations.get(organization).map(|state| &state.record().catalog),
            |organization, service| organizations.get(organization)?.services().get(service).cloned(),
        )?;
        contents.llms.extend(changes.llms.iter().map(|(name, (_, llm))| (name.clone(), *llm)));
        for (organization, changes) in &changes.organizations {
            contents.organizations.entry(organization.clone()).or_default().apply_catalog(changes);
        }
        Ok(changes)
    }
}

#[async_trait]
impl Access for ModelStore {
    async fn standing(
        &self,
        organization: &OrganizationId,
        principal: &Principal,
    ) -> Result<Standing, StoreError> {
        let contents = self.lock();
        let Some(state) = contents.organizations.get(organization) else {
            return Ok(Standing::UnknownOrganization);
        };
        match state.record().catalog.grants(principal) {
            Ok(Some(grants)) => Ok(Standing::Known(grants)),
            Ok(None) => Ok(Standing::UnknownPrincipal),
            Err(fault) => Err(StoreError::corrupt(principal, fault)),
        }
    }

    async fn verify_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        key: &str,
    ) -> Result<bool, StoreError> {
        let found = self.lock().api_keys.get(&(organization.clone(), id.clone())).copied();
        Ok(found.is_some_and(|found| found.hash.verifies(key)))
    }

    async fn add_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        hash: &ApiKeyHash,
        created_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut contents = self.lock();
        let key = (organization.clone(), id.clone());
        if !contents.organizations.contains_key(organization) || contents.api_keys.contains_key(&key) {
            return Ok(false);
        }
        contents.api_keys.insert(key, ApiKey { hash: *hash, created_at });
        Ok(true)
    }
}

#[async_trait]
impl Operations for ModelStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn maintenance(&self) -> Result<bool, StoreError> {
        Ok(self.lock().maintenance)
    }

    async fn set_maintenance(&self, on: bool) -> Result<(), StoreError> {
        self.lock().maintenance = on;
        Ok(())
    }

    async fn export(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, ExportError> {
        let contents = self.contents();
        let mut writer = ArchiveWriter::begin(sink, &contents.llms).await?;
        for (id, state) in &contents.organizations {
            let api_keys = contents.api_keys.iter().filter(|((organization, _), _)| organization == id);
            let api_keys = api_keys.map(|((_, id), key)| (id.clone(), *key)).collect();
            writer.organization(id, state.record(), &api_keys).await?;
            writer.history(state.history()).await?;
        }
        writer.finish().await
    }

    async fn import(&self, source: &mut dyn ArchiveSource) -> Result<ArchiveSummary, ImportError> {
        let mut reader = ArchiveReader::begin(source).await?;
        let mut imported = Contents { llms: reader.llms().clone(), ..Contents::default() };
        let mut organizations: Vec<(OrganizationId, OrganizationRecord, Vec<Arc<Service>>)> = Vec::new();
        while let Some(section) = reader.next().await? {
            match section {
                Section::Organization(archived) => {
                    let ArchivedOrganization { id, record, api_keys } = *archived;
                    let keys = api_keys.into_iter().map(|(key_id, key)| ((id.clone(), key_id), key));
                    imported.api_keys.extend(keys);
                    organizations.push((id, record, Vec::new()));
                }
                Section::History(rows) => organizations.last_mut().expect("an organization").2.extend(rows),
            }
        }
        for (organization, record, history) in organizations {
            let state = OrganizationState::of(record, history);
            if let Some(fault) = state.violations(&organization).into_iter().next() {
                return Err(ImportRefusal::Invariant { organization, fault }.into());
            }
            imported.organizations.insert(organization, state);
        }
        let mut contents = self.lock();
        if !contents.organizations.is_empty() || !contents.llms.is_empty() {
            return Err(ImportRefusal::NotEmpty.into());
        }
        *contents = Contents { maintenance: contents.maintenance, ..imported };
        Ok(reader.summary())
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        let contents = self.lock();
        let violations = contents.organizations.iter().flat_map(|(id, state)| state.violations(id));
        Ok(violations.collect())
    }
}
