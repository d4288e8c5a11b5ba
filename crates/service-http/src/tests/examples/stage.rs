//! The router that is asked, over a store that things can go wrong with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::Method;
use serde_json::{Value, json};
use service_core::{
    Access, ApiKeyHash, ApiKeyId, CatalogChanges, CatalogDocument, CatalogError, Commit, CommitOutcome,
    Environment as _, Facts, FactsQuery, Listed, Listing, Llms, OrganizationId, OrganizationRecord,
    Principal, Repository, Revision, Service, Standing, StoreError, StoreErrorKind, Timestamp,
};
use store_memory::MemoryStore;

use super::Recorded;
use crate::tests::support::*;
use crate::{Api, Tokens, router};

/// Of the demo, so that what is shown can be tried there.
pub(super) const ORGANIZATION: &str = "harbor-health";
pub(super) const COACH: &str = "6630f0a0a1b2c3d4e5f60003";
pub(super) const FRONT_DESK: &str = "6630f0a0a1b2c3d4e5f60002";
pub(super) const DEPRECATED_AGENT: &str = "6630f0a0a1b2c3d4e5f60004";
pub(super) const NEW_AGENT: &str = "6630f0a0a1b2c3d4e5f60005";
pub(super) const COACHING: &str = "6630f0a0b1b2c3d4e5f60003";
pub(super) const SCHEDULING: &str = "6630f0a0b1b2c3d4e5f60002";
pub(super) const DEPRECATED_STATE_MACHINE: &str = "6630f0a0b1b2c3d4e5f60004";
pub(super) const NEW_STATE_MACHINE: &str = "6630f0a0b1b2c3d4e5f60005";
pub(super) const NOTHING: &str = "6630f0a0ffffffffffffffff";
pub(super) const LLM: &str = "openai_gpt-5.2-2025-12-11";
pub(super) const DEPRECATED_LLM: &str = "openai_o4-mini-2025-04-16";
/// Known when it is chosen, and deprecated later.
pub(super) const AGING_LLM: &str = "google_gemini-2.5-flash";

/// What is not to go well.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mishap {
    /// The store fails at everything that every request needs.
    Store(StoreErrorKind),
    /// The store has forgotten the LLMs that it knew.
    Forgetful,
}

/// A memory store that things can go wrong with.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) store: MemoryStore,
    mishap: Mutex<Option<Mishap>>,
}

impl Staged {
    fn mishap(&self) -> Option<Mishap> {
        *self.mishap.lock().unwrap()
    }
}

#[async_trait]
impl Repository for Staged {
    async fn facts(
        &self,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        let mut facts = self.store.facts(organization, query).await?;
        if let (Some(facts), Some(Mishap::Forgetful)) = (&mut facts, self.mishap()) {
            facts.llms = Llms::default();
        }
        Ok(facts)
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        self.store.commit(commit).await
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

#[async_trait]
impl Access for Staged {
    async fn standing(
        &self,
        organization: &OrganizationId,
        principal: &Principal,
    ) -> Result<Standing, StoreError> {
        match self.mishap() {
            Some(Mishap::Store(kind)) => Err(StoreError::new(kind, "SELECT secret FROM /var/lib/store")),
            _ => self.store.standing(organization, principal).await,
        }
    }

    async fn verify_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        key: &str,
    ) -> Result<bool, StoreError> {
        self.store.verify_api_key(organization, id, key).await
    }

    async fn add_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        hash: &ApiKeyHash,
        created_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.store.add_api_key(organization, id, hash, created_at).await
    }
}

