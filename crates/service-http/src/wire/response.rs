//! Bodies of answers.

use std::collections::BTreeMap;

use serde::Serialize;
use service_core::{
    AgentId, Keyterm, Page, Principal, Service, ServiceId, StateMachineId, TagFacets, Timestamp, VersionSet,
};
use utoipa::ToSchema;

use super::llm_config::LlmConfigView;
use crate::invalid::{Fault, Invalid};

/// One page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServicePage<'a> {
    /// The services, in the order asked for.
    services: Vec<ServiceView<'a>>,
    /// Whether there are more.
    has_more: bool,
    /// What to send to get the next page; null on the last one.
    #[schema(required)]
    continuation_token: Option<i64>,
    /// What services can be filtered by; on the first page only, null afterwards.
    #[schema(required)]
    filter_values: Option<FilterValues>,
}

impl<'a> From<&'a Page> for ServicePage<'a> {
    fn from(page: &'a Page) -> Self {
        Self {
            services: page.services.iter().map(|service| ServiceView::from(&**service)).collect(),
            has_more: page.next.is_some(),
            continuation_token: page.next.map(|token| token.get()),
            filter_values: page.facets.as_ref().map(FilterValues::from),
        }
    }
}

/// What an organization's services can be filtered by, whatever the filter and the permissions of the caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FilterValues {
    /// The distinct tags of the organization's services, each written as the tag filter that finds it.
    tags: Vec<String>,
    /// There, and true, if the organization has more tags than are given here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    truncated: Option<bool>,
}

impl From<&TagFacets> for FilterValues {
    fn from(facets: &TagFacets) -> Self {
        Self {
            tags: facets.tags.iter().map(ToString::to_string).collect(),
            truncated: facets.truncated.then_some(true),
        }
    }
}

/// A service in a listing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
pub(crate) struct ServiceView<'a> {
    /// Identifies the service in its organization.
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$")]
    id: ServiceId,
    /// What it is called.
    name: &'a str,
    /// What it is for.
    description: &'a str,
    /// Whether it is offered.
    is_active: bool,
    /// The agent it binds.
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$")]
    agent_id: AgentId,
    /// The state machine that the agent is bound to.
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$")]
    service_hierarchical_state_machine_id: StateMachineId,
    /// Its tags, ordered by key.
    tags: Vec<TagView<'a>>,
    /// Terms that are easy to mishear in its conversations.
    #[schema(value_type = Vec<String>)]
    keyterms: &'a [Keyterm],
    /// Its version sets by name; `edge` and `release` are always among them.
    version_sets: BTreeMap<&'a str, VersionSetView<'a>>,
    /// Who created it.
    creator: PrincipalView<'a>,
    /// Who changed it last.
    updated_by: PrincipalView<'a>,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// The number, in its organization, of the write that made it what it is.
    revision: i64,
}

impl<'a> From<&'a Service> for ServiceView<'a> {
    fn from(service: &'a Service) -> Self {
        Self {
            id: service.id,
            name: service.name.as_str(),
            description: service.description.as_str(),
            is_active: service.is_active,
            agent_id: service.agent_id,
            service_hierarchical_state_machine_id: service.state_machine_id,
            tags: service.tags.iter().map(|(key, value)| TagView { key, value }).collect(),
            keyterms: &service.keyterms,
            version_sets: service
                .version_sets
                .iter()
                .map(|(name, set)| (name.as_str(), VersionSetView::from(set)))
                .collect(),
            creator: PrincipalView::from(&service.creator),
            updated_by: PrincipalView::from(&service.updated_by),
            created_at: service.created_at,
            updated_at: service.updated_at,
            revision: service.revision.get(),
        }
    }
}

/// A tag.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tag)]
pub(crate) struct TagView<'a> {
    /// Its key.
    key: &'a str,
    /// Its value; null if it has none.
    #[schema(required)]
    value: Option<&'a str>,
}

/// A user, and the organization that issued the identity.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Principal)]
pub(crate) struct PrincipalView<'a> {
    /// The organization.
    org_id: &'a str,
    /// The user, as that organization names them.
    user_id: &'a str,
}

impl<'a> From<&'a Principal> for PrincipalView<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self { org_id: principal.organization.as_str(), user_id: principal.user.as_str() }
    }
}

/// What a version set pins. All three members are always there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VersionSet)]
pub(crate) struct VersionSetView<'a> {
    /// The agent's version; null follows the latest.
    #[schema(required)]
    agent_version_number: Option<u32>,
    /// The state machine's version; null follows the latest.
    #[schema(required)]
    service_hierarchical_state_machine_version_number: Option<u32>,
    /// The LLM to prefer for each interaction named.
    llm_model_preferences: BTreeMap<&'a str, LlmConfigView<'a>>,
}

impl<'a> From<&'a VersionSet> for VersionSetView<'a> {
    fn from(set: &'a VersionSet) -> Self {
        Self {
            agent_version_number: set.agent_version_number.map(|version| version.get()),
            service_hierarchical_state_machine_version_number: set
                .state_machine_version_number
                .map(|version| version.get()),
            llm_model_preferences: set
                .llm_model_preferences
                .iter()
                .map(|(interaction, config)| (interaction.as_str(), LlmConfigView::from(config)))
                .collect(),
        }
    }
}

/// A service was created.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Created {
    /// Identifies the new service.
    #[schema(value_type = String, pattern = "^[0-9a-f]{24}$")]
    pub(crate) id: ServiceId,
}

/// A user has signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignedIn {
    /// The bearer token to send with every request.
    pub(crate) id_token: String,
    /// When it expires.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expires_at: Timestamp,
}

/// A request was not done.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Why, in words; for an ill-formed request every field at fault.
    pub(crate) detail: Detail,
    /// Why, for a program.
    pub(crate) error_code: &'static str,
}

impl Problem {
    /// A problem told in one sentence.
    pub(crate) fn new(error_code: &'static str, detail: impl Into<String>) -> Self {
        Self { detail: Detail::Text(detail.into()), error_code }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self { detail: Detail::Faults(invalid), error_code: "validation_failed" }
    }
}

/// What a problem says.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Detail {
    /// A sentence.
    Text(String),
    /// The fields at fault.
    #[schema(value_type = Vec<Fault>)]
    Faults(Invalid),
}
