//! Calls as a whole: seen by what comes after them, in nobody's way, and done or not done even if nobody waits for them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use service_core::catalog::{LlmEntry, OrganizationEntry, UserEntry};
use service_core::{
    CatalogDocument, Commit, CommitOutcome, CreateService, FactsQuery, Listed, Listing, OrganizationId,
    Revision, ServiceId, Standing,
};

use super::{Setting, creation, everything, rename, tags};
use crate::generate::catalog::{agent_entry, principal, user};
use crate::store::Fresh;

/// More steps than any call of any store takes.
const MAX_STEPS: usize = 2000;

/// How long a read may take before it is said to wait for a write: far longer than any read takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes a call so many steps on, each as far as it goes without waiting; its answer, if it has come to one by then.
async fn steps<F: Future + ?Sized>(mut call: Pin<&mut F>, most: usize) -> Option<F::Output> {
    let mut taken = 0;
    poll_fn(|context| {
        if taken == most {
            return Poll::Ready(None);
        }
        taken += 1;
        call.as_mut().poll(context).map(Some)
    })
    .await
}

fn id(number: usize) -> ServiceId {
    let [.., high, low] = number.to_be_bytes();
    ServiceId::from_bytes([7, 7, 7, 7, 7, 7, 7, 7, 7, 7, high, low])
}

async fn write(setting: &Setting, number: usize) -> Commit {
    let request = CreateService {
        tags: tags(&["of:all", &format!("number:{number}")]),
        ..creation(&format!("service {number}"), true)
    };
    setting.creating(id(number), &request).await
}

/// Changes an LLM, two organizations, and everything of an organization that has versions.
fn change(setting: &Setting, number: usize) -> CatalogDocument {
    let latest = i64::try_from(number).expect("few steps") + 10;
    let entry = |organization: &OrganizationId| OrganizationEntry {
        agents: vec![agent_entry(0, Some(latest), false)],
        users: vec![UserEntry {
            id: user(7),
            organization: None,
            roles: vec!["admin".parse().expect("a role name")],
        }],
        ..OrganizationEntry::new(organization.clone())
    };
    let name = format!("llm {number}").parse().expect("an llm name");
    CatalogDocument {
        llms: vec![LlmEntry { name, deprecated: false }],
        organizations: vec![entry(&setting.acme), entry(&setting.other)],
    }
}

/// A write that is given up after any number of steps has happened whole or not at all, and is in nobody's way.
pub async fn writes_nobody_waits_for_happen_whole_or_not_at_all(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    for number in 0.. {
        assert!(number < MAX_STEPS, "a commit that comes to no end");
        let commit = write(&setting, number).await;
        let before = setting.record(&setting.acme).await.revision;
        let mut call = setting.repository().commit(commit);
        let outcome = steps(call.as_mut(), number).await;
        drop(call);
        // The next write waits for its end, wherever that may be.
        setting.create(&format!("after {number}"), true).await;
        let state = setting.state(&setting.acme).await;
        let happened = state.services().contains_key(&id(number));
        let taken = state.record().revision.get() - before.get() - 1;
        assert_eq!(taken, i64::from(happened), "after {number} steps");
        if let Some(outcome) = outcome {
            assert!(happened && matches!(outcome.expect("an answer"), CommitOutcome::Committed(_)));
            break;
        }
    }
}

/// A catalog document that is given up after any number of steps is applied whole, in all organizations and to the LLMs, or not at
/// all, and is in nobody's way.
pub async fn documents_nobody_waits_for_are_applied_whole_or_not_at_all(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    for number in 0.. {
        assert!(number < MAX_STEPS, "a document that comes to no end");
        let document = change(&setting, number);
        let before = setting.record(&setting.acme).await.catalog_revision;
        let mut call = setting.repository().apply_catalog(&document);
        let outcome = steps(call.as_mut(), number).await;
        drop(call);
        for organization in [&setting.acme, &setting.other] {
            setting.create_in(organization, &format!("after {number}"), true).await;
        }
        let name = document.llms[0].name.clone();
        let happened = setting.llms().await.contains_key(&name);
        for organization in [&setting.acme, &setting.other] {
            let record = setting.state(organization).await.record().clone();
            let latest = record.catalog.agents[&document.organizations[0].agents[0].id].latest_version;
            assert_eq!(latest == document.organizations[0].agents[0].latest_version, happened);
            let moved = record.catalog_revision.get() - before.get();
            assert_eq!(moved, i64::from(happened), "in `{organization}` after {number} steps");
        }
        if outcome.is_some() {
            assert!(happened);
            break;
        }
    }
}

