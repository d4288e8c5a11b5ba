use super::{Caller, Facts, fits, name_is_free, version_set_is_right};
use crate::permission::Permission;
use crate::refusal::Refusal;
use crate::service::{Draft, Service};
use crate::value::{
    AgentId, Description, Keyterms, OrganizationId, Revision, ServiceId, ServiceName, StateMachineId, Tags,
    Timestamp, VersionSet, VersionSetName, VersionSets,
};

/// A request to create a service.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateService {
    /// What it is to be called.
    pub name: ServiceName,
    /// What it is for.
    pub description: Description,
    /// Whether it is offered from the start.
    pub is_active: bool,
    /// The agent.
    pub agent_id: AgentId,
    /// The state machine.
    pub state_machine_id: StateMachineId,
    /// Its tags.
    pub tags: Tags,
    /// Its keyterms.
    pub keyterms: Keyterms,
    /// What end users get; `None`: what `edge` is.
    pub release: Option<VersionSet>,
}

/// Decides whether a caller may create a service as requested, and what it is to be.
///
/// The facts are those of the agent, the state machine, the LLMs and the name requested.
///
/// # Errors
/// The first rule that the request breaks.
pub fn decide_create(
    facts: &Facts,
    organization: &OrganizationId,
    request: &CreateService,
    caller: &Caller,
    id: ServiceId,
    now: Timestamp,
) -> Result<Draft, Refusal> {
    let latest = VersionSet::default();
    let release = request.release.as_ref().unwrap_or(&latest);
    let draft = Draft::new(Service {
        id,
        organization: organization.clone(),
        name: request.name.clone(),
        description: request.description.clone(),
        is_active: request.is_active,
        agent_id: request.agent_id,
        state_machine_id: request.state_machine_id,
        tags: request.tags.clone(),
        keyterms: request.keyterms.clone(),
        version_sets: VersionSets::with_release(release.clone()),
        creator: caller.principal.clone(),
        updated_by: caller.principal.clone(),
        created_at: now,
        updated_at: now,
        revision: Revision::ZERO,
    });
    let service = draft.service();
    caller.may(Permission::CreateService, service, None)?;
    caller.may(Permission::CreateVersionSet, service, Some(&VersionSetName::edge()))?;
    caller.may(Permission::CreateVersionSet, service, Some(&VersionSetName::release()))?;

    let (agent_id, state_machine_id) = (request.agent_id, request.state_machine_id);
    let agent = facts.agents.get(&agent_id).ok_or(Refusal::AgentNotFound(agent_id))?;
    let state_machine =
        facts.state_machines.get(&state_machine_id).ok_or(Refusal::StateMachineNotFound(state_machine_id))?;
    if agent.deprecated {
        return Err(Refusal::AgentDeprecated(agent_id));
    }
    if state_machine.deprecated {
        return Err(Refusal::StateMachineDeprecated(state_machine_id));
    }
    if agent.latest_version.is_none() {
        return Err(Refusal::AgentHasNoVersions(agent_id));
    }
    if state_machine.latest_version.is_none() {
        return Err(Refusal::StateMachineHasNoVersions(state_machine_id));
    }
    version_set_is_right(&VersionSetName::release(), release, agent_id, state_machine_id, facts)?;
    fits(&draft)?;
    if service.is_active {
        name_is_free(service, facts)?;
    }
    Ok(draft)
}
