//! Each rule of each operation: a request that obeys it, one that breaks it, and which of two broken rules answers.

mod create;
mod update;
mod version_sets;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, json};

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

/// Version sets with which [`service`] has about so many bytes.
fn set_of_bytes(bytes: usize) -> VersionSets {
    let mut sets = VersionSets::with_release(VersionSet::default());
    let mut number = 0;
    loop {
        let missing = bytes - Service { version_sets: sets.clone(), ..service() }.json_bytes_at_most();
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
    let missing = MAX_SERVICE_BYTES - almost.json_bytes_at_most() + almost.description.as_str().len();
    let fit = |characters: usize| {
        let request =
            UpdateService { description: Some(description_of(characters)), ..UpdateService::default() };
        decide_update(&facts_about(almost.clone()), SERVICE, &request, &as_alice(), at(200))
    };
    assert_eq!(change(fit(missing)).json_bytes_at_most(), MAX_SERVICE_BYTES);
    assert_eq!(fit(missing + 1), Err(Refusal::ServiceTooLarge { bytes: MAX_SERVICE_BYTES + 1 }));
}

fn as_alice() -> Caller {
    Caller { principal: service().updated_by, ..admin() }
}
