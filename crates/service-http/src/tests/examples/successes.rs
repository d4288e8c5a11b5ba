//! Operations that succeed.

use axum::http::Method;
use serde_json::{Value, json};

use super::bodies::{preferring, service};
use super::stage::{FRONT_DESK, LLM, ORGANIZATION, SCHEDULING, Stage};
use crate::openapi;
use crate::tests::support::*;

/// The operations as they succeed. Gives the service that was created with everything.
pub(super) async fn successes(stage: &mut Stage) -> String {
    let least = service("Sleep coaching", json!({}));
    let most = service(
        "Night coaching",
        json!({
            "tags": {"team": "care", "beta": null},
            "keyterms": ["melatonin", "sleep diary"],
            "release_version_set": {
                "agent_version_number": 3,
                "service_hierarchical_state_machine_version_number": 2,
                "llm_model_preferences": {
                    "engage_user": {"llm_name": LLM, "params": {"temperature": 0.5, "reasoning": {"effort": "low"}}},
                },
            },
        }),
    );
    let mut id = String::new();
    for (name, summary, body) in [("least", "What is required", least), ("most", "Everything", most)] {
        let answer = stage.create(&body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        id = answer.json()["id"].as_str().unwrap().to_owned();
        stage.recorded.note("createService", Some(name), &answer);
        stage.recorded.request("createService", name, summary, &body);
    }
    let sets = [
        ("latest", "Follow the latest versions", json!({})),
        (
            "pinned",
            "Pin versions, and prefer an LLM",
            json!({
                "agent_version_number": 3,
                "service_hierarchical_state_machine_version_number": 2,
                "llm_model_preferences": {"engage_user": {"llm_name": LLM, "params": {"temperature": 0.5}}},
            }),
        ),
        (
            "inline",
            "LLM parameters as older clients give them",
            preferring(json!({"llm_name": LLM, "top_p": 0.9, "temperature": 0.5, "top_k": 40})),
        ),
    ];
    for (name, summary, set) in sets {
        let answer = stage.upsert(&id, "preview", set.clone()).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        stage.recorded.note("upsertVersionSet", None, &answer);
        stage.recorded.request("upsertVersionSet", name, summary, &json!({"version_set": set}));
    }
    listings(stage, &id).await;
    let answer = stage.delete(&id, "preview").await;
    assert_eq!(answer.status, 204, "{answer:?}");
    stage.recorded.note("deleteVersionSet", None, &answer);

    let other = stage.service(&service("Morning coaching", json!({}))).await;
    let updates = [
        ("rename", "Rename it", json!({"name": "Coaching at dawn"})),
        ("retire", "Take it out of use, and tag it", json!({"is_active": false, "tags": {"retired": null}})),
        (
            "rebind",
            "Bind another agent to another state machine",
            json!({
                "description": "Appointments, by voice",
                "agent_id": FRONT_DESK,
                "service_hierarchical_state_machine_id": SCHEDULING,
                "keyterms": ["melatonin"],
            }),
        ),
    ];
    for (name, summary, body) in updates {
        let answer = stage.update(&other, &body).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, Value::Null));
        stage.recorded.request("updateService", name, summary, &body);
        if name == "rename" {
            stage.recorded.note("updateService", Some("done"), &answer);
        }
    }
    let answer = sign_in(stage).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    stage.recorded.note("signInWithApiKey", Some("signed_in"), &answer);
    id
}

/// Two pages, and a listing that uses every parameter as the document shows it.
async fn listings(stage: &mut Stage, id: &str) {
    let first = stage.call(Method::GET, "service/?sort_by=%2Bname&limit=1").send().await;
    let token = first.json()["continuation_token"].as_i64().unwrap();
    stage.recorded.note("listServices", Some("first_page"), &first);
    let path = format!("service/?sort_by=%2Bname&limit=1&continuation_token={token}");
    let last = stage.call(Method::GET, &path).send().await;
    assert_eq!(last.json()["has_more"], false);
    stage.recorded.note("listServices", Some("last_page"), &last);

    let mut query = Vec::new();
    for parameter in openapi::document()["paths"]["/v1/{organization}/service/"]["get"]["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|parameter| parameter["in"] == "query")
    {
        let name = parameter["name"].as_str().unwrap();
        let values = parameters(id)[name].clone();
        let values = values.as_array().cloned().unwrap_or(vec![values]);
        query.extend(values.iter().map(|value| {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            format!("{name}={}", value.replace('+', "%2B").replace(':', "%3A"))
        }));
    }
    assert!(query.len() >= 9, "{query:?}");
    let path = format!("service/?{}", query.join("&"));
    let found = stage.call(Method::GET, &path).send().await;
    assert_eq!(found.json()["services"][0]["id"], *id, "{found:?}");
}

/// What the parameters of the document show.
pub(super) fn parameters(id: &str) -> Value {
    json!({
        "organization": ORGANIZATION,
        "service_id": id,
        "version_set_name": "preview",
        "x-api-key": KEY,
        "x-api-key-id": KEY_ID,
        "x-user-id": "alice",
        "id": [id],
        "is_active": "true",
        "sort_by": ["-is_active", "+name"],
        "tags": ["team:care", "beta:"],
        "tag": ["team:*"],
        "limit": 20,
        "continuation_token": 0,
        "file": "index.css",
    })
}

pub(super) fn sign_in(stage: &Stage) -> Call<'_> {
    stage
        .call(Method::POST, "user/signin_with_api_key")
        .without("authorization")
        .header("x-api-key", KEY)
        .header("x-api-key-id", KEY_ID)
        .header("x-user-id", "alice")
}
