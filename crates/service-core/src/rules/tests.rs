//! Each rule of each operation: a request that obeys it, one that breaks it, and which of two broken rules answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::catalog::Llm;
use crate::permission::Grant;
use crate::value::{CatalogRevision, Description, Keyterms, LlmPreferences, Revision, Tags, VersionSets};

/// An agent with three versions, and a state machine with two.
const AGENT: AgentId = AgentId::from_bytes([0xa1; 12]);
const MACHINE: StateMachineId = StateMachineId::from_bytes([0xb1; 12]);
/// Others, as usable.
const OTHER_AGENT: AgentId = AgentId::from_bytes([0xa2; 12]);
const OTHER_MACHINE: StateMachineId = StateMachineId::from_bytes([0xb2; 12]);
/// Not in the catalog.
const NO_AGENT: AgentId = AgentId::from_bytes([0xa9; 12]);
const NO_MACHINE: StateMachineId = StateMachineId::from_bytes([0xb9; 12]);

const SERVICE: ServiceId = ServiceId::from_bytes([1; 12]);
const OTHER_SERVICE: ServiceId = ServiceId::from_bytes([2; 12]);

fn parsed<T: std::str::FromStr<Err = crate::value::ValueError>>(text: &str) -> T {
    text.parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_microseconds(second * 1_000_000).unwrap()
}

fn versions(latest: Option<i64>) -> Versioned {
    Versioned {
        latest_version: latest.map(|latest| VersionNumber::new(latest).unwrap()),
        ..Versioned::default()
    }
}

fn grant(permission: Permission, conditions: serde_json::Value) -> Grant {
    serde_json::from_value(json!({ "permission_name": permission.name(), "conditions": conditions })).unwrap()
}

fn caller(grants: impl IntoIterator<Item = Grant>) -> Caller {
    let principal = Principal { organization: parsed("partner"), user: parsed("bob") };
    Caller { principal, grants: Grants::new(grants).unwrap() }
}

const ALL: [Permission; 6] = [
    Permission::GetService,
    Permission::CreateService,
    Permission::UpdateService,
    Permission::CreateVersionSet,
    Permission::UpdateVersionSet,
    Permission::DeleteVersionSet,
];

fn admin() -> Caller {
    caller(ALL.map(|permission| grant(permission, json!({}))))
}

fn admin_without(permission: Permission) -> Caller {
    caller(ALL.into_iter().filter(|&other| other != permission).map(|other| grant(other, json!({}))))
}

fn set(agent: Option<i64>, machine: Option<i64>) -> VersionSet {
    VersionSet {
        agent_version_number: agent.map(|number| VersionNumber::new(number).unwrap()),
        state_machine_version_number: machine.map(|number| VersionNumber::new(number).unwrap()),
        llm_model_preferences: LlmPreferences::default(),
    }
}

fn preferring(llm: &str, params: serde_json::Value) -> VersionSet {
    serde_json::from_value(
        json!({ "llm_model_preferences": { "greeting": { "llm_name": llm, "params": params } } }),
    )
    .unwrap()
}

fn description_of(characters: usize) -> Description {
    parsed(&"d".repeat(characters))
}

/// A service, active, with the version set `preview` beside `edge` and `release`.
fn service() -> Service {
    let alice = Principal { organization: parsed("acme"), user: parsed("alice") };
    Service {
        id: SERVICE,
        organization: parsed("acme"),
        name: parsed("Intake"),
        description: parsed("asks questions"),
        is_active: true,
        agent_id: AGENT,
        state_machine_id: MACHINE,
        tags: Tags::new([(parsed("team"), Some(parsed("red")))]).unwrap(),
        keyterms: Keyterms::default(),
        version_sets: VersionSets::with_release(set(Some(2), Some(2)))
            .with(parsed("preview"), set(Some(3), None))
            .unwrap(),
        creator: alice.clone(),
        updated_by: alice,
        created_at: at(100),
        updated_at: at(200),
        revision: Revision::new(7).unwrap(),
    }
}

