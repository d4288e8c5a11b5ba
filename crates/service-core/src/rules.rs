//! The rules: each operation as a pure function of the facts, the request, the caller and the time.
//!
//! Within an operation the checks run in one order, and the first that fails answers: permissions, reserved version sets, then
//! "nothing to change" (which succeeds, whatever else may be wrong), then the rest.

mod create;
mod update;
mod version_set;

pub use create::{CreateService, decide_create};
pub use update::{UpdateService, decide_update};
pub use version_set::{
    DeleteVersionSet, UpsertVersionSet, decide_delete_version_set, decide_upsert_version_set,
};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::catalog::{Llms, Versioned};
use crate::permission::{Grants, Permission};
use crate::refusal::Refusal;
use crate::repository::{FactsQuery, OrganizationRecord};
use crate::service::{Draft, MAX_SERVICE_BYTES, Service};
use crate::value::{
    AgentId, CatalogRevision, LlmConfig, LlmName, Principal, ServiceId, ServiceName, StateMachineId,
    Timestamp, VersionNumber, VersionSet, VersionSetName,
};

/// Who makes a request, and what they hold for the organization addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// What they may do.
    pub grants: Grants,
}

impl Caller {
    /// Refuses a caller who holds no grant at all of any of these permissions; any one of them suffices here.
    ///
    /// # Errors
    /// [`Refusal::PermissionDenied`], with the first of them.
    pub fn holds_any_of(&self, permissions: &[Permission]) -> Result<(), Refusal> {
        match permissions {
            [first, ..] if !permissions.iter().any(|&permission| self.grants.any_of(permission)) => {
                Err(Refusal::PermissionDenied(*first))
            }
            _ => Ok(()),
        }
    }

    fn may(
        &self,
        permission: Permission,
        service: &Service,
        version_set: Option<&VersionSetName>,
    ) -> Result<(), Refusal> {
        if self.grants.admit(permission, service, version_set) {
            Ok(())
        } else {
            Err(Refusal::PermissionDenied(permission))
        }
    }
}

/// What a decision rests on: one snapshot of what concerns it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// The service, if there is one of the id asked for.
    pub service: Option<Arc<Service>>,
    /// The active service that has the name asked for; without a name asked for, the name of the service.
    pub active_holder: Option<ServiceId>,
    /// Those of the agents asked for that exist, and the service's own.
    pub agents: BTreeMap<AgentId, Versioned>,
    /// Those of the state machines asked for that exist, and the service's own.
    pub state_machines: BTreeMap<StateMachineId, Versioned>,
    /// Those of the LLMs asked for that are known, and those that the service's version sets name.
    pub llms: Llms,
    /// The version sets of the service that live simulation unit tests name.
    pub tested_version_sets: BTreeSet<VersionSetName>,
    /// The state of the catalog that these facts were read from.
    pub catalog_revision: CatalogRevision,
}

impl Facts {
    /// What a query asks for, from a service, a catalog that is at hand whole, and the active service of each name.
    pub fn gather(
        query: &FactsQuery,
        service: Option<Arc<Service>>,
        record: &OrganizationRecord,
        llms: &Llms,
        active_holder: impl FnOnce(&ServiceName) -> Option<ServiceId>,
    ) -> Self {
        let catalog = &record.catalog;
        let own = service.as_deref();
        let agents = query.agents.iter().copied().chain(own.map(|service| service.agent_id));
        let machines =
            query.state_machines.iter().copied().chain(own.map(|service| service.state_machine_id));
        let names = query.llms.iter().chain(own.into_iter().flat_map(Service::llm_names));
        Self {
            active_holder: query.name.as_ref().or(own.map(|service| &service.name)).and_then(active_holder),
            agents: agents.filter_map(|id| Some((id, catalog.agents.get(&id)?.clone()))).collect(),
            state_machines: machines
                .filter_map(|id| Some((id, catalog.state_machines.get(&id)?.clone())))
                .collect(),
            llms: names.filter_map(|name| Some((name.clone(), *llms.get(name)?))).collect(),
            tested_version_sets: own.map(|own| catalog.tested_version_sets(&own.id)).unwrap_or_default(),
            catalog_revision: record.catalog_revision,
            service,
        }
    }
}

/// What an accepted request amounts to.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing changes: no revision is taken, and who updated the service last, and when, stays.
    Unchanged,
    /// The service becomes this.
    Change(Draft),
}

fn existing(facts: &Facts, id: ServiceId) -> Result<&Service, Refusal> {
    facts.service.as_deref().ok_or(Refusal::ServiceNotFound(id))
}

/// The service with its last change noted; time never runs backwards for it.
fn touched(after: Service, caller: &Caller, now: Timestamp) -> Draft {
    Draft::new(Service {
        updated_by: caller.principal.clone(),
        updated_at: now.max(after.updated_at),
        ..after
    })
}

