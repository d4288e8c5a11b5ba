//! Who may come in: the headers `Authorization`, `X-ORG-ID` and `x-mongo-cluster-name`.

use std::time::Duration;

use super::support::*;

fn unauthenticated() -> (u16, String) {
    (401, "unauthenticated".to_owned())
}

#[tokio::test]
async fn a_bearer_token_is_needed_once_and_in_ascii() {
    let world = World::new().await;
    let token = world.token("acme", "alice");
    let call = || world.get("/v1/acme/service/").without("authorization");
    for accepted in [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER  {token}")] {
        assert_eq!(call().header("authorization", accepted).send().await.status, 200);
    }
    let refused = [
        "".to_owned(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
        format!("Basic {token}"),
        "Bearer é".to_owned(),
    ];
    for header in refused {
        let answer = call().header("authorization", &header).send().await;
        assert_eq!(answer.problem(), unauthenticated(), "{header}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(call().send().await.problem(), unauthenticated());
    let header = format!("Bearer {token}");
    let twice = call().header("authorization", &header).header("authorization", &header);
    assert_eq!(twice.send().await.problem(), unauthenticated());
}

#[tokio::test]
async fn the_environment_says_when_a_token_expires() {
    let world = World::new().await;
    let token = world.token("acme", "alice");
    world.environment.advance(Duration::from_micros(3_599_999_999));
    assert_eq!(world.get("/v1/acme/service/").bearer(&token).send().await.status, 200);
    world.environment.advance(Duration::from_micros(1));
    assert_eq!(world.get("/v1/acme/service/").bearer(&token).send().await.problem(), unauthenticated());
}

#[tokio::test]
async fn the_token_is_of_the_organization_that_x_org_id_names_or_of_the_one_addressed() {
    let world = World::new().await;
    let alice = world.token("acme", "alice");
    let bob = world.token("partner", "bob");
    let list = |path: &str, token: &str| world.get(path).bearer(token);

    assert_eq!(list("/v1/acme/service/", &alice).send().await.status, 200);
    assert_eq!(list("/v1/acme/service/", &alice).header("x-org-id", "acme").send().await.status, 200);
    assert_eq!(list("/v1/acme/service/", &bob).header("x-org-id", "partner").send().await.status, 200);
    let elsewhere = list("/v1/partner/service/", &alice).header("x-org-id", "acme").send().await;
    assert_eq!(elsewhere.problem(), (403, "permission_denied".to_owned()));

    assert_eq!(list("/v1/acme/service/", &bob).send().await.problem(), unauthenticated());
    for named in ["partner", "", "acme x", "Acme", "a,b", "é"] {
        let answer = list("/v1/acme/service/", &alice).header("x-org-id", named).send().await;
        assert_eq!(answer.problem(), unauthenticated(), "{named}");
    }
    let twice = list("/v1/acme/service/", &alice).header("x-org-id", "acme").header("x-org-id", "acme");
    assert_eq!(twice.send().await.problem(), unauthenticated());
}

#[tokio::test]
async fn clusters_are_chosen_by_name() {
    let world = World::new().await;
    let there = |name: &str| world.get("/v1/acme/service/").header("x-mongo-cluster-name", name);
    let create = world.post("/v1/acme/service/", &new_service("west")).header("x-mongo-cluster-name", "west");
    assert_eq!(create.send().await.status, 201);
    assert_eq!(there("west").send().await.json()["services"][0]["name"], "west");
    let here = world.get("/v1/acme/service/").send().await.json();
    assert_eq!(here["services"].as_array().unwrap().len(), 0);

    for unknown in ["east", "", "West", "é"] {
        let answer = there(unknown).send().await;
        assert_eq!(answer.problem(), (422, "unknown_cluster".to_owned()), "{unknown}");
        assert!(answer.json()["detail"].is_string());
    }
    let twice = there("west").header("x-mongo-cluster-name", "west").send().await;
    assert_eq!(twice.problem(), (422, "unknown_cluster".to_owned()));
}
