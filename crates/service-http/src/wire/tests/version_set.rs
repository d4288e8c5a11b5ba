use serde_json::{Value, json};
use service_core::{VersionNumber, VersionSet};

use super::{at, bytes, faults, version_set, with};
use crate::wire::decode_upsert;

const AGENT: &str = "/version_set/agent_version_number";
const STATE_MACHINE: &str = "/version_set/service_hierarchical_state_machine_version_number";
const PREFERENCES: &str = "/version_set/llm_model_preferences";

fn upsert() -> Value {
    json!({"version_set": version_set()})
}

#[test]
fn the_version_set_is_required() {
    for body in [json!({}), json!({"version_set": null}), json!({"agent_version_number": 1})] {
        assert_eq!(faults(decode_upsert(&bytes(&body))), at("body/version_set", "missing"));
    }
    assert_eq!(faults(decode_upsert(br#"{"version_set": []}"#)), at("body/version_set", "object_type"));
}

#[test]
fn its_members_may_be_absent_or_null() {
    let nulls = json!({
        "agent_version_number": null,
        "service_hierarchical_state_machine_version_number": null,
        "llm_model_preferences": null,
    });
    for version_set in [json!({}), nulls, json!({"llm_model_preferences": {}, "unknown": 1})] {
        let body = json!({"version_set": version_set});
        assert_eq!(decode_upsert(&bytes(&body)), Ok(VersionSet::default()));
    }
}

#[test]
fn versions_are_integers_from_1_to_2_to_the_31_less_1() {
    for pointer in [AGENT, STATE_MACHINE] {
        let loc = format!("body{pointer}");
        for number in [1, 2_147_483_647] {
            let set = decode_upsert(&bytes(&with(upsert(), pointer, json!(number)))).unwrap();
            let read =
                if pointer == AGENT { set.agent_version_number } else { set.state_machine_version_number };
            assert_eq!(read, Some(VersionNumber::new(number).unwrap()));
        }
        for number in [json!(0), json!(-1), json!(2_147_483_648_i64), json!(i64::MIN), json!(u64::MAX)] {
            let body = with(upsert(), pointer, number);
            assert_eq!(faults(decode_upsert(&bytes(&body))), at(&loc, "value_error"), "{body}");
        }
        for wrong in [json!("1"), json!(1.0), json!(1e0), json!(true), json!([1]), json!(1e30)] {
            let body = with(upsert(), pointer, wrong);
            assert_eq!(faults(decode_upsert(&bytes(&body))), at(&loc, "integer_type"), "{body}");
        }
    }
}

#[test]
fn interactions_have_names_and_objects() {
    let loc = |name: &str| format!("body{PREFERENCES}/{name}");
    let config = json!({"llm_name": "some-llm"});
    let too_long = "x".repeat(129);
    for name in ["", "a\u{1}b", &too_long] {
        let mut body = upsert();
        *body.pointer_mut(PREFERENCES).unwrap() = json!({name: config});
        let shown: String =
            if name.len() > 128 { format!("{}…", "x".repeat(128)) } else { name.to_owned() };
        assert_eq!(faults(decode_upsert(&bytes(&body))), at(&loc(&shown), "value_error"));
    }
    for wrong in [json!(null), json!("some-llm"), json!([]), json!(1)] {
        let body = with(upsert(), PREFERENCES, json!({"engage": wrong}));
        assert_eq!(faults(decode_upsert(&bytes(&body))), at(&loc("engage"), "object_type"));
    }
    let body = with(upsert(), PREFERENCES, json!([]));
    assert_eq!(faults(decode_upsert(&bytes(&body))), at(&format!("body{PREFERENCES}"), "object_type"));
}

#[test]
fn there_are_at_most_a_hundred_interactions() {
    let preferences = |count: usize| -> Value {
        (0..count).map(|n| (format!("interaction {n}"), json!({"llm_name": "some-llm"}))).collect()
    };
    let set = decode_upsert(&bytes(&with(upsert(), PREFERENCES, preferences(100)))).unwrap();
    assert_eq!(set.llm_model_preferences.len(), 100);
    let body = with(upsert(), PREFERENCES, preferences(101));
    assert_eq!(faults(decode_upsert(&bytes(&body))), at(&format!("body{PREFERENCES}"), "too_long"));
}
