//! One organization: its services, their history, and the indexes that listings are served from.

use std::collections::BTreeMap;
use std::sync::Arc;

use service_core::catalog::OrganizationChanges;
use service_core::{
    ApiKey, ApiKeyHash, ApiKeyId, Commit, CommitOutcome, Facts, FactsQuery, Listed, Listing, Llms,
    OrganizationCheck, OrganizationId, OrganizationRecord, Page, Revision, Service, ServiceId, admits,
};
use service_index::{Index, Keys};

#[derive(Debug, Default)]
pub(crate) struct Organization {
    record: OrganizationRecord,
    services: Index<Arc<Service>>,
    history: Vec<Arc<Service>>,
    api_keys: BTreeMap<ApiKeyId, ApiKey>,
}

impl Organization {
    pub(crate) fn record(&self) -> &OrganizationRecord {
        &self.record
    }

    pub(crate) fn service(&self, id: &ServiceId) -> Option<Arc<Service>> {
        self.services.get(id).cloned()
    }

    pub(crate) fn facts(&self, llms: &Llms, query: &FactsQuery) -> Facts {
        let service = query.service.and_then(|id| self.service(&id));
        let holder = |name: &_| self.services.active_named(name).map(|service| service.id);
        Facts::gather(query, service, &self.record, llms, holder)
    }

    pub(crate) fn commit(&mut self, commit: Commit) -> CommitOutcome {
        let wanted = commit.draft.service();
        let present = self.services.get(&wanted.id).map(|service| service.revision);
        if present != commit.expected
            || self.record.catalog_revision != commit.catalog_revision
            || self.is_name_taken(wanted)
        {
            return CommitOutcome::Stale;
        }
        let revision = self.record.revision.next();
        self.store(Arc::new(commit.draft.stamped(revision)));
        CommitOutcome::Committed(revision)
    }

    /// Whether another active service has the name that a service is to have, if it is to be active.
    fn is_name_taken(&self, wanted: &Service) -> bool {
        let holder = self.services.active_named(&wanted.name);
        wanted.is_active && holder.is_some_and(|holder| holder.id != wanted.id)
    }

    fn store(&mut self, service: Arc<Service>) {
        self.remember(Arc::clone(&service));
        self.services.insert(Keys::from(&*service), service);
    }

    pub(crate) fn history(&self, after: Revision, limit: usize) -> Vec<Arc<Service>> {
        let skipped = usize::try_from(after.get()).unwrap_or(usize::MAX);
        self.history.iter().skip(skipped).take(limit).cloned().collect()
    }

    fn at(&self, revision: Revision) -> Option<&Arc<Service>> {
        self.history.get(usize::try_from(revision.get().checked_sub(1)?).ok()?)
    }

    pub(crate) fn list(&self, listing: &Listing) -> Listed {
        let after = match listing.token.position() {
            Ok(None) => None,
            Ok(Some(revision)) => match self.at(revision) {
                Some(service) if admits(&listing.visibility, service) => Some(&**service),
                _ => return Listed::InvalidToken,
            },
            Err(_) => return Listed::InvalidToken,
        };
        let services = self.services.select(listing, after).into_iter().cloned().collect();
        let facets = after.is_none().then(|| self.services.facets());
        Listed::Page(Page::of(services, listing.limit, facets))
    }

    pub(crate) fn apply_catalog(&mut self, changes: &OrganizationChanges) {
        self.record.catalog.apply(changes);
        self.record.catalog_revision = self.record.catalog_revision.next();
    }

    pub(crate) fn api_key(&self, id: &ApiKeyId) -> Option<ApiKeyHash> {
        self.api_keys.get(id).map(|key| key.hash)
    }

    pub(crate) fn api_keys(&self) -> &BTreeMap<ApiKeyId, ApiKey> {
        &self.api_keys
    }

    pub(crate) fn add_api_key(&mut self, id: ApiKeyId, key: ApiKey) -> bool {
        if self.api_keys.contains_key(&id) {
            return false;
        }
        self.api_keys.insert(id, key);
        true
    }

    /// An organization without services.
    pub(crate) fn new(record: OrganizationRecord, api_keys: BTreeMap<ApiKeyId, ApiKey>) -> Self {
        Self { record, api_keys, ..Self::default() }
    }

    /// Appends a row to the history, and nothing else.
    pub(crate) fn remember(&mut self, service: Arc<Service>) {
        self.record.revision = service.revision;
        self.history.push(service);
    }

    /// The same with these services, each of which comes once.
    pub(crate) fn with_services(mut self, services: impl Iterator<Item = Arc<Service>>) -> Self {
        self.services = services.map(|service| (Keys::from(&*service), service)).collect();
        self
    }

    /// What is wrong with the organization.
    pub(crate) fn check(&self, id: &OrganizationId) -> Vec<String> {
        let mut check = OrganizationCheck::new(id, &self.record);
        for row in &self.history {
            check.history(row);
        }
        for service in self.services.values() {
            if self.at(service.revision) != Some(service) {
                check.report(&format!(
                    "service `{}` is not what its revision {} says",
                    service.id, service.revision
                ));
            }
            check.service(service);
        }
        check.facets(self.services.tags());
        if !self.services.is_consistent() {
            check.report("the indexes are not those of the services");
        }
        check.finish()
    }
}
