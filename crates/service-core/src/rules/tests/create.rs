//! Creating a service.

use super::*;

fn request() -> CreateService {
    CreateService {
        name: parsed("Billing"),
        description: parsed("sends invoices"),
        is_active: true,
        agent_id: AGENT,
        state_machine_id: MACHINE,
        tags: Tags::default(),
        keyterms: Keyterms::default(),
        release: None,
    }
}

fn free() -> Facts {
    Facts { service: None, active_holder: None, ..facts() }
}

fn decide_as(facts: &Facts, request: &CreateService, caller: &Caller) -> Result<Draft, Refusal> {
    decide_create(facts, &parsed("acme"), request, caller, OTHER_SERVICE, at(300))
}

fn decide(facts: &Facts, request: &CreateService) -> Result<Draft, Refusal> {
    decide_as(facts, request, &admin())
}

#[test]
fn makes_the_service_that_was_asked_for() {
    let draft = decide(&free(), &request()).unwrap();
    let service = draft.service();
    assert_eq!(service.id, OTHER_SERVICE);
    assert_eq!(service.organization, parsed("acme"));
    assert_eq!(service.creator, admin().principal);
    assert_eq!(service.updated_by, admin().principal);
    assert_eq!((service.created_at, service.updated_at), (at(300), at(300)));
    assert_eq!(service.revision, Revision::ZERO);
    assert_eq!(service.version_sets, VersionSets::with_release(VersionSet::default()));
    assert_eq!(service.version_sets.get(&parsed("edge")), Some(&VersionSet::default()));
}

#[test]
fn takes_the_release_that_was_asked_for() {
    let release = set(Some(3), Some(1));
    let draft = decide(&free(), &CreateService { release: Some(release.clone()), ..request() }).unwrap();
    assert_eq!(draft.service().version_sets.get(&parsed("release")), Some(&release));
}

#[test]
fn needs_its_permissions_on_the_service_and_on_both_version_sets() {
    for missing in [Permission::CreateService, Permission::CreateVersionSet] {
        let refused = decide_as(&free(), &request(), &admin_without(missing));
        assert_eq!(refused, Err(Refusal::PermissionDenied(missing)));
    }
    for only in ["edge", "release"] {
        let only = json!({ "version_set_name": { "type": "Equals", "value": only } });
        let caller =
            caller([grant(Permission::CreateService, json!({})), grant(Permission::CreateVersionSet, only)]);
        let refused = decide_as(&free(), &request(), &caller);
        assert_eq!(refused, Err(Refusal::PermissionDenied(Permission::CreateVersionSet)));
    }
    let other_name = json!({ "name": { "type": "NotEquals", "value": "Billing" } });
    let caller = caller([
        grant(Permission::CreateService, other_name),
        grant(Permission::CreateVersionSet, json!({})),
    ]);
    let refused = decide_as(&free(), &request(), &caller);
    assert_eq!(refused, Err(Refusal::PermissionDenied(Permission::CreateService)));
}

/// Facts and a request that break one rule, and the refusal.
fn broken() -> Vec<(Facts, CreateService, Refusal)> {
    let agent = |versioned: Versioned| Facts { agents: [(AGENT, versioned)].into(), ..free() };
    let machine = |versioned: Versioned| Facts { state_machines: [(MACHINE, versioned)].into(), ..free() };
    let release = |release| CreateService { release: Some(release), ..request() };
    let deprecated = |versioned| Versioned { deprecated: true, ..versioned };
    let llm = |name: &str| BTreeSet::from([parsed(name)]);
    let params =
        |parameter, rule| Refusal::InvalidLlmParams { interaction: parsed("greeting"), parameter, rule };
    vec![
        (free(), CreateService { agent_id: NO_AGENT, ..request() }, Refusal::AgentNotFound(NO_AGENT)),
        (
            free(),
            CreateService { state_machine_id: NO_MACHINE, ..request() },
            Refusal::StateMachineNotFound(NO_MACHINE),
        ),
        (agent(deprecated(versions(Some(3)))), request(), Refusal::AgentDeprecated(AGENT)),
        (machine(deprecated(versions(Some(3)))), request(), Refusal::StateMachineDeprecated(MACHINE)),
        (agent(versions(None)), request(), Refusal::AgentHasNoVersions(AGENT)),
        (machine(versions(None)), request(), Refusal::StateMachineHasNoVersions(MACHINE)),
        (
            free(),
            release(set(Some(4), None)),
            Refusal::AgentVersionNotFound {
                agent: AGENT,
                pins: vec![(parsed("release"), VersionNumber::new(4).unwrap())],
            },
        ),
        (
            free(),
            release(set(None, Some(3))),
            Refusal::StateMachineVersionNotFound {
                state_machine: MACHINE,
                pins: vec![(parsed("release"), VersionNumber::new(3).unwrap())],
            },
        ),
        (free(), release(preferring("new", json!({}))), Refusal::LlmNotSupported(llm("new"))),
        (free(), release(preferring("old", json!({}))), Refusal::LlmDeprecated(llm("old"))),
        (
            free(),
            release(preferring("gpt", json!({ "top_p": 1.01 }))),
            params("top_p", "must be a number from 0 to 1"),
        ),
    ]
}

#[test]
fn each_rule_refuses_what_breaks_it() {
    for (facts, request, refusal) in broken() {
        assert_eq!(decide(&facts, &request), Err(refusal));
    }
}

