//! The cases, a module for each topic. Each gets fresh stores and panics if a promise of the traits is broken.

pub mod access;
pub mod archive;
pub mod atomic;
pub mod catalog;
pub mod commit;
pub mod concurrent;
pub mod facts;
pub mod history;
mod interleaved;
pub mod listing;
pub mod operations;
pub mod organizations;
pub mod random;

use std::sync::Arc;

use service_core::{
    Caller, CatalogChanges, CatalogDocument, CatalogError, Commit, CommitOutcome, CreateService, Decision,
    Environment, FactsQuery, Keyterms, Limit, Listed, Listing, OrganizationId, OrganizationRecord,
    OrganizationState, Page, Registry, Repository, Revision, Service, ServiceId, Sort, TagFacets, Tags,
    UpdateService, rules,
};

use self::interleaved::Interleaved;
use crate::environment::TestEnvironment;
use crate::generate::catalog as generated;
use crate::generate::listing::everything;
use crate::generate::service::{agent_id, state_machine_id};
use crate::store::{Fresh, Store};
use crate::world::administrator;

/// A fresh store in which two organizations, whose ids differ only in case, have a catalog to begin with.
struct Setting {
    store: Store,
    environment: Arc<TestEnvironment>,
    registry: Registry,
    /// The first organization, which most cases are about.
    acme: OrganizationId,
    /// The second one.
    other: OrganizationId,
    /// Somebody who may do everything.
    admin: Caller,
}

impl Setting {
    async fn new(fresh: &Fresh) -> Self {
        Self::over(fresh.store().await).await
    }

    /// A setting for several tasks, which take turns at every call.
    async fn shared(fresh: &Fresh) -> Arc<Self> {
        let store = fresh.store().await;
        let repository = Arc::new(Interleaved(Arc::clone(&store.repository)));
        Arc::new(Self::over(store.with_repository(repository)).await)
    }

    async fn over(store: Store) -> Self {
        let environment = Arc::new(TestEnvironment::seeded(1));
        let registry =
            Registry::new(Arc::clone(&store.repository), Arc::<TestEnvironment>::clone(&environment));
        let [acme, other] = [0, 1].map(generated::organization);
        let setting = Self { store, environment, registry, acme, other, admin: administrator() };
        let start = generated::start([setting.acme.clone(), setting.other.clone()]);
        setting.apply(&start).await;
        setting
    }

    /// A registry over another store, whose clock goes on.
    fn registry_over(&self, store: &Store) -> Registry {
        Registry::new(Arc::clone(&store.repository), Arc::<TestEnvironment>::clone(&self.environment))
    }

    fn repository(&self) -> &dyn Repository {
        &*self.store.repository
    }

    /// Applies a document that nothing speaks against.
    async fn apply(&self, document: &CatalogDocument) -> CatalogChanges {
        self.repository().apply_catalog(document).await.expect("a catalog document that is applied")
    }

    /// Applies a document that is refused, and returns why.
    async fn refused(&self, document: &CatalogDocument) -> service_core::CatalogRefusal {
        let before = (self.state(&self.acme).await, self.state(&self.other).await, self.llms().await);
        let refusal = match self.repository().apply_catalog(document).await {
            Err(CatalogError::Refused(refusal)) => refusal,
            other => panic!("refused, and not {other:?}"),
        };
        let after = (self.state(&self.acme).await, self.state(&self.other).await, self.llms().await);
        assert_eq!(after, before, "a document that is refused changes nothing");
        refusal
    }

    async fn llms(&self) -> service_core::Llms {
        self.repository().llms().await.expect("the LLMs")
    }

    async fn create(&self, name: &str, is_active: bool) -> Arc<Service> {
        self.create_in(&self.acme, name, is_active).await
    }

    async fn create_in(&self, organization: &OrganizationId, name: &str, is_active: bool) -> Arc<Service> {
        let request = creation(name, is_active);
        self.registry.create(organization, &self.admin, &request).await.expect("a service that is created")
    }

    async fn update(&self, id: ServiceId, request: UpdateService) -> Arc<Service> {
        self.registry.update(&self.acme, &self.admin, id, &request).await.expect("a service that is changed")
    }

    /// A commit that creates a service of this id, as decided on what the store says now.
    async fn creating(&self, id: ServiceId, request: &CreateService) -> Commit {
        let query = FactsQuery {
            service: Some(id),
            name: Some(request.name.clone()),
            agents: vec![request.agent_id],
            state_machines: vec![request.state_machine_id],
            llms: Vec::new(),
        };
        let facts =
            self.repository().facts(&self.acme, &query).await.expect("facts").expect("an organization");
        let now = self.environment.now();
        let draft = rules::decide_create(&facts, &self.acme, request, &self.admin, id, now)
            .expect("a service that may be created");
        Commit { draft, expected: None, catalog_revision: facts.catalog_revision }
    }

