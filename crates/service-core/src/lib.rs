//! The domain of the service registry.
//!
//! Organizations that run AI agents offer *services*: an agent bound to a state machine, with tags, active or not, and named
//! *version sets* that pin agent, state-machine and LLM versions. This crate knows what a service is, what may be done to it and
//! by whom, and how services are listed. It does no I/O and knows no SQL, no HTTP, no clock and no randomness: stores implement
//! [`Repository`], and whoever calls gives time and entropy through an [`Environment`].
//!
//! * [`value`]: the types services are made of; what is ill-formed cannot exist.
//! * [`rules`]: each operation as a pure function from [`Facts`] and a request to a [`Decision`] or a [`Refusal`].
//! * [`filter`], [`sort`], [`visibility`], [`page`]: [`matches`](fn@matches), [`compare`], [`admits`] and [`paginate`] define what every store's
//!   listings must be; [`range`] says how an index serves them.
//! * [`state`]: [`OrganizationState`], the fold of all commits, is the model that every store is compared with.
//! * [`archive`]: a whole store as lines of JSON, the way from one store to another; [`check`]: whether what is stored is sound.
//! * [`registry`]: [`Registry`] runs operations on any store: load, decide, commit, and decide again where another writer was
//!   faster.

pub mod api_key;
pub mod archive;
pub mod catalog;
pub mod check;
pub mod environment;
pub mod error;
pub mod filter;
mod forward;
pub mod page;
pub mod permission;
pub mod range;
pub mod refusal;
pub mod registry;
pub mod repository;
pub mod rules;
mod select;
pub mod service;
pub mod sort;
pub mod state;
pub mod value;
pub mod visibility;

pub use api_key::{ApiKey, ApiKeyHash};
pub use archive::{
    ArchiveReader, ArchiveSink, ArchiveSource, ArchiveSummary, ArchiveWriter, ExportError, ImportError,
    ImportRefusal,
};
pub use catalog::{CatalogChanges, CatalogDocument, CatalogRefusal, Llms, OrganizationCatalog};
pub use check::OrganizationCheck;
pub use environment::Environment;
pub use error::{StoreError, StoreErrorKind};
pub use filter::{ServiceFilter, TagFilter, TagMatch, matches};
pub use page::{ContinuationToken, Limit, Listing, Page, TagFacet, TagFacets, paginate};
pub use permission::{Attribute, AttributeValue, Condition, Grant, Grants, Permission};
pub use refusal::Refusal;
pub use registry::{ListServices, Registry, RegistryError};
pub use repository::{
    Access, CatalogError, Commit, CommitOutcome, FactsQuery, Listed, Operations, OrganizationRecord,
    Repository, Standing,
};
pub use rules::{Caller, CreateService, Decision, DeleteVersionSet, Facts, UpdateService, UpsertVersionSet};
pub use service::{Draft, Service};
pub use sort::{Direction, Sort, SortField, SortKey, compare};
pub use state::OrganizationState;
pub use value::*;
pub use visibility::{Visibility, admits};
