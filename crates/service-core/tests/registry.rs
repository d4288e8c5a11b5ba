//! The loop of the registry: what it does when a store says stale, loses an answer, or fails.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use service_core::registry::MAX_ATTEMPTS;
use service_core::*;
use store_conformance::generate::{catalog, grants, service};
use store_conformance::reference::ModelStore;
use store_conformance::world::{administrator, block_on};

/// What happens to the next commits instead of what should.
#[derive(Debug)]
enum Trouble {
    /// Another writer renames the service to this first.
    Overtaken(&'static str),
    /// It happens, and the answer is lost.
    AnswerLost,
    /// It does not happen, and the answer is lost.
    LostBefore,
    /// It fails.
    Fails(StoreErrorKind),
}

/// A model store in which commits run into trouble.
#[derive(Debug, Default)]
struct Troubled {
    store: ModelStore,
    ahead: Mutex<VecDeque<Trouble>>,
    commits: AtomicUsize,
}

impl Troubled {
    fn overtake(&self, commit: &Commit, name: &str) {
        let organization = &commit.draft.service().organization;
        let query = FactsQuery { service: Some(commit.draft.service().id), ..FactsQuery::default() };
        let facts = block_on(self.store.facts(organization, &query)).unwrap().unwrap();
        let request = UpdateService { name: Some(name.parse().unwrap()), ..UpdateService::default() };
        let id = commit.draft.service().id;
        let decided = rules::decide_update(&facts, id, &request, &administrator(), Timestamp::UNIX_EPOCH);
        let Ok(Decision::Change(draft)) = decided else { panic!("{decided:?}") };
        let expected = facts.service.map(|service| service.revision);
        let first = Commit { draft, expected, catalog_revision: facts.catalog_revision };
        assert!(matches!(block_on(self.store.commit(first)).unwrap(), CommitOutcome::Committed(_)));
    }
}

#[async_trait]
impl Repository for Troubled {
    async fn facts(
        &self,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        self.store.facts(organization, query).await
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        let lost = || StoreError::new(StoreErrorKind::OutcomeUnknown, "the line went dead");
        let trouble = self.ahead.lock().unwrap().pop_front();
        match trouble {
            None => self.store.commit(commit).await,
            Some(Trouble::Overtaken(name)) => {
                self.overtake(&commit, name);
                self.store.commit(commit).await
            }
            Some(Trouble::AnswerLost) => self.store.commit(commit).await.and(Err(lost())),
            Some(Trouble::LostBefore) => Err(lost()),
            Some(Trouble::Fails(kind)) => Err(StoreError::new(kind, "out of order")),
        }
    }

    async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Result<Listed, StoreError> {
        self.store.list(organization, listing).await
    }

    async fn history(
        &self,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError> {
        self.store.history(organization, after, limit).await
    }

    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationRecord>, StoreError> {
        self.store.organization(organization).await
    }

    async fn llms(&self) -> Result<Llms, StoreError> {
        self.store.llms().await
    }

    async fn apply_catalog(&self, document: &CatalogDocument) -> Result<CatalogChanges, CatalogError> {
        self.store.apply_catalog(document).await
    }
}

/// Gives these eight bytes in turn, the last ones for ever, and remembers the pauses.
#[derive(Debug)]
struct Scripted {
    entropy: Mutex<VecDeque<u8>>,
    pauses: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Environment for Scripted {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn entropy(&self) -> [u8; 8] {
        let mut entropy = self.entropy.lock().unwrap();
        let byte = if entropy.len() > 1 { entropy.pop_front() } else { entropy.front().copied() };
        [byte.unwrap(); 8]
    }

    async fn pause(&self, duration: Duration) {
        self.pauses.lock().unwrap().push(duration);
    }
}

struct Setting {
    store: Arc<Troubled>,
    environment: Arc<Scripted>,
    registry: Registry,
}

fn acme() -> OrganizationId {
    catalog::organization(0)
}

impl Setting {
    fn new(entropy: impl IntoIterator<Item = u8>) -> Self {
        let store = Arc::new(Troubled::default());
        block_on(store.apply_catalog(&catalog::start([acme()]))).unwrap();
        let entropy = Mutex::new(entropy.into_iter().collect());
        let environment = Arc::new(Scripted { entropy, pauses: Mutex::default() });
        let repository: Arc<dyn Repository> = store.clone();
        let registry = Registry::new(repository, environment.clone());
        Self { store, environment, registry }
    }

