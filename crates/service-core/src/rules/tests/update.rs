//! Changing a service.

use super::*;

fn nothing() -> UpdateService {
    UpdateService::default()
}

fn decide(facts: &Facts, request: &UpdateService) -> Result<Decision, Refusal> {
    decide_update(facts, SERVICE, request, &admin(), at(300))
}

#[test]
fn changes_what_is_given_and_notes_who_and_when() {
    let request = UpdateService { name: Some(parsed("Reception")), ..nothing() };
    let free = Facts { active_holder: None, ..facts() };
    let expected = Service {
        name: parsed("Reception"),
        updated_by: admin().principal,
        updated_at: at(300),
        ..service()
    };
    assert_eq!(change(decide(&free, &request)), expected);
}

#[test]
fn replaces_tags_whole() {
    let tags = Tags::new([(parsed("room"), None)]).unwrap();
    let changed = change(decide(&facts(), &UpdateService { tags: Some(tags.clone()), ..nothing() }));
    assert_eq!(changed.tags, tags);
}

#[test]
fn a_clock_that_runs_backwards_does_not_make_the_service_older() {
    let request = UpdateService { is_active: Some(false), ..nothing() };
    let changed = change(decide_update(&facts(), SERVICE, &request, &admin(), at(1)));
    assert_eq!(changed.updated_at, at(200));
}

#[test]
fn a_service_that_is_not_there_is_not_found_whatever_the_caller_may() {
    let facts = Facts { service: None, ..facts() };
    let refused = decide_update(&facts, SERVICE, &nothing(), &caller([]), at(300));
    assert_eq!(refused, Err(Refusal::ServiceNotFound(SERVICE)));
}

#[test]
fn needs_permission_on_the_service_as_it_was_and_as_it_would_become() {
    let on = |name: &str| {
        let condition = json!({ "name": { "type": "Equals", "value": name } });
        caller([grant(Permission::UpdateService, condition)])
    };
    let free = Facts { active_holder: None, ..facts() };
    let request = UpdateService { name: Some(parsed("Reception")), ..nothing() };
    for one in ["Intake", "Reception"] {
        let refused = decide_update(&free, SERVICE, &request, &on(one), at(300));
        assert_eq!(refused, Err(Refusal::PermissionDenied(Permission::UpdateService)), "{one}");
    }
    let both = json!({ "name": { "type": "In", "values": ["Intake", "Reception"] } });
    let both = caller([grant(Permission::UpdateService, both)]);
    assert!(decide_update(&free, SERVICE, &request, &both, at(300)).is_ok());
}

#[test]
fn saying_the_same_again_changes_nothing_even_where_other_rules_are_broken_by_now() {
    let same = UpdateService {
        name: Some(parsed(" Intake ")),
        is_active: Some(true),
        agent_id: Some(AGENT),
        tags: Some(service().tags),
        ..nothing()
    };
    let facts = Facts {
        agents: BTreeMap::new(),
        state_machines: BTreeMap::new(),
        active_holder: Some(OTHER_SERVICE),
        ..facts()
    };
    assert_eq!(decide(&facts, &same), Ok(Decision::Unchanged));
    assert_eq!(decide(&facts, &nothing()), Ok(Decision::Unchanged));
    let refused = decide_update(&facts, SERVICE, &same, &caller([]), at(300));
    assert_eq!(refused, Err(Refusal::PermissionDenied(Permission::UpdateService)), "permission is first");
}

