//! Whether the process runs, and whether it can answer requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use service_core::{Operations, StoreErrorKind};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::api::{Cluster, Shared};
use crate::error::{chain, json};
use crate::wire::Problem;

/// The answer to `GET /healthz` and `GET /readyz`.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    /// Those of the default cluster.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    checks: Checks,
    /// Those of the others, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    clusters: BTreeMap<String, Checks>,
}

/// Each check, and `ok` or what is wrong. A check that needs a failed one is left out.
type Checks = BTreeMap<&'static str, &'static str>;

/// The answer to `GET /readyz` when a check fails: an error like any other, and the checks.
#[derive(Debug, Serialize)]
struct Unready {
    #[serde(flatten)]
    health: Health,
    #[serde(flatten)]
    problem: Problem,
}

const OK: &str = "ok";
const IN_MAINTENANCE: &str = "in maintenance";
const UNANSWERED: &str = "does not answer";
/// How long a store may take for all checks: no longer than whoever asks would wait.
const CHECK_TIME: Duration = Duration::from_secs(5);

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> Response {
    json(StatusCode::OK, &Health { status: OK, checks: BTreeMap::new(), clusters: BTreeMap::new() })
}

/// `GET /readyz`: the default cluster's store can be reached, its schema is ours, and it is not in maintenance.
///
/// The other clusters are checked and shown too, but do not count: whoever takes a server that is not ready out of service would take
/// all of them, for all clusters, because of one.
pub(crate) async fn readyz(State(api): State<Arc<Shared>>) -> Response {
    let mut others = JoinSet::new();
    for (name, cluster) in &api.clusters {
        let (name, checks) = (name.clone(), checks_in_time(cluster));
        others.spawn(async move { (name, checks.await) }.in_current_span());
    }
    let checks = checks_in_time(&api.default).await;
    let unanswered = || BTreeMap::from([("store", UNANSWERED)]);
    let mut clusters: BTreeMap<String, Checks> =
        api.clusters.keys().map(|name| (name.clone(), unanswered())).collect();
    while let Some(checked) = others.join_next().await {
        clusters.extend(checked);
    }
    if checks.values().all(|&outcome| outcome == OK) {
        return json(StatusCode::OK, &Health { status: "ready", checks, clusters });
    }
    let failed: Vec<String> = checks
        .iter()
        .filter(|(_, outcome)| **outcome != OK)
        .map(|(check, outcome)| format!("{check}: {outcome}"))
        .collect();
    let in_maintenance = checks.get("maintenance") == Some(&IN_MAINTENANCE);
    let error_code = if in_maintenance { "maintenance" } else { "unavailable" };
    let unready = Unready {
        health: Health { status: "not ready", checks, clusters },
        problem: Problem::new(error_code, failed.join(", ")),
    };
    let answer = json(StatusCode::SERVICE_UNAVAILABLE, &unready);
    ([(RETRY_AFTER, "1")], answer).into_response()
}

/// The checks of a cluster. Without operations there is nothing to check.
fn checks_in_time(cluster: &Cluster) -> impl Future<Output = Checks> + use<> {
    let operations = cluster.operations.clone();
    let cluster = cluster.name.clone().unwrap_or_else(|| "default".to_owned());
    async move {
        let Some(operations) = operations else { return BTreeMap::new() };
        let checked = timeout(CHECK_TIME, checks(&cluster, &*operations)).await;
        checked.unwrap_or_else(|_| {
            tracing::warn!(cluster, "the store does not answer");
            BTreeMap::from([("store", UNANSWERED)])
        })
    }
}

async fn checks(cluster: &str, operations: &dyn Operations) -> Checks {
    let mut checks = BTreeMap::new();
    if let Err(error) = operations.ready().await {
        tracing::warn!(cluster, error = chain(&error), "the store is not ready");
        if error.kind() == StoreErrorKind::Schema {
            checks.insert("store", OK);
            checks.insert("schema", "not the one this program works with");
        } else {
            checks.insert("store", "unreachable");
        }
        return checks;
    }
    checks.insert("store", OK);
    checks.insert("schema", OK);
    let maintenance = match operations.maintenance().await {
        Ok(false) => OK,
        Ok(true) => IN_MAINTENANCE,
        Err(error) => {
            let error = chain(&error);
            tracing::warn!(cluster, error, "the store does not say whether it is in maintenance");
            "unknown"
        }
    };
    checks.insert("maintenance", maintenance);
    checks
}
