//! The operations on an organization: what each path answers to.

use serde_json::{Value, json};

use super::answers::{header, json_body, responses, responses_to_key};
use super::examples;
use super::parameters::{
    api_key_headers, common_headers, listing, organization, service_id, version_set_name,
};
use super::schemas::schema;

/// Their paths.
pub(super) fn paths() -> [(&'static str, Value); 4] {
    [
        ("/v1/{organization}/service/", json!({"get": list_services(), "post": create_service()})),
        ("/v1/{organization}/service/{service_id}/", json!({"post": update_service()})),
        (
            "/v1/{organization}/service/{service_id}/version_sets/{version_set_name}/",
            json!({"put": upsert_version_set(), "delete": delete_version_set()}),
        ),
        ("/v1/{organization}/user/signin_with_api_key", json!({"post": sign_in()})),
    ]
}

fn parameters<const N: usize>(of_operation: [Value; N]) -> Vec<Value> {
    [organization()].into_iter().chain(of_operation).chain(common_headers()).collect()
}

fn body(operation: &str, name: &str) -> Value {
    let content = json!({"schema": schema(name), "examples": examples::requests(operation)});
    json!({"required": true, "content": {"application/json": content}})
}

/// A success, and what can be asked for next.
fn linked<const N: usize>(mut answer: Value, links: [(&str, Value); N]) -> Value {
    if let Some(answer) = answer.as_object_mut() {
        let links = links.into_iter().map(|(name, link)| (name.to_owned(), link)).collect();
        answer.insert("links".to_owned(), Value::Object(links));
    }
    answer
}

/// What an operation on the service that an answer or a request names is given.
fn link(operation: &str, description: &str, parameters: &[(&str, &str)]) -> Value {
    let parameters = [("path.organization", "$request.path.organization")].iter().chain(parameters);
    let parameters = parameters.map(|&(name, value)| (name.to_owned(), value.into())).collect();
    json!({"operationId": operation, "description": description, "parameters": Value::Object(parameters)})
}

fn list_services() -> Value {
    json!({
        "operationId": "listServices",
        "tags": ["services"],
        "summary": "List services",
        "description": "The services that the caller's `Service:GetService` grants admit, filtered and sorted, a page at a time. A token \
                        names one position for good: what does not change during a walk through the pages is met exactly once. At \
                        most 50 requests a minute.",
        "parameters": parameters(listing()),
        "responses": responses(
            "listServices",
            (
                "200",
                linked(
                    json_body("listServices", "200", "A page of services.", schema("ServicePage")),
                    [("next", link(
                        "listServices",
                        "The next page, where there is one.",
                        &[("query.continuation_token", "$response.body#/continuation_token")],
                    ))],
                ),
            ),
            &[("403", &["permission_denied"])],
        ),
    })
}

fn create_service() -> Value {
    json!({
        "operationId": "createService",
        "tags": ["services"],
        "summary": "Create a service",
        "description": "Needs `Service:CreateService` for the service, and `Service:CreateVersionSet` for its `edge` and `release`. An \
                        inactive service may share its name with others; of active ones only one may have it. At most 20 requests a \
                        minute.",
        "parameters": parameters([]),
        "requestBody": body("createService", "CreateService"),
        "responses": responses(
            "createService",
            ("201", linked(json_body("createService", "201", "It was created.", schema("Created")), of_created())),
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

/// What can be asked of a service once it is created.
fn of_created() -> [(&'static str, Value); 4] {
    let service = ("path.service_id", "$response.body#/id");
    [
        ("find", link("listServices", "The service in a listing.", &[("query.id", "$response.body#/id")])),
        ("update", link("updateService", "Changes the service.", &[service])),
        ("store", link("upsertVersionSet", "Stores a version set of the service.", &[service])),
        ("remove", link("deleteVersionSet", "Removes a version set of the service.", &[service])),
    ]
}

/// Removes the version set that a request names.
fn of_version_set() -> Value {
    let parameters = [
        ("path.service_id", "$request.path.service_id"),
        ("path.version_set_name", "$request.path.version_set_name"),
    ];
    link("deleteVersionSet", "Removes the version set.", &parameters)
}

fn update_service() -> Value {
    json!({
        "operationId": "updateService",
        "tags": ["services"],
        "summary": "Change a service",
        "description": "Needs `Service:UpdateService` for the service as it was and as it becomes. Tags and keyterms are replaced whole; \
                        what is null or absent stays. A request that changes nothing succeeds and leaves no trace. At most 20 requests \
                        a minute.",
        "parameters": parameters([service_id()]),
        "requestBody": body("updateService", "UpdateService"),
        "responses": responses(
            "updateService",
            ("200", json_body("updateService", "200", "It is now as asked for.", json!({"type": "null"}))),
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
    json!({
        "operationId": "upsertVersionSet",
        "tags": ["services"],
        "summary": "Store a version set",
        "description": "Adds the version set, for which `Service:CreateVersionSet` is needed, or replaces the one of its name, for which \
                        it is `Service:UpdateVersionSet`. `edge` cannot be replaced. At most 30 requests a minute.",
        "parameters": parameters([service_id(), version_set_name()]),
        "requestBody": body("upsertVersionSet", "UpsertVersionSet"),
        "responses": responses(
            "upsertVersionSet",
            ("204", linked(json!({"description": "It is stored."}), [("delete", of_version_set())])),
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
            "deleteVersionSet",
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
    let mut signed_in = json_body("signInWithApiKey", "200", "Signed in.", schema("SignedIn"));
    if let Some(answer) = signed_in.as_object_mut() {
        answer.insert("headers".to_owned(), json!({"Cache-Control": header("Cache-Control")}));
    }
    json!({
        "operationId": "signInWithApiKey",
        "tags": ["users"],
        "summary": "Sign in with an API key",
        "description": "Gives a token for one of the organization's own users. Not found where the server only verifies tokens. At most \
                        5 requests a minute.",
        "security": [],
        "parameters": parameters(api_key_headers()),
        "responses": responses_to_key("signInWithApiKey", ("200", signed_in), &[("404", &["not_found"])]),
    })
}
