//! What services refer to: agents, state machines, LLMs, simulation unit tests, and who may do what.

mod change;
mod document;

pub use change::{CatalogChanges, CatalogRefusal, ChangeKind, LatestVersion, OrganizationChanges, TestFault};
pub use document::{
    AgentEntry, CatalogDocument, LlmEntry, OrganizationEntry, RoleEntry, SimulationUnitTestEntry,
    StateMachineEntry, UserEntry,
};

use std::collections::{BTreeMap, BTreeSet};

use crate::permission::{Grant, Grants};
use crate::value::{
    AgentId, CatalogName, LlmName, Principal, RoleName, ServiceId, SimulationUnitTestId, StateMachineId,
    ValueError, VersionNumber, VersionSetName,
};

/// An agent or a state machine, as far as services depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versioned {
    /// What it is called.
    pub name: CatalogName,
    /// The number of its latest version; `None` without any. Versions are numbered from 1 and never go.
    pub latest_version: Option<VersionNumber>,
    /// Whether services can no longer choose it.
    pub deprecated: bool,
}

impl Versioned {
    /// Whether it has this version. Every version up to the latest exists.
    pub fn has_version(&self, version: VersionNumber) -> bool {
        self.latest_version.is_some_and(|latest| version <= latest)
    }

    /// Whether a service can choose it.
    pub fn is_usable(&self) -> bool {
        !self.deprecated && self.latest_version.is_some()
    }
}

/// An LLM that the store knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Llm {
    /// Whether services can no longer choose it.
    pub deprecated: bool,
}

/// The LLMs that a store knows, by name.
pub type Llms = BTreeMap<LlmName, Llm>;

/// A test that runs against a version set of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulationUnitTest {
    /// The service.
    pub service_id: ServiceId,
    /// Its version set.
    pub version_set_name: VersionSetName,
    /// Whether the test is gone; then it no longer counts.
    pub deleted: bool,
}

/// The catalog of one organization.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrganizationCatalog {
    /// Agents.
    pub agents: BTreeMap<AgentId, Versioned>,
    /// State machines.
    pub state_machines: BTreeMap<StateMachineId, Versioned>,
    /// Simulation unit tests, deleted ones included.
    pub simulation_unit_tests: BTreeMap<SimulationUnitTestId, SimulationUnitTest>,
    /// What each role grants.
    pub roles: BTreeMap<RoleName, Vec<Grant>>,
    /// The roles of each user, of this organization or another.
    pub users: BTreeMap<Principal, BTreeSet<RoleName>>,
}

impl OrganizationCatalog {
    /// What a principal holds: the grants of its roles. `None` for one that the catalog does not know.
    ///
    /// # Errors
    /// When the roles grant more than a principal can hold, which no catalog that was applied does.
    pub fn grants(&self, principal: &Principal) -> Result<Option<Grants>, ValueError> {
        let Some(roles) = self.users.get(principal) else { return Ok(None) };
        Grants::new(roles.iter().filter_map(|role| self.roles.get(role)).flatten().cloned()).map(Some)
    }

    /// The names of a service's version sets that live simulation unit tests use.
    pub fn tested_version_sets(&self, service: &ServiceId) -> BTreeSet<VersionSetName> {
        let tests = self.simulation_unit_tests.values();
        tests
            .filter(|test| !test.deleted && test.service_id == *service)
            .map(|test| test.version_set_name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests;
