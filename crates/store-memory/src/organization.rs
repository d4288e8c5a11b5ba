//! One organization: its services, their history, and the indexes that listings are served from.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use service_core::archive::ArchivedOrganization;
use service_core::catalog::OrganizationChanges;
use service_core::range::ranges;
use service_core::{
    ApiKey, ApiKeyHash, ApiKeyId, Attribute, AttributeValue, Commit, CommitOutcome, Facts, FactsQuery,
    Listed, Listing, Llms, OrganizationCheck, OrganizationId, OrganizationRecord, Page, Revision, Service,
    ServiceId, ServiceName, TagFacet, TagFacets, TagFilter, TagMatch, TagValue, Visibility, admits, compare,
    matches, paginate,
};

use crate::index::Index;

#[derive(Debug, Default)]
pub(crate) struct Organization {
    record: OrganizationRecord,
    services: HashMap<ServiceId, Arc<Service>>,
    active_names: HashMap<ServiceName, ServiceId>,
    history: Vec<Arc<Service>>,
    api_keys: BTreeMap<ApiKeyId, ApiKey>,
    /// All services.
    all: Index,
    /// The services that each tag filter finds. Every service stands under two filters for each of its tags: any value,
    /// and the value it has or lacks. In key order, which makes it the list of facets too.
    tagged: BTreeMap<TagFilter, Index>,
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
        Facts::gather(query, service, &self.record, llms, |name| self.active_names.get(name).copied())
    }

    pub(crate) fn commit(&mut self, commit: Commit) -> CommitOutcome {
        let wanted = commit.draft.service();
        let present = self.services.get(&wanted.id).map(|service| service.revision);
        let holder = self.active_names.get(&wanted.name);
        let name_taken = wanted.is_active && holder.is_some_and(|holder| *holder != wanted.id);
        if present != commit.expected || self.record.catalog_revision != commit.catalog_revision || name_taken
        {
            return CommitOutcome::Stale;
        }
        let revision = self.record.revision.next();
        self.store(Arc::new(commit.draft.stamped(revision)));
        CommitOutcome::Committed(revision)
    }

    fn store(&mut self, service: Arc<Service>) {
        self.record.revision = service.revision;
        self.history.push(Arc::clone(&service));
        let before = self.services.insert(service.id, Arc::clone(&service));
        if let Some(before) = before {
            if before.is_active {
                self.active_names.remove(&before.name);
            }
            self.leave_indexes(&before);
        }
        if service.is_active {
            self.active_names.insert(service.name.clone(), service.id);
        }
        self.all.insert(&service);
        for filter in filters_that_find(&service) {
            self.tagged.entry(filter).or_default().insert(&service);
        }
    }

    fn leave_indexes(&mut self, service: &Service) {
        self.all.remove(service);
        for filter in filters_that_find(service) {
            if let Some(index) = self.tagged.get_mut(&filter) {
                index.remove(service);
                if index.is_empty() {
                    self.tagged.remove(&filter);
                }
            }
        }
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
        let mut page = self.page(listing, after);
        page.facets = after.is_none().then(|| self.facets());
        Listed::Page(page)
    }

    fn page(&self, listing: &Listing, after: Option<&Service>) -> Page {
        if listing.visibility == Visibility::Nothing {
            return Page::default();
        }
        let ids = listing.filter.ids();
        if !ids.is_empty() {
            // At most a thousand: reading them all is a page's worth of work.
            let named: Vec<Arc<Service>> = ids.iter().filter_map(|id| self.service(id)).collect();
            return paginate(&named, listing, after);
        }
        let Some(index) = self.narrowest_index(listing) else { return Page::default() };
        let found = self.first_in(index, listing, after);
        Page::of(found, listing.limit, None)
    }

    /// The smallest index that holds every service the listing may return; `None` if there is no such service.
    fn narrowest_index(&self, listing: &Listing) -> Option<&Index> {
        let mut narrowest = &self.all;
        for filter in listing.filter.tags().iter().cloned().chain(tag_seen_by_all(&listing.visibility)) {
            let index = self.tagged.get(&filter)?;
            if index.len() < narrowest.len() {
                narrowest = index;
            }
        }
        Some(narrowest)
    }

    /// The services of an index that a listing returns after a position: in order, one more than fit on a page if there are
    /// as many.
    fn first_in(&self, index: &Index, listing: &Listing, after: Option<&Service>) -> Vec<Arc<Service>> {
        let enough = listing.limit.get().saturating_add(1);
        let ranges = ranges(&listing.sort, listing.filter.is_active(), after);
        let mut found: Vec<Arc<Service>> = Vec::new();
        for range in &ranges.ranges {
            let still = if ranges.consecutive { enough - found.len() } else { enough };
            let services = index.read(range).filter_map(|id| self.services.get(&id));
            let wanted = services
                .filter(|service| matches(&listing.filter, service) && admits(&listing.visibility, service));
            found.extend(wanted.take(still).cloned());
        }
        if !ranges.consecutive {
            found.sort_unstable_by(|left, right| compare(&listing.sort, left, right));
        }
        found
    }

    fn facets(&self) -> TagFacets {
        TagFacets::of(self.tagged.keys().filter_map(facet_of))
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

    /// An organization of an archive before its history.
    pub(crate) fn restored(archived: ArchivedOrganization) -> Self {
        let record = OrganizationRecord { revision: Revision::ZERO, ..archived.record };
        Self { record, api_keys: archived.api_keys, ..Self::default() }
    }

    /// The service that a row of an archive follows.
    pub(crate) fn before(&self, row: &Service) -> Option<&Service> {
        self.services.get(&row.id).map(|before| &**before)
    }

    /// Takes over the next row of an archive's history; `false` if it is active and another active service has its name.
    pub(crate) fn restore(&mut self, row: Arc<Service>) -> bool {
        let holder = self.active_names.get(&row.name);
        if row.is_active && holder.is_some_and(|holder| *holder != row.id) {
            return false;
        }
        self.store(row);
        true
    }

    /// What is wrong with the organization.
    pub(crate) fn check(&self, id: &OrganizationId) -> Vec<String> {
        let mut check = OrganizationCheck::new(id, &self.record);
        let mut rebuilt = Self::default();
        for row in &self.history {
            check.history(row);
            rebuilt.store(Arc::clone(row));
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
        check.facets(self.tagged.iter().filter_map(|(filter, index)| Some((facet_of(filter)?, index.len()))));
        if self.all != rebuilt.all
            || self.tagged != rebuilt.tagged
            || self.active_names != rebuilt.active_names
        {
            check.report("the indexes are not those of the services");
        }
        check.finish()
    }
}

/// The facet that a tag filter stands for, unless it asks for any value.
fn facet_of(filter: &TagFilter) -> Option<TagFacet> {
    let value = match &filter.value {
        TagMatch::Any => return None,
        TagMatch::Absent => None,
        TagMatch::Is(value) => Some(value.clone()),
    };
    Some(TagFacet { key: filter.key.clone(), value })
}

fn filters_that_find(service: &Service) -> impl Iterator<Item = TagFilter> {
    service.tags.iter().flat_map(|(key, value)| {
        let value = value.cloned().map_or(TagMatch::Absent, TagMatch::Is);
        [TagMatch::Any, value].map(|value| TagFilter { key: key.clone(), value })
    })
}

/// The tag filters that follow from a visibility of one conjunction: conditions that ask for one value of a tag.
fn tag_seen_by_all(visibility: &Visibility) -> Vec<TagFilter> {
    let Visibility::AnyOf(conjunctions) = visibility else { return Vec::new() };
    let [conjunction] = conjunctions.as_slice() else { return Vec::new() };
    let filter = |(attribute, values): (&Attribute, &service_core::visibility::ValueSet)| {
        let Attribute::Tag(key) = attribute else { return None };
        let value = match values.single()? {
            AttributeValue::Null => TagMatch::Absent,
            AttributeValue::Text(text) => TagMatch::Is(TagValue::new(text).ok()?),
            AttributeValue::Boolean(_) => return None,
        };
        Some(TagFilter { key: key.clone(), value })
    };
    conjunction.iter().filter_map(filter).collect()
}
