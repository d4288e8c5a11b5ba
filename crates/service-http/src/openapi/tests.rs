use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::document;
use crate::query::decode_listing;
use crate::wire::{decode_create, decode_update, decode_upsert};

const OPERATIONS: [(&str, &str); 9] = [
    ("/v1/{organization}/service/", "get"),
    ("/v1/{organization}/service/", "post"),
    ("/v1/{organization}/service/{service_id}/", "post"),
    ("/v1/{organization}/service/{service_id}/version_sets/{version_set_name}/", "put"),
    ("/v1/{organization}/service/{service_id}/version_sets/{version_set_name}/", "delete"),
    ("/v1/{organization}/user/signin_with_api_key", "post"),
    ("/healthz", "get"),
    ("/readyz", "get"),
    ("/metrics", "get"),
];

fn operation(path: &str, method: &str) -> Value {
    document()["paths"][path][method].clone()
}

/// Everything in a value, the value itself first.
fn everything(value: &Value) -> Vec<&Value> {
    let below: Vec<&Value> = match value {
        Value::Object(entries) => entries.values().flat_map(everything).collect(),
        Value::Array(items) => items.iter().flat_map(everything).collect(),
        _ => Vec::new(),
    };
    [value].into_iter().chain(below).collect()
}

/// Whether a value is of a schema, as far as the document uses JSON schema. Objects with properties listed may have no others:
/// the document is complete.
fn conforms(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: {value} is not {schema}"));
    if let Some(reference) = schema["$ref"].as_str() {
        return conforms(document, document.pointer(&reference[1..]).unwrap(), value);
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[keyword].as_array()
            && !choices.iter().any(|choice| conforms(document, choice, value).is_ok())
        {
            return wrong(keyword);
        }
    }
    let is = |json_type: &str| match json_type {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no JSON type"),
    };
    let typed = match &schema["type"] {
        Value::Null => true,
        Value::String(json_type) => is(json_type),
        Value::Array(types) => types.iter().any(|json_type| is(json_type.as_str().unwrap())),
        other => panic!("{other} is no type"),
    };
    if !typed {
        return wrong("type");
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        if value.get(required.as_str().unwrap()).is_none() {
            return wrong("required");
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Null) if schema["properties"].is_null() => {}
            (Value::Null, Value::Null) => return wrong(name),
            (Value::Null, Value::Bool(true)) => {}
            (Value::Null, other) => conforms(document, other, value)?,
            (property, _) => conforms(document, property, value)?,
        }
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(document, &schema["items"], item)?;
    }
    Ok(())
}

#[test]
fn every_operation_is_described() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(|method| (path.clone(), method.clone()))
        })
        .collect();
    assert_eq!(described, OPERATIONS.map(|(path, method)| (path.to_owned(), method.to_owned())).into());
    let names: BTreeSet<String> =
        OPERATIONS.iter().map(|(path, method)| operation(path, method)["operationId"].to_string()).collect();
    assert_eq!(names.len(), OPERATIONS.len());
}

