use serde_json::{Value, json};
use service_core::UpdateService;

use super::{at, bytes, create, faults, with, without};
use crate::wire::{decode_create, decode_update};

const FIELDS: [&str; 7] = [
    "name",
    "description",
    "is_active",
    "agent_id",
    "service_hierarchical_state_machine_id",
    "tags",
    "keyterms",
];

#[test]
fn null_and_absent_leave_everything_as_it_is() {
    let nulls: Value = FIELDS.iter().map(|&field| (field.to_owned(), Value::Null)).collect();
    assert_eq!(decode_update(b"{}"), Ok(UpdateService::default()));
    assert_eq!(decode_update(&bytes(&nulls)), Ok(UpdateService::default()));
}

#[test]
fn a_whole_body_is_read_whole() {
    let body = create();
    let update = decode_update(&bytes(&body)).unwrap();
    let create = decode_create(&bytes(&body)).unwrap();
    let expected = UpdateService {
        name: Some(create.name),
        description: Some(create.description),
        is_active: Some(create.is_active),
        agent_id: Some(create.agent_id),
        state_machine_id: Some(create.state_machine_id),
        tags: Some(create.tags),
        keyterms: Some(create.keyterms),
    };
    assert_eq!(update, expected);
}

#[test]
fn empty_tags_and_keyterms_are_not_absent_ones() {
    let update = decode_update(br#"{"tags": {}, "keyterms": []}"#).unwrap();
    assert!(update.tags.is_some_and(|tags| tags.is_empty()));
    assert!(update.keyterms.is_some_and(|keyterms| keyterms.is_empty()));
}

#[test]
fn each_field_is_checked() {
    for field in FIELDS {
        let body = with(without(create(), "/release_version_set"), &format!("/{field}"), json!(1.5));
        let faults = faults(decode_update(&bytes(&body)));
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].0, format!("body/{field}"));
        assert!(faults[0].1.ends_with("_type"), "{faults:?}");
    }
}

#[test]
fn a_release_is_no_part_of_an_update_and_ignored() {
    assert_eq!(decode_update(br#"{"release_version_set": 7}"#), Ok(UpdateService::default()));
    assert_eq!(faults(decode_update(br#"{"name": ""}"#)), at("body/name", "value_error"));
}
