//! Organizations: unknown, new, and apart from each other.

use std::sync::Arc;

use service_core::{
    Commit, CommitOutcome, ContinuationToken, FactsQuery, Listed, Listing, OrganizationRecord, Revision,
    ServiceFilter, ServiceId, Standing,
};

use super::{Setting, creation, everything, rename, retag};
use crate::generate::catalog::{organization, organization_entry, principal};
use crate::store::Fresh;

/// Of an organization that does not exist, every call says so.
pub async fn an_unknown_one_is_none_everywhere(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let unknown = organization(7);
    let repository = setting.repository();
    assert_eq!(repository.facts(&unknown, &FactsQuery::default()).await.expect("an answer"), None);
    assert_eq!(setting.list(&unknown, &everything()).await, Listed::UnknownOrganization);
    assert_eq!(repository.history(&unknown, Revision::ZERO, 10).await.expect("an answer"), None);
    assert_eq!(repository.organization(&unknown).await.expect("an answer"), None);
    let standing = setting.store.access.standing(&unknown, &principal(0, 0)).await;
    assert_eq!(standing.expect("an answer"), Standing::UnknownOrganization);
}

/// An organization begins with revision 0, catalog revision 1, its catalog, no services and no facets.
pub async fn a_new_one_is_empty_with_its_catalog(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let record = setting.record(&setting.acme).await;
    let OrganizationRecord { revision, catalog_revision, catalog } = &record;
    assert_eq!((revision.get(), catalog_revision.get()), (0, 1));
    assert_eq!((catalog.agents.len(), catalog.state_machines.len()), (4, 4));
    assert_eq!((catalog.roles.len(), catalog.users.len()), (1, 1));
    let page = setting.page(&setting.acme, &everything()).await;
    assert!(page.services.is_empty() && page.next.is_none());
    let facts = setting.repository().facts(&setting.acme, &FactsQuery::default()).await.expect("an answer");
    assert_eq!(facts.expect("an organization").catalog_revision, *catalog_revision);
    let empty = service_core::catalog::OrganizationEntry::new(organization(5));
    let document = service_core::CatalogDocument { llms: Vec::new(), organizations: vec![empty] };
    assert!(!setting.apply(&document).await.is_empty(), "an organization is added by naming it");
    assert_eq!(setting.record(&organization(5)).await.catalog_revision.get(), 1);
}

/// Two organizations have the same service ids, names, agents and tags, and neither sees or changes anything of the other's.
pub async fn with_the_same_ids_are_isolated(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let twin =
        Setting { acme: setting.other.clone(), other: setting.acme.clone(), ..Setting::new(fresh).await };
    let twin = Setting { store: setting.store.clone(), ..twin };
    let id = ServiceId::from_bytes([7; 12]);
    for each in [&setting, &twin] {
        let commit = each.creating(id, &creation("Shared", true)).await;
        let outcome = each.commit(commit).await;
        assert_eq!(outcome, CommitOutcome::Committed(Revision::ZERO.next()), "a counter each");
    }
    let before = setting.state(&setting.other).await;
    for request in [rename("Mine"), retag(&["only:mine", "a:"]), super::activate(false)] {
        let commit = setting.changing(id, &request).await;
        assert!(matches!(setting.commit(commit).await, CommitOutcome::Committed(_)));
    }
    let mut entry = organization_entry(setting.acme.clone());
    entry.agents[0].deprecated = true;
    setting.apply(&service_core::CatalogDocument { llms: Vec::new(), organizations: vec![entry] }).await;
    assert_eq!(setting.state(&setting.other).await, before);
    assert_eq!(setting.state(&setting.acme).await.record().revision.get(), 4);
    // A revision of one organization is no token of the other.
    let listing = service_core::Listing { token: service_core::ContinuationToken::new(3), ..everything() };
    assert!(matches!(setting.list(&setting.acme, &listing).await, Listed::Page(_)));
    assert_eq!(setting.list(&setting.other, &listing).await, Listed::InvalidToken);
}

/// Ids, tokens and names of one organization find nothing in another, in whatever call they are used.
pub async fn are_out_of_reach_of_ids_and_tokens_of_others(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let theirs = setting.create_in(&setting.other, "Theirs", true).await;
    let mine = setting.create("Mine", true).await;
    let before = setting.state(&setting.other).await;
    let query =
        FactsQuery { service: Some(theirs.id), name: Some(theirs.name.clone()), ..FactsQuery::default() };
    let facts = setting.repository().facts(&setting.acme, &query).await.expect("an answer");
    let facts = facts.expect("an organization");
    assert_eq!((facts.service, facts.active_holder), (None, None));
    let filter = ServiceFilter::new([theirs.id, mine.id], None, []).expect("a filter");
    let page = setting.page(&setting.acme, &Listing { filter, ..everything() }).await;
    assert_eq!(page.services, [Arc::clone(&mine)]);
    let rows = setting.history(&setting.acme).await;
    assert!(rows.iter().all(|row| row.organization == setting.acme), "a history of its own");

    // A draft of this organization under an id of the other: a new service here, and nothing new there.
    let commit = setting.creating(theirs.id, &creation("Theirs", true)).await;
    let expecting = Commit { expected: Some(theirs.revision), ..commit.clone() };
    assert_eq!(setting.commit(expecting).await, CommitOutcome::Stale);
    assert!(matches!(setting.commit(commit).await, CommitOutcome::Committed(_)));
    for number in 0..3 {
        setting.create(&format!("s{number}"), true).await;
    }
    assert_eq!(setting.state(&setting.other).await, before);
    // The revision 2 was given here, and not there.
    let listing = Listing { token: ContinuationToken::new(2), ..everything() };
    assert!(matches!(setting.list(&setting.acme, &listing).await, Listed::Page(_)));
    assert_eq!(setting.list(&setting.other, &listing).await, Listed::InvalidToken);
}
