//! What each endpoint answers when all is well.

use axum::http::Method;
use serde_json::{Value, json};

use super::support::*;

#[tokio::test]
async fn each_endpoint_answers_with_its_status_and_body() {
    let world = World::new().await;
    let created = world.post("/v1/acme/service/", &new_service("one")).send().await;
    assert_eq!(created.status, 201);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(created.json(), json!({"id": id}));

    let updated =
        world.post(&format!("/v1/acme/service/{id}/"), &json!({"description": "changed"})).send().await;
    assert_eq!((updated.status.as_u16(), updated.json()), (200, Value::Null));

    let set = format!("/v1/acme/service/{id}/version_sets/%20preview%20/");
    let upserted = world.put(&set, &json!({"version_set": {"agent_version_number": 2}})).send().await;
    assert_eq!((upserted.status.as_u16(), upserted.body.len()), (204, 0));
    assert_eq!(upserted.header("content-type"), None);

    let listed = world.get("/v1/acme/service/").send().await;
    assert_eq!(listed.status, 200);
    let page = listed.json();
    assert_eq!(page["services"][0]["id"], json!(id));
    assert_eq!(page["services"][0]["description"], json!("changed"));
    assert_eq!(page["services"][0]["version_sets"]["preview"]["agent_version_number"], json!(2));
    assert_eq!(page["has_more"], json!(false));

    let deleted =
        world.request(Method::DELETE, &format!("/v1/acme/service/{id}/version_sets/preview/")).send().await;
    assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    let again =
        world.request(Method::DELETE, &format!("/v1/acme/service/{id}/version_sets/preview/")).send().await;
    assert_eq!(again.problem(), (404, "version_set_not_found".to_owned()));
    assert_eq!(world.writes().await, 4);
}

#[tokio::test]
async fn paths_answer_with_and_without_their_last_slash() {
    let world = World::new().await;
    let id = world.service("one").await;
    let set = format!("/v1/acme/service/{id}/version_sets/preview");
    let body = json!({"version_set": {}});
    for slash in ["", "/"] {
        assert_eq!(world.get(&format!("/v1/acme/service{slash}")).send().await.status, 200);
        let created = world.post(&format!("/v1/acme/service{slash}"), &new_service(&format!("n{slash}")));
        assert_eq!(created.send().await.status, 201);
        let updated = world.post(&format!("/v1/acme/service/{id}{slash}"), &json!({}));
        assert_eq!(updated.send().await.status, 200);
        assert_eq!(world.put(&format!("{set}{slash}"), &body).send().await.status, 204);
        let deleted = world.request(Method::DELETE, &format!("{set}{slash}"));
        assert_eq!(deleted.send().await.status, 204);
    }
}

#[tokio::test]
async fn a_valid_token_of_an_unknown_user_holds_no_grant() {
    let world = World::new().await;
    let answer = world.get("/v1/acme/service/").bearer(&world.token("acme", "stranger")).send().await;
    assert_eq!(answer.problem(), (403, "permission_denied".to_owned()));
    let answer =
        world.get("/v1/acme/service/?limit=99").bearer(&world.token("acme", "stranger")).send().await;
    assert_eq!(answer.places(), [json!(["query", "limit"])]);
}

#[tokio::test]
async fn refusals_of_the_rules_keep_their_code_and_get_their_status() {
    let world = World::new().await;
    let id = world.service("one").await;
    let create = |changes: Value| {
        let mut body = new_service("one");
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        world.post("/v1/acme/service/", &body).send()
    };
    assert_eq!(create(json!({})).await.problem(), (409, "active_name_taken".to_owned()));
    let agent = create(json!({"agent_id": NO_SERVICE})).await;
    assert_eq!(agent.problem(), (404, "agent_not_found".to_owned()));
    let pin = create(json!({"release_version_set": {"agent_version_number": 4}})).await;
    assert_eq!(pin.problem(), (400, "agent_version_not_found".to_owned()));
    let edge = world.put(&format!("/v1/acme/service/{id}/version_sets/edge/"), &json!({"version_set": {}}));
    assert_eq!(edge.send().await.problem(), (400, "reserved_version_set".to_owned()));
    assert_eq!(world.writes().await, 1);
}

#[tokio::test]
async fn a_token_that_was_never_issued_is_a_fault_of_its_parameter() {
    let world = World::new().await;
    let answer = world.get("/v1/acme/service/?continuation_token=7").send().await;
    assert_eq!(answer.places(), [json!(["query", "continuation_token"])]);
}
