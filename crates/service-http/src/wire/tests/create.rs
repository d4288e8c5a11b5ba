use serde_json::{Value, json};
use service_core::VersionSet;

use super::{at, bytes, create, faults, with, without};
use crate::wire::decode_create;

const REQUIRED: [&str; 6] =
    ["/name", "/description", "/is_active", "/agent_id", "/service_hierarchical_state_machine_id", "/tags"];

#[test]
fn a_whole_body_is_read_whole() {
    let request = decode_create(&bytes(&create())).unwrap();
    assert_eq!(request.name.as_str(), "Coach");
    assert_eq!(request.description.as_str(), "helps");
    assert!(request.is_active);
    assert_eq!(request.agent_id.to_string(), "65a0c3f1e4b0a1b2c3d4e5a1");
    assert_eq!(request.state_machine_id.to_string(), "65a0c3f1e4b0a1b2c3d4e5b1");
    assert_eq!(serde_json::to_value(&request.tags).unwrap(), json!({"beta": null, "team": "care"}));
    assert_eq!(serde_json::to_value(&request.keyterms).unwrap(), json!(["melatonin", "sleep diary"]));
    let release = request.release.unwrap();
    assert_eq!(release.agent_version_number.unwrap().get(), 3);
    assert_eq!(release.state_machine_version_number.unwrap().get(), 2);
    let config = release.llm_model_preferences.get(&"engage".parse().unwrap()).unwrap();
    assert_eq!(config.params.get("temperature"), Some(&json!(0.5)));
}

#[test]
fn each_required_field_is_missing_when_absent_and_when_null() {
    for pointer in REQUIRED {
        let expected = at(&format!("body{pointer}"), "missing");
        assert_eq!(faults(decode_create(&bytes(&without(create(), pointer)))), expected);
        assert_eq!(faults(decode_create(&bytes(&with(create(), pointer, Value::Null)))), expected);
    }
}

#[test]
fn an_empty_body_lacks_every_required_field_at_once() {
    let mut expected: Vec<_> = REQUIRED.iter().map(|pointer| (format!("body{pointer}"), "missing")).collect();
    expected.sort();
    assert_eq!(faults(decode_create(b"{}")), expected);
}

#[test]
fn keyterms_and_the_release_may_be_absent_or_null() {
    let absent = without(without(create(), "/keyterms"), "/release_version_set");
    let null = with(with(create(), "/keyterms", Value::Null), "/release_version_set", Value::Null);
    for body in [absent, null] {
        let request = decode_create(&bytes(&body)).unwrap();
        assert!(request.keyterms.is_empty());
        assert_eq!(request.release, None);
    }
}

#[test]
fn a_release_without_members_is_the_latest_of_everything() {
    let request = decode_create(&bytes(&with(create(), "/release_version_set", json!({})))).unwrap();
    assert_eq!(request.release, Some(VersionSet::default()));
}

#[test]
fn unknown_fields_are_ignored() {
    let body = with(create(), "/id", json!("not an id"));
    assert_eq!(decode_create(&bytes(&body)), decode_create(&bytes(&create())));
}

#[test]
fn types_are_not_converted() {
    let wrong = [
        ("/name", json!(1), "string_type"),
        ("/name", json!(["Coach"]), "string_type"),
        ("/description", json!(true), "string_type"),
        ("/is_active", json!(1), "boolean_type"),
        ("/is_active", json!("true"), "boolean_type"),
        ("/agent_id", json!(65), "string_type"),
        ("/service_hierarchical_state_machine_id", json!({}), "string_type"),
        ("/tags", json!([]), "object_type"),
        ("/tags", json!("team:care"), "object_type"),
        ("/tags/team", json!(1), "string_type"),
        ("/tags/team", json!(false), "string_type"),
        ("/tags/team", json!(["care"]), "string_type"),
        ("/keyterms", json!({}), "array_type"),
        ("/keyterms", json!("melatonin"), "array_type"),
        ("/release_version_set", json!([]), "object_type"),
        ("/release_version_set", json!("edge"), "object_type"),
    ];
    for (pointer, value, kind) in wrong {
        let body = with(create(), pointer, value.clone());
        assert_eq!(faults(decode_create(&bytes(&body))), at(&format!("body{pointer}"), kind), "{value}");
    }
}

