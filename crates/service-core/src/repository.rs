//! What the registry needs of a store.
//!
//! Three narrow traits, each with a contract on every method. Where a method says what it returns, in which order, and
//! what is atomic, it says so for every store; the conformance suite holds stores to it.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::api_key::ApiKeyHash;
use crate::archive::{ArchiveSink, ArchiveSource, ArchiveSummary, ExportError, ImportError};
use crate::catalog::{CatalogChanges, CatalogDocument, CatalogRefusal, Llms, OrganizationCatalog};
use crate::error::{StoreError, StoreErrorKind};
use crate::page::{Listing, Page};
use crate::permission::Grants;
use crate::rules::Facts;
use crate::service::{Draft, Service};
use crate::value::{
    AgentId, ApiKeyId, CatalogRevision, LlmName, OrganizationId, Principal, Revision, ServiceId, ServiceName,
    StateMachineId, Timestamp,
};

/// The facts a decision asks for. What is not there is left out of the answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FactsQuery {
    /// The service that the request is about. Its own agent and state machine, the LLMs that its version sets name,
    /// and the version sets of it that live tests name are given with it.
    pub service: Option<ServiceId>,
    /// The name whose active holder is asked for; `None`: the name of the service.
    pub name: Option<ServiceName>,
    /// Agents.
    pub agents: Vec<AgentId>,
    /// State machines.
    pub state_machines: Vec<StateMachineId>,
    /// LLMs.
    pub llms: Vec<LlmName>,
}

/// A service write that was decided, and what it was decided on.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// What the service is to be.
    pub draft: Draft,
    /// The revision of the service that the decision saw; `None` if there was no service of that id.
    pub expected: Option<Revision>,
    /// The state of the catalog that the decision saw.
    pub catalog_revision: CatalogRevision,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It happened, as this revision.
    Committed(Revision),
    /// It rests on facts that are no longer true. Nothing happened; load them and decide again.
    Stale,
}

/// The answer to a listing.
#[derive(Debug, Clone, PartialEq)]
pub enum Listed {
    /// The page.
    Page(Page),
    /// There is no such organization.
    UnknownOrganization,
    /// The token names no revision of the organization, or one of a service that, as it was at that revision, the
    /// visibility does not admit.
    InvalidToken,
}

/// What an organization's guard holds, and its catalog: one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrganizationRecord {
    /// The revision of the last service write.
    pub revision: Revision,
    /// How often the catalog has changed.
    pub catalog_revision: CatalogRevision,
    /// The catalog.
    pub catalog: OrganizationCatalog,
}

/// A catalog document was not applied.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] CatalogRefusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps organizations, their services and the catalog.
///
/// Every call is atomic and sees, or makes, one state: concurrent callers observe the effects of a call whole or not at all,
/// and a call that begins after another returned sees its effects. No call for one organization reads or changes another's
/// rows. A call that fails has changed nothing, unless its error is of kind
/// [`OutcomeUnknown`](crate::error::StoreErrorKind::OutcomeUnknown). A read does not wait
/// for a write to reach a disk or another machine.
#[async_trait]
pub trait Repository: Debug + Send + Sync + 'static {
    /// The facts asked for, all of one snapshot; `None` if there is no such organization.
    ///
    /// # Errors
    /// When the store fails, or a row that is asked for is corrupt.
    async fn facts(
        &self,
        organization: &OrganizationId,
        query: &FactsQuery,
    ) -> Result<Option<Facts>, StoreError>;

    /// Makes a decided write happen, unless what it rests on has changed.
    ///
    /// It is stale if the organization does not exist, the service's revision is not the expected one (or it exists and
    /// was expected not to), the catalog revision is not the one named, or the draft is active and another active
    /// service of the organization has its name. Otherwise the draft takes the organization's next revision, replaces
    /// the service, and becomes one immutable row of history; facets follow. All of that happens, or nothing.
    ///
    /// # Errors
    /// When the store fails. `OutcomeUnknown` if it cannot tell whether the write happened.
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError>;

    /// One page: the services that satisfy the filter and the visibility, ordered by [`compare`](crate::sort::compare),
    /// after the position that the token names, at most as many as the limit; exactly what
    /// [`paginate`](crate::page::paginate) gives over all services of the organization. Facets come with the first page.
    /// The page is one snapshot.
    ///
    /// # Errors
    /// When the store fails, or a row of the page is corrupt.
    async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Result<Listed, StoreError>;

    /// The first `limit` rows of history after a revision, in the order of their revisions: services as they were.
    /// `None` if there is no such organization.
    ///
    /// # Errors
    /// When the store fails, or a row is corrupt.
    async fn history(
        &self,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError>;

    /// An organization's revisions and catalog; `None` if there is no such organization.
    ///
    /// # Errors
    /// When the store fails, or a row is corrupt.
    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationRecord>, StoreError>;

    /// The LLMs that the store knows.
    ///
    /// # Errors
    /// When the store fails, or a row is corrupt.
    async fn llms(&self) -> Result<Llms, StoreError>;

    /// Applies a catalog document: [`CatalogChanges::decide`] on what is there, all of it or nothing. The catalog revision of
    /// an organization moves by one if anything changes in it, and not otherwise. Returns what changed.
    ///
    /// # Errors
    /// The refusal, with nothing applied; or when the store fails.
    async fn apply_catalog(&self, document: &CatalogDocument) -> Result<CatalogChanges, CatalogError>;
}