/// Whether two services say the same, whoever changed them and when.
fn says_the_same(left: &Service, right: &Service) -> bool {
    left.name == right.name
        && left.description == right.description
        && left.is_active == right.is_active
        && left.agent_id == right.agent_id
        && left.state_machine_id == right.state_machine_id
        && left.tags == right.tags
        && left.keyterms == right.keyterms
        && left.version_sets == right.version_sets
}

fn agent_pins_exist<'a>(
    agent: AgentId,
    facts: &Facts,
    sets: impl Iterator<Item = (&'a VersionSetName, &'a VersionSet)>,
) -> Result<(), Refusal> {
    let pins = missing(facts.agents.get(&agent), sets.map(|(name, set)| (name, set.agent_version_number)));
    if pins.is_empty() { Ok(()) } else { Err(Refusal::AgentVersionNotFound { agent, pins }) }
}

fn state_machine_pins_exist<'a>(
    state_machine: StateMachineId,
    facts: &Facts,
    sets: impl Iterator<Item = (&'a VersionSetName, &'a VersionSet)>,
) -> Result<(), Refusal> {
    let pins = missing(
        facts.state_machines.get(&state_machine),
        sets.map(|(name, set)| (name, set.state_machine_version_number)),
    );
    if pins.is_empty() { Ok(()) } else { Err(Refusal::StateMachineVersionNotFound { state_machine, pins }) }
}

fn missing<'a>(
    versioned: Option<&Versioned>,
    pins: impl Iterator<Item = (&'a VersionSetName, Option<VersionNumber>)>,
) -> Vec<(VersionSetName, VersionNumber)> {
    pins.filter_map(|(name, pin)| pin.map(|pin| (name.clone(), pin)))
        .filter(|(_, pin)| !versioned.is_some_and(|versioned| versioned.has_version(*pin)))
        .collect()
}

fn llms_are_usable<'a>(facts: &Facts, sets: impl Iterator<Item = &'a VersionSet>) -> Result<(), Refusal> {
    let named: BTreeSet<&LlmName> = sets.flat_map(|set| set.llm_model_preferences.llm_names()).collect();
    let those = |at_fault: &dyn Fn(&LlmName) -> bool| -> BTreeSet<LlmName> {
        named.iter().filter(|name| at_fault(name)).map(|&name| name.clone()).collect()
    };
    let unknown = those(&|name| !facts.llms.contains_key(name));
    if !unknown.is_empty() {
        return Err(Refusal::LlmNotSupported(unknown));
    }
    let deprecated = those(&|name| facts.llms.get(name).is_some_and(|llm| llm.deprecated));
    if !deprecated.is_empty() {
        return Err(Refusal::LlmDeprecated(deprecated));
    }
    Ok(())
}

fn llm_params_are_right(set: &VersionSet) -> Result<(), Refusal> {
    for (interaction, LlmConfig { params, .. }) in set.llm_model_preferences.iter() {
        let at_fault = params.iter().find_map(|(name, value)| wrong_parameter(name, value));
        if let Some((parameter, rule)) = at_fault {
            return Err(Refusal::InvalidLlmParams { interaction: interaction.clone(), parameter, rule });
        }
    }
    Ok(())
}

/// The rule that a parameter breaks, if it is one whose meaning is known.
fn wrong_parameter(name: &str, value: &Value) -> Option<(&'static str, &'static str)> {
    let within = |most: f64| value.as_f64().is_some_and(|number| (0.0..=most).contains(&number));
    match name {
        "top_p" if !within(1.0) => Some(("top_p", "must be a number from 0 to 1")),
        "temperature" if !within(2.0) => Some(("temperature", "must be a number from 0 to 2")),
        "top_k" if value.as_u64().is_none_or(|number| number < 1) => {
            Some(("top_k", "must be an integer of at least 1"))
        }
        _ => None,
    }
}

/// The checks of one version set that is to be stored: pins, LLMs, parameters.
fn version_set_is_right(
    name: &VersionSetName,
    set: &VersionSet,
    agent: AgentId,
    state_machine: StateMachineId,
    facts: &Facts,
) -> Result<(), Refusal> {
    let this = || std::iter::once((name, set));
    agent_pins_exist(agent, facts, this())?;
    state_machine_pins_exist(state_machine, facts, this())?;
    llms_are_usable(facts, std::iter::once(set))?;
    llm_params_are_right(set)
}

fn fits(draft: &Draft) -> Result<(), Refusal> {
    let bytes = draft.service().json_bytes_at_most();
    if bytes > MAX_SERVICE_BYTES { Err(Refusal::ServiceTooLarge { bytes }) } else { Ok(()) }
}

fn name_is_free(service: &Service, facts: &Facts) -> Result<(), Refusal> {
    match facts.active_holder {
        Some(holder) if holder != service.id => Err(Refusal::ActiveNameTaken(service.name.clone())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
