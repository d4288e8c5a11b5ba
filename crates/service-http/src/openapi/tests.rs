use std::collections::BTreeSet;

use axum::response::IntoResponse as _;
use serde_json::{Value, json};
use service_core::{OrganizationId, Refusal, RegistryError, StoreError, StoreErrorKind};

use super::document;
use crate::auth::Unauthenticated;
use crate::error::{ErrorCode, Failure};
use crate::invalid::{Invalid, kind};
use crate::query::decode_listing;
use crate::rate_limit::Limited;
use crate::tokens::TokensError;
use crate::unreadable::Unreadable;
use crate::wire::{decode_create, decode_update, decode_upsert};

fn operation(path: &str, method: &str) -> Value {
    document()["paths"][path][method].clone()
}

/// Every operation there is, with its path.
fn operations(document: &Value) -> Vec<(&String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().values().map(move |one| (path, one)))
        .collect()
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

/// Whether a value is of a schema, as far as the document uses JSON schema for answers. Objects with properties listed may have
/// no others: the document is complete.
pub(crate) fn conforms(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: {value} is not {schema}"));
    if let Some(reference) = schema["$ref"].as_str() {
        return conforms(document, document.pointer(&reference[1..]).unwrap(), value);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        conforms(document, part, value)?;
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return wrong("enum");
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
            (Value::Null, Value::Null) if schema["properties"].is_null() || schema["type"].is_null() => {}
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
fn operations_have_names_of_their_own_and_describe_each_parameter_of_their_path() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    let ids: BTreeSet<&str> =
        operations.iter().map(|(_, one)| one["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len());
    for (path, operation) in operations {
        let described: BTreeSet<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let named: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(described, named, "{path}");
    }
}

#[test]
fn links_lead_to_parameters_that_there_are() {
    let document = document();
    let mut links = 0;
    for link in everything(&document).into_iter().filter_map(|value| value["links"].as_object()).flatten() {
        let (name, link) = link;
        let operations = operations(&document);
        let target = operations.iter().find(|(_, one)| one["operationId"] == link["operationId"]);
        let parameters = target.unwrap_or_else(|| panic!("{name}")).1["parameters"].as_array().unwrap();
        for parameter in link["parameters"].as_object().unwrap().keys() {
            let (place, wanted) = parameter.split_once('.').unwrap();
            assert!(
                parameters.iter().any(|one| one["in"] == place && one["name"] == wanted),
                "{name} {parameter}"
            );
        }
        links += 1;
    }
    assert_eq!(links, 6);
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
    let service = "/v1/{organization}/service/{service_id}/";
    let set = format!("{service}version_sets/{{version_set_name}}/");
    let decoders: [(&str, &str, Reads); 3] = [
        ("/v1/{organization}/service/", "post", |body| decode_create(body).is_ok()),
        (service, "post", |body| decode_update(body).is_ok()),
        (&set, "put", |body| decode_upsert(body).is_ok()),
    ];
    let document = document();
    for (path, method, reads) in decoders {
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
        let examples: Vec<&Value> = named.filter_map(|example| example.get("value")).collect();
        for example in examples {
            conforms(&document, &content["schema"], example).unwrap();
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
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
    let operation = operation("/v1/{organization}/service/", "get");
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

/// One of each failure, as many as have another answer.
fn failures() -> Vec<Failure> {
    let ill_formed = || "".parse::<OrganizationId>().unwrap_err();
    let store = |kind| StoreError::new(kind, "gone");
    let service = "6630f0a0a1b2c3d4e5f60001".parse().unwrap();
    let lost = store(StoreErrorKind::OutcomeUnknown);
    let failures = vec![
        Failure::Maintenance,
        Failure::Unauthenticated(Unauthenticated::ApiKey),
        Failure::UnknownCluster("nowhere"),
        Failure::IllFormedOrganization(ill_formed()),
        Failure::Limited(Limited { retry_after: 1 }),
        Failure::Invalid(Invalid::at(["body"], "odd", kind::VALUE_ERROR)),
        Failure::PayloadTooLarge,
        Failure::Registry(RegistryError::Contention),
        Failure::Registry(RegistryError::OutcomeUnknown { service, expected: None, source: lost }),
        Failure::Registry(RegistryError::Store(store(StoreErrorKind::Unavailable))),
        Failure::Registry(RegistryError::Store(store(StoreErrorKind::Internal))),
        Failure::Signing(TokensError::NoPrivateKey),
        Failure::TimedOut { may_have_happened: true },
        Failure::TooManyConnections,
        Failure::Overloaded,
        Failure::Panicked,
        Failure::RouteNotFound,
        Failure::MethodNotAllowed,
        Failure::Unreadable(Unreadable::Malformed),
        Failure::Unreadable(Unreadable::TargetTooLong),
        Failure::Unreadable(Unreadable::HeadersTooLarge),
    ];
    for failure in &failures {
        // What is added to the enum does not compile here until it is added above.
        match failure {
            Failure::Maintenance
            | Failure::Unauthenticated(_)
            | Failure::UnknownCluster(_)
            | Failure::IllFormedOrganization(_)
            | Failure::Limited(_)
            | Failure::Invalid(_)
            | Failure::PayloadTooLarge
            | Failure::Registry(_)
            | Failure::Signing(_)
            | Failure::TimedOut { .. }
            | Failure::TooManyConnections
            | Failure::Overloaded
            | Failure::Panicked
            | Failure::RouteNotFound
            | Failure::MethodNotAllowed
            | Failure::Unreadable(
                Unreadable::Malformed | Unreadable::TargetTooLong | Unreadable::HeadersTooLarge,
            ) => {}
        }
    }
    failures
}

#[test]
fn the_error_codes_of_the_document_are_those_of_the_code() {
    let answered = failures().into_iter().map(|failure| {
        let answer = failure.into_response();
        answer.extensions().get::<ErrorCode>().unwrap().0
    });
    let answered: BTreeSet<&str> = answered.chain(Refusal::CODES.iter().copied()).collect();
    let document = document();
    let described: BTreeSet<&str> = everything(&document)
        .into_iter()
        .filter_map(|value| value["properties"]["error_code"]["enum"].as_array())
        .flatten()
        .map(|code| code.as_str().unwrap())
        .collect();
    assert_eq!(described, answered);
}

#[test]
fn each_operation_of_an_organization_answers_what_they_all_do() {
    let document = document();
    let mut seen = 0;
    for (path, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        let statuses: &[&str] = if path.starts_with("/v1/") {
            seen += 1;
            &["401", "404", "422", "429", "500", "503"]
        } else {
            &["503"]
        };
        for status in statuses {
            assert!(responses.contains_key(*status), "{path} {status}");
        }
    }
    assert_eq!(seen, 6);
}
