//! What is for operators, what is nowhere, and what the server answers by itself.

use std::sync::Arc;

use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use service_core::{Operations as _, StoreErrorKind};

use super::shown;
use super::stage::Stage;
use crate::error::Failure;
use crate::tests::document::own_headers;
use crate::tests::operations::Told;
use crate::tests::support::*;
use crate::{Api, Tokens, Unreadable, router, too_many_connections, unreadable};

/// What is for operators, and what is nowhere.
pub(super) async fn operators(stage: &mut Stage) {
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
    in_maintenance.set_maintenance(true).await.unwrap();
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
    for (operation, what) in [
        ("MalformedRequest", Unreadable::Malformed),
        ("TargetTooLong", Unreadable::TargetTooLong),
        ("HeadersTooLarge", Unreadable::HeadersTooLarge),
    ] {
        let answer = collected(unreadable(what, &HeaderMap::new(), &*environment)).await;
        stage.recorded.note(operation, None, &answer);
    }
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
