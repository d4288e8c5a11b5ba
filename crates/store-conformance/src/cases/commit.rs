//! Commits: what makes one stale, and what one leaves behind.

use service_core::{
    Caller, CatalogRevision, Commit, CommitOutcome, Principal, Revision, ServiceId, UpdateService,
};

use super::{Setting, activate, creation, rename, retag};
use crate::generate::catalog::{organization, organization_entry, user};
use crate::generate::{Draws, request};
use crate::store::Fresh;

fn id(number: u8) -> ServiceId {
    ServiceId::from_bytes([number; 12])
}

/// Revisions are 1, 2, 3, … in commit order, whichever service they are of; the commit says which.
pub async fn takes_the_next_revision(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    for number in 1..=3_u8 {
        let commit = setting.creating(id(number), &creation(&format!("s{number}"), true)).await;
        assert_eq!(setting.commit(commit).await, CommitOutcome::Committed(revision(number.into())));
    }
    for (number, of) in [(4, 2), (5, 1), (6, 2)] {
        let commit = setting.changing(id(of), &rename(&format!("renamed {number}"))).await;
        assert_eq!(setting.commit(commit).await, CommitOutcome::Committed(revision(number)));
        let state = setting.state(&setting.acme).await;
        assert_eq!(state.services()[&id(of)].revision, revision(number));
        assert_eq!(state.record().revision, revision(number));
    }
}

fn revision(number: i64) -> Revision {
    Revision::new(number).expect("a revision")
}

/// A commit for an organization that does not exist is stale, and does not make it.
pub async fn is_stale_without_the_organization(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let twin = Setting::new(fresh).await;
    let nowhere = organization(9);
    twin.apply(&crate::generate::catalog::start([nowhere.clone()])).await;
    let elsewhere = Setting { acme: nowhere.clone(), ..twin };
    let commit = elsewhere.creating(id(1), &creation("s", true)).await;
    setting.commit_stale(commit).await;
    assert_eq!(setting.repository().organization(&nowhere).await.expect("an answer"), None);
}

/// A service's revision must be the one that was expected: neither an earlier nor a later one.
pub async fn is_stale_on_another_revision_of_the_service(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let service = setting.create("s", true).await;
    let late = setting.changing(service.id, &rename("late")).await;
    setting.update(service.id, rename("early")).await;
    setting.commit_stale(late.clone()).await;
    let now = setting.changing(service.id, &rename("late")).await;
    setting.commit_stale(Commit { expected: now.expected.map(Revision::next), ..now.clone() }).await;
    setting.create("another service's revision does not matter", true).await;
    assert!(matches!(setting.commit(now).await, CommitOutcome::Committed(_)));
}

/// A service that was expected not to exist is not replaced.
pub async fn is_stale_if_the_service_exists_already(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let commit = setting.creating(id(1), &creation("first", false)).await;
    let again = setting.creating(id(1), &creation("second", false)).await;
    assert!(matches!(setting.commit(commit.clone()).await, CommitOutcome::Committed(_)));
    setting.commit_stale(again).await;
    setting.commit_stale(commit).await;
}

/// A service that was expected to exist and does not is not made.
pub async fn is_stale_if_the_service_does_not_exist(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let commit = setting.creating(id(1), &creation("s", true)).await;
    setting.commit_stale(Commit { expected: Some(revision(1)), ..commit.clone() }).await;
    setting.commit_stale(Commit { expected: Some(Revision::ZERO), ..commit.clone() }).await;
    setting.create("takes revision 1", true).await;
    setting.commit_stale(Commit { expected: Some(revision(1)), ..commit }).await;
}

/// The catalog must be the one the decision saw, whatever has changed in it.
pub async fn is_stale_on_another_catalog_revision(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let commit = setting.creating(id(1), &creation("s", true)).await;
    let mut entry = organization_entry(setting.acme.clone());
    entry.users.push(service_core::catalog::UserEntry { id: user(9), organization: None, roles: Vec::new() });
    let document = service_core::CatalogDocument { llms: Vec::new(), organizations: vec![entry] };
    setting.apply(&document).await;
    setting.commit_stale(commit).await;
    let commit = setting.creating(id(1), &creation("s", true)).await;
    for other in [CatalogRevision::ZERO, commit.catalog_revision.next()] {
        setting.commit_stale(Commit { catalog_revision: other, ..commit.clone() }).await;
    }
    assert!(setting.apply(&document).await.is_empty(), "a document that changes nothing moves nothing");
    assert!(matches!(setting.commit(commit).await, CommitOutcome::Committed(_)));
}

/// An active service whose name another active one has taken meanwhile is not written, whether created, renamed or activated; the
/// name as it is, to the code point.
pub async fn is_stale_if_the_active_name_is_taken(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let renamed = setting.create("to be renamed", true).await;
    let activated = setting.create("Name", false).await;
    let commits = [
        setting.creating(id(1), &creation("Name", true)).await,
        setting.changing(renamed.id, &rename("Name")).await,
        setting.changing(activated.id, &activate(true)).await,
    ];
    let holder = setting.create("Name", true).await;
    for commit in &commits {
        setting.commit_stale(commit.clone()).await;
    }
    for (number, other) in (10..).zip(["name", "NAME", "Name\u{301}", "Ｎame", "Name\u{200b}"]) {
        let commit = setting.creating(id(number), &creation(other, true)).await;
        assert!(matches!(setting.commit(commit).await, CommitOutcome::Committed(_)), "{other:?}");
    }
    setting.update(holder.id, activate(false)).await;
    let [creating, ..] = commits;
    assert!(matches!(setting.commit(creating).await, CommitOutcome::Committed(_)), "the name is free again");
    setting.state(&setting.acme).await;
}

/// Inactive services may share names with anything.
pub async fn lets_inactive_services_share_names(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    for is_active in [false, true, false, false] {
        setting.create("shared", is_active).await;
    }
    let other = setting.create("other", false).await;
    setting.update(other.id, rename("shared")).await;
    assert_eq!(setting.state(&setting.acme).await.services().len(), 5);
}

/// A name is free as soon as its holder is renamed or deactivated, and the holder keeps it through other changes.
pub async fn frees_a_name_by_renaming_and_by_deactivation(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let first = setting.create("a", true).await;
    setting.update(first.id, retag(&["x:y"])).await;
    setting.update(first.id, rename("b")).await;
    let second = setting.create("a", true).await;
    setting.update(first.id, activate(false)).await;
    setting.update(second.id, rename("b")).await;
    setting.update(first.id, UpdateService { is_active: Some(true), ..rename("a") }).await;
    setting.state(&setting.acme).await;
}

/// Whatever a service can hold comes back as it was: texts to the code point, numbers by value, times to the microsecond.
pub async fn keeps_every_value_as_it_was(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let mut draws = Draws::seeded(3);
    let mut written = Vec::new();
    for _ in 0..60 {
        let request = draws.draw(&request::create());
        let author = draws.draw(&crate::generate::service::principal());
        let caller = Caller { principal: Principal { ..author }, ..setting.admin.clone() };
        if let Ok(service) = setting.registry.create(&setting.acme, &caller, &request).await {
            written.push(service);
        }
        let Some(service) = written.last() else { continue };
        let upsert = draws.draw(&request::upsert());
        let upserted = setting.registry.upsert_version_set(&setting.acme, &caller, service.id, &upsert).await;
        written.extend(upserted.ok().filter(|upserted| upserted.revision > service.revision));
    }
    assert!(written.len() > 40, "most of what is drawn can be written");
    assert_eq!(setting.history(&setting.acme).await, written);
    setting.state(&setting.acme).await;
}
