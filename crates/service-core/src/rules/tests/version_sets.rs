//! Storing and removing version sets.

use super::*;
use crate::value::{OrganizationId, UserId};

fn upsert_as(
    facts: &Facts,
    name: &str,
    version_set: VersionSet,
    caller: &Caller,
) -> Result<Decision, Refusal> {
    let request = UpsertVersionSet { name: parsed(name), version_set };
    decide_upsert_version_set(facts, SERVICE, &request, caller, at(300))
}

fn upsert(facts: &Facts, name: &str, version_set: VersionSet) -> Result<Decision, Refusal> {
    upsert_as(facts, name, version_set, &admin())
}

fn delete_as(facts: &Facts, name: &str, caller: &Caller) -> Result<Decision, Refusal> {
    decide_delete_version_set(facts, SERVICE, &DeleteVersionSet { name: parsed(name) }, caller, at(300))
}

fn delete(facts: &Facts, name: &str) -> Result<Decision, Refusal> {
    delete_as(facts, name, &admin())
}

#[test]
fn upsert_adds_a_set_or_replaces_it_whole() {
    for name in ["new", "preview", "release"] {
        let changed = change(upsert(&facts(), name, set(Some(1), None)));
        assert_eq!(changed.version_sets.get(&parsed(name)), Some(&set(Some(1), None)));
        assert_eq!(changed.updated_by, admin().principal);
        assert_eq!(changed.updated_at, at(300));
    }
}

#[test]
fn upsert_needs_the_permission_to_create_or_to_update_as_the_set_is_new_or_not() {
    for (name, permission) in
        [("new", Permission::CreateVersionSet), ("preview", Permission::UpdateVersionSet)]
    {
        let refused = upsert_as(&facts(), name, set(Some(1), None), &admin_without(permission));
        assert_eq!(refused, Err(Refusal::PermissionDenied(permission)));
        let allowed = upsert_as(&facts(), name, set(Some(1), None), &caller([grant(permission, json!({}))]));
        assert!(allowed.is_ok());
    }
}

#[test]
fn permissions_can_depend_on_the_version_sets_name() {
    let previews = json!({ "version_set_name": { "type": "In", "values": ["preview", "new"] } });
    let caller = caller([
        grant(Permission::CreateVersionSet, previews.clone()),
        grant(Permission::UpdateVersionSet, previews.clone()),
        grant(Permission::DeleteVersionSet, previews),
    ]);
    assert!(upsert_as(&facts(), "new", set(Some(1), None), &caller).is_ok());
    assert!(upsert_as(&facts(), "preview", set(Some(1), None), &caller).is_ok());
    assert!(delete_as(&facts(), "preview", &caller).is_ok());
    let refused = upsert_as(&facts(), "release", set(Some(1), None), &caller);
    assert_eq!(refused, Err(Refusal::PermissionDenied(Permission::UpdateVersionSet)));
}

#[test]
fn edge_is_reserved_even_when_nothing_would_change() {
    let reserved = || Err(Refusal::ReservedVersionSet(parsed("edge")));
    assert_eq!(upsert(&facts(), "edge", VersionSet::default()), reserved());
    assert_eq!(upsert(&facts(), "edge", set(Some(9), None)), reserved());
    assert_eq!(delete(&facts(), "edge"), reserved());
    assert_eq!(delete(&facts(), "release"), Err(Refusal::ReservedVersionSet(parsed("release"))));
    let nobody = upsert_as(&facts(), "edge", VersionSet::default(), &caller([]));
    assert_eq!(nobody, Err(Refusal::PermissionDenied(Permission::UpdateVersionSet)), "permission is first");
}

#[test]
fn the_same_set_again_changes_nothing_unchecked() {
    let facts = Facts { agents: BTreeMap::new(), state_machines: BTreeMap::new(), ..facts() };
    assert_eq!(upsert(&facts, "preview", set(Some(3), None)), Ok(Decision::Unchanged));
}

#[test]
fn numbers_that_are_equal_are_the_same_set() {
    let version_sets =
        service().version_sets.with(parsed("test"), preferring("gpt", json!({ "top_p": 1 }))).unwrap();
    let facts = facts_about(Service { version_sets, ..service() });
    let again = upsert(&facts, "test", preferring("gpt", json!({ "top_p": 1.0 })));
    assert_eq!(again, Ok(Decision::Unchanged));
}

