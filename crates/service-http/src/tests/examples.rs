//! The examples of the document: asked of the router, one for each answer it can give.
//!
//! `RECORD_EXAMPLES=1 cargo nextest run -p service-http -E 'test(examples)'` writes `openapi/examples.json` anew; without the
//! variable the same test compares. So an example that the router would not answer is found, and so is an answer that is described and
//! has no example, or the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use service_core::{
    Access, ApiKeyHash, ApiKeyId, CatalogChanges, CatalogDocument, CatalogError, Commit, CommitOutcome,
    Environment as _, Facts, FactsQuery, Listed, Listing, Llms, Operations as _, OrganizationId,
    OrganizationRecord, Principal, Repository, Revision, Service, Standing, StoreError, StoreErrorKind,
    Timestamp,
};
use store_memory::MemoryStore;

use super::document::{operations_at, own_headers};
use super::operations::Told;
use super::support::*;
use crate::error::Failure;
use crate::openapi;
use crate::{Algorithm, Api, Tokens, router, too_many_connections};

/// Of the demo, so that what is shown can be tried there.
const ORGANIZATION: &str = "harbor-health";
const COACH: &str = "6630f0a0a1b2c3d4e5f60003";
const FRONT_DESK: &str = "6630f0a0a1b2c3d4e5f60002";
const DEPRECATED_AGENT: &str = "6630f0a0a1b2c3d4e5f60004";
const NEW_AGENT: &str = "6630f0a0a1b2c3d4e5f60005";
const COACHING: &str = "6630f0a0b1b2c3d4e5f60003";
const SCHEDULING: &str = "6630f0a0b1b2c3d4e5f60002";
const DEPRECATED_STATE_MACHINE: &str = "6630f0a0b1b2c3d4e5f60004";
const NEW_STATE_MACHINE: &str = "6630f0a0b1b2c3d4e5f60005";
const NOTHING: &str = "6630f0a0ffffffffffffffff";
const LLM: &str = "openai_gpt-5.2-2025-12-11";
const DEPRECATED_LLM: &str = "openai_o4-mini-2025-04-16";
/// Known when it is chosen, and deprecated later.
const AGING_LLM: &str = "google_gemini-2.5-flash";

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/openapi/examples.json");

/// What is not to go well.
#[derive(Debug, Clone, Copy)]
enum Mishap {
    /// The store fails at everything that every request needs.
    Store(StoreErrorKind),
    /// The store has forgotten the LLMs that it knew.
    Forgetful,
}

