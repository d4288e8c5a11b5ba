use serde_json::json;
use service_core::MAX_JSON_DEPTH;

use super::{at, bytes, create, faults, with};
use crate::wire::{decode_create, decode_update, decode_upsert};

#[test]
fn what_is_no_json_is_a_fault_of_the_body() {
    let bodies: [&[u8]; 16] = [
        b"",
        b" ",
        b"{",
        b"{}}",
        b"{} x",
        b"{\"name\": \"a\",}",
        b"{'name': 'a'}",
        b"{\"name\": NaN}",
        b"{\"name\": 1e999}",
        b"{\"name\": -1e999}",
        b"{\"name\": 01}",
        b"{\"name\": \"\xff\"}",
        b"{\"\xc3\x28\": 1}",
        b"\xff\xfe{}",
        b"{\"name\": \"\\ud800\"}",
        b"{\"name\": \"a\nb\"}",
    ];
    for body in bodies {
        let text = String::from_utf8_lossy(body);
        assert_eq!(faults(decode_update(body)), at("body", "json_invalid"), "{text}");
        assert_eq!(faults(decode_create(body)), at("body", "json_invalid"), "{text}");
        assert_eq!(faults(decode_upsert(body)), at("body", "json_invalid"), "{text}");
    }
}

#[test]
fn a_body_that_is_no_object_is_a_fault_of_the_body() {
    for body in ["null", "[]", "[{}]", "1", "\"{}\"", "true"] {
        assert_eq!(faults(decode_update(body.as_bytes())), at("body", "object_type"), "{body}");
    }
}

#[test]
fn every_key_that_stands_twice_is_named_with_its_path() {
    let body = br#"{"name": "a", "name": "a", "unknown": [0, {"x": {"y": 1, "y": 2}}], "tags": {"k": null, "k": "v"}}"#;
    let expected = [
        ("body/name".to_owned(), "duplicate_key"),
        ("body/tags/k".to_owned(), "duplicate_key"),
        ("body/unknown/1/x/y".to_owned(), "duplicate_key"),
    ];
    assert_eq!(faults(decode_update(body)), expected);
}

#[test]
fn keys_are_compared_as_they_read_not_as_they_are_escaped() {
    assert_eq!(
        faults(decode_update(br#"{"name": "a", "n\u0061me": "a"}"#)),
        at("body/name", "duplicate_key")
    );
}

#[test]
fn a_key_that_stands_twice_does_not_hide_other_faults() {
    let body = br#"{"is_active": 1, "name": "a", "name": "b"}"#;
    let expected = [("body/is_active".to_owned(), "boolean_type"), ("body/name".to_owned(), "duplicate_key")];
    assert_eq!(faults(decode_update(body)), expected);
}

#[test]
fn nul_is_a_fault_wherever_it_stands() {
    for pointer in ["/name", "/description", "/agent_id", "/unknown"] {
        let body = with(create(), pointer, json!("a\0b"));
        assert_eq!(faults(decode_create(&bytes(&body))), at(&format!("body{pointer}"), "value_error"));
    }
    let in_key = with(create(), "/unknown", json!([{"a\0b": 1}]));
    assert_eq!(faults(decode_create(&bytes(&in_key))), at("body/unknown/0/a\0b", "value_error"));
    let preferences = "/release_version_set/llm_model_preferences";
    let in_unread = with(create(), &format!("{preferences}/engage/unknown"), json!(["\0"]));
    let loc = format!("body{preferences}/engage/unknown/0");
    assert_eq!(faults(decode_create(&bytes(&in_unread))), at(&loc, "value_error"));
}

#[test]
fn nesting_is_read_to_the_bound_and_not_beyond() {
    // The object of the body is one level.
    let nested = |levels: usize| format!("{{\"x\": {}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(decode_update(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
    let too_deep =
        [nested(MAX_JSON_DEPTH + 1), nested(500_000), "[".repeat(1 << 20), "{\"a\":".repeat(200_000)];
    for body in too_deep {
        assert_eq!(faults(decode_update(body.as_bytes())), at("body", "json_invalid"));
    }
}

#[test]
fn a_hostile_body_is_not_answered_with_more_than_it_sent() {
    let long_key = "k".repeat(500_000);
    let twice = r#"{"a":1,"a":1},"#.repeat(30_000);
    let body = format!(r#"{{"{long_key}": [{twice} 0]}}"#);
    let invalid = decode_update(body.as_bytes()).unwrap_err();
    let answer = serde_json::to_vec(&invalid).unwrap();
    assert!(!invalid.faults().is_empty());
    assert!(answer.len() < 100_000, "{}", answer.len());
}

#[test]
fn integers_without_a_64_bit_form_are_doubles() {
    let params = "/release_version_set/llm_model_preferences/engage/params/seed";
    let body = with(create(), params, json!(1)).to_string();
    let body = body.replace("\"seed\":1", "\"seed\":100000000000000000000000");
    let create = decode_create(body.as_bytes()).unwrap();
    let release = create.release.unwrap();
    let config = release.llm_model_preferences.get(&"engage".parse().unwrap()).unwrap();
    assert_eq!(config.params.get("seed"), Some(&json!(1e23)));
}
