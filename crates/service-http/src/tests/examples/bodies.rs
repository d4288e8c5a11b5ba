//! Bodies of requests.

use serde_json::{Value, json};

use super::stage::{COACH, COACHING, LLM};

/// What is required of a service, and a name that no other has.
pub(super) fn service(name: &str, changes: Value) -> Value {
    let mut service = json!({
        "name": name,
        "description": "Evening check-ins and a plan for the night",
        "is_active": true,
        "agent_id": COACH,
        "service_hierarchical_state_machine_id": COACHING,
        "tags": {},
    });
    service.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    service
}

pub(super) fn preferring(llm: Value) -> Value {
    json!({"llm_model_preferences": {"engage_user": llm}})
}

/// A version set of some two hundred kilobytes.
pub(super) fn large(interactions: usize) -> Value {
    let params = json!({"instructions": "x".repeat(4000)});
    let preference = |number| (format!("interaction {number}"), json!({"llm_name": LLM, "params": params}));
    json!({"llm_model_preferences": Value::Object((0..interactions).map(preference).collect())})
}