pub(super) fn catalog(tested: &[(&str, &str)], aging: bool) -> Value {
    let grant = |permission: &&str| json!({"permission_name": format!("Service:{permission}")});
    let all = [
        "GetService",
        "CreateService",
        "UpdateService",
        "CreateVersionSet",
        "UpdateVersionSet",
        "DeleteVersionSet",
    ];
    let tests: Vec<Value> = tested
        .iter()
        .map(|(service, set)| json!({"id": service, "service_id": service, "version_set_name": set}))
        .collect();
    json!({
        "llms": [
            {"name": LLM},
            {"name": DEPRECATED_LLM, "deprecated": true},
            {"name": AGING_LLM, "deprecated": aging},
        ],
        "organizations": [{
            "id": ORGANIZATION,
            "agents": [
                {"id": COACH, "name": "Coach", "latest_version": 4},
                {"id": FRONT_DESK, "name": "Front desk", "latest_version": 2},
                {"id": DEPRECATED_AGENT, "name": "Front desk of 2024", "latest_version": 9, "deprecated": true},
                {"id": NEW_AGENT, "name": "Night desk"},
            ],
            "state_machines": [
                {"id": COACHING, "name": "Coaching", "latest_version": 3},
                {"id": SCHEDULING, "name": "Scheduling", "latest_version": 1},
                {"id": DEPRECATED_STATE_MACHINE, "name": "Intake of 2024", "latest_version": 6, "deprecated": true},
                {"id": NEW_STATE_MACHINE, "name": "Emergency triage"},
            ],
            "simulation_unit_tests": tests,
            "roles": [
                {"name": "admin", "grants": all.iter().map(grant).collect::<Vec<_>>()},
                {"name": "nobody", "grants": []},
            ],
            "users": [{"id": "alice", "roles": ["admin"]}, {"id": "norm", "roles": ["nobody"]}],
        }],
    })
}

/// A router to ask, and what it answered.
pub(super) struct Stage {
    pub(super) environment: Arc<TestEnvironment>,
    pub(super) staged: Arc<Staged>,
    tokens: Tokens,
    pub(super) app: Router,
    pub(super) recorded: Recorded,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let environment = environment();
        let store = MemoryStore::new();
        let staged = Arc::new(Staged { store: store.clone(), mishap: Mutex::default() });
        let tokens = Tokens::hs256(SECRET).unwrap();
        let api = Api::new(staged.clone(), staged.clone(), tokens.clone(), environment.clone())
            .operations(Arc::new(store));
        let stage = Self { environment, staged, tokens, app: router(api), recorded: Recorded::default() };
        stage.apply(&catalog(&[], false)).await;
        let organization = ORGANIZATION.parse().unwrap();
        let (id, hash) = (KEY_ID.parse().unwrap(), ApiKeyHash::of(KEY));
        let now = stage.environment.now();
        assert!(stage.staged.store.add_api_key(&organization, &id, &hash, now).await.unwrap());
        stage
    }

    pub(super) async fn apply(&self, catalog: &Value) {
        let document = CatalogDocument::parse(catalog.to_string().as_bytes()).unwrap();
        self.staged.store.apply_catalog(&document).await.unwrap();
    }

    pub(super) fn meets(&self, mishap: Option<Mishap>) {
        *self.staged.mishap.lock().unwrap() = mishap;
    }

    pub(super) fn token(&self, user: &str) -> String {
        let hour = Duration::from_secs(3600);
        self.tokens.sign(&principal(ORGANIZATION, user), self.environment.now(), hour).unwrap().0
    }

    /// A request to the organization by one who may do everything in it. A minute has passed since the last: no limit is near.
    pub(super) fn call(&self, method: Method, path: &str) -> Call<'_> {
        self.environment.advance(Duration::from_secs(60));
        let call = Call::to(&self.app, method, &format!("/v1/{ORGANIZATION}/{path}"));
        call.bearer(&self.token("alice"))
    }

    pub(super) async fn create(&self, body: &Value) -> Answer {
        self.call(Method::POST, "service/").json(body).send().await
    }

    pub(super) async fn update(&self, id: &str, body: &Value) -> Answer {
        self.call(Method::POST, &format!("service/{id}/")).json(body).send().await
    }

    pub(super) async fn upsert(&self, id: &str, set: &str, version_set: Value) -> Answer {
        let call = self.call(Method::PUT, &format!("service/{id}/version_sets/{set}/"));
        call.json(&json!({"version_set": version_set})).send().await
    }

    pub(super) async fn delete(&self, id: &str, set: &str) -> Answer {
        self.call(Method::DELETE, &format!("service/{id}/version_sets/{set}/")).send().await
    }

    /// Makes a service that is no example.
    pub(super) async fn service(&self, body: &Value) -> String {
        let answer = self.create(body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Notes an answer that refuses, which must be this one.
    pub(super) fn refused(&mut self, operation: &str, status: u16, code: &str, answer: &Answer) {
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error_code"]),
            (status, &code.into()),
            "{answer:?}"
        );
        self.recorded.note(operation, None, answer);
    }
}