/// A memory store that things can go wrong with.
#[derive(Debug)]
struct Staged {
    store: MemoryStore,
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

fn catalog(tested: &[(&str, &str)], aging: bool) -> Value {
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

/// Examples as they come, and the headers that came with each status of each operation.
#[derive(Debug, Default)]
struct Recorded {
    answers: BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>,
    requests: BTreeMap<String, BTreeMap<String, Value>>,
    headers: BTreeMap<String, Value>,
    sent: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Recorded {
    /// An answer under a name of its own, or under its error code.
    fn note(&mut self, operation: &str, name: Option<&str>, answer: &Answer) {
        let status = answer.status.as_str().to_owned();
        let body = if answer.header("content-type") == Some("application/json") {
            answer.json()
        } else {
            String::from_utf8(answer.body.to_vec()).unwrap().into()
        };
        let sent = self.sent.entry((operation.to_owned(), status.clone())).or_default();
        for header in own_headers(answer) {
            let value = || shown(&header, answer);
            self.headers.entry(header.clone()).or_insert_with(value);
            sent.insert(header);
        }
        if answer.body.is_empty() {
            return;
        }
        let name = name.unwrap_or_else(|| body["error_code"].as_str().unwrap()).to_owned();
        let of_status = self.answers.entry(operation.to_owned()).or_default().entry(status).or_default();
        assert!(of_status.insert(name, json!({"value": body})).is_none(), "{operation} {answer:?}, twice");
    }

    fn request(&mut self, operation: &str, name: &str, summary: &str, body: &Value) {
        let example = json!({"summary": summary, "value": body});
        let replaced =
            self.requests.entry(operation.to_owned()).or_default().insert(name.to_owned(), example);
        assert_eq!(replaced, None);
    }
}

/// What a header says: a number where it is one.
fn shown(header: &str, answer: &Answer) -> Value {
    if header == "x-request-id" {
        return answer.header(header).into();
    }
    answer.header(header).unwrap().parse::<u64>().map_or(answer.header(header).into(), Value::from)
}

/// A router to ask, and what it answered.
struct Stage {
    environment: Arc<TestEnvironment>,
    staged: Arc<Staged>,
    tokens: Tokens,
    app: Router,
    recorded: Recorded,
}

impl Stage {
    async fn new() -> Self {
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

    async fn apply(&self, catalog: &Value) {
        let document = CatalogDocument::parse(catalog.to_string().as_bytes()).unwrap();
        self.staged.store.apply_catalog(&document).await.unwrap();
    }

    fn meets(&self, mishap: Option<Mishap>) {
        *self.staged.mishap.lock().unwrap() = mishap;
    }

    fn token(&self, user: &str) -> String {
        let hour = Duration::from_secs(3600);
        self.tokens.sign(&principal(ORGANIZATION, user), self.environment.now(), hour).unwrap().0
    }

    /// A request to the organization by one who may do everything in it. A minute has passed since the last: no limit is near.
    fn call(&self, method: Method, path: &str) -> Call<'_> {
        self.environment.advance(Duration::from_secs(60));
        let call = Call::to(&self.app, method, &format!("/v1/{ORGANIZATION}/{path}"));
        call.bearer(&self.token("alice"))
    }

    async fn create(&self, body: &Value) -> Answer {
        self.call(Method::POST, "service/").json(body).send().await
    }

    async fn update(&self, id: &str, body: &Value) -> Answer {
        self.call(Method::POST, &format!("service/{id}/")).json(body).send().await
    }

    async fn upsert(&self, id: &str, set: &str, version_set: Value) -> Answer {
        let call = self.call(Method::PUT, &format!("service/{id}/version_sets/{set}/"));
        call.json(&json!({"version_set": version_set})).send().await
    }

    async fn delete(&self, id: &str, set: &str) -> Answer {
        self.call(Method::DELETE, &format!("service/{id}/version_sets/{set}/")).send().await
    }

    /// Makes a service that is no example.
    async fn service(&self, body: &Value) -> String {
        let answer = self.create(body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Notes an answer that refuses, which must be this one.
    fn refused(&mut self, operation: &str, status: u16, code: &str, answer: &Answer) {
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["error_code"]),
            (status, &code.into()),
            "{answer:?}"
        );
        self.recorded.note(operation, None, answer);
    }
}

/// What is required of a service, and a name that no other has.
fn service(name: &str, changes: Value) -> Value {
    let mut service = json!({
        "name": name,
        "description": "Evening check-ins and a plan for the night",
        "is_active": true,
        "agent_id": COACH,
        "service_hierarchical_state_machine_id": COACHING,
        "tags": {},
    });
    service.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    service
}

fn preferring(llm: Value) -> Value {
    json!({"llm_model_preferences": {"engage_user": llm}})
}

/// A version set of some two hundred kilobytes.
fn large(interactions: usize) -> Value {
    let params = json!({"instructions": "x".repeat(4000)});
    let preference = |number| (format!("interaction {number}"), json!({"llm_name": LLM, "params": params}));
    json!({"llm_model_preferences": Value::Object((0..interactions).map(preference).collect())})
}

/// The operations as they succeed. Gives the service that was created with everything.
async fn successes(stage: &mut Stage) -> String {
    let least = service("Sleep coaching", json!({}));
    let most = service(
        "Night coaching",
        json!({
            "tags": {"team": "care", "beta": null},
            "keyterms": ["melatonin", "sleep diary"],
            "release_version_set": {
                "agent_version_number": 3,
                "service_hierarchical_state_machine_version_number": 2,
                "llm_model_preferences": {
                    "engage_user": {"llm_name": LLM, "params": {"temperature": 0.5, "reasoning": {"effort": "low"}}},
                },
            },
        }),
    );
    let mut id = String::new();
    for (name, summary, body) in [("least", "What is required", least), ("most", "Everything", most)] {
        let answer = stage.create(&body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        id = answer.json()["id"].as_str().unwrap().to_owned();
        stage.recorded.note("createService", Some(name), &answer);
        stage.recorded.request("createService", name, summary, &body);
    }
    let sets = [
        ("latest", "Follow the latest versions", json!({})),
        (
            "pinned",
            "Pin versions, and prefer an LLM",
            json!({
                "agent_version_number": 3,
                "service_hierarchical_state_machine_version_number": 2,
                "llm_model_preferences": {"engage_user": {"llm_name": LLM, "params": {"temperature": 0.5}}},
            }),
        ),
        (
            "inline",
            "LLM parameters as older clients give them",
            preferring(json!({"llm_name": LLM, "top_p": 0.9, "temperature": 0.5, "top_k": 40})),
        ),
    ];
    for (name, summary, set) in sets {
        let answer = stage.upsert(&id, "preview", set.clone()).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        stage.recorded.note("upsertVersionSet", None, &answer);
        stage.recorded.request("upsertVersionSet", name, summary, &json!({"version_set": set}));
    }
    listings(stage, &id).await;
    let answer = stage.delete(&id, "preview").await;
    assert_eq!(answer.status, 204, "{answer:?}");
    stage.recorded.note("deleteVersionSet", None, &answer);

    let other = stage.service(&service("Morning coaching", json!({}))).await;
    let updates = [
        ("rename", "Rename it", json!({"name": "Coaching at dawn"})),
        ("retire", "Take it out of use, and tag it", json!({"is_active": false, "tags": {"retired": null}})),
        (
            "rebind",
            "Bind another agent to another state machine",
            json!({
                "description": "Appointments, by voice",
                "agent_id": FRONT_DESK,
                "service_hierarchical_state_machine_id": SCHEDULING,
                "keyterms": ["melatonin"],
            }),
        ),
    ];
    for (name, summary, body) in updates {
        let answer = stage.update(&other, &body).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, Value::Null));
        stage.recorded.request("updateService", name, summary, &body);
        if name == "rename" {
            stage.recorded.note("updateService", Some("done"), &answer);
        }
    }
    let answer = sign_in(stage).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    stage.recorded.note("signInWithApiKey", Some("signed_in"), &answer);
    id
}

/// Two pages, and a listing that uses every parameter as the document shows it.
async fn listings(stage: &mut Stage, id: &str) {
    let first = stage.call(Method::GET, "service/?sort_by=%2Bname&limit=1").send().await;
    let token = first.json()["continuation_token"].as_i64().unwrap();
    stage.recorded.note("listServices", Some("first_page"), &first);
    let path = format!("service/?sort_by=%2Bname&limit=1&continuation_token={token}");
    let last = stage.call(Method::GET, &path).send().await;
    assert_eq!(last.json()["has_more"], false);
    stage.recorded.note("listServices", Some("last_page"), &last);

    let mut query = Vec::new();
    for parameter in openapi::document()["paths"]["/v1/{organization}/service/"]["get"]["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|parameter| parameter["in"] == "query")
    {
        let name = parameter["name"].as_str().unwrap();
        let values = parameters(id)[name].clone();
        let values = values.as_array().cloned().unwrap_or(vec![values]);
        query.extend(values.iter().map(|value| {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            format!("{name}={}", value.replace('+', "%2B").replace(':', "%3A"))
        }));
    }
    assert!(query.len() >= 9, "{query:?}");
    let path = format!("service/?{}", query.join("&"));
    let found = stage.call(Method::GET, &path).header("x-mongo-cluster-name", "").send().await;
    assert_eq!(found.status, 422, "no cluster is called so: {found:?}");
    let found = stage.call(Method::GET, &path).send().await;
    assert_eq!(found.json()["services"][0]["id"], *id, "{found:?}");
}

/// What the parameters of the document show.
fn parameters(id: &str) -> Value {
    json!({
        "organization": ORGANIZATION,
        "service_id": id,
        "version_set_name": "preview",
        "x-api-key": KEY,
        "x-api-key-id": KEY_ID,
        "x-user-id": "alice",
        "id": [id],
        "is_active": "true",
        "sort_by": ["-is_active", "+name"],
        "tags": ["team:care", "beta:"],
        "tag": ["team:*"],
        "limit": 20,
        "continuation_token": 0,
        "file": "index.css",
    })
}

fn sign_in(stage: &Stage) -> Call<'_> {
    stage
        .call(Method::POST, "user/signin_with_api_key")
        .without("authorization")
        .header("x-api-key", KEY)
        .header("x-api-key-id", KEY_ID)
        .header("x-user-id", "alice")
}

/// The refusals of the rules.
async fn refusals(stage: &mut Stage, id: &str) {
    let prefers = |llm: Value| json!({"release_version_set": preferring(llm)});
    let pins_agent = json!({"agent_version_number": 5});
    let pins_state_machine = json!({"service_hierarchical_state_machine_version_number": 4});
    let creates = [
        (400, "agent_deprecated", json!({"agent_id": DEPRECATED_AGENT})),
        (
            400,
            "state_machine_deprecated",
            json!({"service_hierarchical_state_machine_id": DEPRECATED_STATE_MACHINE}),
        ),
        (400, "agent_has_no_versions", json!({"agent_id": NEW_AGENT})),
        (
            400,
            "state_machine_has_no_versions",
            json!({"service_hierarchical_state_machine_id": NEW_STATE_MACHINE}),
        ),
        (400, "agent_version_not_found", json!({"release_version_set": pins_agent})),
        (400, "state_machine_version_not_found", json!({"release_version_set": pins_state_machine})),
        (400, "llm_not_supported", prefers(json!({"llm_name": "nobody_knows-it"}))),
        (400, "llm_deprecated", prefers(json!({"llm_name": DEPRECATED_LLM}))),
        (400, "invalid_llm_params", prefers(json!({"llm_name": LLM, "params": {"top_p": 2}}))),
        (400, "service_too_large", json!({"release_version_set": large(70)})),
        (404, "agent_not_found", json!({"agent_id": NOTHING})),
        (404, "state_machine_not_found", json!({"service_hierarchical_state_machine_id": NOTHING})),
        (409, "active_name_taken", json!({"name": "Night coaching"})),
    ];
    for (status, code, changes) in creates {
        let answer = stage.create(&service("Another", changes)).await;
        stage.refused("createService", status, code, &answer);
    }

    let upserts = [
        ("reserved_version_set", "edge", json!({})),
        ("agent_version_not_found", "preview", pins_agent),
        ("state_machine_version_not_found", "preview", pins_state_machine),
        ("llm_not_supported", "preview", preferring(json!({"llm_name": "nobody_knows-it"}))),
        ("llm_deprecated", "preview", preferring(json!({"llm_name": DEPRECATED_LLM}))),
        ("invalid_llm_params", "preview", preferring(json!({"llm_name": LLM, "temperature": 2.5}))),
        ("service_too_large", "preview", large(70)),
    ];
    for (code, set, version_set) in upserts {
        let answer = stage.upsert(id, set, version_set).await;
        stage.refused("upsertVersionSet", 400, code, &answer);
    }
    let full = stage.service(&service("With a hundred", json!({}))).await;
    for number in 2..100 {
        assert_eq!(stage.upsert(&full, &format!("n{number}"), json!({})).await.status, 204);
    }
    let answer = stage.upsert(&full, "one-more", json!({})).await;
    stage.refused("upsertVersionSet", 400, "too_many_version_sets", &answer);

    updates_refused(stage, id).await;

    let answer = stage.delete(id, "edge").await;
    stage.refused("deleteVersionSet", 400, "reserved_version_set", &answer);
    let answer = stage.delete(id, "absent").await;
    stage.refused("deleteVersionSet", 404, "version_set_not_found", &answer);
    assert_eq!(stage.upsert(id, "preview", json!({})).await.status, 204);
    stage.apply(&catalog(&[(id, "preview")], false)).await;
    let answer = stage.delete(id, "preview").await;
    stage.refused("deleteVersionSet", 400, "version_set_in_use", &answer);
}

async fn updates_refused(stage: &mut Stage, id: &str) {
    let to_front_desk = json!({"agent_id": FRONT_DESK});
    let to_scheduling = json!({"service_hierarchical_state_machine_id": SCHEDULING});
    let updates = [
        (400, "invalid_agent", json!({"agent_id": DEPRECATED_AGENT})),
        (400, "invalid_state_machine", json!({"service_hierarchical_state_machine_id": NEW_STATE_MACHINE})),
        (400, "agent_version_not_found", to_front_desk),
        (400, "state_machine_version_not_found", to_scheduling),
        (409, "active_name_taken", json!({"name": "Sleep coaching"})),
    ];
    for (status, code, body) in updates {
        let answer = stage.update(id, &body).await;
        stage.refused("updateService", status, code, &answer);
    }
    let used = stage.service(&service("In use", json!({}))).await;
    stage.apply(&catalog(&[(&used, "release")], false)).await;
    let answer = stage.update(&used, &json!({"is_active": false})).await;
    stage.refused("updateService", 400, "service_in_use", &answer);

    let release = preferring(json!({"llm_name": AGING_LLM}));
    let aging = service("Aging", json!({"is_active": false, "release_version_set": release}));
    let aging = stage.service(&aging).await;
    stage.meets(Some(Mishap::Forgetful));
    let answer = stage.update(&aging, &json!({"is_active": true})).await;
    stage.refused("updateService", 400, "llm_not_supported", &answer);
    stage.meets(None);
    stage.apply(&catalog(&[], true)).await;
    let answer = stage.update(&aging, &json!({"is_active": true})).await;
    stage.refused("updateService", 400, "llm_deprecated", &answer);

    // As large as it can be but for a few kilobytes.
    let nearly = service("Nearly too large", json!({"release_version_set": large(63)}));
    let nearly = stage.service(&nearly).await;
    let answer = stage.update(&nearly, &json!({"description": "x".repeat(4096)})).await;
    stage.refused("updateService", 400, "service_too_large", &answer);
}

/// An operation on an organization: its id, its method and path, whether it has a body, and whether it is about a service.
const OPERATIONS: [(&str, &str, &str, bool, bool); 5] = [
    ("listServices", "GET", "service/?limit=20", false, false),
    ("createService", "POST", "service/", true, false),
    ("updateService", "POST", "service/ID/", true, true),
    ("upsertVersionSet", "PUT", "service/ID/version_sets/preview/", true, true),
    ("deleteVersionSet", "DELETE", "service/ID/version_sets/preview/", false, true),
];

/// What every operation on an organization answers alike.
async fn alike(stage: &mut Stage, id: &str) {
    for (operation, method, path, has_body, is_about_service) in OPERATIONS {
        let method: Method = method.parse().unwrap();
        let path = path.replace("ID", id);
        let wanted = match operation {
            "createService" => service("Yet another", json!({})),
            "upsertVersionSet" => json!({"version_set": {}}),
            _ => json!({}),
        };
        let body = has_body.then_some(&wanted);
        let answer = ask(stage, &method, &path, body).without("authorization").send().await;
        stage.refused(operation, 401, "unauthenticated", &answer);
        let answer = ask(stage, &method, &path, body).header("x-mongo-cluster-name", "nowhere").send().await;
        stage.refused(operation, 422, "unknown_cluster", &answer);
        let elsewhere = format!("/v1/nowhere/{path}");
        let call = Call::to(&stage.app, method.clone(), &elsewhere).bearer(&stage.token("alice"));
        let answer = call.header("x-org-id", ORGANIZATION).send().await;
        stage.refused(operation, 404, "organization_not_found", &answer);
        let answer = if operation == "listServices" {
            ask(stage, &method, "service/?limit=99&tags=team", body).send().await
        } else if has_body {
            let wrong = json!({"keyterms": ["melatonin", 7], "is_active": "yes", "version_set": 1});
            stage.call(method.clone(), &path).json(&wrong).send().await
        } else {
            ask(stage, &method, &path.replace("preview", "a%20b").replace(id, "7"), body).send().await
        };
        stage.refused(operation, 422, "validation_failed", &answer);
        if has_body {
            let call = stage.call(method.clone(), &path).header("content-type", "application/json");
            let answer = call.body(vec![b' '; 1024 * 1024 + 1]).send().await;
            stage.refused(operation, 413, "payload_too_large", &answer);
        }
        let answer = ask(stage, &method, &path, body).bearer(&stage.token("norm")).send().await;
        stage.refused(operation, 403, "permission_denied", &answer);
        if is_about_service {
            let answer = ask(stage, &method, &path.replace(id, NOTHING), body).send().await;
            stage.refused(operation, 404, "service_not_found", &answer);
        }
        troubles(stage, operation, |stage| ask(stage, &method, &path, body)).await;
        limited(stage, operation, &method, &path).await;
    }
}

/// An operation on the organization, asked for.
fn ask<'a>(stage: &'a Stage, method: &Method, path: &str, body: Option<&Value>) -> Call<'a> {
    let call = stage.call(method.clone(), path);
    match body {
        Some(body) => call.json(body),
        None => call,
    }
}