/// Wherever a write stands still on its way, reads are answered, and with what was there before it or is after it.
pub async fn reads_go_on_beside_a_write_under_way(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    for number in 0.. {
        assert!(number < MAX_STEPS, "a write that comes to no end");
        let commit = write(&setting, number).await;
        let mut call = setting.repository().commit(commit);
        let answered = steps(call.as_mut(), number).await;
        let reads = tokio::time::timeout(PATIENCE, read_beside(&setting, number)).await;
        reads.expect("reads that do not wait for a write");
        if answered.is_some() {
            break;
        }
        assert!(matches!(call.await.expect("an answer"), CommitOutcome::Committed(_)));
    }
    for number in 0.. {
        assert!(number < MAX_STEPS, "a document that comes to no end");
        let document = change(&setting, number);
        let mut call = setting.repository().apply_catalog(&document);
        let answered = steps(call.as_mut(), number).await;
        let reads = async {
            read_beside(&setting, number).await;
            setting.llms().await;
            let standing = setting.store.access.standing(&setting.acme, &principal(0, 0)).await;
            assert!(matches!(standing.expect("a standing"), Standing::Known(_)));
        };
        tokio::time::timeout(PATIENCE, reads).await.expect("reads that do not wait for a catalog change");
        if answered.is_some() {
            break;
        }
        assert!(!call.await.expect("a document that is applied").is_empty());
    }
}

/// Reads in every way while a write of this number may happen between any two of them.
async fn read_beside(setting: &Setting, number: usize) {
    let page = setting.page(&setting.acme, &everything()).await;
    let listed = page.services.iter().any(|service| service.id == id(number));
    let tag = format!("number:{number}");
    let facets = page.facets.expect("facets on the first page").tags;
    assert_eq!(facets.iter().any(|facet| facet.to_string() == tag), listed, "a page is one snapshot");
    let query = FactsQuery { service: Some(id(number)), ..FactsQuery::default() };
    let facts = setting.repository().facts(&setting.acme, &query).await.expect("facts");
    let known = facts.expect("an organization").service.is_some();
    assert!(known || !listed, "what was seen stays seen");
    let last = setting.record(&setting.acme).await.revision;
    let rows = setting.history(&setting.acme).await;
    assert!(rows.len() >= usize::try_from(last.get()).expect("few revisions"));
    assert!(!known || rows.iter().any(|row| row.id == id(number)));
}

/// As soon as a write has returned, whoever asks sees it, in every way there is to ask.
pub async fn what_a_call_did_the_next_one_sees(fresh: &Fresh) {
    let setting = Arc::new(Setting::new(fresh).await);
    let service = setting.create("s", true).await;
    for round in 0..30_usize {
        let written = setting.update(service.id, rename(&format!("s {round}"))).await;
        setting.apply(&change(&setting, round)).await;
        let readers = (0..4).map(|_| {
            let (setting, written) = (Arc::clone(&setting), Arc::clone(&written));
            async move {
                let repository = setting.repository();
                let listing = Listing { sort: super::sorted(&["+name"]), ..everything() };
                let listed = repository.list(&setting.acme, &listing).await.expect("a page");
                let Listed::Page(page) = listed else { panic!("a page, and not {listed:?}") };
                assert_eq!(page.services, [Arc::clone(&written)]);
                let query = FactsQuery { service: Some(written.id), ..FactsQuery::default() };
                let facts = repository.facts(&setting.acme, &query).await.expect("facts");
                let facts = facts.expect("an organization");
                assert_eq!((facts.service.as_ref(), facts.active_holder), (Some(&written), Some(written.id)));
                let rows = repository.history(&setting.acme, Revision::ZERO, usize::MAX).await;
                assert_eq!(rows.expect("history").expect("an organization").last(), Some(&written));
                let record = setting.record(&setting.acme).await;
                assert_eq!(record.revision, written.revision);
                assert_eq!(record.catalog_revision, facts.catalog_revision);
                assert_eq!(record.catalog.agents[&written.agent_id], facts.agents[&written.agent_id]);
                assert!(setting.llms().await.contains_key(format!("llm {round}").as_str()));
                let standing = setting.store.access.standing(&setting.acme, &principal(0, 7)).await;
                assert!(matches!(standing.expect("a standing"), Standing::Known(_)));
                (record.catalog_revision, record.catalog.agents[&written.agent_id].latest_version)
            }
        });
        let readers: Vec<_> = readers.map(tokio::spawn).collect();
        for reader in readers {
            let (revision, latest) = reader.await.expect("a reader that does not panic");
            assert_eq!(revision.get(), 2 + i64::try_from(round).expect("few rounds"));
            assert_eq!(
                latest.map(|latest| latest.get()),
                Some(10 + u32::try_from(round).expect("few rounds"))
            );
        }
    }
}
