//! What bodies are read as, what they are refused for, and that what is written can be read.

mod create;
mod json;
mod llm_config;
mod properties;
mod response;
mod update;
mod version_set;

use serde_json::{Value, json};

use crate::invalid::{Invalid, LocSegment};

/// A body that creates a service and says all there is to say.
fn create() -> Value {
    json!({
        "name": "Coach",
        "description": "helps",
        "is_active": true,
        "agent_id": "65a0c3f1e4b0a1b2c3d4e5a1",
        "service_hierarchical_state_machine_id": "65a0c3f1e4b0a1b2c3d4e5b1",
        "tags": {"team": "care", "beta": null},
        "keyterms": ["melatonin", "sleep diary"],
        "release_version_set": version_set(),
    })
}

fn version_set() -> Value {
    json!({
        "agent_version_number": 3,
        "service_hierarchical_state_machine_version_number": 2,
        "llm_model_preferences": {"engage": {"llm_name": "some-llm", "params": {"temperature": 0.5}}},
    })
}

/// A body with another value at a pointer; the member is added if it is not there.
fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
    body
}

fn without(mut body: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    body
}

fn bytes(body: &Value) -> Vec<u8> {
    serde_json::to_vec(body).unwrap()
}

/// The faults: where, joined by slashes, and of what type.
fn faults<T: std::fmt::Debug>(outcome: Result<T, Invalid>) -> Vec<(String, &'static str)> {
    let segment = |segment: &LocSegment| match segment {
        LocSegment::Name(name) => name.clone(),
        LocSegment::Index(index) => index.to_string(),
    };
    let invalid = outcome.unwrap_err();
    let fault = |fault: &crate::invalid::Fault| {
        assert!(!fault.msg.is_empty());
        (fault.loc.iter().map(segment).collect::<Vec<_>>().join("/"), fault.kind)
    };
    invalid.faults().iter().map(fault).collect()
}

fn at(loc: &str, kind: &'static str) -> Vec<(String, &'static str)> {
    vec![(loc.to_owned(), kind)]
}