/// What comes when the store fails, and in maintenance.
async fn troubles(stage: &mut Stage, operation: &str, ask: impl Fn(&Stage) -> Call<'_>) {
    let kinds =
        [(500, "internal", StoreErrorKind::Corrupt), (503, "unavailable", StoreErrorKind::Unavailable)];
    for (status, code, kind) in kinds {
        stage.meets(Some(Mishap::Store(kind)));
        let answer = ask(stage).send().await;
        stage.refused(operation, status, code, &answer);
    }
    stage.meets(None);
    stage.staged.store.set_maintenance(true).await.unwrap();
    let answer = ask(stage).send().await;
    stage.refused(operation, 503, "maintenance", &answer);
    stage.staged.store.set_maintenance(false).await.unwrap();
}

/// The first request that is one too many. Those before it are refused, and count.
async fn limited(stage: &mut Stage, operation: &str, method: &Method, path: &str) {
    stage.environment.advance(Duration::from_secs(60));
    let token = stage.token("norm");
    let path = format!("/v1/{ORGANIZATION}/{path}");
    for _ in 0..60 {
        let answer = Call::to(&stage.app, method.clone(), &path).bearer(&token).send().await;
        if answer.status == 429 {
            return stage.refused(operation, 429, "rate_limited", &answer);
        }
    }
    panic!("{operation} has no limit");
}

