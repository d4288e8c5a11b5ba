//! Answers: the statuses, what their bodies and headers are, and which error codes each can mean.

use serde_json::{Map, Value, json};

/// The error codes that an operation answers besides those that all do, by status.
pub(super) type Codes = &'static [(&'static str, &'static [&'static str])];

/// What every operation of an organization can answer when it is not done.
const COMMON: Codes = &[
    ("401", &["unauthenticated"]),
    ("404", &["organization_not_found"]),
    ("422", &["validation_failed", "unknown_cluster"]),
    ("429", &["rate_limited"]),
    ("500", &["internal"]),
    ("503", &["maintenance", "unavailable"]),
];

/// The answers of an operation of an organization: one for success, and all the others.
pub(super) fn responses(success: (&str, Value), codes: Codes) -> Value {
    let mut responses = Map::new();
    let (status, mut answer) = success;
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("headers".to_owned(), headers_of(status));
    }
    responses.insert(status.to_owned(), answer);
    let statuses = ["400", "401", "403", "404", "409", "413", "422", "429", "500", "503"];
    for status in statuses {
        let of_status = |(other, codes): &(&str, &'static [&str])| (*other == status).then_some(*codes);
        let codes: Vec<&str> = COMMON
            .iter()
            .filter_map(of_status)
            .chain(codes.iter().filter_map(of_status))
            .flatten()
            .copied()
            .collect();
        if !codes.is_empty() {
            responses.insert(status.to_owned(), problem(status, &codes));
        }
    }
    Value::Object(responses)
}

/// A body of a success.
pub(super) fn json_body(description: &str, schema: Value, example: Value) -> Value {
    json!({
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    })
}

fn problem(status: &str, codes: &[&str]) -> Value {
    let examples: Map<String, Value> =
        codes.iter().map(|&code| (code.to_owned(), json!({"value": example(code)}))).collect();
    let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    json!({
        "description": format!("{} Error codes: {}.", meaning(status), listed.join(", ")),
        "headers": headers_of(status),
        "content": {
            "application/json": {
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Problem"},
                        {"properties": {"error_code": {"enum": codes}}},
                    ],
                },
                "examples": examples,
            },
        },
    })
}

fn example(code: &str) -> Value {
    if code == "validation_failed" {
        json!({
            "detail": [
                {"loc": ["query", "limit"], "msg": "limit must be an integer from 1 to 20", "type": "value_error"},
                {"loc": ["body", "keyterms", 2], "msg": "must be a string", "type": "string_type"},
            ],
            "error_code": code,
        })
    } else {
        json!({"detail": code.replace('_', " "), "error_code": code})
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "400" => "A rule forbids it; nothing has changed.",
        "401" => "Nobody is known to make this request.",
        "403" => "The caller lacks a permission.",
        "404" => "There is no such thing.",
        "409" => "Another active service has the name.",
        "413" => "The body is larger than 1 MiB.",
        "422" => "The request is not well-formed, or names a cluster that the server does not know.",
        "429" => "Too many requests of this kind by this user within 60 seconds.",
        "503" => "Try again later.",
        _ => "The server is at fault.",
    }
}

fn headers_of(status: &str) -> Value {
    let limited = !matches!(status, "401" | "500" | "503");
    let names = [
        ("x-request-id", true),
        ("X-RateLimit-Limit", limited),
        ("X-RateLimit-Remaining", limited),
        ("X-RateLimit-Reset", limited),
        ("Retry-After", matches!(status, "429" | "503")),
        ("WWW-Authenticate", status == "401"),
    ];
    let headers: Map<String, Value> = names
        .into_iter()
        .filter(|(_, sent)| *sent)
        .map(|(name, _)| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")})))
        .collect();
    Value::Object(headers)
}

/// The headers of answers, for the components of the document.
pub(super) fn headers() -> Value {
    let header = |description: &str, schema: Value| json!({"description": description, "schema": schema});
    let count = || json!({"type": "integer", "minimum": 0});
    json!({
        "x-request-id": header("Names the request; the client's own where it sent a usable one.", json!({"type": "string"})),
        "X-RateLimit-Limit": header("How many requests are accepted in any 60 seconds. Not sent where rate limits are off.", count()),
        "X-RateLimit-Remaining": header("How many more are accepted now.", count()),
        "X-RateLimit-Reset": header("When one more of them is accepted again, in seconds since 1970: the oldest that counts leaves the minute then.", count()),
        "Retry-After": header("How many seconds to wait before trying again.", count()),
        "WWW-Authenticate": header("How to say who makes the request.", json!({"type": "string"})),
    })
}
