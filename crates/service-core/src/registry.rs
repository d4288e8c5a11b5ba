//! The registry: load the facts, decide, commit, and decide again if the facts moved meanwhile.

use std::sync::Arc;
use std::time::Duration;

use crate::environment::Environment;
use crate::error::{StoreError, StoreErrorKind};
use crate::filter::ServiceFilter;
use crate::page::{ContinuationToken, Limit, Listing, Page};
use crate::permission::Permission;
use crate::refusal::Refusal;
use crate::repository::{Commit, CommitOutcome, FactsQuery, Listed, Repository};
use crate::rules::{
    Caller, CreateService, Decision, DeleteVersionSet, Facts, UpdateService, UpsertVersionSet, decide_create,
    decide_delete_version_set, decide_update, decide_upsert_version_set,
};
use crate::service::Service;
use crate::sort::Sort;
use crate::value::{LlmName, OrganizationId, Revision, ServiceId, Timestamp, VersionSet};
use crate::visibility::Visibility;

/// How often a write is decided before the registry gives up.
pub const MAX_ATTEMPTS: u32 = 32;

/// Why the registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A rule forbids it. Nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Other writes were faster each of [`MAX_ATTEMPTS`] times. Nothing has changed; trying again later may succeed.
    #[error("other writes were faster {MAX_ATTEMPTS} times")]
    Contention,
    /// The answer to the commit was lost. The service's revision tells what happened: if the write did, it is greater than
    /// the expected one (or the service exists, where none was expected).
    #[error("whether service `{service}` was written is unknown")]
    OutcomeUnknown {
        /// The service, which for a create the registry chose.
        service: ServiceId,
        /// Its revision before; `None` if it was to be created.
        expected: Option<Revision>,
        /// What happened instead of an answer.
        source: StoreError,
    },
    /// The store failed. Nothing has changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RegistryError {
    /// Whether the same request may succeed later, without any risk of happening twice.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Contention => true,
            Self::Store(error) => error.is_retryable(),
            Self::Refused(_) | Self::OutcomeUnknown { .. } => false,
        }
    }
}

/// What a caller asks to see of an organization's services.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListServices {
    /// Which of them.
    pub filter: ServiceFilter,
    /// In which order.
    pub sort: Sort,
    /// How many at once.
    pub limit: Limit,
    /// From where.
    pub token: ContinuationToken,
}

/// Stores services and lists them, and lets nobody break their rules.
#[derive(Debug, Clone)]
pub struct Registry {
    repository: Arc<dyn Repository>,
    environment: Arc<dyn Environment>,
}

impl Registry {
    /// A registry over a store.
    pub fn new(repository: Arc<dyn Repository>, environment: Arc<dyn Environment>) -> Self {
        Self { repository, environment }
    }

    /// The store.
    pub fn repository(&self) -> &Arc<dyn Repository> {
        &self.repository
    }

    /// Creates a service and returns it.
    ///
    /// # Errors
    /// The first rule that the request breaks, or a failure; see [`RegistryError`].
    pub async fn create(
        &self,
        organization: &OrganizationId,
        caller: &Caller,
        request: &CreateService,
    ) -> Result<Arc<Service>, RegistryError> {
        caller.holds_any_of(&[Permission::CreateService])?;
        caller.holds_any_of(&[Permission::CreateVersionSet])?;
        let query = || FactsQuery {
            service: Some(ServiceId::created_at(self.environment.now(), self.environment.entropy())),
            name: Some(request.name.clone()),
            agents: vec![request.agent_id],
            state_machines: vec![request.state_machine_id],
            llms: request.release.as_ref().map(llm_names).unwrap_or_default(),
        };
        self.write(organization, query, |facts, id, now| {
            decide_create(facts, organization, request, caller, id, now).map(Decision::Change)
        })
        .await
    }

    /// Changes a service and returns it as it is then.
    ///
    /// # Errors
    /// The first rule that the request breaks, or a failure; see [`RegistryError`].
    pub async fn update(
        &self,
        organization: &OrganizationId,
        caller: &Caller,
        id: ServiceId,
        request: &UpdateService,
    ) -> Result<Arc<Service>, RegistryError> {
        caller.holds_any_of(&[Permission::UpdateService])?;
        let query = || FactsQuery {
            service: Some(id),
            name: request.name.clone(),
            agents: request.agent_id.into_iter().collect(),
            state_machines: request.state_machine_id.into_iter().collect(),
            llms: Vec::new(),
        };
        self.write(organization, query, |facts, id, now| decide_update(facts, id, request, caller, now)).await
    }