fn facts() -> Facts {
    let deprecated = Llm { deprecated: true };
    Facts {
        service: Some(Arc::new(service())),
        active_holder: Some(SERVICE),
        agents: BTreeMap::from([(AGENT, versions(Some(3))), (OTHER_AGENT, versions(Some(3)))]),
        state_machines: BTreeMap::from([(MACHINE, versions(Some(2))), (OTHER_MACHINE, versions(Some(2)))]),
        llms: Llms::from([(parsed("gpt"), Llm::default()), (parsed("old"), deprecated)]),
        tested_version_sets: BTreeSet::new(),
        catalog_revision: CatalogRevision::new(3).unwrap(),
    }
}

fn facts_about(service: Service) -> Facts {
    Facts { active_holder: service.is_active.then_some(SERVICE), service: Some(Arc::new(service)), ..facts() }
}

fn inactive() -> Facts {
    facts_about(Service { is_active: false, ..service() })
}

/// The change that a decision asks for.
fn change(decision: Result<Decision, Refusal>) -> Service {
    match decision.unwrap() {
        Decision::Change(draft) => draft.service().clone(),
        Decision::Unchanged => panic!("nothing to change"),
    }
}

mod create {
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
            let caller = caller([
                grant(Permission::CreateService, json!({})),
                grant(Permission::CreateVersionSet, only),
            ]);
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
        let machine =
            |versioned: Versioned| Facts { state_machines: [(MACHINE, versioned)].into(), ..free() };
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
                let mut params = config.params.as_object().clone();
                params.remove("top_k");
                let params = crate::value::LlmParams::new(params).unwrap();
                (name, LlmConfig { params, ..config })
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
}

mod update {
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
        let unusable =
            [None, Some(versions(None)), Some(Versioned { deprecated: true, ..versions(Some(3)) })];
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
        let unusable =
            [None, Some(versions(None)), Some(Versioned { deprecated: true, ..versions(Some(2)) })];
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
            let version_sets =
                service().version_sets.with(parsed("test"), preferring(llm, json!({}))).unwrap();
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
}

/// Version sets with which [`service`] has about so many bytes.
fn set_of_bytes(bytes: usize) -> VersionSets {
    let mut sets = VersionSets::with_release(VersionSet::default());
    let mut number = 0;
    loop {
        let missing = bytes - Service { version_sets: sets.clone(), ..service() }.json_bytes();
        if missing < 300 {
            return sets;
        }
        let padding = "x".repeat((missing - 200).min(4000));
        let set = preferring("gpt", json!({ "padding": padding }));
        sets = sets.with(parsed(&format!("set-{number}")), set).unwrap();
        number += 1;
    }
}

#[test]
fn a_service_of_exactly_the_most_bytes_fits() {
    let almost = Service { version_sets: set_of_bytes(MAX_SERVICE_BYTES - 2000), ..service() };
    let missing = MAX_SERVICE_BYTES - almost.json_bytes() + almost.description.as_str().len();
    let fit = |characters: usize| {
        let request =
            UpdateService { description: Some(description_of(characters)), ..UpdateService::default() };
        decide_update(&facts_about(almost.clone()), SERVICE, &request, &as_alice(), at(200))
    };
    assert_eq!(change(fit(missing)).json_bytes(), MAX_SERVICE_BYTES);
    assert_eq!(fit(missing + 1), Err(Refusal::ServiceTooLarge { bytes: MAX_SERVICE_BYTES + 1 }));
}

fn as_alice() -> Caller {
    Caller { principal: service().updated_by, ..admin() }
}

mod version_sets {
    use super::*;

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
            let allowed =
                upsert_as(&facts(), name, set(Some(1), None), &caller([grant(permission, json!({}))]));
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
        assert_eq!(
            nobody,
            Err(Refusal::PermissionDenied(Permission::UpdateVersionSet)),
            "permission is first"
        );
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
}