#[test]
fn values_obey_their_rules() {
    let wrong = [
        ("/name", json!("")),
        ("/name", json!(" \u{2003}\n")),
        ("/name", json!("a".repeat(257))),
        ("/name", json!("a\u{7}b")),
        ("/description", json!("")),
        ("/description", json!("a".repeat(4097))),
        ("/description", json!("a\u{85}b")),
        ("/agent_id", json!("65A0C3F1E4B0A1B2C3D4E5A1")),
        ("/agent_id", json!("65a0c3f1e4b0a1b2c3d4e5a")),
        ("/service_hierarchical_state_machine_id", json!("")),
        ("/tags/team", json!("")),
        ("/tags/team", json!("care:full")),
        ("/tags/te:am", json!("care")),
        ("/tags/ ", json!(null)),
    ];
    for (pointer, value) in wrong {
        let body = with(create(), pointer, value.clone());
        assert_eq!(
            faults(decode_create(&bytes(&body))),
            at(&format!("body{pointer}"), "value_error"),
            "{value}"
        );
    }
    let right = [
        ("/name", json!("\u{202e}אבג e\u{301}")),
        ("/name", json!("a".repeat(256))),
        ("/name", json!("  Coach\n")),
        ("/description", json!("line\n\tline")),
        ("/tags/team", json!(" care ")),
        ("/tags/schlüssel wort", json!("日本_1")),
    ];
    for (pointer, value) in right {
        assert!(decode_create(&bytes(&with(create(), pointer, value.clone()))).is_ok(), "{value}");
    }
}

#[test]
fn two_keys_that_are_equal_after_stripping_are_a_fault() {
    let body = with(create(), "/tags", json!({"team": "care", "team ": null}));
    assert_eq!(faults(decode_create(&bytes(&body))), at("body/tags/team ", "duplicate_key"));
}

#[test]
fn both_a_key_and_other_values_at_fault_are_named() {
    let body = with(create(), "/tags", json!({"a:b": "fine", "fine": "a:b", "good": "good"}));
    let expected =
        [("body/tags/a:b".to_owned(), "value_error"), ("body/tags/fine".to_owned(), "value_error")];
    assert_eq!(faults(decode_create(&bytes(&body))), expected);
}

#[test]
fn there_are_at_most_twenty_tags_and_twenty_keyterms() {
    let tags = |count: usize| (0..count).map(|n| (format!("key {n}"), Value::Null)).collect::<Value>();
    let keyterms = |count: usize| json!(vec!["melatonin"; count]);
    let body = with(with(create(), "/tags", tags(20)), "/keyterms", keyterms(20));
    let request = decode_create(&bytes(&body)).unwrap();
    assert_eq!((request.tags.len(), request.keyterms.len()), (20, 20));
    let body = with(with(create(), "/tags", tags(21)), "/keyterms", keyterms(21));
    let expected = [("body/keyterms".to_owned(), "too_long"), ("body/tags".to_owned(), "too_long")];
    assert_eq!(faults(decode_create(&bytes(&body))), expected);
}

#[test]
fn each_keyterm_at_fault_is_named_with_its_place() {
    let body =
        with(create(), "/keyterms", json!(["fine", "Capital", null, 3, "one two three four", "fine-too"]));
    let expected = [
        ("body/keyterms/1".to_owned(), "value_error"),
        ("body/keyterms/2".to_owned(), "string_type"),
        ("body/keyterms/3".to_owned(), "string_type"),
        ("body/keyterms/4".to_owned(), "value_error"),
    ];
    assert_eq!(faults(decode_create(&bytes(&body))), expected);
}

#[test]
fn faults_of_all_parts_come_together() {
    let body = json!({
        "name": 1,
        "description": "",
        "is_active": "yes",
        "agent_id": "x",
        "tags": {"k": 1},
        "keyterms": [1],
        "release_version_set": {
            "agent_version_number": 0,
            "service_hierarchical_state_machine_version_number": "1",
            "llm_model_preferences": {"engage": {"params": [], "top_k": 1.5}},
        },
    });
    let expected = [
        ("body/agent_id", "value_error"),
        ("body/description", "value_error"),
        ("body/is_active", "boolean_type"),
        ("body/keyterms/0", "string_type"),
        ("body/name", "string_type"),
        ("body/release_version_set/agent_version_number", "value_error"),
        ("body/release_version_set/llm_model_preferences/engage/llm_name", "missing"),
        ("body/release_version_set/llm_model_preferences/engage/params", "object_type"),
        ("body/release_version_set/llm_model_preferences/engage/top_k", "integer_type"),
        ("body/release_version_set/service_hierarchical_state_machine_version_number", "integer_type"),
        ("body/service_hierarchical_state_machine_id", "missing"),
        ("body/tags/k", "string_type"),
    ];
    assert_eq!(faults(decode_create(&bytes(&body))), expected.map(|(loc, kind)| (loc.to_owned(), kind)),);
}
