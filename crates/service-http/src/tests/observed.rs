//! What operators are told of stores, and of writes that are decided again.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};
use serde_json::json;
use service_core::{Listing, Repository, ServiceFilter, StoreErrorKind, Visibility};

use super::failures::{Failing, FailingStore};
use super::support::*;
use crate::instruments::{self, Kind};
use crate::{Api, Observed, Tokens, router};

/// A recorder that knows the metrics as a server makes it know them.
fn recorder() -> PrometheusRecorder {
    let mut builder = PrometheusBuilder::new();
    for instrument in instruments::ALL {
        if let Kind::Histogram(bounds) = instrument.kind {
            let name = Matcher::Full(instrument.name.to_owned());
            builder = builder.set_buckets_for_metric(name, bounds).unwrap();
        }
    }
    builder.build_recorder()
}

fn listing() -> Listing {
    Listing {
        filter: ServiceFilter::default(),
        visibility: Visibility::Everything,
        sort: Default::default(),
        limit: Default::default(),
        token: Default::default(),
    }
}

#[track_caller]
fn contains(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|present| present == *line), "{line}\n{text}");
    }
}

/// Answers to a create, and then to an update that changes nothing, over an observed store.
async fn writes(failing: Failing) -> (u16, String) {
    let recorder = recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let environment = environment();
    let store = store(&environment).await;
    let observed = Observed::new(FailingStore::new(store.clone(), failing), "memory", "default");
    let tokens = Tokens::hs256(SECRET).unwrap();
    let now = service_core::Environment::now(&*environment);
    let (token, _) = tokens.sign(&principal("acme", "alice"), now, Duration::from_secs(60)).unwrap();
    let app = router(Api::new(Arc::new(observed), Arc::new(store), tokens, environment));
    let create = Call::to(&app, Method::POST, "/v1/acme/service/").json(&new_service("one"));
    let created = create.bearer(&token).send().await;
    Call::to(&app, Method::POST, "/v1/acme/service/x/").json(&json!({})).bearer(&token).send().await;
    (created.status.as_u16(), handle.render())
}

#[tokio::test]
async fn rounds_are_counted_for_each_write_by_its_operation() {
    let (status, text) = writes(Failing::StaleAtFirst(3)).await;
    assert_eq!(status, 201);
    contains(
        &text,
        &[
            r#"service_registry_decide_again_rounds_sum{operation="create"} 3"#,
            r#"service_registry_decide_again_rounds_count{operation="create"} 1"#,
            r#"service_registry_decide_again_rounds_bucket{operation="create",le="2"} 0"#,
            r#"service_registry_decide_again_rounds_bucket{operation="create",le="4"} 1"#,
            r#"service_registry_decide_again_rounds_sum{operation="update"} 0"#,
            r#"service_registry_store_duration_seconds_count{store="memory",cluster="default",call="commit"} 4"#,
        ],
    );
    assert!(!text.contains("service_registry_store_failures_total"), "a stale commit is no failure: {text}");
}

#[tokio::test]
async fn a_write_that_is_given_up_is_above_all_bounds() {
    let (status, text) = writes(Failing::Stale).await;
    assert_eq!(status, 503);
    contains(
        &text,
        &[
            r#"service_registry_decide_again_rounds_bucket{operation="create",le="31"} 0"#,
            r#"service_registry_decide_again_rounds_bucket{operation="create",le="+Inf"} 1"#,
        ],
    );
}

#[tokio::test]
async fn a_failure_is_counted_by_what_it_means_and_so_is_a_call_that_nobody_waits_for() {
    let recorder = recorder();
    let handle = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let environment = environment();
    let acme = "acme".parse().unwrap();
    let kinds = [
        (StoreErrorKind::Unavailable, "unavailable"),
        (StoreErrorKind::OutcomeUnknown, "outcome_unknown"),
        (StoreErrorKind::Corrupt, "corrupt"),
        (StoreErrorKind::Schema, "schema"),
        (StoreErrorKind::Internal, "internal"),
    ];
    for (kind, _) in kinds {
        let store = FailingStore::new(store(&environment).await, Failing::With(kind));
        let answer = Observed::new(store, "memory", "west").list(&acme, &listing()).await;
        assert_eq!(answer.unwrap_err().kind(), kind, "the answer is the store's");
    }
    let hanging = FailingStore::new(store(&environment).await, Failing::Hanging);
    let hanging = Observed::new(hanging, "memory", "west");
    let listing = listing();
    let call = hanging.list(&acme, &listing);
    assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err());
    let failures = kinds.iter().map(|(_, outcome)| *outcome).chain(["abandoned"]);
    let labels = r#"store="memory",cluster="west",call="list""#;
    for outcome in failures {
        let line = format!(r#"service_registry_store_failures_total{{{labels},outcome="{outcome}"}} 1"#);
        contains(&handle.render(), &[&line]);
    }
    contains(&handle.render(), &[&format!("service_registry_store_duration_seconds_count{{{labels}}} 6")]);
}