/// Every rule from here on in the order in which they answer, each broken as well as all that come after it.
#[test]
fn the_first_rule_that_is_broken_answers() {
    let many: BTreeMap<_, _> = (0..100)
        .map(|number| {
            let params = json!({ "top_k": 0, "padding": "x".repeat(4000) });
            let config = json!({ "llm_name": "old", "params": params });
            (parsed(&number.to_string()), serde_json::from_value(config).unwrap())
        })
        .collect();
    let mut release = set(Some(4), Some(3));
    release.llm_model_preferences = LlmPreferences::new(many.clone()).unwrap();
    let mut request = CreateService { release: Some(release), ..request() };
    let nothing = Versioned { deprecated: true, ..versions(None) };
    let mut facts = Facts {
        active_holder: Some(SERVICE),
        agents: BTreeMap::new(),
        state_machines: BTreeMap::new(),
        llms: Llms::new(),
        ..free()
    };
    let code = |facts: &Facts, request: &CreateService, caller: &Caller| {
        decide_as(facts, request, caller).unwrap_err().code()
    };
    assert_eq!(code(&facts, &request, &caller([])), "permission_denied");
    assert_eq!(code(&facts, &request, &admin()), "agent_not_found");
    facts.agents.insert(AGENT, nothing.clone());
    assert_eq!(code(&facts, &request, &admin()), "state_machine_not_found");
    facts.state_machines.insert(MACHINE, nothing);
    assert_eq!(code(&facts, &request, &admin()), "agent_deprecated");
    facts.agents.insert(AGENT, versions(None));
    assert_eq!(code(&facts, &request, &admin()), "state_machine_deprecated");
    facts.state_machines.insert(MACHINE, versions(None));
    assert_eq!(code(&facts, &request, &admin()), "agent_has_no_versions");
    facts.agents.insert(AGENT, versions(Some(3)));
    assert_eq!(code(&facts, &request, &admin()), "state_machine_has_no_versions");
    facts.state_machines.insert(MACHINE, versions(Some(2)));
    assert_eq!(code(&facts, &request, &admin()), "agent_version_not_found");
    facts.agents.insert(AGENT, versions(Some(4)));
    assert_eq!(code(&facts, &request, &admin()), "state_machine_version_not_found");
    facts.state_machines.insert(MACHINE, versions(Some(3)));
    assert_eq!(code(&facts, &request, &admin()), "llm_not_supported");
    facts.llms.insert(parsed("old"), Llm { deprecated: true });
    assert_eq!(code(&facts, &request, &admin()), "llm_deprecated");
    facts.llms.insert(parsed("old"), Llm::default());
    assert_eq!(code(&facts, &request, &admin()), "invalid_llm_params");
    let right: BTreeMap<_, _> = many
        .into_iter()
        .map(|(name, config): (_, LlmConfig)| {
            let mut params = Map::from(config.params);
            params.remove("top_k");
            let params = crate::value::LlmParams::new(params).unwrap();
            (name, LlmConfig { params, llm_name: config.llm_name })
        })
        .collect();
    request.release.as_mut().unwrap().llm_model_preferences = LlmPreferences::new(right).unwrap();
    assert_eq!(code(&facts, &request, &admin()), "service_too_large");
    request.release = None;
    assert_eq!(code(&facts, &request, &admin()), "active_name_taken");
    request.is_active = false;
    assert!(decide(&facts, &request).is_ok(), "inactive services may share names with anything");
}

#[test]
fn both_entities_are_looked_for_before_either_is_judged() {
    let request = CreateService { state_machine_id: NO_MACHINE, ..request() };
    let agents = [(AGENT, Versioned { deprecated: true, ..versions(None) })].into();
    let refused = decide(&Facts { agents, ..free() }, &request);
    assert_eq!(refused, Err(Refusal::StateMachineNotFound(NO_MACHINE)));
}

#[test]
fn known_parameters_of_llms_have_bounds_and_others_are_free() {
    let obeys = [
        json!({ "top_p": 0 }),
        json!({ "top_p": 1 }),
        json!({ "top_p": 0.5, "temperature": 2.0, "top_k": 1 }),
        json!({ "temperature": 0 }),
        json!({ "top_k": u64::MAX }),
        json!({ "Top_P": "high", "max_tokens": -1 }),
    ];
    let breaks = [
        ("top_p", json!({ "top_p": -0.001 })),
        ("top_p", json!({ "top_p": "1" })),
        ("top_p", json!({ "top_p": true })),
        ("top_p", json!({ "top_p": null })),
        ("temperature", json!({ "temperature": 2.001 })),
        ("temperature", json!({ "temperature": [1] })),
        ("top_k", json!({ "top_k": 0 })),
        ("top_k", json!({ "top_k": -1 })),
        ("top_k", json!({ "top_k": 1.5 })),
        ("top_k", json!({ "top_k": "1" })),
    ];
    let with = |params: &serde_json::Value| CreateService {
        release: Some(preferring("gpt", params.clone())),
        ..request()
    };
    for params in obeys {
        assert!(decide(&free(), &with(&params)).is_ok(), "{params}");
    }
    for (at_fault, params) in breaks {
        let refused = decide(&free(), &with(&params));
        assert!(
            matches!(&refused, Err(Refusal::InvalidLlmParams { parameter, .. }) if *parameter == at_fault),
            "{params}: {refused:?}"
        );
    }
}
