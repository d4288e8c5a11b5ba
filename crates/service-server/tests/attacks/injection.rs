//! Texts that are meant to be taken for SQL, patterns, paths, headers, log lines or JSON, in every field, path, parameter and header: each
//! is kept to the byte or refused, another organization never notices, and no log line is forged.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};
use store_conformance::generate::damage::INJECTIONS;

use crate::wire::exchange;
use crate::world::{KINDS, Kind, World, read, service, token};

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Where a text stands in a body, the body, and what a listed service then has: where, and what.
type Placed = (&'static str, Value, Option<(String, Value)>);

/// A body with a text in each of its places in turn.
fn bodies(text: &str, number: usize) -> Vec<Placed> {
    let plain = service(&format!("Plain {number}"));
    let with = |name: &str, value: Value| {
        let mut body = plain.clone();
        body[name] = value;
        body
    };
    let release = |value: Value| with("release_version_set", json!({ "llm_model_preferences": value }));
    let params = |params: Value| release(json!({"talk": {"llm_name": "model", "params": params}}));
    let preferences = "/version_sets/release/llm_model_preferences";
    let segment = text.replace('~', "~0").replace('/', "~1");
    let stripped = |pointer: &str| Some((pointer.to_owned(), json!(text.trim_matches(char::is_whitespace))));
    vec![
        ("name", with("name", json!(text)), stripped("/name")),
        ("description", with("description", json!(text)), stripped("/description")),
        ("agent_id", with("agent_id", json!(text)), None),
        ("state machine", with("service_hierarchical_state_machine_id", json!(text)), None),
        ("is_active", with("is_active", json!(text)), None),
        ("tag key", with("tags", json!({text: "v"})), stripped("/tags/0/key")),
        ("tag value", with("tags", json!({"k": text})), stripped("/tags/0/value")),
        ("keyterm", with("keyterms", json!([text])), stripped("/keyterms/0")),
        ("unknown field", with(text, json!(text)), None),
        ("llm", release(json!({"talk": {"llm_name": text}})), None),
        (
            "interaction",
            release(json!({text: {"llm_name": "model"}})),
            Some((format!("{preferences}/{segment}/llm_name"), json!("model"))),
        ),
        ("param", params(json!({"p": text})), Some((format!("{preferences}/talk/params/p"), json!(text)))),
        (
            "param key",
            params(json!({text: 1})),
            Some((format!("{preferences}/talk/params/{segment}"), json!(1))),
        ),
        ("inline param", release(json!({"talk": {"llm_name": "model", "top_p": text}})), None),
    ]
}

async fn creates(world: &World) {
    for (number, text) in INJECTIONS.iter().enumerate() {
        for (place, body, kept) in bodies(text, number) {
            let (status, answer) = world.as_user("acme", "alice", Method::POST, "", Some(&body)).await;
            assert!(
                matches!(status.as_u16(), 201 | 400 | 404 | 409 | 422),
                "{place} {text:?}: {status} {answer}"
            );
            if status != 201 {
                continue;
            }
            let id = answer["id"].as_str().expect("an id");
            let (_, page) = world.as_user("acme", "alice", Method::GET, &format!("?id={id}"), None).await;
            let stored = &page["services"][0];
            assert_eq!(stored["id"], id, "{place} {text:?}: {page}");
            if let Some((pointer, expected)) = kept {
                assert_eq!(stored.pointer(&pointer), Some(&expected), "{place} {text:?}: {stored}");
            }
        }
    }
}

async fn updates_and_paths(world: &World) {
    let id = world.id("acme", "Draft").await;
    for text in INJECTIONS {
        for (place, body, kept) in bodies(text, 0) {
            // What stands in a version set is sent as one, the rest as a change.
            let (method, path, sent) = match body.get("release_version_set") {
                Some(set) => {
                    (Method::PUT, format!("{id}/version_sets/release/"), json!({"version_set": set}))
                }
                None => (Method::POST, format!("{id}/"), body),
            };
            let (status, answer) = world.as_user("acme", "alice", method, &path, Some(&sent)).await;
            assert!(
                matches!(status.as_u16(), 200 | 204 | 400 | 409 | 422),
                "{place} {text:?}: {status} {answer}"
            );
            let (_, page) = world.as_user("acme", "alice", Method::GET, &format!("?id={id}"), None).await;
            if let (true, Some((pointer, expected))) = (status.is_success(), kept) {
                let stored = page["services"][0].pointer(&pointer);
                assert_eq!(stored, Some(&expected), "{place} {text:?}: {page}");
            }
        }
        let (segment, set) = (encoded(text), json!({"version_set": {}}));
        let upsert = world
            .as_user("acme", "alice", Method::PUT, &format!("{id}/version_sets/{segment}/"), Some(&set))
            .await;
        let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        assert_eq!(upsert.0, if is_name { 204 } else { 422 }, "{text:?}: {}", upsert.1);
        let delete = world
            .as_user("acme", "alice", Method::DELETE, &format!("{id}/version_sets/{segment}/"), None)
            .await;
        assert_eq!(delete.0, if is_name { 204 } else { 422 }, "{text:?}: {}", delete.1);
        let update =
            world.as_user("acme", "alice", Method::POST, &format!("{segment}/"), Some(&json!({}))).await;
        assert_eq!(update.0, 422, "{text:?}: {}", update.1);
        let there = world.request(Method::GET, &format!("/v1/{segment}/service/"));
        let there = there.bearer_auth(token("acme", "alice")).header("x-org-id", "acme").send().await;
        let (status, body) = read(there.expect("an answer")).await;
        assert_eq!(
            (status.as_u16(), &body["error_code"]),
            (404, &json!("organization_not_found")),
            "{text:?}"
        );
    }
}

async fn queries(world: &World) {
    let all = world.services("acme").await;
    let names = all["services"].as_array().expect("services").len();
    for text in INJECTIONS {
        let value = encoded(text);
        for parameter in ["id", "is_active", "sort_by", "limit", "continuation_token", "tag", "tags"] {
            let path = format!("?{parameter}={value}");
            let (status, answer) = world.as_user("acme", "alice", Method::GET, &path, None).await;
            assert_eq!(status, 422, "{parameter} {text:?}: {answer}");
            assert_eq!(answer["detail"][0]["loc"][1], parameter, "{text:?}");
        }
        for parameter in ["tag", "tags"] {
            for filter in [format!("{value}%3Ax"), format!("owner%3A{value}"), format!("{value}%3A{value}")] {
                let path = format!("?{parameter}={filter}&limit=20");
                let (status, answer) = world.as_user("acme", "alice", Method::GET, &path, None).await;
                assert!(matches!(status.as_u16(), 200 | 422), "{filter}: {answer}");
                // What is a tag at all is one that nobody has as this owner: nothing is taken for a pattern.
                if status == 200 {
                    let found = answer["services"].as_array().expect("services");
                    assert!(found.len() < names.min(3), "{filter}: {answer}");
                }
            }
        }
        let path = format!("?{value}={value}&limit=1");
        let (status, answer) = world.as_user("acme", "alice", Method::GET, &path, None).await;
        assert_eq!(status, 200, "{text:?}: {answer}");
    }
}

/// Texts in headers, as no client library would send them.
fn headers(world: &World) {
    let bearer = format!("Bearer {}", token("acme", "alice"));
    for text in INJECTIONS {
        for name in [
            "x-org-id",
            "x-mongo-cluster-name",
            "authorization",
            "x-request-id",
            "user-agent",
            "referer",
            "x-forwarded-for",
            "cookie",
            "accept",
            "origin",
            "content-type",
            "x-api-key",
            "x-api-key-id",
            "x-user-id",
            "expect",
        ] {
            for line in ["GET /v1/acme/service/?limit=1", "POST /v1/acme/user/signin_with_api_key"] {
                let authorization = if name == "authorization" {
                    String::new()
                } else {
                    format!("authorization: {bearer}\r\n")
                };
                let request = format!(
                    "{line} HTTP/1.1\r\nhost: x\r\n{authorization}{name}: {text}\r\nconnection: close\r\n\r\n"
                );
                let answers = exchange(world.server.address(), request.as_bytes());
                let first = answers.first().unwrap_or_else(|| panic!("{name} {text:?}: no answer"));
                assert!(first.status < 500, "{name} {text:?}: {first:?}");
                let id = first.header("x-request-id").unwrap_or_else(|| panic!("{name} {text:?}: {first:?}"));
                assert!(
                    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()),
                    "{id:?}"
                );
                // Nothing that was sent becomes a header of the answer.
                assert!(
                    first.headers.iter().all(|(name, _)| name != "x-org-id"),
                    "{name} {text:?}: {first:?}"
                );
            }
        }
    }
}

async fn withstands(kind: Kind) {
    let world = World::new(kind).await;
    let before = world.everything_of("rival").await;
    creates(&world).await;
    updates_and_paths(&world).await;
    queries(&world).await;
    if kind == Kind::Memory {
        headers(&world);
    }
    assert_eq!(world.everything_of("rival").await, before);
    let lines = world.end();
    assert!(lines.iter().all(|line| !line.contains("forged\"}") && !line.contains('\u{1b}')), "{lines:?}");
}

#[tokio::test]
async fn texts_are_texts_in_memory() {
    withstands(KINDS[0]).await;
}

#[tokio::test]
async fn texts_are_texts_on_sqlite() {
    withstands(KINDS[1]).await;
}

#[tokio::test]
async fn texts_are_texts_on_postgresql() {
    withstands(KINDS[2]).await;
}
