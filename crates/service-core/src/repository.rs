//! What the registry needs of a store.
//!
//! Three narrow traits, each with a contract. What is promised, of a trait as a whole or of a method, stands in a list, and each
//! item ends with the cases of the conformance suite that hold a store to it. A test sees to it that none lacks a case, and that no
//! case lacks a promise. Failures, which nobody can bring about through these traits, stand under "Errors".

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::api_key::ApiKeyHash;
use crate::archive::{ArchiveSink, ArchiveSource, ArchiveSummary, ExportError, ImportError};
use crate::catalog::{CatalogChanges, CatalogDocument, CatalogRefusal, Llms, OrganizationCatalog};
use crate::error::StoreError;
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
/// * Every call is atomic and sees, or makes, one state: concurrent callers observe the effects of a call whole or not at
///   all. (`concurrent::readers_see_whole_writes`, `concurrent::upserts_and_deletes_of_a_set_never_mix`)
/// * A call that begins after another returned sees its effects. (`atomic::what_a_call_did_the_next_one_sees`)
/// * However many callers race, no state breaks an invariant, and no write is lost.
///   (`concurrent::creators_of_one_name_leave_one_active`, `concurrent::activation_and_rename_never_share_a_name`,
///   `concurrent::catalog_changes_and_writes_keep_the_invariants`, `concurrent::updates_of_one_service_are_all_counted`)
/// * No call for one organization reads or changes another's rows. (`organizations::with_the_same_ids_are_isolated`,
///   `organizations::are_out_of_reach_of_ids_and_tokens_of_others`)
/// * A call that fails has changed nothing, unless its error is of kind
///   [`OutcomeUnknown`](crate::error::StoreErrorKind::OutcomeUnknown); one that nobody waits for any more happens whole or not
///   at all, and is in nobody's way. (`atomic::writes_nobody_waits_for_happen_whole_or_not_at_all`,
///   `atomic::documents_nobody_waits_for_are_applied_whole_or_not_at_all`)
/// * A read does not wait for a write, wherever that stands on its way to a disk or another machine.
///   (`atomic::reads_go_on_beside_a_write_under_way`)
/// * Whatever is asked in whatever order, the answers are those of [`OrganizationState`](crate::state::OrganizationState).
///   (`random::operations_answer_as_the_model_does`, `random::histories_answer_as_the_model_does`)
#[async_trait]
pub trait Repository: Debug + Send + Sync + 'static {
    /// Loads the facts that a decision asks for.
    ///
    /// * They are complete, and nothing that was not asked for is among them. (`facts::are_what_the_model_says`)
    /// * With a service come, unasked, its agent, its state machine and the LLMs that its version sets name.
    ///   (`facts::come_with_what_the_service_refers_to`)
    /// * The holder of a name is the active service that has it, to the code point. (`facts::name_the_active_holder`)
    /// * The version sets of the service that live tests name are those, and no others.
    ///   (`facts::name_the_version_sets_of_live_tests`)
    /// * All of them are of one snapshot. (`concurrent::catalog_changes_and_writes_keep_the_invariants`)
    /// * `None` if there is no such organization. (`organizations::an_unknown_one_is_none_everywhere`)
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
    /// * It is stale if the organization does not exist, which is then not made. (`commit::is_stale_without_the_organization`)
    /// * It is stale if the service's revision is not the expected one, or the service exists and was expected not to, or the other
    ///   way round. (`commit::is_stale_on_another_revision_of_the_service`, `commit::is_stale_if_the_service_exists_already`,
    ///   `commit::is_stale_if_the_service_does_not_exist`)
    /// * It is stale if the catalog revision is not the one named. (`commit::is_stale_on_another_catalog_revision`)
    /// * It is stale if the draft is active and another active service of the organization has its name, to the code point.
    ///   (`commit::is_stale_if_the_active_name_is_taken`)
    /// * It is stale for no other reason: names are shared with inactive services, and free once their holder is renamed or inactive.
    ///   (`commit::lets_inactive_services_share_names`, `commit::frees_a_name_by_renaming_and_by_deactivation`)
    /// * Otherwise the draft takes the organization's next revision, without a gap, and replaces the service.
    ///   (`commit::takes_the_next_revision`, `concurrent::updates_of_one_service_are_all_counted`)
    /// * What is read later is what was written: texts to the code point, numbers by value, times to the microsecond.
    ///   (`commit::keeps_every_value_as_it_was`)
    /// * It becomes one immutable row of history, and the facets follow. (`history::is_immutable_and_in_order`,
    ///   `listing::counts_facets_exactly`)
    /// * All of that happens, or nothing. (`atomic::writes_nobody_waits_for_happen_whole_or_not_at_all`,
    ///   `commit::is_stale_if_the_active_name_is_taken`)
    ///
    /// # Errors
    /// When the store fails. `OutcomeUnknown` if it cannot tell whether the write happened.
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome, StoreError>;

    /// Lists one page of an organization's services.
    ///
    /// * It is exactly what [`paginate`](crate::page::paginate) gives over all services of the organization: those that satisfy the
    ///   filter and the visibility, ordered by [`compare`](crate::sort::compare), after the position that the token names, at most
    ///   as many as the limit. (`listing::is_what_paginate_says`, `listing::takes_large_filters_and_pages`,
    ///   `listing::gives_pages_as_large_as_asked_for`, `listing::takes_the_largest_visibility`)
    /// * Any revision of the organization is a token, under any sort, and names the position that its service had then, whatever has become
    ///   of the service. (`listing::continues_from_every_revision`, `listing::keeps_tokens_valid_after_changes`)
    /// * Other numbers are invalid tokens, and so are revisions of services that the visibility, as they were then, does not admit.
    ///   (`listing::refuses_tokens_it_never_issued`, `listing::refuses_tokens_of_services_out_of_sight`)
    /// * Page after page, a walk gives what one large page does, and no page but the last is followed by none.
    ///   (`listing::walks_concatenate_to_the_whole`)
    /// * Whatever is written during a walk, each service that matches throughout and whose sort fields do not change is returned exactly
    ///   once. (`random::walks_during_writes_meet_their_promise`, `concurrent::walks_return_each_unchanged_service_once`)
    /// * Facets come with the first page, and with no other: the tags that some service has now, whatever the filter and the
    ///   visibility, and the first thousand where there are more. (`listing::counts_facets_exactly`,
    ///   `listing::truncates_facets_at_a_thousand`, `listing::walks_concatenate_to_the_whole`)
    /// * The page and its facets are one snapshot. (`concurrent::readers_see_whole_writes`)
    /// * An organization that does not exist is said to be unknown. (`organizations::an_unknown_one_is_none_everywhere`)
    ///
    /// # Errors
    /// When the store fails, or a row of the page is corrupt.
    async fn list(&self, organization: &OrganizationId, listing: &Listing) -> Result<Listed, StoreError>;

    /// Reads history after a revision.
    ///
    /// * It gives services as they were, in the order of their revisions. (`history::is_immutable_and_in_order`)
    /// * It gives the first `limit` rows, none for a limit of 0, from any revision on, there or not.
    ///   (`history::starts_after_any_revision_with_any_limit`)
    /// * `None` if there is no such organization. (`organizations::an_unknown_one_is_none_everywhere`)
    ///
    /// # Errors
    /// When the store fails, or a row is corrupt.
    async fn history(
        &self,
        organization: &OrganizationId,
        after: Revision,
        limit: usize,
    ) -> Result<Option<Vec<Arc<Service>>>, StoreError>;

    /// Reads an organization's revisions and catalog.
    ///
    /// * A new organization has revision 0, catalog revision 1 and the catalog it was made with.
    ///   (`organizations::a_new_one_is_empty_with_its_catalog`)
    /// * `None` if there is no such organization. (`organizations::an_unknown_one_is_none_everywhere`)
    ///
    /// # Errors
    /// When the store fails, or a row is corrupt.
    async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<OrganizationRecord>, StoreError>;

    /// Reads the LLMs that the store knows.
    ///
    /// * They are those of the whole store, and a change of them is no change of an organization.
    ///   (`catalog::keeps_llms_for_the_whole_store`)
    ///
    /// # Errors
    /// When the store fails, or a row is corrupt.
    async fn llms(&self) -> Result<Llms, StoreError>;

    /// Applies a catalog document and returns what changed.
    ///
    /// * It is decided by [`CatalogChanges::decide`] on what is there, and refused for what that refuses.
    ///   (`catalog::refuses_entries_that_come_twice`, `catalog::refuses_versions_that_fall`,
    ///   `catalog::refuses_tests_without_a_target`, `catalog::refuses_roles_that_are_unknown`,
    ///   `catalog::refuses_too_many_grants`)
    /// * All of it is applied, or, if it is refused, nothing. (`catalog::applies_whole_and_moves_on_by_one`,
    ///   `catalog::applies_nothing_of_what_it_refuses`, `atomic::documents_nobody_waits_for_are_applied_whole_or_not_at_all`)
    /// * The catalog revision of an organization moves by one if anything changes in it, and not otherwise.
    ///   (`catalog::applies_whole_and_moves_on_by_one`, `catalog::is_idempotent`)
    ///
    /// # Errors
    /// The refusal; or when the store fails.
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

