//! What the rules refuse.

use serde_json::{Value, json};

use super::bodies::{large, preferring, service};
use super::stage::*;

/// The refusals of the rules.
pub(super) async fn refusals(stage: &mut Stage, id: &str) {
    let prefers = |llm: Value| json!({"release_version_set": preferring(llm)});
    let pins_agent = json!({"agent_version_number": 5});
    let pins_state_machine = json!({"service_hierarchical_state_machine_version_number": 4});
    let creates = [
        (400, "agent_deprecated", json!({"agent_id": DEPRECATED_AGENT})),
        (
            400,
            "state_machine_deprecated",
            json!({"service_hierarchical_state_machine_id": DEPRECATED_STATE_MACHINE}),
        ),
        (400, "agent_has_no_versions", json!({"agent_id": NEW_AGENT})),
        (
            400,
            "state_machine_has_no_versions",
            json!({"service_hierarchical_state_machine_id": NEW_STATE_MACHINE}),
        ),
        (400, "agent_version_not_found", json!({"release_version_set": pins_agent})),
        (400, "state_machine_version_not_found", json!({"release_version_set": pins_state_machine})),
        (400, "llm_not_supported", prefers(json!({"llm_name": "nobody_knows-it"}))),
        (400, "llm_deprecated", prefers(json!({"llm_name": DEPRECATED_LLM}))),
        (400, "invalid_llm_params", prefers(json!({"llm_name": LLM, "params": {"top_p": 2}}))),
        (400, "service_too_large", json!({"release_version_set": large(70)})),
        (404, "agent_not_found", json!({"agent_id": NOTHING})),
        (404, "state_machine_not_found", json!({"service_hierarchical_state_machine_id": NOTHING})),
        (409, "active_name_taken", json!({"name": "Night coaching"})),
    ];
    for (status, code, changes) in creates {
        let answer = stage.create(&service("Another", changes)).await;
        stage.refused("createService", status, code, &answer);
    }

    let upserts = [
        ("reserved_version_set", "edge", json!({})),
        ("agent_version_not_found", "preview", pins_agent),
        ("state_machine_version_not_found", "preview", pins_state_machine),
        ("llm_not_supported", "preview", preferring(json!({"llm_name": "nobody_knows-it"}))),
        ("llm_deprecated", "preview", preferring(json!({"llm_name": DEPRECATED_LLM}))),
        ("invalid_llm_params", "preview", preferring(json!({"llm_name": LLM, "temperature": 2.5}))),
        ("service_too_large", "preview", large(70)),
    ];
    for (code, set, version_set) in upserts {
        let answer = stage.upsert(id, set, version_set).await;
        stage.refused("upsertVersionSet", 400, code, &answer);
    }
    let full = stage.service(&service("With a hundred", json!({}))).await;
    for number in 2..100 {
        assert_eq!(stage.upsert(&full, &format!("n{number}"), json!({})).await.status, 204);
    }
    let answer = stage.upsert(&full, "one-more", json!({})).await;
    stage.refused("upsertVersionSet", 400, "too_many_version_sets", &answer);

    updates_refused(stage, id).await;

    let answer = stage.delete(id, "edge").await;
    stage.refused("deleteVersionSet", 400, "reserved_version_set", &answer);
    let answer = stage.delete(id, "absent").await;
    stage.refused("deleteVersionSet", 404, "version_set_not_found", &answer);
    assert_eq!(stage.upsert(id, "preview", json!({})).await.status, 204);
    stage.apply(&catalog(&[(id, "preview")], false)).await;
    let answer = stage.delete(id, "preview").await;
    stage.refused("deleteVersionSet", 400, "version_set_in_use", &answer);
}

async fn updates_refused(stage: &mut Stage, id: &str) {
    let to_front_desk = json!({"agent_id": FRONT_DESK});
    let to_scheduling = json!({"service_hierarchical_state_machine_id": SCHEDULING});
    let updates = [
        (400, "invalid_agent", json!({"agent_id": DEPRECATED_AGENT})),
        (400, "invalid_state_machine", json!({"service_hierarchical_state_machine_id": NEW_STATE_MACHINE})),
        (400, "agent_version_not_found", to_front_desk),
        (400, "state_machine_version_not_found", to_scheduling),
        (409, "active_name_taken", json!({"name": "Sleep coaching"})),
    ];
    for (status, code, body) in updates {
        let answer = stage.update(id, &body).await;
        stage.refused("updateService", status, code, &answer);
    }
    let used = stage.service(&service("In use", json!({}))).await;
    stage.apply(&catalog(&[(&used, "release")], false)).await;
    let answer = stage.update(&used, &json!({"is_active": false})).await;
    stage.refused("updateService", 400, "service_in_use", &answer);

    let release = preferring(json!({"llm_name": AGING_LLM}));
    let aging = service("Aging", json!({"is_active": false, "release_version_set": release}));
    let aging = stage.service(&aging).await;
    stage.meets(Some(Mishap::Forgetful));
    let answer = stage.update(&aging, &json!({"is_active": true})).await;
    stage.refused("updateService", 400, "llm_not_supported", &answer);
    stage.meets(None);
    stage.apply(&catalog(&[], true)).await;
    let answer = stage.update(&aging, &json!({"is_active": true})).await;
    stage.refused("updateService", 400, "llm_deprecated", &answer);

    // As large as it can be but for a few kilobytes.
    let nearly = service("Nearly too large", json!({"release_version_set": large(63)}));
    let nearly = stage.service(&nearly).await;
    let answer = stage.update(&nearly, &json!({"description": "x".repeat(4096)})).await;
    stage.refused("updateService", 400, "service_too_large", &answer);
}