/// What a store knows of a principal in an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is no such organization.
    UnknownOrganization,
    /// The organization's catalog does not know the principal, who holds nothing.
    UnknownPrincipal,
    /// The principal is known and holds these grants.
    Known(Grants),
}

/// Answers who may do what. A call that begins after a catalog change returned sees the change.
#[async_trait]
pub trait Access: Debug + Send + Sync + 'static {
    /// What a principal holds for an organization.
    ///
    /// # Errors
    /// When the store fails, or a row is corrupt.
    async fn standing(
        &self,
        organization: &OrganizationId,
        principal: &Principal,
    ) -> Result<Standing, StoreError>;

    /// Whether `key` is the secret of the organization's API key of this id; compared in constant time. `false` also if
    /// there is no such key or organization.
    ///
    /// # Errors
    /// When the store fails.
    async fn verify_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        key: &str,
    ) -> Result<bool, StoreError>;

    /// Adds an API key to an organization; `false`, and nothing added, if there is no such organization or the id is taken.
    ///
    /// # Errors
    /// When the store fails.
    async fn add_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        hash: &ApiKeyHash,
        created_at: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// What operators do with a store.
#[async_trait]
pub trait Operations: Debug + Send + Sync + 'static {
    /// Brings the store's schema up to date, once, in order; nothing happens where it is. Safe to call from several processes
    /// at once.
    ///
    /// # Errors
    /// When the schema is newer than this program, or the store fails.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Succeeds if the store can be reached and its schema is the one this program works with.
    ///
    /// # Errors
    /// Why it is not ready.
    async fn ready(&self) -> Result<(), StoreError>;

    /// Whether the store is in maintenance.
    ///
    /// # Errors
    /// When the store fails.
    async fn maintenance(&self) -> Result<bool, StoreError>;

    /// Begins or ends maintenance, for every process that uses the store.
    ///
    /// # Errors
    /// When the store fails.
    async fn set_maintenance(&self, on: bool) -> Result<(), StoreError>;

    /// Writes all that is stored, but whether the store is in maintenance, as [an archive](crate::archive): one snapshot. The
    /// same contents give the same bytes in every store. Writers are not kept waiting.
    ///
    /// # Errors
    /// When the store or the sink fails, or a row is corrupt. What the sink has got by then has no last line.
    async fn export(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, ExportError> {
        let _ = sink;
        Err(ExportError::Store(StoreError::new(StoreErrorKind::Internal, "not there yet")))
    }

    /// Takes over an archive, whole or not at all: afterwards an export gives the same bytes, and every continuation token that was
    /// valid in the store it came from is valid in this one.
    ///
    /// # Errors
    /// When the store is not empty, or the archive is truncated, corrupt or breaks an invariant; when the store or the source fails.
    /// The store is then as empty as it was.
    async fn import(&self, source: &mut dyn ArchiveSource) -> Result<ArchiveSummary, ImportError> {
        let _ = source;
        Err(ImportError::Store(StoreError::new(StoreErrorKind::Internal, "not there yet")))
    }

    /// What is wrong with what is stored, as sentences, none if nothing is: the invariants, the services against their history,
    /// the facets and everything else that listings are found by against the services. One snapshot. Of each organization, the
    /// first [`MAX_VIOLATIONS`](crate::check::MAX_VIOLATIONS) are told.
    ///
    /// # Errors
    /// When the store fails. A row that cannot be read is a violation, not an error.
    async fn check(&self) -> Result<Vec<String>, StoreError> {
        Err(StoreError::new(StoreErrorKind::Internal, "not there yet"))
    }
}
