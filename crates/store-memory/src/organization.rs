//! One organization: its services, their history, and the indexes that listings are served from.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use service_core::catalog::OrganizationChanges;
use service_core::{
    ApiKey, ApiKeyHash, ApiKeyId, Commit, CommitOutcome, Facts, FactsQuery, Listed, Listing, Llms,
    OrganizationCheck, OrganizationId, OrganizationRecord, Page, Revision, Service, ServiceId, admits,
};
use service_index::{Index, Keys, Slot};

#[derive(Debug, Default)]
pub(crate) struct Organization {
    record: OrganizationRecord,
    services: Index<Arc<Service>>,
    history: Vec<Row>,
    api_keys: BTreeMap<ApiKeyId, ApiKey>,
}

/// A service as one revision left it.
#[derive(Debug)]
struct Row {
    service: Arc<Service>,
    /// Which service it is among those that are indexed.
    slot: Slot,
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
        self.services.insert(Keys::from(&*service), Arc::clone(&service));
        let slot = self.services.slot(&service.id).unwrap_or(Slot::MAX);
        self.remember(service, slot);
    }

    pub(crate) fn history(&self, after: Revision, limit: usize) -> Vec<Arc<Service>> {
        let skipped = usize::try_from(after.get()).unwrap_or(usize::MAX);
        let rows = self.history.iter().skip(skipped).take(limit);
        rows.map(|row| Arc::clone(&row.service)).collect()
    }

    fn at(&self, revision: Revision) -> Option<&Row> {
        self.history.get(usize::try_from(revision.get().checked_sub(1)?).ok()?)
    }

    /// Whether a service still stands where a row of its history says. Looks at neither of them if nothing was written since.
    fn stays(&self, row: &Row) -> bool {
        let has_stayed = |service: &Arc<Service>| {
            Arc::ptr_eq(service, &row.service)
                || service.name == row.service.name && service.is_active == row.service.is_active
        };
        self.services.value(row.slot).is_some_and(has_stayed)
    }

    pub(crate) fn list(&self, listing: &Listing) -> Listed {
        let after = match listing.token.position() {
            Ok(None) => None,
            Ok(Some(revision)) => match self.at(revision) {
                Some(row) if admits(&listing.visibility, &row.service) => Some(row),
                _ => return Listed::InvalidToken,
            },
            Err(_) => return Listed::InvalidToken,
        };
        let services = match after {
            None => self.services.select(listing, None),
            Some(row) if self.stays(row) => self.services.select_after(listing, row.slot),
            Some(row) => self.services.select(listing, Some(&row.service)),
        };
        let facets = after.is_none().then(|| self.services.facets());
        Listed::Page(Page::of(cloned(&services), listing.limit, facets))
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
    pub(crate) fn remember(&mut self, service: Arc<Service>, slot: Slot) {
        self.record.revision = service.revision;
        self.history.push(Row { service, slot });
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
            check.history(&row.service);
        }
        for service in self.services.values() {
            if self.at(service.revision).map(|row| &row.service) != Some(service) {
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

/// The same services, which are scattered over all memory. Counting one up waits for memory before the next may begin, while plain
/// reads are waited for together: so each count is read before the first is changed.
fn cloned(services: &[&Arc<Service>]) -> Vec<Arc<Service>> {
    black_box(services.iter().map(|service| Arc::strong_count(service)).sum::<usize>());
    services.iter().map(|service| Arc::clone(service)).collect()
}
