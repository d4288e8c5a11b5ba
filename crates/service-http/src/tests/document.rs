//! The document against the router: what the one has the other has, and no answer of any test is one that is not described.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use axum::http::Method;
use serde_json::{Map, Value};

use super::support::*;
use crate::api::Shared;
use crate::openapi;
use crate::openapi::tests::conforms;
use crate::router::{routes_of_operators, routes_of_organizations};
use crate::{Api, Tokens};

static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi::document);

/// Methods that clients send, and one that they do not.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"];

/// The operations at a path as the document has them, by method; `None` where nothing is described.
pub(super) fn operations_at(path: &str) -> Option<&'static Map<String, Value>> {
    let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    let fits = |template: &str| {
        let template: Vec<&str> = template.strip_suffix('/').unwrap_or(template).split('/').collect();
        let mut pairs = template.iter().zip(&segments);
        template.len() == segments.len()
            && pairs.all(|(expected, given)| expected.starts_with('{') || expected == given)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // It has no slash at its end, neither as a path nor as a file of the page.
    if path == "/openapi.json/" {
        return None;
    }
    paths.iter().find(|(template, _)| fits(template)).map(|(_, operations)| operations.as_object().unwrap())
}

/// Checks that an answer is one that the document has. What is elsewhere, as in an app that the router is nested in, passes.
#[track_caller]
pub(super) fn described(method: &Method, path: &str, answer: &Answer) {
    let Some(operations) = operations_at(path) else { return };
    let is_head = method == Method::HEAD;
    let name = if is_head { "get".to_owned() } else { method.as_str().to_lowercase() };
    let status = answer.status.as_str();
    let responses = &DOCUMENT["components"]["responses"];
    let response = match operations.get(&name) {
        Some(operation) => operation["responses"].get(status),
        // Some routes are there on some servers only.
        None if status == "404" => responses.get("NotFound"),
        None => responses.get("MethodNotAllowed").filter(|_| status == "405"),
    };
    let response = response.unwrap_or_else(|| panic!("{method} {path} does not answer {status}: {answer:?}"));
    assert_eq!(undescribed_headers(response, answer), BTreeSet::new(), "{method} {path} {status}");
    let content = response["content"].as_object();
    match (answer.header("content-type"), content) {
        (None, None) => assert!(answer.body.is_empty(), "{answer:?}"),
        (Some(given), Some(content)) => {
            let essence = given.split(';').next().unwrap();
            let schema = &content.get(essence).unwrap_or_else(|| panic!("{path} is {given}"))["schema"];
            if is_head {
                assert!(answer.body.is_empty(), "{answer:?}");
            } else if essence == "application/json" {
                conforms(&DOCUMENT, schema, &answer.json()).unwrap();
            }
        }
        (given, _) => panic!("{method} {path} {status} has the content type {given:?}"),
    }
}

/// The headers of an answer that are not described, and those that are required and missing.
fn undescribed_headers(response: &Value, answer: &Answer) -> BTreeSet<String> {
    let described = response["headers"].as_object().unwrap();
    let known: BTreeSet<String> = described.keys().map(|name| name.to_lowercase()).collect();
    let sent: BTreeSet<String> = own_headers(answer);
    let required = described.iter().filter(|(_, header)| {
        let pointer = header["$ref"].as_str().unwrap().trim_start_matches('#');
        DOCUMENT.pointer(pointer).unwrap()["required"] == true
    });
    let missing = required.map(|(name, _)| name.to_lowercase()).filter(|name| !sent.contains(name));
    sent.difference(&known).cloned().chain(missing).collect()
}

/// The names of the headers that say something of their own, not of the body.
pub(super) fn own_headers(answer: &Answer) -> BTreeSet<String> {
    let names = answer.headers.keys().map(|name| name.as_str().to_owned());
    names.filter(|name| !matches!(name.as_str(), "content-type" | "content-length")).collect()
}

fn shared() -> Arc<Shared> {
    let store = Arc::new(store_memory::MemoryStore::new());
    let tokens = Tokens::hs256(SECRET).unwrap();
    let api = Api::new(store.clone(), store, tokens, environment()).metrics(Arc::new(String::new));
    Arc::new(Shared::from(api))
}

/// The paths of the router, as it has them.
fn routed() -> BTreeSet<String> {
    let shared = shared();
    let routes = routes_of_organizations(&shared).into_iter().chain(routes_of_operators(&shared));
    routes.map(|(path, _)| path).collect()
}

#[test]
fn the_paths_of_the_router_are_those_of_the_document_with_and_without_their_last_slash() {
    let without_slash = |path: &String| path.strip_suffix('/').unwrap_or(path).to_owned();
    let routed = routed();
    let described = DOCUMENT["paths"].as_object().unwrap();
    let expected: BTreeSet<String> = described.keys().map(without_slash).collect();
    assert_eq!(routed.iter().map(without_slash).collect::<BTreeSet<_>>(), expected);
    let files = ["/openapi.json", "/docs/{file}"];
    for path in expected {
        let is_file = files.contains(&path.as_str());
        assert!(routed.contains(&path), "{path}");
        assert_eq!(routed.contains(&format!("{path}/")), !is_file, "{path}/");
    }
}

#[tokio::test]
async fn each_path_takes_the_methods_of_the_document_and_answers_405_to_all_others() {
    let world = World::with(|api| api.metrics(Arc::new(String::new)).rate_limits(false)).await;
    let mut probed = 0;
    for path in routed() {
        let path = path.replace("{organization}", "acme").replace("{service_id}", NO_SERVICE);
        let path = path.replace("{version_set_name}", "x").replace("{file}", "index.css");
        let operations = operations_at(&path).unwrap_or_else(|| panic!("{path} is not described"));
        let mut taken: BTreeSet<String> = operations.keys().map(|method| method.to_uppercase()).collect();
        if taken.contains("GET") {
            taken.insert("HEAD".to_owned());
        }
        for method in METHODS {
            let answer = Call::to(&world.app, method.parse().unwrap(), &path).send().await;
            let is_taken = taken.contains(method);
            assert_eq!(answer.status == 405, !is_taken, "{method} {path}: {answer:?}");
            if !is_taken {
                let allowed = answer.header("allow").unwrap().split(',').map(str::to_owned).collect();
                assert_eq!(taken, allowed, "{method} {path}");
                if method != "HEAD" {
                    assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()));
                }
            }
            probed += 1;
        }
    }
    assert!(probed > 150, "{probed}");
}

#[tokio::test]
async fn examples_that_are_served_are_there() {
    let world = World::new().await;
    let mut served = 0;
    for (path, operations) in DOCUMENT["paths"].as_object().unwrap() {
        let answer = &operations["get"]["responses"]["200"];
        for (content_type, content) in answer["content"].as_object().into_iter().flatten() {
            let Some(file) = content["examples"]["served"]["externalValue"].as_str() else { continue };
            let answer = Call::to(&world.app, Method::GET, &format!("/{file}")).send().await;
            assert_eq!(answer.status, 200, "{path} {file}");
            assert_eq!(answer.header("content-type").unwrap().split(';').next().unwrap(), content_type);
            served += 1;
        }
    }
    assert_eq!(served, 6);
}
