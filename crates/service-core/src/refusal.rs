//! Why an operation is refused: the rules that a request can break.

use std::collections::BTreeSet;

use crate::page::ContinuationToken;
use crate::permission::Permission;
use crate::service::MAX_SERVICE_BYTES;
use crate::value::{
    AgentId, InteractionName, LlmName, MAX_VERSION_SETS, OrganizationId, ServiceId, ServiceName,
    StateMachineId, VersionNumber, VersionSetName,
};

/// Why an operation was refused. Nothing has changed.
///
/// The message is for whoever made the request; [`Refusal::code`] is for their program.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such organization.
    #[error("there is no organization `{0}`")]
    OrganizationNotFound(OrganizationId),
    /// The caller lacks a permission, for everything or for this service.
    #[error("the permission `{0}` is missing")]
    PermissionDenied(Permission),
    /// There is no such service in the organization.
    #[error("there is no service `{0}`")]
    ServiceNotFound(ServiceId),
    /// There is no such agent.
    #[error("there is no agent `{0}`")]
    AgentNotFound(AgentId),
    /// There is no such state machine.
    #[error("there is no state machine `{0}`")]
    StateMachineNotFound(StateMachineId),
    /// The agent is deprecated.
    #[error("agent `{0}` is deprecated")]
    AgentDeprecated(AgentId),
    /// The state machine is deprecated.
    #[error("state machine `{0}` is deprecated")]
    StateMachineDeprecated(StateMachineId),
    /// The agent has no version yet.
    #[error("agent `{0}` has no versions")]
    AgentHasNoVersions(AgentId),
    /// The state machine has no version yet.
    #[error("state machine `{0}` has no versions")]
    StateMachineHasNoVersions(StateMachineId),
    /// The agent of an existing service does not exist, is deprecated or has no versions.
    #[error("agent `{0}` does not exist, is deprecated or has no versions")]
    InvalidAgent(AgentId),
    /// The state machine of an existing service does not exist, is deprecated or has no versions.
    #[error("state machine `{0}` does not exist, is deprecated or has no versions")]
    InvalidStateMachine(StateMachineId),
    /// Version sets pin versions that the agent does not have.
    #[error("agent `{agent}` does not have {}", pinned(.pins))]
    AgentVersionNotFound {
        /// The agent.
        agent: AgentId,
        /// The version sets, and the version each pins.
        pins: Vec<(VersionSetName, VersionNumber)>,
    },
    /// Version sets pin versions that the state machine does not have.
    #[error("state machine `{state_machine}` does not have {}", pinned(.pins))]
    StateMachineVersionNotFound {
        /// The state machine.
        state_machine: StateMachineId,
        /// The version sets, and the version each pins.
        pins: Vec<(VersionSetName, VersionNumber)>,
    },
    /// LLMs that the store does not know.
    #[error("not supported: {}", names("llm", .0))]
    LlmNotSupported(BTreeSet<LlmName>),
    /// LLMs that are deprecated.
    #[error("deprecated: {}", names("llm", .0))]
    LlmDeprecated(BTreeSet<LlmName>),
    /// A parameter of an LLM is not what it must be.
    #[error("`{parameter}` for interaction `{interaction}` {rule}")]
    InvalidLlmParams {
        /// The interaction whose configuration is at fault.
        interaction: InteractionName,
        /// The parameter.
        parameter: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// The service would be too large.
    #[error("the service could be {bytes} bytes of JSON, more than {MAX_SERVICE_BYTES}")]
    ServiceTooLarge {
        /// How large it could be, whoever changes it last.
        bytes: usize,
    },
    /// Another active service has the name.
    #[error("an active service is already called `{0}`")]
    ActiveNameTaken(ServiceName),
    /// A live simulation unit test uses the service.
    #[error("service `{0}` is used by a simulation unit test")]
    ServiceInUse(ServiceId),
    /// The version set cannot be changed, or cannot be removed.
    #[error("version set `{0}` is reserved")]
    ReservedVersionSet(VersionSetName),
    /// The service has no such version set.
    #[error("there is no version set `{0}`")]
    VersionSetNotFound(VersionSetName),
    /// A live simulation unit test uses the version set.
    #[error("version set `{0}` is used by a simulation unit test")]
    VersionSetInUse(VersionSetName),
    /// The service has as many version sets as it can.
    #[error("a service has at most {MAX_VERSION_SETS} version sets")]
    TooManyVersionSets,
    /// The token names no position that the caller may continue from: the organization never issued it, or it names a
    /// service that the caller may not see. Which of the two is not said.
    #[error("must be a continuation token of an earlier page of this organization's services")]
    InvalidContinuationToken(ContinuationToken),
}

/// Names every refusal, and lists the names.
macro_rules! codes {
    ($($refusal:pat => $code:literal,)+) => {
        impl Refusal {
            /// All names that [`code`](Self::code) gives, in the order of the refusals.
            pub const CODES: &[&str] = &[$($code),+];

            /// A stable name for the reason, such as `agent_not_found`.
            pub fn code(&self) -> &'static str {
                match self {
                    $($refusal => $code,)+
                }
            }
        }
    };
}

codes! {
    Refusal::OrganizationNotFound(_) => "organization_not_found",
    Refusal::PermissionDenied(_) => "permission_denied",
    Refusal::ServiceNotFound(_) => "service_not_found",
    Refusal::AgentNotFound(_) => "agent_not_found",
    Refusal::StateMachineNotFound(_) => "state_machine_not_found",
    Refusal::AgentDeprecated(_) => "agent_deprecated",
    Refusal::StateMachineDeprecated(_) => "state_machine_deprecated",
    Refusal::AgentHasNoVersions(_) => "agent_has_no_versions",
    Refusal::StateMachineHasNoVersions(_) => "state_machine_has_no_versions",
    Refusal::InvalidAgent(_) => "invalid_agent",
    Refusal::InvalidStateMachine(_) => "invalid_state_machine",
    Refusal::AgentVersionNotFound { .. } => "agent_version_not_found",
    Refusal::StateMachineVersionNotFound { .. } => "state_machine_version_not_found",
    Refusal::LlmNotSupported(_) => "llm_not_supported",
    Refusal::LlmDeprecated(_) => "llm_deprecated",
    Refusal::InvalidLlmParams { .. } => "invalid_llm_params",
    Refusal::ServiceTooLarge { .. } => "service_too_large",
    Refusal::ActiveNameTaken(_) => "active_name_taken",
    Refusal::ServiceInUse(_) => "service_in_use",
    Refusal::ReservedVersionSet(_) => "reserved_version_set",
    Refusal::VersionSetNotFound(_) => "version_set_not_found",
    Refusal::VersionSetInUse(_) => "version_set_in_use",
    Refusal::TooManyVersionSets => "too_many_version_sets",
    Refusal::InvalidContinuationToken(_) => "validation_failed",
}

fn pinned(pins: &[(VersionSetName, VersionNumber)]) -> String {
    let pins: Vec<String> = pins
        .iter()
        .map(|(set, version)| format!("version {version}, which version set `{set}` pins"))
        .collect();
    pins.join("; ")
}

fn names(kind: &str, names: &BTreeSet<LlmName>) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{kind} `{name}`")).collect();
    names.join(", ")
}
