//! Parameters in paths, queries and headers.

use serde_json::{Value, json};
use service_core::Limit;
use service_core::filter::{MAX_FILTER_IDS, MAX_TAG_FILTERS};

use super::schemas::hex_id;

pub(super) fn organization() -> Value {
    json!({
        "name": "organization",
        "in": "path",
        "required": true,
        "description": "The organization addressed.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "example": "acme",
    })
}

pub(super) fn service_id() -> Value {
    json!({
        "name": "service_id",
        "in": "path",
        "required": true,
        "description": "The service addressed.",
        "schema": hex_id(),
        "example": "65a0c3f1e4b0a1b2c3d4e5f6",
    })
}

pub(super) fn version_set_name() -> Value {
    json!({
        "name": "version_set_name",
        "in": "path",
        "required": true,
        "description": "The version set addressed. White space around it is not part of it.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,40}$"},
        "example": "release",
    })
}

/// The headers that every endpoint of an organization takes.
pub(super) fn common_headers() -> [Value; 2] {
    [
        json!({
            "name": "x-mongo-cluster-name",
            "in": "header",
            "required": false,
            "description": "The storage cluster to work on, by the name the server knows it by. Without it: the default one.",
            "schema": {"type": "string"},
        }),
        json!({
            "name": "x-request-id",
            "in": "header",
            "required": false,
            "description": "Names the request in logs and in the answer: at most 128 visible ASCII characters. Any other is \
                            replaced by a new one.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
        }),
    ]
}

/// The headers that signing in requires.
pub(super) fn api_key_headers() -> [Value; 3] {
    let header = |name: &str, description: &str| {
        json!({
            "name": name,
            "in": "header",
            "required": true,
            "description": description,
            "schema": {"type": "string"},
        })
    };
    [
        header("x-api-key", "The secret part of the API key."),
        header("x-api-key-id", "The id of the API key."),
        header("x-user-id", "The user to sign in as: one of the organization's own."),
    ]
}

/// The query of a listing.
pub(super) fn listing() -> [Value; 7] {
    let list = |name: &str, description: &str, items: Value, most: usize, example: Value| {
        json!({
            "name": name,
            "in": "query",
            "required": false,
            "description": description,
            "style": "form",
            "explode": true,
            "schema": {"type": "array", "items": items, "maxItems": most},
            "example": example,
        })
    };
    let single = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema});
    let tag_filter = || json!({"type": "string", "pattern": "^[^:]+:"});
    let more = "As `tags`, which older clients spell like this. Both count together.";
    [
        list(
            "id",
            "Only these services. Repeat it for each; of duplicates one counts.",
            hex_id(),
            MAX_FILTER_IDS,
            json!(["65a0c3f1e4b0a1b2c3d4e5f6"]),
        ),
        single(
            "is_active",
            "Only active services, or only inactive ones: `true`, `false`, `1` or `0`, in upper or lower case.",
            json!({"type": "boolean"}),
        ),
        list(
            "sort_by",
            "`name` or `is_active` behind `+` (ascending) or `-` (descending); a space counts as `+`. The first counts most, no \
             field may come twice, and ties end at the id.",
            json!({"type": "string", "enum": ["+name", "-name", "+is_active", "-is_active"]}),
            2,
            json!(["-is_active", "+name"]),
        ),
        list(
            "tags",
            "Only services that satisfy all of these: `key:value` for that pair, `key:*` for that key with any value or none, \
             `key:` for that key without a value.",
            tag_filter(),
            MAX_TAG_FILTERS,
            json!(["team:care", "beta:*"]),
        ),
        list("tag", more, tag_filter(), MAX_TAG_FILTERS, json!(["team:care"])),
        single(
            "limit",
            "How many services a page holds at most.",
            json!({"type": "integer", "minimum": 1, "maximum": Limit::MAXIMUM, "default": Limit::default().get()}),
        ),
        single(
            "continuation_token",
            "Where to continue: what the page before gave. 0 is the beginning.",
            json!({"type": "integer", "format": "int64", "minimum": 0, "default": 0}),
        ),
    ]
}
