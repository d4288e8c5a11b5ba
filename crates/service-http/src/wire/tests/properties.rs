use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};
use service_core::{
    InteractionName, LlmConfig, LlmName, LlmParams, LlmPreferences, VersionNumber, VersionSet, json_equal,
    parse_json,
};
use store_conformance::generate::damage::{damaged, damaged_json};

use super::{bytes, create, version_set};
use crate::invalid::{Faults, Invalid, Loc};
use crate::wire::json::parse;
use crate::wire::response::VersionSetView;
use crate::wire::{decode_create, decode_update, decode_upsert};

/// Reads a body as each of the three and checks that each either succeeds or says why not.
fn succeeds_or_says_why(body: &[u8]) {
    fn check<T>(outcome: Result<T, Invalid>) {
        if let Err(invalid) = outcome {
            assert!(!invalid.faults().is_empty());
            assert!(
                invalid.faults().iter().all(|fault| fault.loc[0] == "body".into() && !fault.msg.is_empty())
            );
        }
    }
    check(decode_create(body));
    check(decode_update(body));
    check(decode_upsert(body));
}

/// A body that is not what it should be any more.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![Just(create()), Just(json!({"version_set": version_set()}))];
    prop_oneof![
        damaged(whole.clone().prop_map(|body| bytes(&body))),
        damaged_json(whole).prop_map(|body| bytes(&body))
    ]
}

fn number() -> impl Strategy<Value = Number> {
    let double = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        double.prop_map(|double| Number::from_f64(double).unwrap()),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number().prop_map(Value::Number),
        "[^\0]{0,8}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map("[^\0]{0,6}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Parameters as the rules let them in: whatever they hold, the three that are known are of their types.
fn params() -> impl Strategy<Value = LlmParams> {
    let other = btree_map("[^\0]{0,6}", json_value(), 0..4);
    let known = (
        prop::option::of(number()),
        prop::option::of(number()),
        prop::option::of(prop_oneof![
            any::<u64>().prop_map(Number::from),
            any::<i64>().prop_map(Number::from)
        ]),
    );
    (other, known).prop_filter_map("bounded", |(other, (top_p, temperature, top_k))| {
        let mut params: Map<String, Value> = other.into_iter().collect();
        for (name, value) in [("top_p", top_p), ("temperature", temperature), ("top_k", top_k)] {
            params.remove(name);
            params.extend(value.map(|value| (name.to_owned(), Value::Number(value))));
        }
        LlmParams::new(params).ok()
    })
}

fn any_version_set() -> impl Strategy<Value = VersionSet> {
    let version = || prop::option::of((1..=i64::from(i32::MAX)).prop_map(|n| VersionNumber::new(n).unwrap()));
    let interaction = "\\PC{1,20}".prop_filter_map("well-formed", |name| InteractionName::new(&name).ok());
    let llm = "\\PC{1,20}".prop_filter_map("well-formed", |name| LlmName::new(&name).ok());
    let config = (llm, params()).prop_map(|(llm_name, params)| LlmConfig { llm_name, params });
    (version(), version(), btree_map(interaction, config, 0..5)).prop_map(
        |(agent, state_machine, preferences)| VersionSet {
            agent_version_number: agent,
            state_machine_version_number: state_machine,
            llm_model_preferences: LlmPreferences::new(preferences).unwrap(),
        },
    )
}

/// The pointers to everything in a value, but the value itself.
fn pointers(value: &Value) -> Vec<String> {
    let below = |name: &str, value: &Value| {
        let this = format!("/{name}");
        let deeper = pointers(value).into_iter().map(|pointer| format!("/{name}{pointer}"));
        [this].into_iter().chain(deeper).collect::<Vec<_>>()
    };
    match value {
        Value::Object(map) => map.iter().flat_map(|(name, value)| below(name, value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(index, value)| below(&index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_with_a_reason(body in vec(any::<u8>(), 0..200)) {
        succeeds_or_says_why(&body);
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_reason(body in "\\PC{0,100}") {
        succeeds_or_says_why(body.as_bytes());
    }

    #[test]
    fn a_damaged_body_is_read_or_refused_with_a_reason(body in mutated()) {
        succeeds_or_says_why(&body);
    }

    #[test]
    fn any_value_in_any_place_is_read_or_refused_at_that_place(place in any::<prop::sample::Index>(), value in json_value()) {
        let mut body = create();
        let pointers = pointers(&body);
        let pointer = place.get(&pointers);
        *body.pointer_mut(pointer).unwrap() = value;
        let body = bytes(&body);
        succeeds_or_says_why(&body);
        if let Err(invalid) = decode_create(&body) {
            for fault in invalid.faults() {
                // The fault is at what was replaced, inside of it, or (a contradiction) beside it.
                let top = pointer.split('/').nth(1).unwrap();
                prop_assert_eq!(&fault.loc[1], &top.into());
            }
        }
    }

    #[test]
    fn json_is_refused_exactly_where_the_core_refuses_it(body in prop_oneof![mutated(), vec(any::<u8>(), 0..40)]) {
        let mut faults = Faults::default();
        let outcome = parse(&body, &Loc::root("body"), &mut faults);
        match (faults.finish(outcome), parse_json(&body)) {
            (Ok(ours), Ok(theirs)) => prop_assert!(json_equal(&ours, &theirs)),
            (ours, theirs) => prop_assert!(ours.is_err() && theirs.is_err()),
        }
    }

    #[test]
    fn sending_back_what_was_returned_changes_nothing(set in any_version_set()) {
        let returned = json!({"version_set": VersionSetView::from(&set)});
        prop_assert_eq!(decode_upsert(&bytes(&returned)), Ok(set));
    }

    #[test]
    fn sending_back_without_the_inline_spelling_changes_nothing(set in any_version_set()) {
        let mut returned = json!({"version_set": VersionSetView::from(&set)});
        let configs = returned.pointer_mut("/version_set/llm_model_preferences").unwrap().as_object_mut().unwrap();
        for config in configs.values_mut() {
            config.as_object_mut().unwrap().retain(|name, _| name == "llm_name" || name == "params");
        }
        prop_assert_eq!(decode_upsert(&bytes(&returned)), Ok(set));
    }
}