/// Answers who may do what.
///
/// * A call that begins after a catalog change returned sees the change. (`access::standing_follows_the_catalog`,
///   `atomic::what_a_call_did_the_next_one_sees`)
#[async_trait]
pub trait Access: Debug + Send + Sync + 'static {
    /// Tells what a principal holds for an organization.
    ///
    /// * A principal holds the grants of its roles, as the catalog says at that moment. (`access::standing_follows_the_catalog`)
    /// * A user of another organization is another principal, and an organization that does not exist is said to be unknown.
    ///   (`access::standing_knows_issuers_apart`)
    ///
    /// # Errors
    /// When the store fails, or a row is corrupt.
    async fn standing(
        &self,
        organization: &OrganizationId,
        principal: &Principal,
    ) -> Result<Standing, StoreError>;

    /// Tells whether `key` is the secret of the organization's API key of this id.
    ///
    /// * `true` for that secret alone; `false` also if there is no such key or organization.
    ///   (`access::api_keys_verify_only_their_own_secret`)
    ///
    /// # Errors
    /// When the store fails.
    async fn verify_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        key: &str,
    ) -> Result<bool, StoreError>;

    /// Adds an API key to an organization.
    ///
    /// * `false`, and nothing added, if there is no such organization or the id is taken. (`access::api_keys_are_added_once`)
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
///
/// * None of it is in the way of those who use the store. (`operations::maintenance_is_kept_until_it_ends`,
///   `archive::is_one_snapshot_beside_writes`)
#[async_trait]
pub trait Operations: Debug + Send + Sync + 'static {
    /// Brings the store's schema up to date.
    ///
    /// * Nothing happens where it is, also when several callers want it at once.
    ///   (`operations::migrating_again_changes_nothing`)
    ///
    /// # Errors
    /// When the schema is newer than this program, or the store fails.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Tells whether the store can be reached and its schema is the one this program works with.
    ///
    /// * A store that has been migrated is ready, in maintenance or not. (`operations::migrating_again_changes_nothing`,
    ///   `operations::maintenance_is_kept_until_it_ends`)
    ///
    /// # Errors
    /// Why it is not ready.
    async fn ready(&self) -> Result<(), StoreError>;

    /// Tells whether the store is in maintenance.
    ///
    /// * It is not at first, and then as it was last set. (`operations::maintenance_is_kept_until_it_ends`)
    ///
    /// # Errors
    /// When the store fails.
    async fn maintenance(&self) -> Result<bool, StoreError>;

    /// Begins or ends maintenance, for every process that uses the store.
    ///
    /// * To begin or end it twice is to do it once, and the store answers meanwhile.
    ///   (`operations::maintenance_is_kept_until_it_ends`)
    ///
    /// # Errors
    /// When the store fails.
    async fn set_maintenance(&self, on: bool) -> Result<(), StoreError>;

    /// Writes all that is stored as [an archive](crate::archive).
    ///
    /// * It is all but whether the store is in maintenance. (`archive::moves_a_store_byte_for_byte`)
    /// * It is one snapshot, and writers go on meanwhile. (`archive::is_one_snapshot_beside_writes`)
    /// * The same contents give the same bytes in every store. (`archive::is_the_models_to_the_byte`)
    /// * What a sink has got when it fails is not an archive, for it has no last line. (`archive::is_nothing_if_it_breaks_off`)
    ///
    /// # Errors
    /// When the store or the sink fails, or a row is corrupt.
    async fn export(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, ExportError>;

    /// Takes over an archive, into an empty store.
    ///
    /// * Afterwards an export gives the same bytes. (`archive::moves_a_store_byte_for_byte`)
    /// * Every continuation token that was valid in the store it came from is valid in this one, and names the same position.
    ///   (`archive::keeps_tokens_valid`)
    /// * A store that is not empty takes none, and stays as it is. (`archive::comes_into_an_empty_store_alone`)
    /// * An archive that is truncated, corrupt or breaks an invariant is refused, and leaves nothing behind.
    ///   (`archive::is_refused_if_truncated`, `archive::is_refused_if_corrupt`,
    ///   `archive::is_refused_if_it_breaks_an_invariant`)
    /// * So does one whose source fails. (`archive::is_nothing_if_it_breaks_off`)
    ///
    /// # Errors
    /// When the store is not empty, or the archive is truncated, corrupt or breaks an invariant; when the store or the source fails.
    async fn import(&self, source: &mut dyn ArchiveSource) -> Result<ArchiveSummary, ImportError>;

    /// Tells what is wrong with what is stored, in at most [`MAX_VIOLATIONS`](crate::check::MAX_VIOLATIONS) sentences for each
    /// organization: the invariants, the services against their history, the facets and everything else that listings are found by
    /// against the services.
    ///
    /// * There are none, whatever has been written or refused. (`archive::check_finds_nothing_wrong`)
    ///
    /// # Errors
    /// When the store fails. A row that cannot be read is a violation, not an error.
    async fn check(&self) -> Result<Vec<String>, StoreError>;
}