#[test]
fn every_parameter_of_a_path_is_described() {
    for (path, method) in OPERATIONS {
        let operation = operation(path, method);
        let described: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let named: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(described, named, "{method} {path}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let references: Vec<&str> =
        everything(&document).into_iter().filter_map(|value| value["$ref"].as_str()).collect();
    assert!(references.len() > 50);
    for reference in references {
        assert!(document.pointer(&reference[1..]).is_some_and(Value::is_object), "{reference}");
    }
    for requirement in
        everything(&document).into_iter().filter_map(|value| value["security"].as_array()).flatten()
    {
        for scheme in requirement.as_object().unwrap().keys() {
            assert!(document["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
        }
    }
}

#[test]
fn the_examples_of_requests_are_read() {
    type Reads = fn(&[u8]) -> bool;
    let decoders: [(usize, Reads); 3] = [
        (1, |body| decode_create(body).is_ok()),
        (2, |body| decode_update(body).is_ok()),
        (3, |body| decode_upsert(body).is_ok()),
    ];
    let document = document();
    for (index, reads) in decoders {
        let (path, method) = OPERATIONS[index];
        let operation = operation(path, method);
        let body = &operation["requestBody"]["content"]["application/json"];
        let examples = body["examples"].as_object().unwrap();
        assert!(!examples.is_empty());
        for example in examples.values().map(|example| &example["value"]) {
            assert!(reads(&serde_json::to_vec(example).unwrap()), "{example}");
            conforms(&document, &body["schema"], example).unwrap();
        }
    }
}

#[test]
fn what_the_schemas_of_requests_require_is_required() {
    let schemas = &document()["components"]["schemas"];
    let required = |name: &str| -> BTreeSet<String> {
        let required = schemas[name]["required"].as_array().into_iter().flatten();
        required.map(|field| format!("[\"body\",{field}]")).collect()
    };
    let missing = |invalid: crate::invalid::Invalid| -> BTreeSet<String> {
        invalid.faults().iter().map(|fault| serde_json::to_string(&fault.loc).unwrap()).collect()
    };
    assert_eq!(missing(decode_create(b"{}").unwrap_err()), required("CreateService"));
    assert_eq!(missing(decode_upsert(b"{}").unwrap_err()), required("UpsertVersionSet"));
    assert!(decode_update(b"{}").is_ok() && required("UpdateService").is_empty());
}

#[test]
fn the_examples_of_answers_are_of_their_schemas() {
    let document = document();
    let mut checked = 0;
    for content in everything(&document).into_iter().map(|value| &value["content"]["application/json"]) {
        let named = content["examples"].as_object().into_iter().flat_map(|examples| examples.values());
        let examples: Vec<&Value> =
            named.map(|example| &example["value"]).chain(content.get("example")).collect();
        for example in examples {
            conforms(&document, &content["schema"], example).unwrap();
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn the_schemas_are_strict_enough_to_tell() {
    let document = document();
    let page = json!({"$ref": "#/components/schemas/ServicePage"});
    let right = json!({"services": [], "has_more": false, "continuation_token": null, "filter_values": null});
    conforms(&document, &page, &right).unwrap();
    for (field, wrong) in
        [("services", json!([{}])), ("has_more", json!(0)), ("filter_values", json!({})), ("x", json!(1))]
    {
        let mut page_with_fault = right.clone();
        page_with_fault[field] = wrong;
        conforms(&document, &page, &page_with_fault).unwrap_err();
    }
}

#[test]
fn every_described_query_parameter_is_one_that_is_read() {
    let operation = operation(OPERATIONS[0].0, OPERATIONS[0].1);
    let names: Vec<&str> = operation["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 7);
    for name in names {
        // No value at all is right for none of them.
        let invalid = decode_listing(Some(name)).unwrap_err();
        assert_eq!(invalid.faults()[0].loc[1], name.into());
    }
}

#[test]
fn every_status_has_its_error_codes_and_headers() {
    let rules = [
        "active_name_taken",
        "agent_deprecated",
        "agent_has_no_versions",
        "agent_not_found",
        "agent_version_not_found",
        "internal",
        "invalid_agent",
        "invalid_llm_params",
        "invalid_state_machine",
        "llm_deprecated",
        "llm_not_supported",
        "maintenance",
        "not_found",
        "organization_not_found",
        "payload_too_large",
        "permission_denied",
        "rate_limited",
        "reserved_version_set",
        "service_in_use",
        "service_not_found",
        "service_too_large",
        "state_machine_deprecated",
        "state_machine_has_no_versions",
        "state_machine_not_found",
        "state_machine_version_not_found",
        "too_many_version_sets",
        "unauthenticated",
        "unavailable",
        "unknown_cluster",
        "validation_failed",
        "version_set_in_use",
        "version_set_not_found",
    ];
    let mut codes = BTreeSet::new();
    for (path, method) in &OPERATIONS[..6] {
        let operation = operation(path, method);
        let responses = operation["responses"].as_object().unwrap();
        for status in ["401", "404", "422", "429", "500", "503"] {
            assert!(responses.contains_key(status), "{method} {path} {status}");
        }
        for (status, response) in responses {
            let headers = response["headers"].as_object().unwrap();
            assert!(headers.contains_key("x-request-id"));
            assert_eq!(headers.contains_key("Retry-After"), status == "429" || status == "503", "{status}");
            if status == "429" || status.starts_with('2') {
                assert!(headers.contains_key("X-RateLimit-Remaining"), "{status}");
            }
            let examples = response["content"]["application/json"]["examples"].as_object();
            assert_eq!(examples.is_none(), status.starts_with('2'), "{status}");
            codes.extend(examples.into_iter().flatten().map(|(code, _)| code.clone()));
        }
    }
    assert_eq!(codes, rules.map(str::to_owned).into());
}