    /// Stores a version set of a service, in place of one of that name if there is one, and returns the service as it is
    /// then.
    ///
    /// # Errors
    /// The first rule that the request breaks, or a failure; see [`RegistryError`].
    pub async fn upsert_version_set(
        &self,
        organization: &OrganizationId,
        caller: &Caller,
        id: ServiceId,
        request: &UpsertVersionSet,
    ) -> Result<Arc<Service>, RegistryError> {
        caller.holds_any_of(&[Permission::CreateVersionSet, Permission::UpdateVersionSet])?;
        let query = || FactsQuery {
            service: Some(id),
            llms: llm_names(&request.version_set),
            ..FactsQuery::default()
        };
        self.write(organization, query, |facts, id, now| {
            decide_upsert_version_set(facts, id, request, caller, now)
        })
        .await
    }

    /// Removes a version set of a service and returns the service as it is then.
    ///
    /// # Errors
    /// The first rule that the request breaks, or a failure; see [`RegistryError`].
    pub async fn delete_version_set(
        &self,
        organization: &OrganizationId,
        caller: &Caller,
        id: ServiceId,
        request: &DeleteVersionSet,
    ) -> Result<Arc<Service>, RegistryError> {
        caller.holds_any_of(&[Permission::DeleteVersionSet])?;
        let query = || FactsQuery { service: Some(id), ..FactsQuery::default() };
        self.write(organization, query, |facts, id, now| {
            decide_delete_version_set(facts, id, request, caller, now)
        })
        .await
    }

    /// Lists the services that the caller may see, a page at a time.
    ///
    /// # Errors
    /// [`Refusal::OrganizationNotFound`], [`Refusal::PermissionDenied`] for a caller without any grant for it,
    /// [`Refusal::InvalidContinuationToken`]; or when the store fails.
    pub async fn list(
        &self,
        organization: &OrganizationId,
        caller: &Caller,
        request: ListServices,
    ) -> Result<Page, RegistryError> {
        caller.holds_any_of(&[Permission::GetService])?;
        let ListServices { filter, sort, limit, token } = request;
        let visibility = Visibility::of(&caller.grants, Permission::GetService);
        let listing = Listing { filter, visibility, sort, limit, token };
        match self.repository.list(organization, &listing).await? {
            Listed::Page(page) => Ok(page),
            Listed::UnknownOrganization => Err(Refusal::OrganizationNotFound(organization.clone()).into()),
            Listed::InvalidToken => Err(Refusal::InvalidContinuationToken(token).into()),
        }
    }

    /// Loads, decides and commits until a commit is not stale. `query` always names a service; where that one is to be
    /// created, it names another one each time.
    async fn write(
        &self,
        organization: &OrganizationId,
        query: impl Fn() -> FactsQuery,
        decide: impl Fn(&Facts, ServiceId, Timestamp) -> Result<Decision, Refusal>,
    ) -> Result<Arc<Service>, RegistryError> {
        for attempt in 0..MAX_ATTEMPTS {
            let query = query();
            let facts = self.repository.facts(organization, &query).await?;
            let Some(facts) = facts else {
                return Err(Refusal::OrganizationNotFound(organization.clone()).into());
            };
            let Some(id) = query.service else { break };
            let draft = match (decide(&facts, id, self.environment.now())?, &facts.service) {
                (Decision::Change(draft), _) => draft,
                (Decision::Unchanged, Some(service)) => return Ok(Arc::clone(service)),
                (Decision::Unchanged, None) => return Err(Refusal::ServiceNotFound(id).into()),
            };
            // A new service expects none of its id: a draft without a revision says so, whatever the facts found.
            let expected = Some(draft.service().revision).filter(|&revision| revision != Revision::ZERO);
            let commit = Commit { draft: draft.clone(), expected, catalog_revision: facts.catalog_revision };
            match self.repository.commit(commit).await {
                Ok(CommitOutcome::Committed(revision)) => return Ok(Arc::new(draft.stamped(revision))),
                Ok(CommitOutcome::Stale) if attempt + 1 == MAX_ATTEMPTS => break,
                Ok(CommitOutcome::Stale) => self.environment.pause(self.delay(attempt)).await,
                Err(source) if source.kind() == StoreErrorKind::OutcomeUnknown => {
                    return Err(RegistryError::OutcomeUnknown { service: id, expected, source });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(RegistryError::Contention)
    }

    /// A random time of up to 1, 2, 4, … 128 ms, so that writers who met once do not meet again.
    fn delay(&self, attempt: u32) -> Duration {
        let most = 1000_u64 << attempt.min(7);
        Duration::from_micros(u64::from_ne_bytes(self.environment.entropy()) % most)
    }
}

fn llm_names(set: &VersionSet) -> Vec<LlmName> {
    set.llm_model_preferences.llm_names().cloned().collect()
}
