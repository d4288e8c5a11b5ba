//! An organization as the fold of its commits: the model that every store is compared with.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::{Llms, OrganizationChanges};
use crate::check::{OrganizationCheck, facets_of};
use crate::page::{Listing, TagFacet, TagFacets, paginate};
use crate::repository::{Commit, CommitOutcome, FactsQuery, Listed, OrganizationRecord};
use crate::rules::Facts;
use crate::service::Service;
use crate::value::{OrganizationId, Revision, ServiceId, ServiceName};
use crate::visibility::admits;

/// One organization, whole: guard, catalog, services, history and facets.
///
/// It answers as the methods of [`Repository`](crate::Repository) must, in the plainest way that is right. Behind a mutex it is
/// a store.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OrganizationState {
    record: OrganizationRecord,
    services: BTreeMap<ServiceId, Arc<Service>>,
    history: Vec<Arc<Service>>,
    facets: BTreeMap<TagFacet, usize>,
}

impl OrganizationState {
    /// Revisions and catalog.
    pub fn record(&self) -> &OrganizationRecord {
        &self.record
    }

    /// The services as they are, by id.
    pub fn services(&self) -> &BTreeMap<ServiceId, Arc<Service>> {
        &self.services
    }

    /// What each write left behind: the service as it was from then on. The row of revision 1 comes first.
    pub fn history(&self) -> &[Arc<Service>] {
        &self.history
    }

    /// The service as a revision left it, if there was such a revision.
    pub fn at(&self, revision: Revision) -> Option<&Arc<Service>> {
        let index = usize::try_from(revision.get().checked_sub(1)?).ok()?;
        self.history.get(index)
    }

    /// The tags of the services, each with the number of services that have it.
    pub fn facets(&self) -> &BTreeMap<TagFacet, usize> {
        &self.facets
    }

    /// The facts that a query asks for.
    pub fn facts(&self, llms: &Llms, query: &FactsQuery) -> Facts {
        let service = query.service.and_then(|id| self.services.get(&id)).cloned();
        Facts::gather(query, service, &self.record, llms, |name| self.active_holder(name))
    }

    fn active_holder(&self, name: &ServiceName) -> Option<ServiceId> {
        self.services
            .values()
            .find(|service| service.is_active && service.name == *name)
            .map(|service| service.id)
    }

    /// Makes a commit happen, unless it is stale.
    pub fn commit(&mut self, commit: Commit) -> CommitOutcome {
        let wanted = commit.draft.service();
        let present = self.services.get(&wanted.id).map(|service| service.revision);
        let name_taken =
            wanted.is_active && self.active_holder(&wanted.name).is_some_and(|holder| holder != wanted.id);
        if present != commit.expected || self.record.catalog_revision != commit.catalog_revision || name_taken
        {
            return CommitOutcome::Stale;
        }
        let revision = self.record.revision.next();
        self.fold(Arc::new(commit.draft.stamped(revision)));
        CommitOutcome::Committed(revision)
    }

    /// Takes over the next row of history.
    fn fold(&mut self, service: Arc<Service>) {
        self.record.revision = service.revision;
        for facet in facets_of(&service) {
            *self.facets.entry(facet).or_insert(0) += 1;
        }
        self.history.push(Arc::clone(&service));
        if let Some(before) = self.services.insert(service.id, service) {
            for facet in facets_of(&before) {
                match self.facets.get_mut(&facet) {
                    Some(count) if *count > 1 => *count -= 1,
                    _ => drop(self.facets.remove(&facet)),
                }
            }
        }
    }

    /// The page of a listing.
    pub fn list(&self, listing: &Listing) -> Listed {
        let after = match listing.token.position() {
            Ok(None) => None,
            Ok(Some(revision)) => match self.at(revision) {
                Some(service) if admits(&listing.visibility, service) => Some(&**service),
                _ => return Listed::InvalidToken,
            },
            Err(_) => return Listed::InvalidToken,
        };
        let services: Vec<Arc<Service>> = self.services.values().cloned().collect();
        let mut page = paginate(&services, listing, after);
        page.facets = after.is_none().then(|| TagFacets::of(self.facets.keys().cloned()));
        Listed::Page(page)
    }

    /// Takes over changes of the catalog that were decided on this state.
    pub fn apply_catalog(&mut self, changes: &OrganizationChanges) {
        self.record.catalog.apply(changes);
        self.record.catalog_revision = self.record.catalog_revision.next();
    }

    /// What is wrong with the state: for each invariant that does not hold, a sentence that says where.
    pub fn violations(&self, organization: &OrganizationId) -> Vec<String> {
        let mut check = OrganizationCheck::new(organization, &self.record);
        self.history.iter().for_each(|row| check.history(row));
        for (id, service) in &self.services {
            if service.id != *id {
                check.report(&format!("service `{}` is stored under the id `{id}`", service.id));
            }
            if self.at(service.revision) != Some(service) {
                check.report(&format!("service `{id}` is not what its revision {} says", service.revision));
            }
            check.service(service);
        }
        check.facets(self.facets.clone());
        check.finish()
    }

    /// The state that a history amounts to, with the catalog as it is now.
    pub fn of(record: OrganizationRecord, history: impl IntoIterator<Item = Arc<Service>>) -> Self {
        let mut state = Self::default();
        history.into_iter().for_each(|service| state.fold(service));
        state.record = record;
        state
    }

    /// The first `limit` rows of history after a revision.
    pub fn history_after(&self, after: Revision, limit: usize) -> Vec<Arc<Service>> {
        let skipped = usize::try_from(after.get()).unwrap_or(usize::MAX);
        self.history.iter().skip(skipped).take(limit).cloned().collect()
    }
}
