//! Sign-in with an API key.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::support::*;
use crate::{Algorithm, Api, Tokens, router};

const PATH: &str = "/v1/acme/user/signin_with_api_key";

fn sign_in<'a>(world: &'a World, path: &str) -> Call<'a> {
    Call::to(&world.app, Method::POST, path)
        .header("x-api-key", KEY)
        .header("x-api-key-id", KEY_ID)
        .header("x-user-id", "alice")
}

#[tokio::test]
async fn a_key_and_a_user_get_a_token_that_works_until_it_expires() {
    let world = World::with(|api| api.token_lifetime(Duration::from_secs(600))).await;
    for path in [PATH.to_owned(), format!("{PATH}/")] {
        let answer = sign_in(&world, &path).send().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let body = answer.json();
        assert_eq!(body["expires_at"], "2023-11-14T22:23:20Z");
        assert_eq!(body.as_object().unwrap().len(), 2);
        let token = body["id_token"].as_str().unwrap();
        assert_eq!(world.get("/v1/acme/service/").bearer(token).send().await.status, 200);
    }
    let token = sign_in(&world, PATH).send().await.json()["id_token"].as_str().unwrap().to_owned();
    world.environment.advance(Duration::from_secs(600));
    assert_eq!(world.get("/v1/acme/service/").bearer(&token).send().await.status, 401);
}

#[tokio::test]
async fn a_user_may_have_any_letters() {
    let world = World::new().await;
    assert_eq!(
        sign_in(&world, PATH).without("x-user-id").header("x-user-id", "zoë").send().await.status,
        200
    );
}

#[tokio::test]
async fn wrong_keys_and_users_are_unauthenticated_and_not_told_apart() {
    let world = World::new().await;
    let mut answers = Vec::new();
    let users = ["stranger", "bob"];
    for user in users {
        answers.push(sign_in(&world, PATH).without("x-user-id").header("x-user-id", user).send().await);
    }
    answers.push(sign_in(&world, PATH).without("x-api-key").header("x-api-key", "wrong").send().await);
    answers.push(sign_in(&world, PATH).without("x-api-key-id").header("x-api-key-id", "key-2").send().await);
    // A key of one organization is none of another's.
    answers.push(sign_in(&world, "/v1/partner/user/signin_with_api_key").send().await);
    for answer in &answers {
        assert_eq!(answer.problem(), (401, "unauthenticated".to_owned()));
        assert_eq!(answer.json(), answers[0].json());
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
    // A user without any role is still one of the organization's own.
    assert_eq!(
        sign_in(&world, PATH).without("x-user-id").header("x-user-id", "norm").send().await.status,
        200
    );
}

#[tokio::test]
async fn every_header_at_fault_is_named() {
    let world = World::new().await;
    let answer = Call::to(&world.app, Method::POST, PATH).send().await;
    let all =
        [json!(["header", "x-api-key"]), json!(["header", "x-api-key-id"]), json!(["header", "x-user-id"])];
    assert_eq!(answer.places(), all);
    let call = Call::to(&world.app, Method::POST, PATH);
    let call = call.header("x-api-key", "").header("x-api-key-id", "no id").header("x-user-id", b"\xff");
    assert_eq!(call.send().await.places(), all);
    let twice = sign_in(&world, PATH).header("x-user-id", "alice").header("x-api-key", KEY);
    assert_eq!(twice.send().await.places(), [all[0].clone(), all[2].clone()]);
}

#[tokio::test]
async fn the_checks_run_in_order() {
    let world = World::new().await;
    let bare = |path: &str| Call::to(&world.app, Method::POST, path);
    let nowhere = "/v1/nowhere/user/signin_with_api_key";
    let answer = bare(nowhere).header("x-mongo-cluster-name", "nowhere").send().await;
    assert_eq!(answer.problem(), (422, "unknown_cluster".to_owned()));
    assert_eq!(bare(nowhere).send().await.problem(), (404, "organization_not_found".to_owned()));
    let ill_formed = "/v1/no%20where/user/signin_with_api_key";
    assert_eq!(bare(ill_formed).send().await.problem(), (404, "organization_not_found".to_owned()));
    world.maintenance(&world.west, true).await;
    let answer = bare(nowhere).header("x-mongo-cluster-name", "west").send().await;
    assert_eq!(answer.problem(), (503, "maintenance".to_owned()));
    world.maintenance(&world.store, true).await;
    let answer = bare(nowhere).header("x-mongo-cluster-name", "nowhere").send().await;
    assert_eq!(answer.problem(), (503, "maintenance".to_owned()));
}

#[tokio::test]
async fn five_a_minute_for_a_key_and_a_user_and_only_once_the_key_is_verified() {
    let world = World::new().await;
    for _ in 0..10 {
        let wrong = sign_in(&world, PATH).without("x-api-key").header("x-api-key", "wrong").send().await;
        assert_eq!(wrong.status, 401);
    }
    for left in (0..5).rev() {
        let answer = sign_in(&world, PATH).send().await;
        assert_eq!((answer.status.as_u16(), answer.number("x-ratelimit-remaining")), (200, Some(left)));
        assert_eq!(answer.number("x-ratelimit-limit"), Some(5));
    }
    let answer = sign_in(&world, PATH).send().await;
    assert_eq!(answer.problem(), (429, "rate_limited".to_owned()));
    assert_eq!(answer.header("retry-after"), Some("60"));
    let other = sign_in(&world, PATH).without("x-user-id").header("x-user-id", "rita").send().await;
    assert_eq!(other.status, 200);
    let west = sign_in(&world, PATH).header("x-mongo-cluster-name", "west").send().await;
    assert_eq!(west.status, 200);
}

#[tokio::test]
async fn with_a_public_key_alone_sign_in_is_not_offered() {
    let environment = environment();
    let store = Arc::new(store(&environment).await);
    let public = include_bytes!("../tokens/keys/ed25519-public.pem");
    let private = include_bytes!("../tokens/keys/ed25519-private.pem");
    let tokens = Tokens::from_pem(Algorithm::EdDsa, public, None).unwrap();
    let app = router(Api::new(store.clone(), store, tokens, environment.clone()));
    for method in [Method::POST, Method::GET] {
        let answer = Call::to(&app, method, PATH).send().await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()));
    }
    let elsewhere = Tokens::from_pem(Algorithm::EdDsa, public, Some(private)).unwrap();
    let now = service_core::Environment::now(&*environment);
    let (token, _) = elsewhere.sign(&principal("acme", "alice"), now, Duration::from_secs(60)).unwrap();
    assert_eq!(Call::to(&app, Method::GET, "/v1/acme/service/").bearer(&token).send().await.status, 200);
}
