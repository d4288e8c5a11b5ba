//! Maintenance, health and readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::Method;
use serde_json::json;
use service_core::{
    ArchiveSink, ArchiveSource, ArchiveSummary, ExportError, ImportError, Operations, StoreError,
    StoreErrorKind,
};
use store_memory::MemoryStore;

use super::support::*;
use crate::{Api, Tokens, router};

fn maintenance() -> (u16, String) {
    (503, "maintenance".to_owned())
}

#[tokio::test]
async fn maintenance_closes_the_api_and_nothing_else_until_it_ends() {
    let world = World::new().await;
    world.maintenance(&world.store, true).await;
    let answer = world.get("/v1/acme/service/").send().await;
    assert_eq!(answer.problem(), maintenance());
    let answer = world.post("/v1/acme/service/", &new_service("one")).send().await;
    assert_eq!(answer.problem(), maintenance());
    let west = world.get("/v1/acme/service/").header("x-mongo-cluster-name", "west").send().await;
    assert_eq!(west.problem(), maintenance());
    for open in ["/healthz", "/openapi.json", "/docs/"] {
        assert_eq!(Call::to(&world.app, Method::GET, open).send().await.status, 200, "{open}");
    }
    world.maintenance(&world.store, false).await;
    assert_eq!(world.get("/v1/acme/service/").send().await.status, 200);
    assert_eq!(world.writes().await, 0);
}

#[tokio::test]
async fn maintenance_of_another_cluster_closes_that_one_alone() {
    let world = World::new().await;
    world.maintenance(&world.west, true).await;
    assert_eq!(world.get("/v1/acme/service/").send().await.status, 200);
    let west = world.get("/v1/acme/service/").header("x-mongo-cluster-name", "west").send().await;
    assert_eq!(west.problem(), maintenance());
}

#[tokio::test]
async fn readiness_names_what_is_not_ready() {
    let world = World::new().await;
    let ready = || Call::to(&world.app, Method::GET, "/readyz").send();
    let answer = ready().await;
    let checks = json!({"store": "ok", "schema": "ok", "maintenance": "ok"});
    let all = json!({"status": "ready", "checks": checks, "clusters": {"west": checks}});
    assert_eq!((answer.status.as_u16(), answer.json()), (200, all));
    world.store.set_maintenance(true).await.unwrap();
    let answer = ready().await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.number("retry-after"), Some(1));
    assert_eq!(answer.json()["checks"]["maintenance"], "in maintenance");
    assert_eq!(Call::to(&world.app, Method::GET, "/healthz").send().await.status, 200);
}

/// Operations that say what they are told to, and count how often they are asked for maintenance.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) asked: AtomicUsize,
    /// 0: off, 1: on, 2: cannot say.
    pub(super) maintenance: AtomicUsize,
    pub(super) ready: Option<StoreErrorKind>,
    pub(super) panics: bool,
    /// It does not say whether it is ready.
    pub(super) silent: bool,
}

#[async_trait]
impl Operations for Told {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn ready(&self) -> Result<(), StoreError> {
        assert!(!self.panics, "SELECT secret FROM /var/lib/store");
        if self.silent {
            std::future::pending::<()>().await;
        }
        self.ready.map_or(Ok(()), |kind| Err(StoreError::new(kind, "SELECT secret FROM /var/lib/store")))
    }

    async fn maintenance(&self) -> Result<bool, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.maintenance.load(Ordering::SeqCst) {
            2 => Err(StoreError::new(StoreErrorKind::Unavailable, "gone")),
            on => Ok(on == 1),
        }
    }

    async fn set_maintenance(&self, on: bool) -> Result<(), StoreError> {
        self.maintenance.store(usize::from(on), Ordering::SeqCst);
        Ok(())
    }

    async fn export(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, ExportError> {
        MemoryStore::new().export(sink).await
    }

    async fn import(&self, source: &mut dyn ArchiveSource) -> Result<ArchiveSummary, ImportError> {
        MemoryStore::new().import(source).await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        MemoryStore::new().check().await
    }
}

async fn world_told(told: Told) -> (World, Arc<Told>) {
    let told = Arc::new(told);
    let world = World::with(|api| api.operations(told.clone()).rate_limits(false)).await;
    (world, told)
}