async fn signing_in_refused(stage: &mut Stage) {
    let operation = "signInWithApiKey";
    let answer = sign_in(stage).without("x-api-key").header("x-api-key", "another").send().await;
    stage.refused(operation, 401, "unauthenticated", &answer);
    let answer = sign_in(stage).header("x-mongo-cluster-name", "nowhere").send().await;
    stage.refused(operation, 422, "unknown_cluster", &answer);
    let answer = sign_in(stage).without("x-user-id").without("x-api-key-id").send().await;
    stage.refused(operation, 422, "validation_failed", &answer);
    let answer = Call::to(&stage.app, Method::POST, "/v1/nowhere/user/signin_with_api_key").send().await;
    stage.refused(operation, 404, "organization_not_found", &answer);
    troubles(stage, operation, sign_in).await;
    stage.environment.advance(Duration::from_secs(60));
    let answer = loop {
        let path = format!("/v1/{ORGANIZATION}/user/signin_with_api_key");
        let call = Call::to(&stage.app, Method::POST, &path).header("x-api-key", KEY);
        let answer = call.header("x-api-key-id", KEY_ID).header("x-user-id", "alice").send().await;
        if answer.status != 200 {
            break answer;
        }
    };
    stage.refused(operation, 429, "rate_limited", &answer);

    let public = include_bytes!("../tokens/keys/ed25519-public.pem");
    let tokens = Tokens::from_pem(Algorithm::EdDsa, public, None).unwrap();
    let staged = stage.staged.clone();
    let app = router(Api::new(staged.clone(), staged, tokens, stage.environment.clone()));
    let path = format!("/v1/{ORGANIZATION}/user/signin_with_api_key");
    let answer = Call::to(&app, Method::POST, &path).send().await;
    stage.refused(operation, 404, "not_found", &answer);
}