    /// A commit that changes a service, as decided on what the store says now.
    async fn changing(&self, id: ServiceId, request: &UpdateService) -> Commit {
        let query = FactsQuery {
            service: Some(id),
            name: request.name.clone(),
            agents: request.agent_id.into_iter().collect(),
            state_machines: request.state_machine_id.into_iter().collect(),
            llms: Vec::new(),
        };
        let facts =
            self.repository().facts(&self.acme, &query).await.expect("facts").expect("an organization");
        let decision = rules::decide_update(&facts, id, request, &self.admin, self.environment.now());
        let Ok(Decision::Change(draft)) = decision else { panic!("a change, and not {decision:?}") };
        let expected = facts.service.map(|service| service.revision);
        Commit { draft, expected, catalog_revision: facts.catalog_revision }
    }

    async fn commit(&self, commit: Commit) -> CommitOutcome {
        self.repository().commit(commit).await.expect("a commit that is answered")
    }

    /// Commits what must be stale, and looks that nothing has changed.
    async fn commit_stale(&self, commit: Commit) {
        let before = (self.state(&self.acme).await, self.state(&self.other).await);
        assert_eq!(self.commit(commit).await, CommitOutcome::Stale);
        let after = (self.state(&self.acme).await, self.state(&self.other).await);
        assert_eq!(after, before, "a stale commit leaves nothing behind");
    }

    async fn record(&self, organization: &OrganizationId) -> OrganizationRecord {
        self.repository().organization(organization).await.expect("a record").expect("an organization")
    }

    async fn history(&self, organization: &OrganizationId) -> Vec<Arc<Service>> {
        let rows = self.repository().history(organization, Revision::ZERO, usize::MAX).await;
        rows.expect("history").expect("an organization")
    }

    /// An organization as the model that its record and its history amount to. Looks that every invariant holds, and that the
    /// services and the facets that the store lists are those of the model.
    async fn state(&self, organization: &OrganizationId) -> OrganizationState {
        let record = self.record(organization).await;
        let state = OrganizationState::of(record, self.history(organization).await);
        assert_eq!(state.violations(organization), Vec::<String>::new());
        let page = self.page(organization, &everything()).await;
        assert!(
            page.services.iter().eq(state.services().values()),
            "the services are the fold of the history"
        );
        let facets = TagFacets::of(state.facets().keys().cloned());
        assert_eq!(page.facets, Some(facets), "the facets are the tags of the services");
        state
    }

    async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Listed {
        self.repository().list(organization, listing).await.expect("a listing that is answered")
    }

    async fn page(&self, organization: &OrganizationId, listing: &Listing) -> Page {
        match self.list(organization, listing).await {
            Listed::Page(page) => page,
            other => panic!("a page, and not {other:?}"),
        }
    }
}

/// More pages than any walk of these cases has: a store that goes round in circles fails instead of hanging.
const MAX_PAGES: usize = 2000;

/// A request for a service that breaks no rule of the catalog to begin with.
fn creation(name: &str, is_active: bool) -> CreateService {
    CreateService {
        name: name.parse().expect("a service name"),
        description: "of the suite".parse().expect("a description"),
        is_active,
        agent_id: agent_id(0),
        state_machine_id: state_machine_id(0),
        tags: Tags::default(),
        keyterms: Keyterms::default(),
        release: None,
    }
}

fn rename(name: &str) -> UpdateService {
    UpdateService { name: Some(name.parse().expect("a service name")), ..UpdateService::default() }
}

fn activate(is_active: bool) -> UpdateService {
    UpdateService { is_active: Some(is_active), ..UpdateService::default() }
}

/// Tags as in `key:value` and `key:`.
fn tags(tags: &[&str]) -> Tags {
    let tag = |tag: &&str| {
        let (key, value) = tag.split_once(':').expect("a colon");
        let value = Some(value).filter(|value| !value.is_empty());
        (key.parse().expect("a tag key"), value.map(|value| value.parse().expect("a tag value")))
    };
    Tags::new(tags.iter().map(tag)).expect("tags")
}

fn retag(of: &[&str]) -> UpdateService {
    UpdateService { tags: Some(tags(of)), ..UpdateService::default() }
}

fn sorted(keys: &[&str]) -> Sort {
    Sort::new(keys.iter().map(|key| key.parse().expect("a sort key")).collect()).expect("a sort")
}

fn limited(limit: usize) -> Limit {
    Limit::with_maximum(limit, usize::MAX).expect("a limit")
}
