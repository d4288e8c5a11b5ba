//! What every operation on an organization answers alike, and signing in too.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use service_core::{Operations as _, StoreErrorKind};

use super::bodies::service;
use super::stage::{Mishap, NOTHING, ORGANIZATION, Stage};
use super::successes::sign_in;
use crate::tests::support::*;
use crate::{Algorithm, Api, Tokens, router};

/// An operation on an organization: its id, its method and path, whether it has a body, and whether it is about a service.
const OPERATIONS: [(&str, &str, &str, bool, bool); 5] = [
    ("listServices", "GET", "service/?limit=20", false, false),
    ("createService", "POST", "service/", true, false),
    ("updateService", "POST", "service/ID/", true, true),
    ("upsertVersionSet", "PUT", "service/ID/version_sets/preview/", true, true),
    ("deleteVersionSet", "DELETE", "service/ID/version_sets/preview/", false, true),
];

/// What every operation on an organization answers alike.
pub(super) async fn alike(stage: &mut Stage, id: &str) {
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

pub(super) async fn signing_in_refused(stage: &mut Stage) {
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

    let public = include_bytes!("../../tokens/keys/ed25519-public.pem");
    let tokens = Tokens::from_pem(Algorithm::EdDsa, public, None).unwrap();
    let staged = stage.staged.clone();
    let app = router(Api::new(staged.clone(), staged, tokens, stage.environment.clone()));
    let path = format!("/v1/{ORGANIZATION}/user/signin_with_api_key");
    let answer = Call::to(&app, Method::POST, &path).send().await;
    stage.refused(operation, 404, "not_found", &answer);
}