#[test]
fn the_first_rule_that_is_broken_answers() {
    let full = (3..100).fold(service().version_sets, |sets, number| {
        sets.with(parsed(&format!("set-{number}")), set(Some(1), None)).unwrap()
    });
    let mut facts = Facts {
        agents: BTreeMap::new(),
        state_machines: BTreeMap::new(),
        llms: Llms::new(),
        ..facts_about(Service { version_sets: full, ..service() })
    };
    let wanted = VersionSet {
        agent_version_number: Some(VersionNumber::new(4).unwrap()),
        state_machine_version_number: Some(VersionNumber::new(3).unwrap()),
        ..preferring("old", json!({ "temperature": -1 }))
    };
    let code = |facts: &Facts, name: &str, set: &VersionSet| {
        upsert(facts, name, set.clone()).err().map(|refusal| refusal.code())
    };
    assert_eq!(code(&facts, "new", &wanted), Some("agent_version_not_found"));
    facts.agents.insert(AGENT, versions(Some(4)));
    assert_eq!(code(&facts, "new", &wanted), Some("state_machine_version_not_found"));
    facts.state_machines.insert(MACHINE, versions(Some(3)));
    assert_eq!(code(&facts, "new", &wanted), Some("llm_not_supported"));
    facts.llms.insert(parsed("old"), Llm { deprecated: true });
    assert_eq!(code(&facts, "new", &wanted), Some("llm_deprecated"));
    facts.llms.insert(parsed("old"), Llm::default());
    assert_eq!(code(&facts, "new", &wanted), Some("invalid_llm_params"));
    let right = set(Some(4), None);
    assert_eq!(code(&facts, "new", &right), Some("too_many_version_sets"));
    assert_eq!(code(&facts, "preview", &right), None, "the hundred that are there can be replaced");
}

#[test]
fn a_set_that_makes_the_service_too_large_is_refused() {
    let sets = set_of_bytes(MAX_SERVICE_BYTES - 3000);
    let facts = facts_about(Service { version_sets: sets, ..service() });
    let large = preferring("gpt", json!({ "padding": "x".repeat(4000) }));
    assert!(matches!(upsert(&facts, "new", large), Err(Refusal::ServiceTooLarge { .. })));
    assert!(upsert(&facts, "new", preferring("gpt", json!({ "padding": "x" }))).is_ok());
}

#[test]
fn delete_removes_only_what_is_there_and_not_used() {
    let changed = change(delete(&facts(), "preview"));
    assert_eq!(changed.version_sets.get(&parsed("preview")), None);
    assert_eq!(changed.version_sets.len(), 2);
    assert_eq!(delete(&facts(), "Preview"), Err(Refusal::VersionSetNotFound(parsed("Preview"))));
    let used = Facts { tested_version_sets: [parsed("preview")].into(), ..facts() };
    assert_eq!(delete(&used, "preview"), Err(Refusal::VersionSetInUse(parsed("preview"))));
    let other = Facts { tested_version_sets: [parsed("release")].into(), ..facts() };
    assert!(delete(&other, "preview").is_ok());
}

#[test]
fn delete_needs_its_permission_before_it_says_anything_of_the_set() {
    for name in ["edge", "release", "preview", "absent"] {
        let refused = delete_as(&facts(), name, &admin_without(Permission::DeleteVersionSet));
        assert_eq!(refused, Err(Refusal::PermissionDenied(Permission::DeleteVersionSet)));
    }
}

#[test]
fn a_service_that_is_not_there_is_not_found_whatever_the_caller_may() {
    let facts = Facts { service: None, ..facts() };
    let not_found = || Err(Refusal::ServiceNotFound(SERVICE));
    assert_eq!(upsert_as(&facts, "edge", VersionSet::default(), &caller([])), not_found());
    assert_eq!(delete_as(&facts, "edge", &caller([])), not_found());
}

#[test]
fn a_service_of_the_most_bytes_still_fits_when_someone_with_a_long_name_takes_a_set_away() {
    let mut bytes = MAX_SERVICE_BYTES - 320;
    let sets = loop {
        let sets = set_of_bytes(bytes).with(parsed("none"), VersionSet::default()).unwrap();
        if (Service { version_sets: sets.clone(), ..service() }).json_bytes_at_most() <= MAX_SERVICE_BYTES {
            break sets;
        }
        bytes -= 100;
    };
    let long = Principal {
        organization: OrganizationId::new(&"o".repeat(64)).unwrap(),
        user: UserId::new(&"\u{1f600}".repeat(128)).unwrap(),
    };
    let caller = Caller { principal: long, ..admin() };
    let facts = facts_about(Service { version_sets: sets, ..service() });
    let stamped = Service { revision: Revision::MAX, ..change(delete_as(&facts, "none", &caller)) };
    assert!(stamped.json_bytes() <= MAX_SERVICE_BYTES);
}
