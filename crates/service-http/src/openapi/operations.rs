//! The operations: what each path answers to.

use serde_json::{Value, json};

use super::answers::{json_body, responses};
use super::parameters::{
    api_key_headers, common_headers, listing, organization, service_id, version_set_name,
};
use super::schemas::schema;

/// All paths.
pub(super) fn paths() -> Value {
    json!({
        "/v1/{organization}/service/": {"get": list_services(), "post": create_service()},
        "/v1/{organization}/service/{service_id}/": {"post": update_service()},
        "/v1/{organization}/service/{service_id}/version_sets/{version_set_name}/": {
            "put": upsert_version_set(),
            "delete": delete_version_set(),
        },
        "/v1/{organization}/user/signin_with_api_key": {"post": sign_in()},
        "/healthz": {"get": health()},
        "/readyz": {"get": readiness()},
        "/metrics": {"get": metrics()},
    })
}

fn parameters<const N: usize>(of_operation: [Value; N]) -> Vec<Value> {
    [organization()].into_iter().chain(of_operation).chain(common_headers()).collect()
}

fn body(name: &str, examples: Value) -> Value {
    json!({"required": true, "content": {"application/json": {"schema": schema(name), "examples": examples}}})
}

fn list_services() -> Value {
    let example = json!({
        "services": [{
            "id": "65a0c3f1e4b0a1b2c3d4e5f6",
            "name": "Sleep coaching",
            "description": "Evening check-ins and a plan for the night",
            "is_active": true,
            "agent_id": "65a0c3f1e4b0a1b2c3d4e5a1",
            "service_hierarchical_state_machine_id": "65a0c3f1e4b0a1b2c3d4e5b1",
            "tags": [{"key": "beta", "value": null}, {"key": "team", "value": "care"}],
            "keyterms": ["melatonin"],
            "version_sets": {
                "edge": {
                    "agent_version_number": null,
                    "service_hierarchical_state_machine_version_number": null,
                    "llm_model_preferences": {},
                },
                "release": {
                    "agent_version_number": 3,
                    "service_hierarchical_state_machine_version_number": 2,
                    "llm_model_preferences": {
                        "engage_user": {
                            "llm_name": "openai_o4-mini-2025-04-16",
                            "params": {"temperature": 0.5},
                            "top_p": 1,
                            "temperature": 0.5,
                            "top_k": 1,
                        },
                    },
                },
            },
            "creator": {"org_id": "acme", "user_id": "alice"},
            "updated_by": {"org_id": "acme", "user_id": "alice"},
            "created_at": "2026-01-12T09:30:00Z",
            "updated_at": "2026-01-12T09:30:00Z",
            "revision": 17,
        }],
        "has_more": true,
        "continuation_token": 17,
        "filter_values": {"tags": ["beta:", "team:care"]},
    });
    json!({
        "operationId": "listServices",
        "tags": ["services"],
        "summary": "List services",
        "description": "The services that the caller's `Service:GetService` grants admit, filtered and sorted, a page at a time. A token \
                        names one position for good: what does not change during a walk through the pages is met exactly once. At \
                        most 50 requests a minute.",
        "parameters": parameters(listing()),
        "responses": responses(
            ("200", json_body("A page of services.", schema("ServicePage"), example)),
            &[("403", &["permission_denied"])],
        ),
    })
}

