use serde::{Deserialize, Serialize};

use super::{SimulationUnitTest, Versioned};
use crate::permission::Grant;
use crate::value::{
    AgentId, CatalogName, LlmName, OrganizationId, Principal, RoleName, ServiceId, SimulationUnitTestId,
    StateMachineId, UserId, VersionNumber, VersionSetName, parse_json,
};

/// A change of the catalog as one document, which is also the form of the catalog file.
///
/// Each entry replaces the entry of its id whole: keys that are left out take their defaults, unknown ones are refused. What
/// the document does not mention stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogDocument {
    /// LLMs, for the whole store.
    #[serde(default)]
    pub llms: Vec<LlmEntry>,
    /// Organizations; one that is not there yet is added.
    #[serde(default)]
    pub organizations: Vec<OrganizationEntry>,
}

impl CatalogDocument {
    /// Parses a document, strictly: unknown keys and a key twice in one object are errors.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        // First as it stands, for an error that says where; then once more for keys that come twice in a map.
        let document = serde_json::from_slice(json)?;
        parse_json(json)?;
        Ok(document)
    }
}

/// An LLM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlmEntry {
    /// Identifies it.
    pub name: LlmName,
    /// Whether services can no longer choose it.
    #[serde(default)]
    pub deprecated: bool,
}

/// What changes in the catalog of an organization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationEntry {
    /// The organization.
    pub id: OrganizationId,
    /// Agents.
    #[serde(default)]
    pub agents: Vec<AgentEntry>,
    /// State machines.
    #[serde(default)]
    pub state_machines: Vec<StateMachineEntry>,
    /// Simulation unit tests.
    #[serde(default)]
    pub simulation_unit_tests: Vec<SimulationUnitTestEntry>,
    /// Roles.
    #[serde(default)]
    pub roles: Vec<RoleEntry>,
    /// Users.
    #[serde(default)]
    pub users: Vec<UserEntry>,
}

impl OrganizationEntry {
    /// An entry that names an organization and changes nothing in it.
    pub fn new(id: OrganizationId) -> Self {
        Self {
            id,
            agents: Vec::new(),
            state_machines: Vec::new(),
            simulation_unit_tests: Vec::new(),
            roles: Vec::new(),
            users: Vec::new(),
        }
    }
}

/// Defines the entry of something that has versions.
macro_rules! versioned_entry {
    ($(#[$doc:meta])* $name:ident, $id:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Identifies it.
            pub id: $id,
            /// What it is called.
            #[serde(default)]
            pub name: CatalogName,
            /// The number of its latest version; absent without any.
            #[serde(default)]
            pub latest_version: Option<VersionNumber>,
            /// Whether services can no longer choose it.
            #[serde(default)]
            pub deprecated: bool,
        }

        impl $name {
            pub(super) fn into_parts(self) -> ($id, Versioned) {
                let Self { id, name, latest_version, deprecated } = self;
                (id, Versioned { name, latest_version, deprecated })
            }
        }
    };
}

versioned_entry!(
    /// An agent.
    AgentEntry,
    AgentId
);
versioned_entry!(
    /// A state machine.
    StateMachineEntry,
    StateMachineId
);

/// A simulation unit test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulationUnitTestEntry {
    /// Identifies it.
    pub id: SimulationUnitTestId,
    /// The service it uses.
    pub service_id: ServiceId,
    /// The version set of that service that it uses.
    pub version_set_name: VersionSetName,
    /// Whether it is gone.
    #[serde(default)]
    pub deleted: bool,
}

impl SimulationUnitTestEntry {
    pub(super) fn into_parts(self) -> (SimulationUnitTestId, SimulationUnitTest) {
        let Self { id, service_id, version_set_name, deleted } = self;
        (id, SimulationUnitTest { service_id, version_set_name, deleted })
    }
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleEntry {
    /// Identifies it.
    pub name: RoleName,
    /// What it grants.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserEntry {
    /// The user, as the organization that issued the identity names it.
    pub id: UserId,
    /// The organization that issued the identity; absent for the organization whose catalog this is.
    #[serde(default)]
    pub organization: Option<OrganizationId>,
    /// The roles it has.
    #[serde(default)]
    pub roles: Vec<RoleName>,
}

impl UserEntry {
    /// Who the entry speaks of, in the catalog of `organization`.
    pub fn principal(&self, organization: &OrganizationId) -> Principal {
        Principal {
            organization: self.organization.as_ref().unwrap_or(organization).clone(),
            user: self.id.clone(),
        }
    }
}
