use std::sync::Arc;

use serde_json::{Value, json};
use service_core::{
    ContinuationToken, Page, Principal, Revision, Service, TagFacet, TagFacets, Timestamp, VersionSets,
};

use super::{bytes, create};
use crate::invalid::{Invalid, kind};
use crate::wire::{Created, Problem, ServicePage, SignedIn, decode_create};

fn service() -> Service {
    let create = decode_create(&bytes(&create())).unwrap();
    let principal = |organization: &str, user: &str| Principal {
        organization: organization.parse().unwrap(),
        user: user.parse().unwrap(),
    };
    Service {
        id: "65a0c3f1e4b0a1b2c3d4e5f6".parse().unwrap(),
        organization: "acme".parse().unwrap(),
        name: create.name,
        description: create.description,
        is_active: create.is_active,
        agent_id: create.agent_id,
        state_machine_id: create.state_machine_id,
        tags: create.tags,
        keyterms: create.keyterms,
        version_sets: VersionSets::with_release(create.release.unwrap()),
        creator: principal("acme", "alice"),
        updated_by: principal("partner", "bob"),
        created_at: Timestamp::from_microseconds(1_768_210_200_000_000).unwrap(),
        updated_at: Timestamp::from_microseconds(1_768_210_200_250_000).unwrap(),
        revision: Revision::new(17).unwrap(),
    }
}

/// The page that a client sees.
fn page(page: &Page) -> Value {
    serde_json::to_value(ServicePage::from(page)).unwrap()
}

#[test]
fn a_service_is_written_as_the_api_says() {
    let service = Arc::new(service());
    let next = Some(ContinuationToken::after(service.revision));
    let facets = Some(TagFacets::of([
        TagFacet { key: "beta".parse().unwrap(), value: None },
        TagFacet { key: "team".parse().unwrap(), value: Some("care".parse().unwrap()) },
    ]));
    let expected = json!({
        "services": [{
            "id": "65a0c3f1e4b0a1b2c3d4e5f6",
            "name": "Coach",
            "description": "helps",
            "is_active": true,
            "agent_id": "65a0c3f1e4b0a1b2c3d4e5a1",
            "service_hierarchical_state_machine_id": "65a0c3f1e4b0a1b2c3d4e5b1",
            "tags": [{"key": "beta", "value": null}, {"key": "team", "value": "care"}],
            "keyterms": ["melatonin", "sleep diary"],
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
                        "engage": {
                            "llm_name": "some-llm",
                            "params": {"temperature": 0.5},
                            "top_p": 1,
                            "temperature": 0.5,
                            "top_k": 1,
                        },
                    },
                },
            },
            "creator": {"org_id": "acme", "user_id": "alice"},
            "updated_by": {"org_id": "partner", "user_id": "bob"},
            "created_at": "2026-01-12T09:30:00Z",
            "updated_at": "2026-01-12T09:30:00.25Z",
            "revision": 17,
        }],
        "has_more": true,
        "continuation_token": 17,
        "filter_values": {"tags": ["beta:", "team:care"]},
    });
    assert_eq!(page(&Page { services: vec![service], next, facets }), expected);
}

#[test]
fn the_last_page_has_no_token_and_a_later_one_no_filter_values() {
    let expected =
        json!({"services": [], "has_more": false, "continuation_token": null, "filter_values": null});
    assert_eq!(page(&Page::default()), expected);
}

#[test]
fn truncated_is_there_only_when_it_is_so() {
    let facets = |truncated| Some(TagFacets { truncated, ..TagFacets::default() });
    let filter_values =
        |truncated| page(&Page { facets: facets(truncated), ..Page::default() })["filter_values"].clone();
    assert_eq!(filter_values(false), json!({"tags": []}));
    assert_eq!(filter_values(true), json!({"tags": [], "truncated": true}));
}

#[test]
fn the_small_answers_are_written_as_the_api_says() {
    let id = service().id;
    assert_eq!(serde_json::to_value(Created { id }).unwrap(), json!({"id": "65a0c3f1e4b0a1b2c3d4e5f6"}));
    let signed_in = SignedIn { id_token: "a.b.c".to_owned(), expires_at: Timestamp::UNIX_EPOCH };
    assert_eq!(
        serde_json::to_value(signed_in).unwrap(),
        json!({"id_token": "a.b.c", "expires_at": "1970-01-01T00:00:00Z"})
    );
}

#[test]
fn a_problem_is_a_sentence_or_the_fields_at_fault() {
    assert_eq!(
        serde_json::to_value(Problem::new("not_found", "there is nothing here")).unwrap(),
        json!({"detail": "there is nothing here", "error_code": "not_found"})
    );
    let invalid = Invalid::at(["query", "limit"], "limit must be an integer", kind::INTEGER_TYPE);
    assert_eq!(
        serde_json::to_value(Problem::from(invalid)).unwrap(),
        json!({
            "detail": [{"loc": ["query", "limit"], "msg": "limit must be an integer", "type": "integer_type"}],
            "error_code": "validation_failed",
        })
    );
}
