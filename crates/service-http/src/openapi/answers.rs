//! Answers: the statuses, what their bodies and headers are, and which error codes each can mean.

use serde_json::{Map, Value, json};

use super::examples;
use super::schemas::schema;

/// The error codes that an operation answers besides those that all of its kind do, by status.
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

/// The statuses of problems, in their order.
const STATUSES: [&str; 11] = ["400", "401", "403", "404", "405", "409", "413", "422", "429", "500", "503"];

/// Of which answers the headers say how the caller's limit stands.
#[derive(Clone, Copy)]
enum Limits {
    /// All that come once the token was verified.
    OfUser,
    /// All that come once the API key was verified.
    OfKey,
    /// None.
    Unlimited,
}

impl Limits {
    fn show(self, status: &str) -> bool {
        match self {
            Self::OfUser => status != "401",
            Self::OfKey => matches!(status, "200" | "429"),
            Self::Unlimited => false,
        }
    }
}

/// The answers of an operation of an organization: one for success, and all the others.
pub(super) fn responses(operation: &str, success: (&str, Value), codes: Codes) -> Value {
    with_problems(operation, Limits::OfUser, success, &[COMMON, codes])
}

/// The answers of signing in.
pub(super) fn responses_to_key(operation: &str, success: (&str, Value), codes: Codes) -> Value {
    with_problems(operation, Limits::OfKey, success, &[COMMON, codes])
}

/// The answers of an operation that nobody signs in for.
pub(super) fn open_responses(operation: &str, success: (&str, Value), codes: Codes) -> Value {
    with_problems(operation, Limits::Unlimited, success, &[codes])
}

fn with_problems(operation: &str, limits: Limits, success: (&str, Value), codes: &[Codes]) -> Value {
    let mut responses = Map::new();
    let (status, mut answer) = success;
    if let Some(answer) = answer.as_object_mut() {
        let own = answer.remove("headers");
        answer.insert("headers".to_owned(), headers_of(limits, status, own));
    }
    responses.insert(status.to_owned(), answer);
    for status in STATUSES {
        let of_status = |(other, codes): &(&str, &'static [&str])| (*other == status).then_some(*codes);
        let codes: Vec<&str> =
            codes.iter().flat_map(|codes| codes.iter().filter_map(of_status)).flatten().copied().collect();
        if !codes.is_empty() {
            responses.insert(status.to_owned(), problem(operation, limits, status, &codes));
        }
    }
    Value::Object(responses)
}

/// A success with a body of JSON, as the operation answered it.
pub(super) fn json_body(operation: &str, status: &str, description: &str, schema: Value) -> Value {
    body(description, "application/json", schema, examples::answers(operation, status))
}

/// A success with a body.
pub(super) fn body(description: &str, content_type: &str, schema: Value, examples: Value) -> Value {
    json!({"description": description, "content": {content_type: {"schema": schema, "examples": examples}}})
}

/// Answers that belong to no operation: under which name, which status, and which error code. The last three are the server's own.
pub(crate) const ELSEWHERE: [(&str, &str, &str); 5] = [
    ("NotFound", "404", "not_found"),
    ("MethodNotAllowed", "405", "method_not_allowed"),
    (MALFORMED, "400", "malformed_request"),
    ("TargetTooLong", "414", "target_too_long"),
    ("HeadersTooLarge", "431", "headers_too_large"),
];
const MALFORMED: &str = "MalformedRequest";

/// Answers that belong to no operation, for the components of the document.
pub(super) fn elsewhere() -> Value {
    let answers = ELSEWHERE
        .map(|(name, status, code)| (name.to_owned(), problem(name, Limits::Unlimited, status, &[code])));
    Value::Object(answers.into_iter().collect())
}

fn problem(operation: &str, limits: Limits, status: &str, codes: &[&str]) -> Value {
    let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let of_operation = if operation == "readiness" && status == "503" { "Unready" } else { "Problem" };
    json!({
        "description": format!("{} Error codes: {}.", meaning(operation, status), listed.join(", ")),
        "headers": headers_of(limits, status, ends(operation, status)),
        "content": {
            "application/json": {
                "schema": {
                    "allOf": [schema(of_operation), {"properties": {"error_code": {"enum": codes}}}],
                },
                "examples": examples::answers(operation, status),
            },
        },
    })
}

/// The header that says so, where the connection ends with the answer.
fn ends(operation: &str, status: &str) -> Option<Value> {
    let ends = operation == MALFORMED || matches!(status, "414" | "431");
    ends.then(|| json!({"Connection": header("Connection")}))
}

fn meaning(operation: &str, status: &str) -> &'static str {
    match status {
        "400" if operation == MALFORMED => "It is not one well-formed HTTP request; the connection ends.",
        "400" => "A rule forbids it; nothing has changed.",
        "401" => "Nobody is known to make this request.",
        "403" => "The caller lacks a permission.",
        "404" => "There is no such thing.",
        "405" => "The path does not take this method.",
        "409" => "Another active service has the name.",
        "413" => "The body is larger than 1 MiB.",
        "414" => "The path and query are longer than 64 KiB; the connection ends.",
        "431" => "There are more than 100 headers, or more than 400 KB of them; the connection ends.",
        "422" => "The request is not well-formed, or names a cluster that the server does not know.",
        "429" => "Too many requests of this kind by this user within 60 seconds.",
        "503" => "Try again later.",
        _ => "The server is at fault.",
    }
}

fn headers_of(limits: Limits, status: &str, own: Option<Value>) -> Value {
    let limited = limits.show(status);
    let names = [
        ("x-request-id", true),
        ("X-RateLimit-Limit", limited),
        ("X-RateLimit-Remaining", limited),
        ("X-RateLimit-Reset", limited),
        ("Retry-After", matches!(status, "429" | "503")),
        ("WWW-Authenticate", status == "401"),
        ("Allow", status == "405"),
    ];
    let headers =
        names.into_iter().filter(|(_, sent)| *sent).map(|(name, _)| (name.to_owned(), header(name)));
    let own = own.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    Value::Object(headers.chain(own).collect())
}

/// A reference to a header.
pub(super) fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

/// The headers of answers, for the components of the document.
pub(super) fn headers() -> Value {
    let header = |name: &str, required: bool, schema: Value, description: &str| {
        let header = json!({
            "description": description,
            "required": required,
            "schema": schema,
            "example": examples::header(&name.to_lowercase()),
        });
        (name.to_owned(), header)
    };
    let text = || json!({"type": "string"});
    let count = |least: u64| json!({"type": "integer", "minimum": least});
    let id = json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"});
    let headers = [
        header("x-request-id", true, id, "Names the request; the client's own where it sent a usable one."),
        header(
            "X-RateLimit-Limit",
            false,
            count(1),
            "How many requests are accepted in any 60 seconds. Not sent where rate limits are off.",
        ),
        header("X-RateLimit-Remaining", false, count(0), "How many more are accepted now."),
        header(
            "X-RateLimit-Reset",
            false,
            count(0),
            "When one more of them is accepted again, in seconds since 1970: the oldest that counts leaves the minute then.",
        ),
        header("Retry-After", true, count(1), "How many seconds to wait before trying again."),
        header("WWW-Authenticate", true, text(), "How to say who makes the request."),
        header("Allow", true, text(), "The methods that the path takes."),
        header("Connection", true, text(), "There is no more on this connection."),
        header("Cache-Control", true, text(), "Nobody is to keep the answer."),
        header(
            "Content-Security-Policy",
            true,
            text(),
            "Has browsers load what the page needs from this server alone.",
        ),
    ];
    Value::Object(headers.into_iter().collect())
}
