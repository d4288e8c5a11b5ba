//! Examples: what the router took and answered when a test asked it. `examples.json` is written by that test
//! (`tests/examples.rs`), which fails where the router answers anything else.

use std::sync::LazyLock;

use serde_json::{Value, json};

static RECORDED: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default());

/// The bodies that an operation was sent, by name.
pub(super) fn requests(operation: &str) -> Value {
    recorded(&["requests", operation])
}

/// What an operation answered with a status, by name: an error under its code.
pub(super) fn answers(operation: &str, status: &str) -> Value {
    recorded(&["answers", operation, status])
}

/// What a header of an answer said.
pub(super) fn header(name: &str) -> Value {
    recorded(&["headers", name])
}

/// What a parameter was given.
pub(super) fn parameter(name: &str) -> Value {
    recorded(&["parameters", name])
}

/// An example that is served, and too long to stand in the document.
pub(super) fn served(summary: &str, path: &str) -> Value {
    json!({"served": {"summary": summary, "externalValue": path}})
}

fn recorded(path: &[&str]) -> Value {
    let found = path.iter().try_fold(&*RECORDED, |value, &name| value.get(name));
    found.cloned().unwrap_or_default()
}
