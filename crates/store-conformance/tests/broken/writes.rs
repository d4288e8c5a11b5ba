//! Writes that are lost, mixed, numbered wrongly, or done in parts.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use service_core::*;
use store_conformance::reference::ModelStore;
use tokio::task::yield_now;

use crate::fault::Fault;
use crate::finds;

/// The service of this id as it is.
fn present(store: &ModelStore, wanted: &Service) -> Option<Arc<Service>> {
    store.contents().organizations.get(&wanted.organization)?.services().get(&wanted.id).cloned()
}

/// Changes an organization's revision counter.
fn set_revision(
    store: &ModelStore,
    organization: &OrganizationId,
    revision: impl FnOnce(Revision) -> Revision,
) {
    store.change(|contents| {
        if let Some(state) = contents.organizations.get_mut(organization) {
            let record =
                OrganizationRecord { revision: revision(state.record().revision), ..state.record().clone() };
            *state = OrganizationState::of(record, state.history().to_vec());
        }
    });
}

fn before(revision: Revision) -> Revision {
    Revision::new(revision.get() - 1).expect("a revision after the first")
}

macro_rules! fault {
    ($(#[$doc:meta])* $name:ident, $store:ident, $commit:ident => $body:expr) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name;

        #[async_trait]
        impl Fault for $name {
            async fn commit(&self, $store: &ModelStore, $commit: Commit) -> Result<CommitOutcome, StoreError> {
                $body
            }
        }
    };
}

fault! {
    /// Writes over whatever is there by now.
    LostUpdate, store, commit => {
        let expected = present(store, commit.draft.service()).map(|service| service.revision);
        store.commit(Commit { expected, ..commit }).await
    }
}

#[test]
fn a_lost_update_is_found() {
    finds::<LostUpdate>(&[
        "commit::is_stale_on_another_revision_of_the_service",
        "commit::is_stale_if_the_service_exists_already",
        "concurrent::updates_of_one_service_are_all_counted",
    ]);
}

fault! {
    /// Does not look whether the catalog is still the one that the decision saw.
    ForgetsTheCatalog, store, commit => {
        let contents = store.contents();
        let state = contents.organizations.get(&commit.draft.service().organization);
        let catalog_revision = state.map(|state| state.record().catalog_revision);
        store.commit(Commit { catalog_revision: catalog_revision.unwrap_or(commit.catalog_revision), ..commit }).await
    }
}

#[test]
fn a_forgotten_catalog_is_found() {
    finds::<ForgetsTheCatalog>(&[
        "commit::is_stale_on_another_catalog_revision",
        "concurrent::catalog_changes_and_writes_keep_the_invariants",
    ]);
}

fault! {
    /// Lets several active services share a name.
    NamesMayBeTaken, store, commit => Ok(store.change(|contents| {
        let wanted = commit.draft.service();
        let Some(state) = contents.organizations.get_mut(&wanted.organization) else { return CommitOutcome::Stale };
        let expected = state.services().get(&wanted.id).map(|service| service.revision);
        let mut record = state.record().clone();
        if (expected, record.catalog_revision) != (commit.expected, commit.catalog_revision) {
            return CommitOutcome::Stale;
        }
        record.revision = record.revision.next();
        let revision = record.revision;
        let row = Arc::new(commit.draft.stamped(revision));
        *state = OrganizationState::of(record, state.history().iter().cloned().chain([row]));
        CommitOutcome::Committed(revision)
    }))
}

#[test]
fn names_that_are_not_unique_are_found() {
    finds::<NamesMayBeTaken>(&[
        "commit::is_stale_if_the_active_name_is_taken",
        "concurrent::creators_of_one_name_leave_one_active",
        "concurrent::activation_and_rename_never_share_a_name",
    ]);
}

/// Takes names for the same that `same` says are, of services that `counts` says count.
async fn strict(
    store: &ModelStore,
    commit: Commit,
    counts: fn(&Service) -> bool,
    same: fn(&str, &str) -> bool,
) -> Result<CommitOutcome, StoreError> {
    let wanted = commit.draft.service();
    let contents = store.contents();
    let state = contents.organizations.get(&wanted.organization);
    let mut others = state.into_iter().flat_map(|state| state.services().values());
    let taken = others.any(|other| {
        other.id != wanted.id && counts(other) && same(other.name.as_str(), wanted.name.as_str())
    });
    if wanted.is_active && taken { Ok(CommitOutcome::Stale) } else { store.commit(commit).await }
}

fault! {
    /// Counts inactive services as holders of their names.
    NamesOfTheInactive, store, commit => strict(store, commit, |_| true, |one, other| one == other).await
}

#[test]
fn names_that_are_too_unique_are_found() {
    finds::<NamesOfTheInactive>(&["commit::lets_inactive_services_share_names"]);
}

fault! {
    /// Takes names for the same that differ in case.
    NamesIgnoreCase, store, commit => {
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        strict(store, commit, |service| service.is_active, same).await
    }
}

#[test]
fn names_that_are_folded_are_found() {
    finds::<NamesIgnoreCase>(&["commit::is_stale_if_the_active_name_is_taken"]);
}

fault! {
    /// Gives every third revision twice.
    ReusedRevision, store, commit => {
        let organization = commit.draft.service().organization.clone();
        let outcome = store.commit(commit).await?;
        if matches!(outcome, CommitOutcome::Committed(revision) if revision.get() % 3 == 0) {
            set_revision(store, &organization, before);
        }
        Ok(outcome)
    }
}

#[test]
fn a_revision_that_is_used_again_is_found() {
    finds::<ReusedRevision>(&["commit::takes_the_next_revision", "history::is_immutable_and_in_order"]);
}

fault! {
    /// Leaves a revision out after every third.
    SkippedRevision, store, commit => {
        let organization = commit.draft.service().organization.clone();
        let outcome = store.commit(commit).await?;
        if matches!(outcome, CommitOutcome::Committed(revision) if revision.get() % 3 == 0) {
            set_revision(store, &organization, Revision::next);
        }
        Ok(outcome)
    }
}

#[test]
fn a_revision_that_is_left_out_is_found() {
    finds::<SkippedRevision>(&["commit::takes_the_next_revision", "history::is_immutable_and_in_order"]);
}

fault! {
    /// Spends a revision on commits that are stale, as a sequence of a database does.
    SpentRevision, store, commit => {
        let organization = commit.draft.service().organization.clone();
        let outcome = store.commit(commit).await?;
        if outcome == CommitOutcome::Stale {
            set_revision(store, &organization, Revision::next);
        }
        Ok(outcome)
    }
}

#[test]
fn a_revision_that_is_spent_in_vain_is_found() {
    finds::<SpentRevision>(&[
        "commit::is_stale_on_another_revision_of_the_service",
        "concurrent::updates_of_one_service_are_all_counted",
    ]);
}

/// Writes a row of history before it finds the commit stale, and leaves it there.
#[derive(Debug, Default)]
struct HistoryWithoutService(Mutex<Vec<Arc<Service>>>);

#[async_trait]
impl Fault for HistoryWithoutService {
    async fn commit(&self, store: &ModelStore, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let outcome = store.commit(commit.clone()).await?;
        if outcome == CommitOutcome::Stale {
            let contents = store.contents();
            let state = contents.organizations.get(&commit.draft.service().organization);
            let next = state.map(|state| state.record().revision.next()).unwrap_or_default();
            self.0.lock().expect("rows").push(Arc::new(commit.draft.stamped(next)));
        }
        Ok(outcome)
    }

    async fn history(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
        let Some(mut rows) = store.history(organization, after, usize::MAX).await? else { return Ok(None) };
        let left = self.0.lock().expect("rows").clone();
        rows.extend(left.into_iter().filter(|row| row.organization == *organization && row.revision > after));
        rows.truncate(limit);
        Ok(Some(rows))
    }
}

#[test]
fn history_without_a_service_is_found() {
    finds::<HistoryWithoutService>(&[
        "commit::is_stale_if_the_active_name_is_taken",
        "commit::is_stale_if_the_service_exists_already",
    ]);
}

fault! {
    /// Moves the counter on first, and makes the rest of the write when it gets its turn.
    CounterFirst, store, commit => {
        let organization = commit.draft.service().organization.clone();
        set_revision(store, &organization, Revision::next);
        yield_now().await;
        set_revision(store, &organization, before);
        store.commit(commit).await
    }
}

#[test]
fn a_write_in_two_parts_is_found_when_nobody_waits_for_the_second() {
    finds::<CounterFirst>(&["atomic::writes_nobody_waits_for_happen_whole_or_not_at_all"]);
}

/// Brings the facets up to date a moment after the service.
#[derive(Debug, Default)]
struct FacetsFollowLater(Mutex<Option<(OrganizationId, TagFacets)>>);

#[async_trait]
impl Fault for FacetsFollowLater {
    async fn commit(&self, store: &ModelStore, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let organization = commit.draft.service().organization.clone();
        if let Some(state) = store.contents().organizations.get(&organization) {
            let facets = TagFacets::of(state.facets().keys().cloned());
            *self.0.lock().expect("facets") = Some((organization, facets));
        }
        let outcome = store.commit(commit).await;
        for _ in 0..20 {
            yield_now().await;
        }
        *self.0.lock().expect("facets") = None;
        outcome
    }

    async fn list(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        listing: &Listing,
    ) -> Result<Listed, StoreError> {
        let mut listed = store.list(organization, listing).await?;
        if let (Listed::Page(Page { facets: Some(facets), .. }), Some((of, before))) =
            (&mut listed, &*self.0.lock().expect("facets"))
            && of == organization
        {
            *facets = before.clone();
        }
        Ok(listed)
    }
}

#[test]
fn a_page_of_two_moments_is_found() {
    finds::<FacetsFollowLater>(&["concurrent::readers_see_whole_writes"]);
}

/// Has its readers wait until a write is done.
#[derive(Debug, Default)]
struct ReadersWait(tokio::sync::RwLock<()>);

#[async_trait]
impl Fault for ReadersWait {
    async fn commit(&self, store: &ModelStore, commit: Commit) -> Result<CommitOutcome, StoreError> {
        let _writing = self.0.write().await;
        yield_now().await;
        store.commit(commit).await
    }

    async fn list(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        listing: &Listing,
    ) -> Result<Listed, StoreError> {
        let _reading = self.0.read().await;
        store.list(organization, listing).await
    }
}

#[test]
fn readers_that_wait_for_a_write_are_found() {
    finds::<ReadersWait>(&["atomic::reads_go_on_beside_a_write_under_way"]);
}

/// Applies a document one organization after the other, until one is refused.
#[derive(Debug, Default)]
struct CatalogInParts;

#[async_trait]
impl Fault for CatalogInParts {
    async fn apply_catalog(
        &self,
        store: &ModelStore,
        document: &CatalogDocument,
    ) -> Result<CatalogChanges, CatalogError> {
        let llms = CatalogDocument { llms: document.llms.clone(), organizations: Vec::new() };
        let mut changes = store.apply_catalog(&llms).await?;
        for entry in &document.organizations {
            let part = CatalogDocument { llms: Vec::new(), organizations: vec![entry.clone()] };
            changes.organizations.extend(store.apply_catalog(&part).await?.organizations);
        }
        Ok(changes)
    }
}

#[test]
fn a_catalog_that_is_applied_in_half_is_found() {
    finds::<CatalogInParts>(&["catalog::applies_nothing_of_what_it_refuses"]);
}

/// Counts a document as a change of the organizations it names, whether it changes them or not.
#[derive(Debug, Default)]
struct CatalogAlwaysMoves;

#[async_trait]
impl Fault for CatalogAlwaysMoves {
    async fn apply_catalog(
        &self,
        store: &ModelStore,
        document: &CatalogDocument,
    ) -> Result<CatalogChanges, CatalogError> {
        let changes = store.apply_catalog(document).await?;
        let unchanged =
            document.organizations.iter().filter(|entry| !changes.organizations.contains_key(&entry.id));
        store.change(|contents| {
            for entry in unchanged {
                let state = contents.organizations.entry(entry.id.clone()).or_default();
                state.apply_catalog(&service_core::catalog::OrganizationChanges::default());
            }
        });
        Ok(changes)
    }
}

#[test]
fn a_catalog_that_moves_without_a_change_is_found() {
    finds::<CatalogAlwaysMoves>(&["catalog::is_idempotent", "catalog::applies_whole_and_moves_on_by_one"]);
}
