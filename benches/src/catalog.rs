//! What the services of every organization refer to, and someone who may do everything with them.

use std::collections::BTreeMap;

use service_core::catalog::{Llm, Versioned};
use service_core::{
    AgentId, Attribute, Caller, Condition, Grant, Grants, Llms, OrganizationCatalog, OrganizationId,
    Permission, Principal, StateMachineId, UserId,
};

use crate::Error;

/// How many agents, and as many state machines, an organization has.
pub(crate) const AGENTS: u8 = 12;
/// The latest version of each of them.
pub(crate) const VERSIONS: i64 = 40;
/// The LLMs that services prefer.
pub(crate) const LLMS: [&str; 4] =
    ["anthropic_claude-haiku", "google_gemini-flash", "meta_llama-70b", "openai_o4-mini"];

/// An agent by its number.
pub(crate) const fn agent(number: u8) -> AgentId {
    AgentId::from_bytes([0x65, 0x4c, 0x11, number, 1, 1, 1, 1, 1, 1, 1, 1])
}

/// A state machine by its number.
pub(crate) const fn state_machine(number: u8) -> StateMachineId {
    StateMachineId::from_bytes([0x65, 0x4c, 0x22, number, 2, 2, 2, 2, 2, 2, 2, 2])
}

/// The LLMs of a store.
///
/// # Errors
/// Never: every value is well-formed.
pub fn llms() -> Result<Llms, Error> {
    LLMS.iter().map(|name| Ok((name.parse()?, Llm::default()))).collect()
}

/// The catalog of an organization, in which `alice` may do everything.
///
/// # Errors
/// Never: every value is well-formed.
pub fn catalog(organization: &OrganizationId) -> Result<OrganizationCatalog, Error> {
    let versioned = |what: &str, number: u8| -> Result<Versioned, Error> {
        let latest_version = Some(VERSIONS.try_into()?);
        Ok(Versioned { name: format!("{what} {number}").parse()?, latest_version, deprecated: false })
    };
    let mut catalog = OrganizationCatalog::default();
    for number in 0..AGENTS {
        catalog.agents.insert(agent(number), versioned("Agent", number)?);
        catalog.state_machines.insert(state_machine(number), versioned("State machine", number)?);
    }
    let Caller { principal, grants } = caller(organization, BTreeMap::new())?;
    let admin: service_core::RoleName = "admin".parse()?;
    catalog.roles.insert(admin.clone(), grants.iter().cloned().collect());
    catalog.users.insert(principal, [admin].into());
    Ok(catalog)
}

/// `alice`, who may do everything with the services of the organization that satisfy these conditions.
///
/// # Errors
/// When the conditions are none of a grant.
pub fn caller(
    organization: &OrganizationId,
    conditions: BTreeMap<Attribute, Condition>,
) -> Result<Caller, Error> {
    let permissions = [
        Permission::GetService,
        Permission::CreateService,
        Permission::UpdateService,
        Permission::CreateVersionSet,
        Permission::UpdateVersionSet,
        Permission::DeleteVersionSet,
    ];
    let grants = permissions.map(|permission| Grant::new(permission, conditions.clone()));
    let grants = grants.into_iter().collect::<Result<Vec<_>, _>>()?;
    let principal = Principal { organization: organization.clone(), user: UserId::new("alice")? };
    Ok(Caller { principal, grants: Grants::new(grants)? })
}