#[test]
fn a_newly_chosen_agent_must_be_usable_and_have_every_pinned_version() {
    let request = UpdateService { agent_id: Some(OTHER_AGENT), ..nothing() };
    assert_eq!(change(decide(&facts(), &request)).agent_id, OTHER_AGENT);
    let with = |versioned: Option<Versioned>| {
        let mut facts = facts();
        facts.agents.remove(&OTHER_AGENT);
        facts.agents.extend(versioned.map(|versioned| (OTHER_AGENT, versioned)));
        decide(&facts, &request)
    };
    let unusable = [None, Some(versions(None)), Some(Versioned { deprecated: true, ..versions(Some(3)) })];
    for versioned in unusable {
        assert_eq!(with(versioned), Err(Refusal::InvalidAgent(OTHER_AGENT)));
    }
    let pins = [("preview", 3), ("release", 2)]
        .map(|(name, number)| (parsed(name), VersionNumber::new(number).unwrap()));
    let refusal = Refusal::AgentVersionNotFound { agent: OTHER_AGENT, pins: pins.to_vec() };
    assert_eq!(with(Some(versions(Some(1)))), Err(refusal));
}

#[test]
fn a_newly_chosen_state_machine_must_be_usable_and_have_every_pinned_version() {
    let request = UpdateService { state_machine_id: Some(OTHER_MACHINE), ..nothing() };
    assert_eq!(change(decide(&facts(), &request)).state_machine_id, OTHER_MACHINE);
    let with = |versioned: Option<Versioned>| {
        let mut facts = facts();
        facts.state_machines.remove(&OTHER_MACHINE);
        facts.state_machines.extend(versioned.map(|versioned| (OTHER_MACHINE, versioned)));
        decide(&facts, &request)
    };
    let unusable = [None, Some(versions(None)), Some(Versioned { deprecated: true, ..versions(Some(2)) })];
    for versioned in unusable {
        assert_eq!(with(versioned), Err(Refusal::InvalidStateMachine(OTHER_MACHINE)));
    }
    let pins = vec![(parsed("release"), VersionNumber::new(2).unwrap())];
    let refusal = Refusal::StateMachineVersionNotFound { state_machine: OTHER_MACHINE, pins };
    assert_eq!(with(Some(versions(Some(1)))), Err(refusal));
}

#[test]
fn what_a_service_has_chosen_already_may_be_deprecated_meanwhile() {
    let mut facts = facts();
    facts.agents.insert(AGENT, Versioned { deprecated: true, ..versions(Some(3)) });
    facts.state_machines.insert(MACHINE, Versioned { deprecated: true, ..versions(Some(2)) });
    let request = UpdateService { description: Some(parsed("new")), ..nothing() };
    assert!(decide(&facts, &request).is_ok());
    let off = UpdateService { is_active: Some(false), ..nothing() };
    assert!(decide(&facts, &off).is_ok());
}

#[test]
fn activation_needs_usable_entities_usable_llms_and_a_free_name() {
    let on = UpdateService { is_active: Some(true), ..nothing() };
    assert!(change(decide(&inactive(), &on)).is_active);
    let taken = Facts { active_holder: Some(OTHER_SERVICE), ..inactive() };
    assert_eq!(decide(&taken, &on), Err(Refusal::ActiveNameTaken(parsed("Intake"))));

    let mut facts = inactive();
    facts.agents.insert(AGENT, Versioned { deprecated: true, ..versions(Some(3)) });
    assert_eq!(decide(&facts, &on), Err(Refusal::InvalidAgent(AGENT)));
    let mut facts = inactive();
    facts.state_machines.insert(MACHINE, Versioned { deprecated: true, ..versions(Some(2)) });
    assert_eq!(decide(&facts, &on), Err(Refusal::InvalidStateMachine(MACHINE)));

    let with = |llm: &str| {
        let version_sets = service().version_sets.with(parsed("test"), preferring(llm, json!({}))).unwrap();
        facts_about(Service { version_sets, is_active: false, ..service() })
    };
    assert!(decide(&with("gpt"), &on).is_ok());
    assert_eq!(decide(&with("new"), &on), Err(Refusal::LlmNotSupported([parsed("new")].into())));
    assert_eq!(decide(&with("old"), &on), Err(Refusal::LlmDeprecated([parsed("old")].into())));
}

