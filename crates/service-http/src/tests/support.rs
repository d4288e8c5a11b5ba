//! A world to send requests to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use service_core::{
    Access, ApiKeyHash, CatalogDocument, Environment, Operations, OrganizationId, Principal, Repository,
    Timestamp,
};
use store_memory::MemoryStore;
use tower::ServiceExt;

use super::document::described;
use crate::{Api, Tokens, router};

pub(super) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
pub(super) const AGENT: &str = "00000000000000000000a001";
pub(super) const STATE_MACHINE: &str = "00000000000000000000b001";
pub(super) const NO_SERVICE: &str = "00000000000000000000c001";
pub(super) const KEY_ID: &str = "key-1";
pub(super) const KEY: &str = "a-secret-of-the-organization";

/// A clock that the test sets, and numbers that follow each other.
#[derive(Debug)]
pub(super) struct TestEnvironment {
    now: AtomicI64,
    drawn: AtomicU64,
}

impl TestEnvironment {
    pub(super) fn advance(&self, time: Duration) {
        self.now.fetch_add(i64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Environment for TestEnvironment {
    fn now(&self) -> Timestamp {
        Timestamp::from_microseconds(self.now.load(Ordering::SeqCst)).unwrap()
    }

    fn entropy(&self) -> [u8; 8] {
        self.drawn.fetch_add(1, Ordering::SeqCst).to_be_bytes()
    }

    async fn pause(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

pub(super) struct World {
    pub(super) environment: Arc<TestEnvironment>,
    pub(super) store: MemoryStore,
    /// The store of the cluster `west`.
    pub(super) west: MemoryStore,
    pub(super) tokens: Tokens,
    pub(super) app: Router,
}

/// 2023-11-14T22:13:20Z
pub(super) const START: i64 = 1_700_000_000;

pub(super) fn environment() -> Arc<TestEnvironment> {
    Arc::new(TestEnvironment { now: AtomicI64::new(START * 1_000_000), drawn: AtomicU64::new(1) })
}

pub(super) fn principal(organization: &str, user: &str) -> Principal {
    Principal { organization: organization.parse().unwrap(), user: user.parse().unwrap() }
}

fn catalog() -> CatalogDocument {
    let grant = |permission: &str| json!({"permission_name": format!("Service:{permission}")});
    let all = [
        "GetService",
        "CreateService",
        "UpdateService",
        "CreateVersionSet",
        "UpdateVersionSet",
        "DeleteVersionSet",
    ];
    let only_b = |permission: &str| {
        json!({
            "permission_name": format!("Service:{permission}"),
            "conditions": {"name": {"type": "Equals", "value": "only b"}},
        })
    };
    let document = json!({
        "llms": [{"name": "model"}],
        "organizations": [
            {
                "id": "acme",
                "agents": [{"id": AGENT, "name": "Coach", "latest_version": 3}],
                "state_machines": [{"id": STATE_MACHINE, "name": "Intake", "latest_version": 2}],
                "roles": [
                    {"name": "admin", "grants": all.map(grant)},
                    {"name": "limited", "grants": all.map(only_b)},
                    {"name": "reader", "grants": [grant("GetService")]},
                ],
                "users": [
                    {"id": "alice", "roles": ["admin"]},
                    {"id": "ben", "roles": ["limited"]},
                    {"id": "rita", "roles": ["reader"]},
                    {"id": "zoë", "roles": ["reader"]},
                    {"id": "norm", "roles": []},
                    {"id": "bob", "organization": "partner", "roles": ["reader"]},
                ],
            },
            {"id": "partner", "users": [{"id": "bob", "roles": []}]},
        ],
    });
    CatalogDocument::parse(document.to_string().as_bytes()).unwrap()
}

pub(super) async fn store(environment: &TestEnvironment) -> MemoryStore {
    let store = MemoryStore::new();
    store.apply_catalog(&catalog()).await.unwrap();
    let acme: OrganizationId = "acme".parse().unwrap();
    let id = KEY_ID.parse().unwrap();
    assert!(store.add_api_key(&acme, &id, &ApiKeyHash::of(KEY), environment.now()).await.unwrap());
    store
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(|api| api).await
    }

    pub(super) async fn with(configure: impl FnOnce(Api) -> Api) -> Self {
        let environment = environment();
        let store = store(&environment).await;
        let west = self::store(&environment).await;
        let tokens = Tokens::hs256(SECRET).unwrap();
        let shared = Arc::new(store.clone());
        let there = Arc::new(west.clone());
        let api = Api::new(shared.clone(), shared.clone(), tokens.clone(), environment.clone())
            .operations(shared)
            .cluster("west", there.clone(), there.clone(), Some(there));
        let app = router(configure(api));
        Self { environment, store, west, tokens, app }
    }

    pub(super) fn token(&self, organization: &str, user: &str) -> String {
        let hour = Duration::from_secs(3600);
        self.tokens.sign(&principal(organization, user), self.environment.now(), hour).unwrap().0
    }

    /// A request of alice, who may do everything in `acme`.
    pub(super) fn request(&self, method: Method, path: &str) -> Call<'_> {
        let call = Call {
            app: &self.app,
            request: Request::builder().method(method).uri(path),
            body: Body::empty(),
        };
        call.bearer(&self.token("acme", "alice"))
    }

    pub(super) fn get(&self, path: &str) -> Call<'_> {
        self.request(Method::GET, path)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Call<'_> {
        self.request(Method::POST, path).json(body)
    }

    pub(super) fn put(&self, path: &str, body: &Value) -> Call<'_> {
        self.request(Method::PUT, path).json(body)
    }

    /// Makes a service of `acme` and returns its id.
    pub(super) async fn service(&self, name: &str) -> String {
        let answer = self.post("/v1/acme/service/", &new_service(name)).send().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// How many writes `acme` has seen.
    pub(super) async fn writes(&self) -> i64 {
        let acme: OrganizationId = "acme".parse().unwrap();
        self.store.organization(&acme).await.unwrap().unwrap().revision.get()
    }

    /// Maintenance, noticed at once.
    pub(super) async fn maintenance(&self, store: &MemoryStore, on: bool) {
        store.set_maintenance(on).await.unwrap();
        self.environment.advance(Duration::from_secs(1));
    }
}

pub(super) fn new_service(name: &str) -> Value {
    json!({
        "name": name,
        "description": "for tests",
        "is_active": true,
        "agent_id": AGENT,
        "service_hierarchical_state_machine_id": STATE_MACHINE,
        "tags": {},
    })
}

pub(super) struct Call<'a> {
    app: &'a Router,
    request: axum::http::request::Builder,
    body: Body,
}

impl<'a> Call<'a> {
    pub(super) fn to(app: &'a Router, method: Method, path: &str) -> Self {
        Self { app, request: Request::builder().method(method).uri(path), body: Body::empty() }
    }

