use serde_json::{Value, json};
use service_core::{LlmConfig, LlmParams, VersionSet};

use super::{at, bytes, faults};
use crate::invalid::Invalid;
use crate::wire::decode_upsert;
use crate::wire::response::VersionSetView;

const CONFIG: &str = "body/version_set/llm_model_preferences/engage";

/// Reads a configuration, as the only preference of a version set.
fn decode(config: &Value) -> Result<VersionSet, Invalid> {
    decode_upsert(&bytes(&json!({"version_set": {"llm_model_preferences": {"engage": config}}})))
}

fn params(config: &Value) -> LlmParams {
    decode(config).unwrap().llm_model_preferences.get(&"engage".parse().unwrap()).unwrap().params.clone()
}

fn of(params: Value) -> LlmParams {
    let Value::Object(params) = params else { panic!("{params} is no object") };
    LlmParams::new(params).unwrap()
}

/// How a configuration is written.
fn written(config: LlmConfig) -> Value {
    let name: service_core::InteractionName = "engage".parse().unwrap();
    let preferences = service_core::LlmPreferences::new([(name, config)].into()).unwrap();
    let set = VersionSet { llm_model_preferences: preferences, ..VersionSet::default() };
    serde_json::to_value(VersionSetView::from(&set)).unwrap()["llm_model_preferences"]["engage"].clone()
}

fn config(params: Value) -> LlmConfig {
    LlmConfig { llm_name: "some-llm".parse().unwrap(), params: of(params) }
}

#[test]
fn parameters_are_read_from_either_spelling() {
    let expected = of(json!({"top_p": 0.9, "temperature": 0.5, "top_k": 40}));
    let nested = json!({"llm_name": "some-llm", "params": {"top_p": 0.9, "temperature": 0.5, "top_k": 40}});
    let inline = json!({"llm_name": "some-llm", "top_p": 0.9, "temperature": 0.5, "top_k": 40});
    assert_eq!(params(&nested), expected);
    assert_eq!(params(&inline), expected);
}

#[test]
fn only_what_is_given_inline_is_set() {
    assert_eq!(params(&json!({"llm_name": "some-llm"})), of(json!({})));
    assert_eq!(params(&json!({"llm_name": "some-llm", "params": null, "top_k": 3})), of(json!({"top_k": 3})));
    let nulls = json!({"llm_name": "some-llm", "top_p": null, "temperature": 1, "top_k": null});
    assert_eq!(params(&nulls), of(json!({"temperature": 1})));
}

#[test]
fn where_params_is_given_it_alone_counts() {
    let agreeing = json!({
        "llm_name": "some-llm", "params": {"top_p": 0.5, "x": {"y": [1]}}, "top_p": 5e-1, "temperature": 1.0, "top_k": 1,
    });
    assert_eq!(params(&agreeing), of(json!({"top_p": 0.5, "x": {"y": [1]}})));
    let ones = json!({"llm_name": "some-llm", "params": {}, "top_p": 1, "temperature": 1, "top_k": 1});
    assert_eq!(params(&ones), of(json!({})));
    let nulls = json!({"llm_name": "some-llm", "params": {"top_p": 0.5}, "top_p": null, "temperature": null});
    assert_eq!(params(&nulls), of(json!({"top_p": 0.5})));
    let by_value = json!({"llm_name": "some-llm", "params": {"top_p": 1}, "top_p": 1.0});
    assert_eq!(params(&by_value), of(json!({"top_p": 1})));
}

#[test]
fn every_inline_value_that_contradicts_params_is_a_fault() {
    let body = json!({
        "llm_name": "some-llm", "params": {"top_p": 0.5, "top_k": "x"}, "top_p": 1, "temperature": 0.9, "top_k": 1,
    });
    let expected = ["temperature", "top_k", "top_p"].map(|name| (format!("{CONFIG}/{name}"), "conflict"));
    assert_eq!(faults(decode(&body)), expected);
}

#[test]
fn types_are_not_converted() {
    let wrong = [
        ("top_p", json!("0.5"), "number_type"),
        ("top_p", json!(true), "number_type"),
        ("temperature", json!([1]), "number_type"),
        ("temperature", json!({}), "number_type"),
        ("top_k", json!(1.0), "integer_type"),
        ("top_k", json!("1"), "integer_type"),
        ("top_k", json!(true), "integer_type"),
        ("params", json!([]), "object_type"),
        ("params", json!("{}"), "object_type"),
        ("llm_name", json!(1), "string_type"),
        ("llm_name", json!(null), "missing"),
        ("llm_name", json!(""), "value_error"),
        ("llm_name", json!("x".repeat(129)), "value_error"),
    ];
    for (field, value, kind) in wrong {
        for mut body in [json!({"llm_name": "some-llm"}), json!({"llm_name": "some-llm", "params": {}})] {
            body[field] = value.clone();
            assert_eq!(faults(decode(&body)), at(&format!("{CONFIG}/{field}"), kind), "{body}");
        }
    }
}

#[test]
fn ranges_are_left_to_the_rules() {
    let out_of_range = json!({"llm_name": "some-llm", "top_p": 7, "temperature": -1, "top_k": 0});
    assert_eq!(params(&out_of_range), of(json!({"top_p": 7, "temperature": -1, "top_k": 0})));
}

#[test]
fn params_are_bounded() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |value, _| json!({"a": value}));
    let long = |length: usize| json!({"a": "x".repeat(length)});
    for right in [nested(8), long(4096 - 8)] {
        assert!(decode(&json!({"llm_name": "some-llm", "params": right})).is_ok());
    }
    for wrong in [nested(9), long(4096 - 7)] {
        let body = json!({"llm_name": "some-llm", "params": wrong});
        assert_eq!(faults(decode(&body)), at(&format!("{CONFIG}/params"), "value_error"));
    }
}

#[test]
fn both_spellings_are_written_and_inline_all_three() {
    assert_eq!(
        written(config(json!({"temperature": 0.5, "seed": 7}))),
        json!({
            "llm_name": "some-llm", "params": {"temperature": 0.5, "seed": 7}, "top_p": 1, "temperature": 0.5, "top_k": 1,
        })
    );
    assert_eq!(
        written(config(json!({}))),
        json!({"llm_name": "some-llm", "params": {}, "top_p": 1, "temperature": 1, "top_k": 1})
    );
}

#[test]
fn an_older_client_can_read_even_what_no_rule_would_let_in() {
    let odd = written(config(json!({"top_p": "a", "temperature": null, "top_k": 2.5})));
    assert_eq!((&odd["top_p"], &odd["temperature"], &odd["top_k"]), (&json!(1), &json!(1), &json!(1)));
}

#[test]
fn an_older_client_that_drops_params_and_sends_the_rest_back_sets_all_three() {
    let mut answer = written(config(json!({"temperature": 0.5, "seed": 7})));
    answer.as_object_mut().unwrap().remove("params");
    assert_eq!(params(&answer), of(json!({"top_p": 1, "temperature": 0.5, "top_k": 1})));
}

#[test]
fn a_known_parameter_twice_in_params_is_a_duplicate_key() {
    let body = br#"{"version_set": {"llm_model_preferences": {"engage":
        {"llm_name": "some-llm", "params": {"top_p": 1, "top_p": 1}}}}}"#;
    assert_eq!(faults(decode_upsert(body)), at(&format!("{CONFIG}/params/top_p"), "duplicate_key"));
}
