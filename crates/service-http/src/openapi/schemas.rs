//! Schemas: of answers as they are serialized, of requests as they are read.

use serde_json::{Map, Value, json};
use service_core::{MAX_KEYTERMS, MAX_LLM_PREFERENCES, MAX_TAGS};
use utoipa::ToSchema;

use super::patterns;
use crate::invalid::{Fault, kind};
use crate::wire::{Created, Problem, ServicePage, SignedIn};

/// All schemas, by name.
pub(super) fn schemas() -> Value {
    let mut schemas = written();
    derive::<ServicePage<'_>>(&mut schemas);
    derive::<Created>(&mut schemas);
    derive::<SignedIn>(&mut schemas);
    derive::<Problem>(&mut schemas);
    derive::<Fault>(&mut schemas);
    let kinds = schemas.get_mut("Fault").and_then(|fault| fault.pointer_mut("/properties/type"));
    if let Some(Value::Object(kinds)) = kinds {
        kinds.insert("enum".to_owned(), json!(kind::ALL));
    }
    Value::Object(schemas)
}

/// Adds the schema of a type that is serialized, and of those it is made of.
fn derive<T: ToSchema>(schemas: &mut Map<String, Value>) {
    let mut derived = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut derived);
    let written =
        derived.into_iter().filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?)));
    schemas.extend(written);
}

/// A reference to a schema.
pub(super) fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The schema of an id.
pub(super) fn hex_id() -> Value {
    json!({"type": "string", "pattern": "^[0-9a-f]{24}$"})
}