    fn ahead(&self, trouble: impl IntoIterator<Item = Trouble>) {
        self.store.commits.store(0, Ordering::Relaxed);
        self.store.ahead.lock().unwrap().extend(trouble);
    }

    fn commits(&self) -> usize {
        self.store.commits.load(Ordering::Relaxed)
    }

    fn create(&self, name: &str) -> Result<Arc<Service>, RegistryError> {
        let request = CreateService {
            name: name.parse().unwrap(),
            description: "d".parse().unwrap(),
            is_active: true,
            agent_id: service::agent_id(0),
            state_machine_id: service::state_machine_id(0),
            tags: Tags::default(),
            keyterms: Keyterms::default(),
            release: None,
        };
        block_on(self.registry.create(&acme(), &administrator(), &request))
    }

    fn rename(&self, id: ServiceId, name: &str) -> Result<Arc<Service>, RegistryError> {
        let request = UpdateService { name: Some(name.parse().unwrap()), ..UpdateService::default() };
        block_on(self.registry.update(&acme(), &administrator(), id, &request))
    }

    fn history(&self) -> Vec<Arc<Service>> {
        self.store.store.contents().organizations[&acme()].history().to_vec()
    }
}

#[test]
fn decides_again_when_another_writer_was_faster() {
    let setting = Setting::new([1, 2, 3]);
    let service = setting.create("first").unwrap();
    setting.ahead([Trouble::Overtaken("second"), Trouble::Overtaken("third")]);
    let written = setting.rename(service.id, "mine").unwrap();
    assert_eq!(setting.commits(), 3);
    assert_eq!(written.revision.get(), 4);
    let names: Vec<_> = setting.history().iter().map(|row| row.name.to_string()).collect();
    assert_eq!(names, ["first", "second", "third", "mine"]);
    let pauses = setting.environment.pauses.lock().unwrap();
    assert_eq!(pauses.len(), 2);
    assert!(pauses.iter().all(|pause| *pause < Duration::from_millis(2)));
}

#[test]
fn what_another_writer_did_can_leave_nothing_to_do_or_a_refusal() {
    let setting = Setting::new([1, 2, 3]);
    let service = setting.create("first").unwrap();
    setting.ahead([Trouble::Overtaken("wanted")]);
    let unchanged = setting.rename(service.id, "wanted").unwrap();
    assert_eq!((unchanged.revision.get(), setting.history().len()), (2, 2), "nothing to change any more");

    let other = setting.create("free").unwrap();
    setting.ahead([Trouble::Overtaken("moved")]);
    setting.rename(other.id, "free again").unwrap();
    let taken = setting.rename(service.id, "free again");
    assert!(matches!(taken, Err(RegistryError::Refused(Refusal::ActiveNameTaken(_)))));
}

#[test]
fn gives_up_after_so_many_attempts_and_has_changed_nothing() {
    let setting = Setting::new([9]);
    let service = setting.create("s").unwrap();
    let names: [&str; 2] = ["odd", "even"];
    setting.ahead((0..100).map(|number| Trouble::Overtaken(names[number % 2])));
    let error = setting.rename(service.id, "mine").unwrap_err();
    assert!(matches!(error, RegistryError::Contention) && error.is_retryable());
    assert_eq!(setting.commits(), usize::try_from(MAX_ATTEMPTS).unwrap());
    assert!(setting.history().iter().all(|row| row.name.as_str() != "mine"));
    let longest = setting.environment.pauses.lock().unwrap().iter().max().copied().unwrap();
    assert!(longest < Duration::from_millis(128));
}

#[test]
fn draws_another_id_where_one_exists_already() {
    // The same entropy twice, and then other.
    let setting = Setting::new([5, 5, 6, 7, 8]);
    let first = setting.create("first").unwrap();
    let second = setting.create("second").unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(setting.commits(), 3, "the second one needed two");
    assert_eq!(setting.history().len(), 2);
}

#[test]
fn a_lost_answer_is_not_retried_and_tells_how_to_find_out() {
    for (trouble, happened) in [(Trouble::AnswerLost, true), (Trouble::LostBefore, false)] {
        let setting = Setting::new([1, 2, 3]);
        let service = setting.create("s").unwrap();
        setting.ahead([trouble]);
        let error = setting.rename(service.id, "mine").unwrap_err();
        assert!(!error.is_retryable());
        let RegistryError::OutcomeUnknown { service: id, expected, .. } = error else { panic!("{error}") };
        assert_eq!((id, expected, setting.commits()), (service.id, Some(service.revision), 1));
        let now = setting.history().last().unwrap().revision;
        assert_eq!(now > expected.unwrap(), happened, "the revision tells");
    }
    let setting = Setting::new([1, 2, 3]);
    setting.ahead([Trouble::AnswerLost]);
    let error = setting.create("s").unwrap_err();
    let RegistryError::OutcomeUnknown { service, expected: None, .. } = error else { panic!("{error}") };
    assert_eq!(setting.history()[0].id, service, "the id tells whether the create happened");
}

#[test]
fn a_failure_is_passed_on_and_nothing_has_changed() {
    for (kind, retryable) in [
        (StoreErrorKind::Unavailable, true),
        (StoreErrorKind::Corrupt, false),
        (StoreErrorKind::Schema, false),
        (StoreErrorKind::Internal, false),
    ] {
        let setting = Setting::new([1, 2]);
        let service = setting.create("s").unwrap();
        setting.ahead([Trouble::Fails(kind)]);
        let error = setting.rename(service.id, "mine").unwrap_err();
        assert_eq!(error.is_retryable(), retryable);
        assert!(matches!(error, RegistryError::Store(error) if error.kind() == kind));
        assert_eq!((setting.commits(), setting.history().len()), (1, 1));
    }
}

#[test]
fn whoever_holds_no_grant_at_all_learns_nothing() {
    let setting = Setting::new([1]);
    let service = setting.create("s").unwrap();
    let nobody = Caller { grants: Grants::default(), ..administrator() };
    let nowhere = catalog::organization(9);
    let denied = |result: Result<(), RegistryError>, permission| {
        assert!(
            matches!(result, Err(RegistryError::Refused(Refusal::PermissionDenied(denied))) if denied == permission)
        );
    };
    for organization in [&acme(), &nowhere] {
        let update = UpdateService::default();
        let absent = ServiceId::from_bytes([9; 12]);
        for id in [service.id, absent] {
            let updated = block_on(setting.registry.update(organization, &nobody, id, &update));
            denied(updated.map(drop), Permission::UpdateService);
            let delete = DeleteVersionSet { name: "release".parse().unwrap() };
            let deleted = block_on(setting.registry.delete_version_set(organization, &nobody, id, &delete));
            denied(deleted.map(drop), Permission::DeleteVersionSet);
        }
        let listed = block_on(setting.registry.list(organization, &nobody, ListServices::default()));
        denied(listed.map(drop), Permission::GetService);
    }
    let update = UpdateService::default();
    let unknown = block_on(setting.registry.update(&nowhere, &administrator(), service.id, &update));
    assert!(matches!(unknown, Err(RegistryError::Refused(Refusal::OrganizationNotFound(_)))));
    let upsert = UpsertVersionSet { name: "new".parse().unwrap(), version_set: VersionSet::default() };
    for either in [Permission::CreateVersionSet, Permission::UpdateVersionSet] {
        let only = Grants::new([Grant::new(either, [].into()).unwrap()]).unwrap();
        let caller = Caller { grants: only, ..administrator() };
        let upserted = block_on(setting.registry.upsert_version_set(&acme(), &caller, service.id, &upsert));
        let wanted = Permission::CreateVersionSet;
        assert_eq!(upserted.is_ok(), either == wanted, "either lets in, the rules decide");
        let name = "new".parse().unwrap();
        let delete = DeleteVersionSet { name };
        drop(block_on(setting.registry.delete_version_set(&acme(), &administrator(), service.id, &delete)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lists_what_the_grants_admit_and_nothing_else(
        services in proptest::collection::vec(store_conformance::generate::request::create(), 1..20),
        seen in grants::grants_to_see(),
    ) {
        let world = store_conformance::world::World::new();
        for request in services {
            world.run(&acme(), &store_conformance::generate::request::Recipe::Create(request));
        }
        let state = world.state(&acme());
        let visibility = Visibility::of(&seen, Permission::GetService);
        let listing = Listing {
            filter: ServiceFilter::default(),
            visibility,
            sort: Sort::default(),
            limit: Limit::with_maximum(100, 100).unwrap(),
            token: ContinuationToken::START,
        };
        let Listed::Page(page) = state.list(&listing) else { panic!("a page") };
        let admitted: Vec<_> = state
            .services()
            .values()
            .filter(|service| seen.admit(Permission::GetService, service, None))
            .cloned()
            .collect();
        prop_assert_eq!(page.services, admitted);
    }
}
