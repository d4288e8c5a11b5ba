//! Rate limits, as answers show them.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::support::*;

/// Limit, remaining and reset.
fn shown(answer: &Answer) -> Option<(i64, i64, i64)> {
    Some((
        answer.number("x-ratelimit-limit")?,
        answer.number("x-ratelimit-remaining")?,
        answer.number("x-ratelimit-reset")?,
    ))
}

#[tokio::test]
async fn each_endpoint_accepts_its_number_of_requests_and_counts_those_refused_for_other_reasons() {
    let world = World::new().await;
    let set = format!("/v1/acme/service/{NO_SERVICE}/version_sets/x/");
    let update = format!("/v1/acme/service/{NO_SERVICE}/");
    let endpoints = [
        (Method::GET, "/v1/acme/service/?limit=0", 50, 422),
        (Method::POST, "/v1/acme/service/", 20, 422),
        (Method::POST, &update, 20, 422),
        (Method::PUT, &set, 30, 422),
        (Method::DELETE, &set, 30, 404),
    ];
    for (method, path, limit, status) in endpoints {
        for left in (0..limit).rev() {
            let answer = world.request(method.clone(), path).send().await;
            assert_eq!(answer.status, status);
            assert_eq!(shown(&answer), Some((limit, left, START + 60)));
        }
        for _ in 0..2 {
            let answer = world.request(method.clone(), path).send().await;
            assert_eq!(answer.problem(), (429, "rate_limited".to_owned()));
            assert_eq!(answer.header("retry-after"), Some("60"));
            assert_eq!(shown(&answer), Some((limit, 0, START + 60)));
        }
    }
    world.environment.advance(Duration::from_micros(59_999_999));
    let answer = world.get("/v1/acme/service/").send().await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, Some("1")));
    world.environment.advance(Duration::from_micros(1));
    let answer = world.get("/v1/acme/service/").send().await;
    assert_eq!((answer.status.as_u16(), shown(&answer)), (200, Some((50, 49, START + 120))));
}

#[tokio::test]
async fn users_organizations_and_clusters_are_counted_apart() {
    let world = World::new().await;
    for _ in 0..50 {
        assert_eq!(world.get("/v1/acme/service/").send().await.status, 200);
    }
    assert_eq!(world.get("/v1/acme/service/").send().await.status, 429);
    assert_eq!(
        world.get("/v1/acme/service/").header("x-mongo-cluster-name", "west").send().await.status,
        200
    );
    assert_eq!(world.get("/v1/acme/service/").bearer(&world.token("acme", "rita")).send().await.status, 200);
    assert_eq!(world.get("/v1/partner/service/").header("x-org-id", "acme").send().await.status, 403);
}

#[tokio::test]
async fn limits_show_on_every_answer_once_the_user_is_known() {
    let world = World::new().await;
    let list = || world.get("/v1/acme/service/");
    assert_eq!(shown(&list().without("authorization").send().await), None);
    assert_eq!(list().send().await.number("x-ratelimit-remaining"), Some(49));
    world.environment.advance(Duration::from_millis(1));

    let cluster = list().header("x-mongo-cluster-name", "nowhere").send().await;
    assert_eq!((cluster.status.as_u16(), shown(&cluster)), (422, Some((50, 50, START + 1))));
    for unknown in ["/v1/nowhere/service/", "/v1/no%20where/service/"] {
        for _ in 0..60 {
            let answer = world.get(unknown).header("x-org-id", "acme").send().await;
            assert_eq!((answer.status.as_u16(), shown(&answer)), (404, Some((50, 50, START + 1))));
        }
    }
    world.maintenance(&world.west, true).await;
    let closed = list().header("x-mongo-cluster-name", "west").send().await;
    assert_eq!(closed.problem(), (503, "maintenance".to_owned()));
    assert_eq!(shown(&closed).map(|shown| shown.1), Some(50));
    // What was refused before the limiter was asked does not count.
    assert_eq!(list().send().await.number("x-ratelimit-remaining"), Some(48));
    world.maintenance(&world.store, true).await;
    assert_eq!(shown(&list().send().await), None);
}

#[tokio::test]
async fn without_limits_nothing_is_refused_and_nothing_shown() {
    let world = World::with(|api| api.rate_limits(false)).await;
    for _ in 0..60 {
        let answer = world.get("/v1/acme/service/").send().await;
        assert_eq!((answer.status.as_u16(), shown(&answer)), (200, None));
    }
}

#[tokio::test]
async fn a_body_is_not_read_for_a_request_too_many() {
    let world = World::new().await;
    for _ in 0..20 {
        assert_eq!(world.post("/v1/acme/service/", &json!(1)).send().await.status, 422);
    }
    let large = world.request(Method::POST, "/v1/acme/service/").body(" ".repeat(2 * 1024 * 1024));
    assert_eq!(large.send().await.status, 429);
}
