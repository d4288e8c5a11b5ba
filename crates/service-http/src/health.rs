//! Whether the process runs, and whether it can answer requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use service_core::{Operations, StoreErrorKind};

use crate::api::Shared;
use crate::error::{chain, json};
use crate::wire::Problem;

/// The answer to `GET /healthz` and `GET /readyz`.
#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    checks: BTreeMap<&'static str, &'static str>,
}

/// The answer to `GET /readyz` when a check fails: an error like any other, and the checks.
#[derive(Debug, Serialize)]
struct Unready {
    #[serde(flatten)]
    health: Health,
    #[serde(flatten)]
    problem: Problem,
}

const IN_MAINTENANCE: &str = "in maintenance";

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> Response {
    json(StatusCode::OK, &Health { status: "ok", checks: BTreeMap::new() })
}

/// `GET /readyz`: the default cluster's store can be reached, its schema is ours, and it is not in maintenance.
pub(crate) async fn readyz(State(api): State<Arc<Shared>>) -> Response {
    let checks = match &api.default.operations {
        Some(operations) => checks(&**operations).await,
        None => BTreeMap::new(),
    };
    if checks.values().all(|&outcome| outcome == "ok") {
        return json(StatusCode::OK, &Health { status: "ready", checks });
    }
    let failed: Vec<String> = checks
        .iter()
        .filter(|(_, outcome)| **outcome != "ok")
        .map(|(check, outcome)| format!("{check}: {outcome}"))
        .collect();
    let in_maintenance = checks.get("maintenance") == Some(&IN_MAINTENANCE);
    let error_code = if in_maintenance { "maintenance" } else { "unavailable" };
    let unready = Unready {
        health: Health { status: "not ready", checks },
        problem: Problem::new(error_code, failed.join(", ")),
    };
    let answer = json(StatusCode::SERVICE_UNAVAILABLE, &unready);
    ([(RETRY_AFTER, "1")], answer).into_response()
}

/// Each check, and `ok` or what is wrong. A check that needs a failed one is left out.
async fn checks(operations: &dyn Operations) -> BTreeMap<&'static str, &'static str> {
    let mut checks = BTreeMap::new();
    if let Err(error) = operations.ready().await {
        tracing::warn!(error = chain(&error), "the store is not ready");
        if error.kind() == StoreErrorKind::Schema {
            checks.insert("store", "ok");
            checks.insert("schema", "not the one this program works with");
        } else {
            checks.insert("store", "unreachable");
        }
        return checks;
    }
    checks.insert("store", "ok");
    checks.insert("schema", "ok");
    let maintenance = match operations.maintenance().await {
        Ok(false) => "ok",
        Ok(true) => IN_MAINTENANCE,
        Err(error) => {
            tracing::warn!(error = chain(&error), "the store does not say whether it is in maintenance");
            "unknown"
        }
    };
    checks.insert("maintenance", maintenance);
    checks
}