fn create_service() -> Value {
    let examples = json!({
        "least": {
            "summary": "What is required",
            "value": {
                "name": "Sleep coaching",
                "description": "Evening check-ins and a plan for the night",
                "is_active": true,
                "agent_id": "65a0c3f1e4b0a1b2c3d4e5a1",
                "service_hierarchical_state_machine_id": "65a0c3f1e4b0a1b2c3d4e5b1",
                "tags": {},
            },
        },
        "most": {
            "summary": "Everything",
            "value": {
                "name": "Sleep coaching",
                "description": "Evening check-ins and a plan for the night",
                "is_active": false,
                "agent_id": "65a0c3f1e4b0a1b2c3d4e5a1",
                "service_hierarchical_state_machine_id": "65a0c3f1e4b0a1b2c3d4e5b1",
                "tags": {"team": "care", "beta": null},
                "keyterms": ["melatonin", "sleep diary"],
                "release_version_set": {
                    "agent_version_number": 3,
                    "service_hierarchical_state_machine_version_number": 2,
                    "llm_model_preferences": {
                        "engage_user": {"llm_name": "openai_o4-mini-2025-04-16", "params": {"temperature": 0.5}},
                    },
                },
            },
        },
    });
    json!({
        "operationId": "createService",
        "tags": ["services"],
        "summary": "Create a service",
        "description": "Needs `Service:CreateService` for the service, and `Service:CreateVersionSet` for its `edge` and `release`. An \
                        inactive service may share its name with others; of active ones only one may have it. At most 20 requests a \
                        minute.",
        "parameters": parameters([]),
        "requestBody": body("CreateService", examples),
        "responses": responses(
            ("201", json_body("It was created.", schema("Created"), json!({"id": "65a0c3f1e4b0a1b2c3d4e5f6"}))),
            &[
                (
                    "400",
                    &[
                        "agent_deprecated",
                        "state_machine_deprecated",
                        "agent_has_no_versions",
                        "state_machine_has_no_versions",
                        "agent_version_not_found",
                        "state_machine_version_not_found",
                        "llm_not_supported",
                        "llm_deprecated",
                        "invalid_llm_params",
                        "service_too_large",
                    ],
                ),
                ("403", &["permission_denied"]),
                ("404", &["agent_not_found", "state_machine_not_found"]),
                ("409", &["active_name_taken"]),
                ("413", &["payload_too_large"]),
            ],
        ),
    })
}

fn update_service() -> Value {
    let examples = json!({
        "rename": {"summary": "Rename it", "value": {"name": "Night coaching"}},
        "retire": {"summary": "Take it out of use, and tag it", "value": {"is_active": false, "tags": {"retired": null}}},
        "rebind": {
            "summary": "Bind another agent to another state machine",
            "value": {
                "description": "Evening check-ins, by voice",
                "agent_id": "65a0c3f1e4b0a1b2c3d4e5a2",
                "service_hierarchical_state_machine_id": "65a0c3f1e4b0a1b2c3d4e5b2",
                "keyterms": ["melatonin"],
            },
        },
    });
    json!({
        "operationId": "updateService",
        "tags": ["services"],
        "summary": "Change a service",
        "description": "Needs `Service:UpdateService` for the service as it was and as it becomes. Tags and keyterms are replaced whole; \
                        what is null or absent stays. A request that changes nothing succeeds and leaves no trace. At most 20 requests \
                        a minute.",
        "parameters": parameters([service_id()]),
        "requestBody": body("UpdateService", examples),
        "responses": responses(
            ("200", json_body("It is now as asked for.", json!({"type": "null"}), Value::Null)),
            &[
                (
                    "400",
                    &[
                        "invalid_agent",
                        "invalid_state_machine",
                        "agent_version_not_found",
                        "state_machine_version_not_found",
                        "llm_not_supported",
                        "llm_deprecated",
                        "service_in_use",
                        "service_too_large",
                    ],
                ),
                ("403", &["permission_denied"]),
                ("404", &["service_not_found"]),
                ("409", &["active_name_taken"]),
                ("413", &["payload_too_large"]),
            ],
        ),
    })
}