#[test]
fn the_llms_of_a_service_that_stays_active_are_not_looked_at() {
    let version_sets = service().version_sets.with(parsed("test"), preferring("old", json!({}))).unwrap();
    let facts = facts_about(Service { version_sets, ..service() });
    assert!(decide(&facts, &UpdateService { description: Some(parsed("new")), ..nothing() }).is_ok());
}

#[test]
fn only_an_active_service_needs_its_name_for_itself() {
    let request = UpdateService { name: Some(parsed("Reception")), ..nothing() };
    let taken = |facts| Facts { active_holder: Some(OTHER_SERVICE), ..facts };
    assert_eq!(decide(&taken(facts()), &request), Err(Refusal::ActiveNameTaken(parsed("Reception"))));
    assert!(decide(&taken(inactive()), &request).is_ok());
    let and_off = UpdateService { is_active: Some(false), ..request };
    assert!(decide(&taken(facts()), &and_off).is_ok());
}

#[test]
fn a_service_that_a_live_test_uses_stays_active() {
    let used = Facts { tested_version_sets: [parsed("release")].into(), ..facts() };
    let off = UpdateService { is_active: Some(false), ..nothing() };
    assert_eq!(decide(&used, &off), Err(Refusal::ServiceInUse(SERVICE)));
    assert!(!change(decide(&facts(), &off)).is_active);
    assert!(decide(&used, &UpdateService { description: Some(parsed("new")), ..nothing() }).is_ok());
}

#[test]
fn the_first_rule_that_is_broken_answers() {
    let bulky = (0..65).fold(service().version_sets, |sets, number| {
        let set = preferring("old", json!({ "padding": "x".repeat(4000) }));
        sets.with(parsed(&format!("set-{number}")), set).unwrap()
    });
    let service = Service { version_sets: bulky, is_active: false, ..service() };
    let mut facts = Facts {
        agents: BTreeMap::new(),
        state_machines: BTreeMap::new(),
        llms: Llms::new(),
        active_holder: Some(OTHER_SERVICE),
        ..facts_about(service)
    };
    let request = UpdateService {
        is_active: Some(true),
        agent_id: Some(OTHER_AGENT),
        state_machine_id: Some(OTHER_MACHINE),
        ..nothing()
    };
    let code = |facts: &Facts| decide(facts, &request).unwrap_err().code();
    assert_eq!(code(&facts), "invalid_agent");
    facts.agents.insert(OTHER_AGENT, versions(Some(1)));
    assert_eq!(code(&facts), "invalid_state_machine");
    facts.state_machines.insert(OTHER_MACHINE, versions(Some(1)));
    assert_eq!(code(&facts), "agent_version_not_found");
    facts.agents.insert(OTHER_AGENT, versions(Some(3)));
    assert_eq!(code(&facts), "state_machine_version_not_found");
    facts.state_machines.insert(OTHER_MACHINE, versions(Some(2)));
    assert_eq!(code(&facts), "llm_not_supported");
    facts.llms.insert(parsed("old"), Llm { deprecated: true });
    assert_eq!(code(&facts), "llm_deprecated");
    facts.llms.insert(parsed("old"), Llm::default());
    assert_eq!(code(&facts), "active_name_taken");
    facts.active_holder = None;
    assert_eq!(code(&facts), "service_too_large");
}

#[test]
fn being_used_is_said_before_being_too_large() {
    let filler = |bytes: usize| set_of_bytes(bytes);
    let sets = filler(crate::service::MAX_SERVICE_BYTES - 1000);
    let service = Service { version_sets: sets, ..service() };
    let used = Facts { tested_version_sets: [parsed("release")].into(), ..facts_about(service.clone()) };
    let request =
        UpdateService { is_active: Some(false), description: Some(description_of(4096)), ..nothing() };
    assert_eq!(decide(&used, &request), Err(Refusal::ServiceInUse(SERVICE)));
    let unused = facts_about(service);
    assert!(matches!(decide(&unused, &request), Err(Refusal::ServiceTooLarge { .. })));
}
