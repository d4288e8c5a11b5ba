use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CatalogRefusal, OrganizationCatalog, SimulationUnitTest, Versioned};
use crate::permission::Grant;
use crate::value::{
    AgentId, CatalogName, LlmName, OrganizationId, Principal, RoleName, ServiceId, SimulationUnitTestId,
    StateMachineId, UserId, VersionNumber, VersionSetName, parse_json, serde_as_object,
};

/// A change of the catalog as one document, which is also the form of the catalog file.
///
/// Each entry replaces the entry of its id whole: keys that are left out take their defaults, unknown ones are refused. What
/// the document does not mention stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct CatalogDocument {
    /// LLMs, for the whole store.
    #[serde(default)]
    pub llms: Vec<LlmEntry>,
    /// Organizations; one that is not there yet is added.
    #[serde(default)]
    pub organizations: Vec<OrganizationEntry>,
}

serde_as_object!(CatalogDocument);

impl CatalogDocument {
    /// Parses a document, strictly: unknown keys, a key twice in one object and two entries for one thing are errors.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        // First as it stands, for an error that says where; then once more for keys that come twice in a map.
        let document: Self = serde_json::from_slice(json)?;
        parse_json(json)?;
        document.says_everything_once().map_err(serde::de::Error::custom)?;
        Ok(document)
    }

    /// Checks that no two entries are for one thing: the document would not say what it is to be.
    ///
    /// # Errors
    /// [`CatalogRefusal::Duplicate`].
    pub(super) fn says_everything_once(&self) -> Result<(), CatalogRefusal> {
        once("llm", self.llms.iter().map(|entry| &entry.name))?;
        once("organization", self.organizations.iter().map(|entry| &entry.id))?;
        self.organizations.iter().try_for_each(|entry| {
            once("agent", entry.agents.iter().map(|agent| agent.id))?;
            once("state machine", entry.state_machines.iter().map(|state_machine| state_machine.id))?;
            once("simulation unit test", entry.simulation_unit_tests.iter().map(|test| test.id))?;
            once("role", entry.roles.iter().map(|role| &role.name))?;
            once("user", entry.users.iter().map(|user| user.principal(&entry.id)))
        })
    }
}

fn once<Id: Ord + fmt::Display>(
    kind: &'static str,
    ids: impl Iterator<Item = Id>,
) -> Result<(), CatalogRefusal> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if let Some(id) = seen.replace(id) {
            return Err(CatalogRefusal::Duplicate { kind, id: id.to_string() });
        }
    }
    Ok(())
}

/// An LLM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct LlmEntry {
    /// Identifies it.
    pub name: LlmName,
    /// Whether services can no longer choose it.
    #[serde(default)]
    pub deprecated: bool,
}

serde_as_object!(LlmEntry);

/// What changes in the catalog of an organization.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
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

serde_as_object!(OrganizationEntry);

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

    /// The entry that makes an organization's catalog what this one is.
    pub fn of(id: OrganizationId, catalog: &OrganizationCatalog) -> Self {
        let users = catalog.users.iter().map(|(principal, roles)| UserEntry {
            id: principal.user.clone(),
            organization: Some(&principal.organization).filter(|issuer| **issuer != id).cloned(),
            roles: roles.iter().cloned().collect(),
        });
        Self {
            agents: catalog.agents.iter().map(|(id, agent)| AgentEntry::of(*id, agent)).collect(),
            state_machines: catalog
                .state_machines
                .iter()
                .map(|(id, machine)| StateMachineEntry::of(*id, machine))
                .collect(),
            simulation_unit_tests: catalog
                .simulation_unit_tests
                .iter()
                .map(|(id, test)| SimulationUnitTestEntry {
                    id: *id,
                    service_id: test.service_id,
                    version_set_name: test.version_set_name.clone(),
                    deleted: test.deleted,
                })
                .collect(),
            roles: catalog
                .roles
                .iter()
                .map(|(name, grants)| RoleEntry { name: name.clone(), grants: grants.clone() })
                .collect(),
            users: users.collect(),
            id,
        }
    }
}

/// Defines the entry of something that has versions.
macro_rules! versioned_entry {
    ($(#[$doc:meta])* $name:ident, $id:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(remote = "Self", deny_unknown_fields)]
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

        serde_as_object!($name);

        impl $name {
            fn of(id: $id, versioned: &Versioned) -> Self {
                let Versioned { name, latest_version, deprecated } = versioned.clone();
                Self { id, name, latest_version, deprecated }
            }

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
#[serde(remote = "Self", deny_unknown_fields)]
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

serde_as_object!(SimulationUnitTestEntry);

impl SimulationUnitTestEntry {
    pub(crate) fn into_parts(self) -> (SimulationUnitTestId, SimulationUnitTest) {
        let Self { id, service_id, version_set_name, deleted } = self;
        (id, SimulationUnitTest { service_id, version_set_name, deleted })
    }
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct RoleEntry {
    /// Identifies it.
    pub name: RoleName,
    /// What it grants.
    #[serde(default)]
    pub grants: Vec<Grant>,
}

serde_as_object!(RoleEntry);

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
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

serde_as_object!(UserEntry);

impl UserEntry {
    /// Who the entry speaks of, in the catalog of `organization`.
    pub fn principal(&self, organization: &OrganizationId) -> Principal {
        Principal {
            organization: self.organization.as_ref().unwrap_or(organization).clone(),
            user: self.id.clone(),
        }
    }
}
