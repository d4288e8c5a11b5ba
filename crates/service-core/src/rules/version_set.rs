use super::{Caller, Decision, Facts, existing, fits, touched, version_set_is_right};
use crate::permission::Permission;
use crate::refusal::Refusal;
use crate::service::Service;
use crate::value::{MAX_VERSION_SETS, ServiceId, Timestamp, VersionSet, VersionSetName};

/// A request to store a version set, in place of one of that name if there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct UpsertVersionSet {
    /// The set's name.
    pub name: VersionSetName,
    /// What it pins.
    pub version_set: VersionSet,
}

/// A request to remove a version set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteVersionSet {
    /// The set's name.
    pub name: VersionSetName,
}

/// Decides whether a caller may store a version set, and what the service becomes.
///
/// The facts are those of the service, and of the LLMs that the set names.
///
/// # Errors
/// The first rule that the request breaks.
pub fn decide_upsert_version_set(
    facts: &Facts,
    id: ServiceId,
    request: &UpsertVersionSet,
    caller: &Caller,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let before = existing(facts, id)?;
    let UpsertVersionSet { name, version_set } = request;
    let present = before.version_sets.get(name);
    let permission =
        if present.is_some() { Permission::UpdateVersionSet } else { Permission::CreateVersionSet };
    caller.may(permission, before, Some(name))?;
    if *name == VersionSetName::edge() {
        return Err(Refusal::ReservedVersionSet(name.clone()));
    }
    if present == Some(version_set) {
        return Ok(Decision::Unchanged);
    }
    version_set_is_right(name, version_set, before.agent_id, before.state_machine_id, facts)?;
    if present.is_none() && before.version_sets.len() >= MAX_VERSION_SETS {
        return Err(Refusal::TooManyVersionSets);
    }
    let version_sets = before
        .version_sets
        .with(name.clone(), version_set.clone())
        .map_err(|_| Refusal::ReservedVersionSet(name.clone()))?;
    let draft = touched(Service { version_sets, ..before.clone() }, caller, now);
    fits(&draft)?;
    Ok(Decision::Change(draft))
}

/// Decides whether a caller may remove a version set, and what the service becomes.
///
/// The facts are those of the service.
///
/// # Errors
/// The first rule that the request breaks.
pub fn decide_delete_version_set(
    facts: &Facts,
    id: ServiceId,
    request: &DeleteVersionSet,
    caller: &Caller,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let before = existing(facts, id)?;
    let name = &request.name;
    caller.may(Permission::DeleteVersionSet, before, Some(name))?;
    if [VersionSetName::edge(), VersionSetName::release()].contains(name) {
        return Err(Refusal::ReservedVersionSet(name.clone()));
    }
    if before.version_sets.get(name).is_none() {
        return Err(Refusal::VersionSetNotFound(name.clone()));
    }
    if facts.tested_version_sets.contains(name) {
        return Err(Refusal::VersionSetInUse(name.clone()));
    }
    let version_sets =
        before.version_sets.without(name).map_err(|_| Refusal::ReservedVersionSet(name.clone()))?;
    Ok(Decision::Change(touched(Service { version_sets, ..before.clone() }, caller, now)))
}
