use super::{
    Caller, Decision, Facts, agent_pins_exist, existing, fits, llms_are_usable, name_is_free, says_the_same,
    state_machine_pins_exist, touched,
};
use crate::catalog::Versioned;
use crate::permission::Permission;
use crate::refusal::Refusal;
use crate::service::Service;
use crate::value::{AgentId, Description, Keyterms, ServiceId, ServiceName, StateMachineId, Tags, Timestamp};

/// A request to change a service; `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpdateService {
    /// What it is to be called.
    pub name: Option<ServiceName>,
    /// What it is for.
    pub description: Option<Description>,
    /// Whether it is offered.
    pub is_active: Option<bool>,
    /// The agent.
    pub agent_id: Option<AgentId>,
    /// The state machine.
    pub state_machine_id: Option<StateMachineId>,
    /// All of its tags.
    pub tags: Option<Tags>,
    /// All of its keyterms.
    pub keyterms: Option<Keyterms>,
}

/// Decides whether a caller may change a service as requested, and what it becomes.
///
/// The facts are those of the service, and of the agent, the state machine and the name requested.
///
/// # Errors
/// The first rule that the request breaks.
pub fn decide_update(
    facts: &Facts,
    id: ServiceId,
    request: &UpdateService,
    caller: &Caller,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let before = existing(facts, id)?;
    let after = Service {
        name: chosen(&request.name, &before.name),
        description: chosen(&request.description, &before.description),
        is_active: chosen(&request.is_active, &before.is_active),
        agent_id: chosen(&request.agent_id, &before.agent_id),
        state_machine_id: chosen(&request.state_machine_id, &before.state_machine_id),
        tags: chosen(&request.tags, &before.tags),
        keyterms: chosen(&request.keyterms, &before.keyterms),
        ..before.clone()
    };
    caller.may(Permission::UpdateService, before, None)?;
    caller.may(Permission::UpdateService, &after, None)?;
    if says_the_same(before, &after) {
        return Ok(Decision::Unchanged);
    }

    let new_agent = after.agent_id != before.agent_id;
    let new_state_machine = after.state_machine_id != before.state_machine_id;
    if new_agent {
        agent_is_usable(&after, facts)?;
    }
    if new_state_machine {
        state_machine_is_usable(&after, facts)?;
    }
    if new_agent {
        agent_pins_exist(after.agent_id, facts, after.version_sets.iter())?;
    }
    if new_state_machine {
        state_machine_pins_exist(after.state_machine_id, facts, after.version_sets.iter())?;
    }
    let activated = after.is_active && !before.is_active;
    if activated {
        agent_is_usable(&after, facts)?;
        state_machine_is_usable(&after, facts)?;
        llms_are_usable(facts, after.version_sets.iter().map(|(_, set)| set))?;
    }
    if activated || (after.is_active && after.name != before.name) {
        name_is_free(&after, facts)?;
    }
    if before.is_active && !after.is_active && !facts.tested_version_sets.is_empty() {
        return Err(Refusal::ServiceInUse(id));
    }
    let draft = touched(after, caller, now);
    fits(&draft)?;
    Ok(Decision::Change(draft))
}

/// The value requested. Where it is the one there is, that one: revisions of a service share what does not change.
fn chosen<T: Clone + PartialEq>(requested: &Option<T>, present: &T) -> T {
    requested.as_ref().filter(|&requested| requested != present).unwrap_or(present).clone()
}

fn agent_is_usable(service: &Service, facts: &Facts) -> Result<(), Refusal> {
    let usable = facts.agents.get(&service.agent_id).is_some_and(Versioned::is_usable);
    if usable { Ok(()) } else { Err(Refusal::InvalidAgent(service.agent_id)) }
}

fn state_machine_is_usable(service: &Service, facts: &Facts) -> Result<(), Refusal> {
    let usable = facts.state_machines.get(&service.state_machine_id).is_some_and(Versioned::is_usable);
    if usable { Ok(()) } else { Err(Refusal::InvalidStateMachine(service.state_machine_id)) }
}
