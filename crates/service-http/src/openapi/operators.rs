//! What is for whoever runs the server, and the documentation itself.

use serde_json::{Value, json};

use super::answers::{Codes, body, header, json_body, open_responses};
use super::examples;
use super::schemas::schema;

/// A server that has no room for another connection refuses whatever is asked for.
const NO_ROOM: Codes = &[("503", &["unavailable"])];
/// What runs more than a line of code can fail at it.
const MAY_FAIL: Codes = &[("500", &["internal"]), ("503", &["unavailable"])];

/// Their paths.
pub(super) fn paths() -> [(&'static str, Value); 6] {
    [
        ("/healthz", json!({"get": health()})),
        ("/readyz", json!({"get": readiness()})),
        ("/metrics", json!({"get": metrics()})),
        ("/openapi.json", json!({"get": document()})),
        ("/docs", json!({"get": page()})),
        ("/docs/{file}", json!({"get": file_of_page()})),
    ]
}

fn health() -> Value {
    let answer = json_body("health", "200", "It does.", schema("Health"));
    json!({
        "operationId": "health",
        "tags": ["operations"],
        "summary": "Whether the process runs",
        "security": [],
        "responses": open_responses("health", ("200", answer), NO_ROOM),
    })
}

fn readiness() -> Value {
    let ready = "They can: the store is reachable and its migrations are applied.";
    let answer = json_body("readiness", "200", ready, schema("Health"));
    let codes = &[("500", &["internal"] as &[_]), ("503", &["maintenance", "unavailable"])];
    json!({
        "operationId": "readiness",
        "tags": ["operations"],
        "summary": "Whether requests can be served",
        "security": [],
        "responses": open_responses("readiness", ("200", answer), codes),
    })
}

fn metrics() -> Value {
    let text = json!({"type": "string"});
    let recorded = examples::answers("metrics", "200");
    let answer = body("Measurements in Prometheus' text format.", "text/plain", text, recorded);
    let codes = &[("404", &["not_found"] as &[_]), ("500", &["internal"]), ("503", &["unavailable"])];
    json!({
        "operationId": "metrics",
        "tags": ["operations"],
        "summary": "Measurements, for Prometheus",
        "description": "Not found where the app that the routes are mounted in gives no measurements.",
        "security": [],
        "responses": open_responses("metrics", ("200", answer), codes),
    })
}

fn document() -> Value {
    let schema = json!({"type": "object", "required": ["openapi", "info", "paths", "components"]});
    let served = examples::served("What you read", "openapi.json");
    let answer = body("The document.", "application/json", schema, served);
    json!({
        "operationId": "document",
        "tags": ["operations"],
        "summary": "This document",
        "security": [],
        "responses": open_responses("document", ("200", answer), NO_ROOM),
    })
}

fn page() -> Value {
    let text = json!({"type": "string"});
    let served = examples::served("The page", "docs");
    let answer = page_header(body("The page.", "text/html", text, served));
    json!({
        "operationId": "documentationPage",
        "tags": ["operations"],
        "summary": "A page to read this document and to try the operations",
        "security": [],
        "responses": open_responses("documentationPage", ("200", answer), MAY_FAIL),
    })
}

fn file_of_page() -> Value {
    let text = json!({"type": "string"});
    let binary = json!({});
    let files = [
        ("text/html", "index.html", &text),
        ("text/css", "index.css", &text),
        ("text/javascript", "swagger-initializer.js", &text),
        ("image/png", "favicon-32x32.png", &binary),
    ];
    let content = files.into_iter().map(|(content_type, file, schema)| {
        let served = examples::served(file, &format!("docs/{file}"));
        (content_type.to_owned(), json!({"schema": schema, "examples": served}))
    });
    let content = Value::Object(content.collect());
    let answer = page_header(json!({"description": "The file.", "content": content}));
    let codes = &[("404", &["not_found"] as &[_]), ("500", &["internal"]), ("503", &["unavailable"])];
    json!({
        "operationId": "documentationFile",
        "tags": ["operations"],
        "summary": "A file of the documentation page",
        "security": [],
        "parameters": [{
            "name": "file",
            "in": "path",
            "required": true,
            "description": "The name of the file.",
            "schema": {"type": "string"},
            "example": examples::parameter("file"),
        }],
        "responses": open_responses("documentationFile", ("200", answer), codes),
    })
}

fn page_header(mut answer: Value) -> Value {
    if let Some(answer) = answer.as_object_mut() {
        let name = "Content-Security-Policy";
        answer.insert("headers".to_owned(), json!({name: header(name)}));
    }
    answer
}
