//! What clients see when the store, or a handler, fails: never why.

use std::fmt::Debug;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::Method;
use serde_json::json;
use service_core::{
    Access, CatalogChanges, CatalogDocument, CatalogError, Commit, CommitOutcome, Facts, FactsQuery, Listed,
    Listing, Llms, Operations as _, OrganizationId, OrganizationRecord, Repository, Revision, Service,
    StoreError, StoreErrorKind,
};
use store_memory::MemoryStore;
use tokio::task::JoinSet;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::span::{Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::support::*;
use crate::{Api, Tokens, router};

/// How a store fails to list and to commit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Failing {
    With(StoreErrorKind),
    Stale,
    /// Commits are stale so many times, and then answered.
    StaleAtFirst(u32),
    Panicking,
    Hanging,
}

/// A memory store that answers everything but listings and commits.
#[derive(Debug)]
pub(super) struct FailingStore {
    store: MemoryStore,
    failing: Failing,
    commits: AtomicU32,
}

impl FailingStore {
    pub(super) fn new(store: MemoryStore, failing: Failing) -> Self {
        Self { store, failing, commits: AtomicU32::default() }
    }

    async fn fail<T>(&self, stale: T) -> Result<T, StoreError> {
        match self.failing {
            Failing::With(kind) => Err(StoreError::new(kind, "SELECT secret FROM /var/lib/store")),
            Failing::Stale | Failing::StaleAtFirst(_) => Ok(stale),
            Failing::Panicking => panic!("SELECT secret FROM /var/lib/store"),
            Failing::Hanging => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Repository for FailingStore {
    async fn facts(
        &self,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError> {
        self.store.facts(organization, query).await
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError> {
        if let Failing::StaleAtFirst(times) = self.failing
            && self.commits.fetch_add(1, Ordering::SeqCst) >= times
        {
            return self.store.commit(commit).await;
        }
        self.fail(CommitOutcome::Stale).await
    }

    async fn list(&self, _: &OrganizationId, _: &Listing) -> Result<Listed, StoreError> {
        self.fail(Listed::UnknownOrganization).await
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

struct FailingWorld {
    app: Router,
    token: String,
}

impl FailingWorld {
    async fn new(failing: Failing) -> Self {
        Self::with(failing, |api| api.time_limit(Duration::from_millis(50))).await
    }

    async fn with(failing: Failing, configure: impl FnOnce(Api) -> Api) -> Self {
        let environment = environment();
        let store = store(&environment).await;
        let access: Arc<dyn Access> = Arc::new(store.clone());
        let tokens = Tokens::hs256(SECRET).unwrap();
        let now = service_core::Environment::now(&*environment);
        let (token, _) = tokens.sign(&principal("acme", "alice"), now, Duration::from_secs(60)).unwrap();
        let api = Api::new(Arc::new(FailingStore::new(store, failing)), access, tokens, environment);
        Self { app: router(configure(api)), token }
    }

    async fn list(&self) -> Answer {
        self.checked(Call::to(&self.app, Method::GET, "/v1/acme/service/")).await
    }

    async fn create(&self) -> Answer {
        self.checked(Call::to(&self.app, Method::POST, "/v1/acme/service/").json(&new_service("one"))).await
    }

    async fn checked(&self, call: Call<'_>) -> Answer {
        let answer = call.bearer(&self.token).header("x-request-id", "7").send().await;
        assert_eq!(answer.header("x-request-id"), Some("7"));
        assert!(answer.number("x-ratelimit-remaining").is_some(), "{answer:?}");
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(!body.contains("SELECT") && !body.contains("/var"), "{body}");
        answer
    }
}

#[tokio::test]
async fn a_store_out_of_reach_is_503_and_what_cannot_be_helped_500() {
    let unavailable = (503, "unavailable".to_owned());
    let internal = (500, "internal".to_owned());
    let cases = [
        (StoreErrorKind::Unavailable, unavailable),
        (StoreErrorKind::Corrupt, internal.clone()),
        (StoreErrorKind::Schema, internal.clone()),
        (StoreErrorKind::Internal, internal),
    ];
    for (kind, expected) in cases {
        let world = FailingWorld::new(Failing::With(kind)).await;
        assert_eq!(world.list().await.problem(), expected, "{kind:?}");
        assert_eq!(world.create().await.problem(), expected, "{kind:?}");
    }
}

#[tokio::test]
async fn an_unknown_outcome_says_so_and_names_the_service() {
    let world = FailingWorld::new(Failing::With(StoreErrorKind::OutcomeUnknown)).await;
    let answer = world.create().await;
    assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    let id = detail.split('`').nth(1).unwrap();
    assert!(detail.contains("unknown") && id.parse::<service_core::ServiceId>().is_ok(), "{detail}");
}

#[tokio::test]
async fn a_write_that_never_wins_is_503() {
    let world = FailingWorld::new(Failing::Stale).await;
    assert_eq!(world.create().await.problem(), (503, "unavailable".to_owned()));
}

#[tokio::test]
async fn a_panic_is_500() {
    let world = FailingWorld::new(Failing::Panicking).await;
    assert_eq!(world.list().await.problem(), (500, "internal".to_owned()));
    assert_eq!(world.create().await.problem(), (500, "internal".to_owned()));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_503_and_says_whether_it_may_have_happened() {
    let world = FailingWorld::new(Failing::Hanging).await;
    let listed = world.list().await;
    assert_eq!(listed.problem(), (503, "unavailable".to_owned()));
    assert!(!listed.json()["detail"].as_str().unwrap().contains("unknown"));
    let created = world.create().await;
    assert_eq!(created.problem(), (503, "unavailable".to_owned()));
    assert!(created.json()["detail"].as_str().unwrap().contains("unknown"));
    let body = Call::to(&world.app, Method::GET, "/healthz").send().await.json();
    assert_eq!(body, json!({"status": "ok"}));
}

#[tokio::test(start_paused = true)]
async fn what_there_is_no_time_for_is_503_and_operators_look_in_all_the_same() {
    let world = FailingWorld::with(Failing::Hanging, |api| api.max_requests(NonZeroUsize::MIN)).await;
    let (app, token) = (world.app.clone(), world.token.clone());
    let hanging =
        tokio::spawn(
            async move { Call::to(&app, Method::GET, "/v1/acme/service/").bearer(&token).send().await },
        );
    tokio::task::yield_now().await;
    // Nobody has looked at it: neither at its token, nor at how often its user has asked.
    let answer =
        Call::to(&world.app, Method::GET, "/v1/acme/service/").header("x-request-id", "7").send().await;
    assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
    assert_eq!((answer.header("retry-after"), answer.header("x-request-id")), (Some("1"), Some("7")));
    assert_eq!(answer.header("x-ratelimit-remaining"), None);
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs"] {
        assert!(Call::to(&world.app, Method::GET, path).send().await.status.as_u16() < 400, "{path}");
    }
    // What has had its slot for a second keeps nobody out.
    tokio::time::advance(Duration::from_secs(1)).await;
    let answer = Call::to(&world.app, Method::GET, "/v1/acme/service/").send().await;
    assert_eq!(answer.problem(), (401, "unauthenticated".to_owned()));
    assert!(!hanging.is_finished());
    hanging.abort();
}

#[tokio::test(start_paused = true)]
async fn operators_are_told_how_many_were_turned_away_and_why() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let world = FailingWorld::with(Failing::Hanging, |api| api.max_requests(NonZeroUsize::MIN)).await;
    let mut asking = JoinSet::new();
    // One is worked on and hangs, as many wait as may, and the first of these makes room for one more.
    for _ in 0..514 {
        let (app, token) = (world.app.clone(), world.token.clone());
        asking.spawn(
            async move { Call::to(&app, Method::GET, "/v1/acme/service/").bearer(&token).send().await },
        );
        tokio::task::yield_now().await;
    }
    for _ in 0..513 {
        let answer = asking.join_next().await.unwrap().unwrap();
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
    }
    let metrics = recorder.handle().render();
    for line in [
        r#"service_registry_shed_total{reason="queue_full"} 1"#,
        r#"service_registry_shed_total{reason="waited_too_long"} 512"#,
        r#"service_registry_refusals_total{error_code="unavailable"} 513"#,
        "service_registry_requests_in_flight 1",
        "service_registry_requests_waiting 0",
    ] {
        assert!(metrics.lines().any(|present| present == line), "{line}\n{metrics}");
    }
    asking.shutdown().await;
    let metrics = recorder.handle().render();
    assert!(metrics.lines().any(|line| line == "service_registry_requests_in_flight 0"), "{metrics}");
}

#[tokio::test]
async fn a_request_whose_client_goes_away_is_told_of_as_abandoned() {
    let world = FailingWorld::with(Failing::Hanging, |api| api).await;
    let told = Outcomes::default();
    let _telling = tracing::subscriber::set_default(tracing_subscriber::registry().with(told.clone()));
    let asking = Call::to(&world.app, Method::GET, "/v1/acme/service/").bearer(&world.token).send();
    assert!(tokio::time::timeout(Duration::from_millis(20), asking).await.is_err());
    assert_eq!(*told.0.lock().unwrap(), ["operation: \"abandoned\"", "request: \"abandoned\""]);
}

#[tokio::test]
async fn a_server_that_is_not_ready_does_not_look_as_if_all_were_well() {
    let environment = environment();
    let store = store(&environment).await;
    store.set_maintenance(true).await.unwrap();
    let store = Arc::new(store);
    let api = Api::new(store.clone(), store.clone(), Tokens::hs256(SECRET).unwrap(), environment);
    let app = router(api.operations(store));
    let told = Outcomes::default();
    let _telling = tracing::subscriber::set_default(tracing_subscriber::registry().with(told.clone()));
    assert_eq!(Call::to(&app, Method::GET, "/readyz").send().await.status, 503);
    assert_eq!(Call::to(&app, Method::GET, "/healthz").send().await.status, 200);
    assert_eq!(*told.0.lock().unwrap(), ["request: \"failed\"", "request: \"ok\""]);
}

/// What came of each span, in the order in which it was told.
#[derive(Debug, Clone, Default)]
struct Outcomes(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Outcomes {
    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let name = context.metadata(span).map_or("", |metadata| metadata.name());
        values.record(&mut |field: &Field, value: &dyn Debug| {
            if field.name() == "outcome" {
                self.0.lock().unwrap().push(format!("{name}: {value:?}"));
            }
        });
    }
}