/// The schemas that no type has.
fn written() -> Map<String, Value> {
    let schemas = [
        ("CreateService", create_service()),
        ("UpdateService", update_service()),
        ("UpsertVersionSet", upsert_version_set()),
        ("VersionSetToStore", version_set()),
        ("LlmConfigToStore", llm_config()),
        ("Tags", tags()),
        ("Keyterms", keyterms()),
        ("Health", health()),
        ("Unready", unready()),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn create_service() -> Value {
    json!({
        "type": "object",
        "description": "A service to create. Null is the same as absent.",
        "required": [
            "name", "description", "is_active", "agent_id", "service_hierarchical_state_machine_id", "tags",
        ],
        "properties": {
            "name": described(name(), "What it is to be called."),
            "description": described(description(), "What it is for."),
            "is_active": {"type": "boolean", "description": "Whether it is offered from the start."},
            "agent_id": described(hex_id(), "The agent it binds."),
            "service_hierarchical_state_machine_id": described(hex_id(), "The state machine to bind the agent to."),
            "tags": schema("Tags"),
            "keyterms": or_null(schema("Keyterms"), "Terms that are easy to mishear. Without them: none."),
            "release_version_set": or_null(
                schema("VersionSetToStore"),
                "What end users get. Without it: what `edge` is, the latest versions.",
            ),
        },
    })
}

fn update_service() -> Value {
    json!({
        "type": "object",
        "description": "What to change of a service. What is null or absent stays.",
        "properties": {
            "name": or_null(name(), "What it is to be called."),
            "description": or_null(description(), "What it is for."),
            "is_active": {"type": ["boolean", "null"], "description": "Whether it is offered."},
            "agent_id": or_null(hex_id(), "The agent it binds."),
            "service_hierarchical_state_machine_id": or_null(hex_id(), "The state machine to bind the agent to."),
            "tags": or_null(schema("Tags"), "All of its tags: they replace those it has."),
            "keyterms": or_null(schema("Keyterms"), "All of its keyterms: they replace those it has."),
        },
    })
}

fn upsert_version_set() -> Value {
    json!({
        "type": "object",
        "description": "A version set to store, in place of one of its name if there is one.",
        "required": ["version_set"],
        "properties": {"version_set": schema("VersionSetToStore")},
    })
}

fn version_set() -> Value {
    let version = |of: &str| {
        json!({
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": i32::MAX,
            "description": format!("The version of the {of}. Null or absent: the latest."),
        })
    };
    json!({
        "type": "object",
        "description": "What a version set is to pin. Null is the same as absent.",
        "properties": {
            "agent_version_number": version("agent"),
            "service_hierarchical_state_machine_version_number": version("state machine"),
            "llm_model_preferences": {
                "type": ["object", "null"],
                "description": "The LLM to prefer for each interaction named. Absent: none.",
                "maxProperties": MAX_LLM_PREFERENCES,
                "propertyNames": plain(),
                "additionalProperties": schema("LlmConfigToStore"),
            },
        },
    })
}

fn llm_config() -> Value {
    let inline = |range: Value| {
        let description = "Older clients give it here. Beside `params` it must equal what is there, or be 1 if `params` has none.";
        or_null(range, description)
    };
    json!({
        "type": "object",
        "description": "An LLM and its parameters, under `params` or inline. Where `params` is given it alone counts.",
        "required": ["llm_name"],
        "properties": {
            "llm_name": described(plain(), "The LLM."),
            "params": {
                "type": ["object", "null"],
                "properties": {"top_p": top_p(), "temperature": temperature(), "top_k": top_k()},
                "additionalProperties": true,
                "description": "The parameters, these three and any other: at most 4 KiB of compact JSON, and nested at most 8 \
                                levels deep.",
            },
            "top_p": inline(top_p()),
            "temperature": inline(temperature()),
            "top_k": inline(top_k()),
        },
    })
}

fn top_p() -> Value {
    json!({"type": "number", "minimum": 0, "maximum": 1})
}

fn temperature() -> Value {
    json!({"type": "number", "minimum": 0, "maximum": 2})
}

fn top_k() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": u64::MAX})
}

fn tags() -> Value {
    json!({
        "type": "object",
        "description": "Tags: a value, or null for none, under each key. White space around keys and values is not part of them, and \
                        no two keys may be equal without it.",
        "maxProperties": MAX_TAGS,
        "propertyNames": {"maxLength": 128, "pattern": patterns::tag_part()},
        "additionalProperties": {"type": ["string", "null"], "maxLength": 128, "pattern": patterns::tag_part()},
    })
}

fn keyterms() -> Value {
    json!({
        "type": "array",
        "maxItems": MAX_KEYTERMS,
        "items": {"type": "string", "maxLength": 100, "pattern": patterns::keyterm()},
    })
}

fn health() -> Value {
    json!({
        "type": "object",
        "description": "How the server is.",
        "required": ["status"],
        "properties": {
            "status": {"type": "string", "description": "All of it, in a word or two."},
            "checks": {
                "type": "object",
                "description": "What was checked of the default cluster: `ok`, or what is wrong.",
                "additionalProperties": {"type": "string"},
            },
            "clusters": clusters(),
        },
    })
}

fn clusters() -> Value {
    json!({
        "type": "object",
        "description": "What was checked of the other clusters, by their names. What is wrong there does not count.",
        "additionalProperties": {"type": "object", "additionalProperties": {"type": "string"}},
    })
}

fn unready() -> Value {
    json!({
        "type": "object",
        "description": "A problem, and how the server is where it could tell.",
        "required": ["detail", "error_code"],
        "properties": {
            "status": {"type": "string", "description": "All of it, in a word or two."},
            "checks": {
                "type": "object",
                "description": "What was checked of the default cluster: `ok`, or what is wrong.",
                "additionalProperties": {"type": "string"},
            },
            "clusters": clusters(),
            "detail": {"type": "string", "description": "Why, in words."},
            "error_code": {"type": "string", "description": "Why, for a program."},
        },
    })
}

fn name() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 256, "pattern": patterns::name()})
}

fn description() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 4096, "pattern": patterns::description()})
}

fn plain() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": patterns::plain()})
}

fn described(mut schema: Value, description: &str) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), description.into());
    }
    schema
}

fn or_null(schema: Value, description: &str) -> Value {
    json!({"anyOf": [schema, {"type": "null"}], "description": description})
}