#[tokio::test]
async fn a_store_is_asked_once_a_second_and_its_last_answer_holds_while_it_cannot_say() {
    let (world, told) = world_told(Told::default()).await;
    let status = async || world.get("/v1/acme/service/").send().await.status.as_u16();
    for _ in 0..10 {
        assert_eq!(status().await, 200);
    }
    assert!(told.asked.load(Ordering::SeqCst) <= 2);
    told.set_maintenance(true).await.unwrap();
    world.environment.advance(Duration::from_secs(1));
    for _ in 0..10 {
        assert_eq!(status().await, 503);
    }
    told.maintenance.store(2, Ordering::SeqCst);
    for _ in 0..10 {
        world.environment.advance(Duration::from_secs(1));
        assert_eq!(status().await, 503);
    }
    told.set_maintenance(false).await.unwrap();
    world.environment.advance(Duration::from_secs(1));
    assert_eq!(status().await, 200);
    assert!(told.asked.load(Ordering::SeqCst) <= 14);
}

#[tokio::test]
async fn readiness_tells_a_store_out_of_reach_from_another_schema_and_shows_no_more() {
    let cases = [
        (StoreErrorKind::Unavailable, json!({"store": "unreachable"}), "store: unreachable"),
        (
            StoreErrorKind::Schema,
            json!({"store": "ok", "schema": "not the one this program works with"}),
            "schema: not the one this program works with",
        ),
    ];
    let west = json!({"west": {"store": "ok", "schema": "ok", "maintenance": "ok"}});
    for (kind, checks, detail) in cases {
        let (world, _) = world_told(Told { ready: Some(kind), ..Told::default() }).await;
        let answer = Call::to(&world.app, Method::GET, "/readyz").send().await;
        assert_eq!(answer.status, 503);
        let told = json!({
            "status": "not ready", "checks": checks, "clusters": west, "detail": detail, "error_code": "unavailable"
        });
        assert_eq!(answer.json(), told);
    }
}

#[tokio::test]
async fn readiness_names_what_is_wrong_with_other_clusters_and_does_not_depend_on_them() {
    let cases = [
        (
            Told { ready: Some(StoreErrorKind::Unavailable), ..Told::default() },
            json!({"store": "unreachable"}),
        ),
        (
            Told { maintenance: AtomicUsize::new(1), ..Told::default() },
            json!({"store": "ok", "schema": "ok", "maintenance": "in maintenance"}),
        ),
        (
            Told { maintenance: AtomicUsize::new(2), ..Told::default() },
            json!({"store": "ok", "schema": "ok", "maintenance": "unknown"}),
        ),
        (Told { panics: true, ..Told::default() }, json!({"store": "does not answer"})),
    ];
    for (told, checks) in cases {
        let east = Arc::new(MemoryStore::new());
        let world = World::with(|api| api.cluster("east", east.clone(), east, Some(Arc::new(told)))).await;
        let answer = Call::to(&world.app, Method::GET, "/readyz").send().await;
        let well = json!({"store": "ok", "schema": "ok", "maintenance": "ok"});
        let all = json!({"status": "ready", "checks": well, "clusters": {"east": checks, "west": well}});
        assert_eq!((answer.status.as_u16(), answer.json()), (200, all));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_said_not_to_in_time() {
    let (world, _) = world_told(Told { silent: true, ..Told::default() }).await;
    let begun = tokio::time::Instant::now();
    let answer = Call::to(&world.app, Method::GET, "/readyz").send().await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["checks"]),
        (503, &json!({"store": "does not answer"}))
    );
}

#[tokio::test]
async fn without_operations_an_api_is_ready_and_never_in_maintenance() {
    let environment = environment();
    let store = store(&environment).await;
    store.set_maintenance(true).await.unwrap();
    let store = Arc::new(store);
    let tokens = Tokens::hs256(SECRET).unwrap();
    let app = router(Api::new(store.clone(), store, tokens, environment));
    assert_eq!(Call::to(&app, Method::GET, "/readyz").send().await.status, 200);
    let answer = Call::to(&app, Method::GET, "/v1/acme/service/").send().await;
    assert_eq!(answer.problem(), (401, "unauthenticated".to_owned()));
}