fn upsert_version_set() -> Value {
    let examples = json!({
        "latest": {"summary": "Follow the latest versions", "value": {"version_set": {}}},
        "pinned": {
            "summary": "Pin versions, and prefer an LLM",
            "value": {
                "version_set": {
                    "agent_version_number": 3,
                    "service_hierarchical_state_machine_version_number": 2,
                    "llm_model_preferences": {
                        "engage_user": {
                            "llm_name": "openai_o4-mini-2025-04-16",
                            "params": {"temperature": 0.5, "reasoning": {"effort": "low"}},
                        },
                    },
                },
            },
        },
        "inline": {
            "summary": "LLM parameters as older clients give them",
            "value": {
                "version_set": {
                    "agent_version_number": null,
                    "service_hierarchical_state_machine_version_number": null,
                    "llm_model_preferences": {
                        "engage_user": {
                            "llm_name": "openai_o4-mini-2025-04-16",
                            "top_p": 0.9,
                            "temperature": 0.5,
                            "top_k": 40,
                        },
                    },
                },
            },
        },
    });
    json!({
        "operationId": "upsertVersionSet",
        "tags": ["services"],
        "summary": "Store a version set",
        "description": "Adds the version set, for which `Service:CreateVersionSet` is needed, or replaces the one of its name, for which \
                        it is `Service:UpdateVersionSet`. `edge` cannot be replaced. At most 30 requests a minute.",
        "parameters": parameters([service_id(), version_set_name()]),
        "requestBody": body("UpsertVersionSet", examples),
        "responses": responses(
            ("204", json!({"description": "It is stored."})),
            &[
                (
                    "400",
                    &[
                        "reserved_version_set",
                        "agent_version_not_found",
                        "state_machine_version_not_found",
                        "llm_not_supported",
                        "llm_deprecated",
                        "invalid_llm_params",
                        "too_many_version_sets",
                        "service_too_large",
                    ],
                ),
                ("403", &["permission_denied"]),
                ("404", &["service_not_found"]),
                ("413", &["payload_too_large"]),
            ],
        ),
    })
}

fn delete_version_set() -> Value {
    json!({
        "operationId": "deleteVersionSet",
        "tags": ["services"],
        "summary": "Remove a version set",
        "description": "Needs `Service:DeleteVersionSet`. `edge` and `release` stay, and so does what a simulation unit test uses. At \
                        most 30 requests a minute.",
        "parameters": parameters([service_id(), version_set_name()]),
        "responses": responses(
            ("204", json!({"description": "It is gone."})),
            &[
                ("400", &["reserved_version_set", "version_set_in_use"]),
                ("403", &["permission_denied"]),
                ("404", &["service_not_found", "version_set_not_found"]),
            ],
        ),
    })
}

fn sign_in() -> Value {
    let example = json!({"id_token": "eyJhbGciOi…", "expires_at": "2026-01-12T10:30:00Z"});
    json!({
        "operationId": "signInWithApiKey",
        "tags": ["users"],
        "summary": "Sign in with an API key",
        "description": "Gives a token for one of the organization's own users. Not found where the server only verifies tokens. At most \
                        5 requests a minute.",
        "security": [{"api_key": [], "api_key_id": [], "api_key_user": []}],
        "parameters": parameters(api_key_headers()),
        "responses": responses(
            ("200", json_body("Signed in.", schema("SignedIn"), example)),
            &[("404", &["not_found"])],
        ),
    })
}

fn health() -> Value {
    json!({
        "operationId": "health",
        "tags": ["operations"],
        "summary": "Whether the process runs",
        "security": [],
        "responses": {"200": json_body("It does.", schema("Health"), json!({"status": "ok"}))},
    })
}

fn readiness() -> Value {
    let all = json!({"store": "ok", "schema": "ok", "maintenance": "ok"});
    let ready = json!({"status": "ready", "checks": all, "clusters": {"eu-1": {"store": "unreachable"}}});
    let not_ready = json!({
        "status": "not ready",
        "checks": {"store": "unreachable"},
        "clusters": {"eu-1": all},
        "detail": "store: unreachable",
        "error_code": "unavailable",
    });
    json!({
        "operationId": "readiness",
        "tags": ["operations"],
        "summary": "Whether requests can be served",
        "security": [],
        "responses": {
            "200": json_body("They can: the store is reachable and its migrations are applied.", schema("Health"), ready),
            "503": json_body(
                "They cannot: the store is not ready, or it is in maintenance.",
                schema("Health"),
                not_ready,
            ),
        },
    })
}

fn metrics() -> Value {
    json!({
        "operationId": "metrics",
        "tags": ["operations"],
        "summary": "Measurements, for Prometheus",
        "security": [],
        "responses": {
            "200": {
                "description": "Measurements in Prometheus' text format.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
        },
    })
}