/// What is for operators, and what is nowhere.
async fn operators(stage: &mut Stage) {
    let environment = stage.environment.clone();
    let app = |told: Told, render: fn() -> String| {
        let tokens = Tokens::hs256(SECRET).unwrap();
        let staged = stage.staged.clone();
        let api = Api::new(staged.clone(), staged, tokens, environment.clone());
        router(api.operations(Arc::new(told)).metrics(Arc::new(render)))
    };
    let well = app(Told::default(), || "up 1\n".to_owned());
    let kind = StoreErrorKind::Unavailable;
    let away = app(Told { ready: Some(kind), ..Told::default() }, String::new);
    let panicking =
        app(Told { panics: true, ..Told::default() }, || panic!("SELECT secret FROM /var/lib/store"));
    let in_maintenance = Told::default();
    service_core::Operations::set_maintenance(&in_maintenance, true).await.unwrap();
    let in_maintenance = app(in_maintenance, String::new);
    let without_metrics = stage.app.clone();

    let asked = [
        ("health", &well, "/healthz", Some("running")),
        ("readiness", &well, "/readyz", Some("ready")),
        ("readiness", &away, "/readyz", None),
        ("readiness", &in_maintenance, "/readyz", None),
        ("readiness", &panicking, "/readyz", None),
        ("metrics", &panicking, "/metrics", None),
        ("metrics", &without_metrics, "/metrics", None),
        ("documentationFile", &well, "/docs/nothing.css", None),
        ("NotFound", &well, "/nowhere", None),
    ];
    for (operation, app, path, name) in asked {
        let answer = Call::to(app, Method::GET, path).send().await;
        stage.recorded.note(operation, name, &answer);
    }
    let answer = Call::to(&well, Method::DELETE, "/healthz").send().await;
    stage.recorded.note("MethodNotAllowed", None, &answer);
    for (operation, path) in [
        ("document", "/openapi.json"),
        ("documentationPage", "/docs"),
        ("documentationFile", "/docs/index.css"),
    ] {
        let answer = Call::to(&well, Method::GET, path).send().await;
        assert_eq!(answer.status, 200);
        let sent = own_headers(&answer);
        for header in &sent {
            let value = || shown(header, &answer);
            stage.recorded.headers.entry(header.clone()).or_insert_with(value);
        }
        stage.recorded.sent.insert((operation.to_owned(), "200".to_owned()), sent);
    }
    metrics(stage).await;
    // The server itself answers this, whatever was asked for.
    for operation in ["health", "metrics", "document", "documentationPage", "documentationFile"] {
        let answer = collected(too_many_connections(&HeaderMap::new(), &*environment)).await;
        stage.recorded.note(operation, None, &answer);
    }
    for operation in ["documentationPage", "documentationFile"] {
        let mut answer = collected(Failure::Panicked.into_response()).await;
        answer.headers.insert("x-request-id", "7".parse().unwrap());
        stage.recorded.note(operation, None, &answer);
    }
}

