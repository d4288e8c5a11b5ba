//! Parameters in paths, queries and headers.

use serde_json::{Value, json};
use service_core::Limit;
use service_core::filter::{MAX_FILTER_IDS, MAX_TAG_FILTERS};

use super::schemas::hex_id;
use super::{examples, patterns};

pub(super) fn organization() -> Value {
    json!({
        "name": "organization",
        "in": "path",
        "required": true,
        "description": "The organization addressed.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "example": examples::parameter("organization"),
    })
}

pub(super) fn service_id() -> Value {
    json!({
        "name": "service_id",
        "in": "path",
        "required": true,
        "description": "The service addressed.",
        "schema": hex_id(),
        "example": examples::parameter("service_id"),
    })
}

pub(super) fn version_set_name() -> Value {
    json!({
        "name": "version_set_name",
        "in": "path",
        "required": true,
        "description": "The version set addressed. White space around it is not part of it.",
        "schema": {"type": "string", "pattern": patterns::version_set_name()},
        "example": examples::parameter("version_set_name"),
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
            "schema": {"type": "string"},
        }),
    ]
}

/// The headers that signing in requires.
pub(super) fn api_key_headers() -> [Value; 3] {
    let header = |name: &str, schema: Value, description: &str| {
        json!({
            "name": name,
            "in": "header",
            "required": true,
            "description": description,
            "schema": schema,
            "example": examples::parameter(name),
        })
    };
    let id = json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"});
    let user = json!({"type": "string", "minLength": 1, "maxLength": 128});
    [
        header("x-api-key", json!({"type": "string", "minLength": 1}), "The secret part of the API key."),
        header("x-api-key-id", id, "The id of the API key."),
        header(
            "x-user-id",
            user,
            "The user to sign in as: one of the organization's own. Characters beyond ASCII are written in UTF-8.",
        ),
    ]
}

/// The query of a listing.
pub(super) fn listing() -> [Value; 7] {
    let tag_filters = || {
        let filter = json!({"type": "string", "pattern": patterns::tag_filter()});
        json!({"type": "array", "items": filter, "maxItems": MAX_TAG_FILTERS})
    };
    let signed = |field: &str| ["+", " ", "-"].map(|sign| format!("{sign}{field}"));
    let signs = [signed("name"), signed("is_active")].concat();
    let once = |field: &str| json!({"contains": {"enum": signed(field)}, "minContains": 0, "maxContains": 1});
    [
        single(
            "id",
            json!({"type": "array", "items": hex_id(), "maxItems": MAX_FILTER_IDS}),
            "Only these services. Repeat it for each; of duplicates one counts.",
        ),
        single(
            "is_active",
            json!({"type": "string", "pattern": "^(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|1|0)$"}),
            "Only active services, or only inactive ones: `true`, `false`, `1` or `0`, in upper or lower case.",
        ),
        single(
            "sort_by",
            json!({
                "type": "array",
                "items": {"type": "string", "enum": signs},
                "allOf": [once("name"), once("is_active")],
            }),
            "`name` or `is_active` behind `+` (ascending) or `-` (descending); a space counts as `+`. The first counts most, no \
             field may come twice, and ties end at the id.",
        ),
        single(
            "tags",
            tag_filters(),
            "Only services that satisfy all of these: `key:value` for that pair, `key:*` for that key with any value or none, \
             `key:` for that key without a value. White space around keys and values is not part of them.",
        ),
        single(
            "tag",
            tag_filters(),
            "As `tags`, which older clients spell like this. Both count together, and are at most 20.",
        ),
        single(
            "limit",
            json!({
                "type": "integer",
                "minimum": 1,
                "maximum": Limit::MAXIMUM,
                "default": Limit::default().get(),
            }),
            "How many services a page holds at most.",
        ),
        single(
            "continuation_token",
            json!({"type": "integer", "format": "int64", "minimum": 0, "default": 0}),
            "Where to continue: what an earlier page gave. 0 is the beginning, and any other is at fault.",
        ),
    ]
}

/// A parameter of the query. Its example stands in the schema: pages to try a listing with fill in what stands beside it.
fn single(name: &str, mut schema: Value, description: &str) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("examples".to_owned(), json!([examples::parameter(name)]));
    }
    json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema})
}
