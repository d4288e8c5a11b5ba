//! A service: what the registry stores.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::value::{
    AgentId, Description, Keyterms, LlmName, OrganizationId, Principal, Revision, ServiceId, ServiceName,
    StateMachineId, Tags, Timestamp, UserId, VersionSets, json_bytes, serde_as_object,
};

/// The most bytes of compact JSON that a service can have.
pub const MAX_SERVICE_BYTES: usize = 256 * 1024;

/// An agent bound to a state machine, as it is or was at one revision.
///
/// Its serde form is what the built-in stores keep in their history. Cloning is cheap: large parts are shared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Service {
    /// Identifies the service in its organization, for ever.
    pub id: ServiceId,
    /// The organization that offers it.
    pub organization: OrganizationId,
    /// What it is called; at most one active service of an organization has a given name.
    pub name: ServiceName,
    /// What it is for.
    pub description: Description,
    /// Whether it is offered.
    pub is_active: bool,
    /// The agent.
    pub agent_id: AgentId,
    /// The state machine that the agent is bound to.
    pub state_machine_id: StateMachineId,
    /// What it can be filtered by.
    pub tags: Tags,
    /// Terms that are easy to mishear.
    pub keyterms: Keyterms,
    /// Which versions are used, by name of the version set.
    pub version_sets: VersionSets,
    /// Who created it.
    pub creator: Principal,
    /// Who changed it last.
    pub updated_by: Principal,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last; never earlier than before.
    pub updated_at: Timestamp,
    /// The number, in its organization, of the write that made it what it is.
    pub revision: Revision,
}

serde_as_object!(Service);

impl Service {
    /// The LLMs that its version sets prefer, each as often as they name it.
    pub fn llm_names(&self) -> impl Iterator<Item = &LlmName> {
        let sets = self.version_sets.iter();
        sets.flat_map(|(_, set)| set.llm_model_preferences.llm_names())
    }

    /// The bytes of the service as compact JSON.
    pub fn json_bytes(&self) -> usize {
        json_bytes(self)
    }
}

impl Service {
    /// The most bytes of compact JSON that the service can have with another revision, and changed last by someone else at
    /// another time. What is bounded by this stays within the bound when a later change only takes something away.
    pub(crate) fn json_bytes_at_most(&self) -> usize {
        /// Who takes the most room, four bytes a character, and when.
        static LONGEST: LazyLock<Option<(Principal, Timestamp)>> = LazyLock::new(|| {
            let organization = OrganizationId::new(&"o".repeat(64)).ok()?;
            let user = UserId::new(&"\u{10000}".repeat(128)).ok()?;
            Some((Principal { organization, user }, Timestamp::from_microseconds(1).ok()?))
        });
        let mut longest = Self { revision: Revision::MAX, ..self.clone() };
        if let Some((updated_by, updated_at)) = &*LONGEST {
            longest.updated_by = updated_by.clone();
            longest.updated_at = *updated_at;
        }
        longest.json_bytes()
    }
}

/// A service as a decision wants it: everything but the revision, which the commit will give it.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft(Box<Service>);

impl Draft {
    pub(crate) fn new(service: Service) -> Self {
        Self(Box::new(service))
    }

    /// The service, still with the revision it had before; [`Revision::ZERO`] if it is new.
    pub fn service(&self) -> &Service {
        &self.0
    }

    /// The service as it is once this revision has been taken for it.
    #[must_use]
    pub fn stamped(self, revision: Revision) -> Service {
        Service { revision, ..*self.0 }
    }
}