/// Measurements of one request.
async fn metrics(stage: &mut Stage) {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    // What takes time is never the same.
    let counted = move || {
        let text = handle.render();
        let lines = text.lines().filter(|line| line.contains("service_registry_requests_total"));
        lines.map(|line| format!("{line}\n")).collect()
    };
    let staged = stage.staged.clone();
    let tokens = Tokens::hs256(SECRET).unwrap();
    let api = Api::new(staged.clone(), staged, tokens, stage.environment.clone());
    let app = router(api.metrics(Arc::new(counted)));
    assert_eq!(Call::to(&app, Method::GET, "/healthz").send().await.status, 200);
    let answer = Call::to(&app, Method::GET, "/metrics").send().await;
    stage.recorded.note("metrics", Some("excerpt"), &answer);
}

async fn collected(answer: Response) -> Answer {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

#[tokio::test]
async fn the_examples_are_what_the_router_answers() {
    let mut stage = Stage::new().await;
    let id = successes(&mut stage).await;
    refusals(&mut stage, &id).await;
    alike(&mut stage, &id).await;
    signing_in_refused(&mut stage).await;
    operators(&mut stage).await;

    let recorded = &stage.recorded;
    let examples = json!({
        "answers": recorded.answers,
        "headers": recorded.headers,
        "parameters": parameters(&id),
        "requests": recorded.requests,
    });
    if std::env::var_os("RECORD_EXAMPLES").is_some() {
        std::fs::write(RECORDED, format!("{examples:#}\n")).unwrap();
        panic!("the examples are recorded: run this again without RECORD_EXAMPLES");
    }
    let written: Value = serde_json::from_str(&std::fs::read_to_string(RECORDED).unwrap()).unwrap();
    for (section, expected) in examples.as_object().unwrap() {
        for (name, expected) in expected.as_object().unwrap() {
            assert_eq!(written[section][name], *expected, "{section} {name}");
        }
    }
    assert_eq!(written, examples);
    all_have_examples(recorded);
}

/// Everything that the document describes was answered, with the headers that it describes.
fn all_have_examples(recorded: &Recorded) {
    let document = openapi::document();
    let mut described = BTreeMap::new();
    for path in document["paths"].as_object().unwrap().keys() {
        let operations = operations_at(path).unwrap();
        for operation in operations.values() {
            let id = operation["operationId"].as_str().unwrap();
            for (status, answer) in operation["responses"].as_object().unwrap() {
                described.insert((id.to_owned(), status.clone()), answer);
            }
        }
    }
    for (name, answer) in document["components"]["responses"].as_object().unwrap() {
        let status = if name == "NotFound" { "404" } else { "405" };
        described.insert((name.clone(), status.to_owned()), answer);
    }
    let sent: Vec<_> = recorded.sent.keys().collect();
    assert_eq!(described.keys().collect::<Vec<_>>(), sent);
    for (key, answer) in described {
        let headers = answer["headers"].as_object().unwrap().keys().map(|name| name.to_lowercase());
        assert_eq!(headers.collect::<BTreeSet<_>>(), recorded.sent[&key], "{key:?}");
        let json = &answer["content"]["application/json"];
        let codes = &json["schema"]["allOf"][1]["properties"]["error_code"]["enum"];
        let examples = json["examples"].as_object();
        if let Some(codes) = codes.as_array() {
            let codes: BTreeSet<&str> = codes.iter().map(|code| code.as_str().unwrap()).collect();
            let shown: BTreeSet<&str> = examples.unwrap().keys().map(String::as_str).collect();
            assert_eq!(codes, shown, "{key:?}");
        } else if answer["content"].is_object() {
            assert!(
                answer["content"].as_object().unwrap().values().all(|content| {
                    content["examples"].as_object().is_some_and(|examples| !examples.is_empty())
                }),
                "{key:?}"
            );
        }
    }
}