    /// Adds a header; one of that name may be there already.
    pub(super) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.request = self.request.header(name, value.as_ref());
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.request.headers_mut().unwrap().remove(name);
        self
    }

    pub(super) fn bearer(self, token: &str) -> Self {
        self.without("authorization").header("authorization", format!("Bearer {token}"))
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(super) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) async fn send(self) -> Answer {
        let request = self.request.body(self.body).unwrap();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (parts, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        described(&method, &path, &answer);
        answer
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A header that is a number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.header(name).map(|value| value.parse().unwrap())
    }

    /// Status and error code; every error has `detail` beside it and nothing else.
    pub(super) fn problem(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        let detail = &body["detail"];
        assert!(detail.as_array().is_some_and(|all| !all.is_empty()) || detail.is_string(), "{body}");
        assert!(self.headers.contains_key("x-request-id"));
        let retry = matches!(self.status.as_u16(), 429 | 503);
        assert_eq!(self.number("retry-after").is_some_and(|seconds| seconds >= 1), retry, "{self:?}");
        (self.status.as_u16(), body["error_code"].as_str().unwrap().to_owned())
    }

    /// The places that a 422 names.
    pub(super) fn places(&self) -> Vec<Value> {
        assert_eq!(self.problem(), (422, "validation_failed".to_owned()));
        self.json()["detail"].as_array().unwrap().iter().map(|fault| fault["loc"].clone()).collect()
    }
}
