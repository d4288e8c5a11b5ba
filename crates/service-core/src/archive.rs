//! A whole store as lines of JSON: the way from one store to another, and a backup that no database is needed to read.
//!
//! # The format
//!
//! Each line is a JSON object with one member, whose key says what it is. They come in this order:
//!
//! 1. `archive`: the format's name and version.
//! 2. `llm`: the LLMs, by name, as a catalog file has them.
//! 3. For each organization, by id: `organization` (its id, revision and catalog revision); its catalog as a catalog file has it,
//!    line by line: `agent`, `state_machine`, `simulation_unit_test`, `role`, `user`; its `api_key`s (the hashes of their
//!    secrets); and its history, row by row, in the order of the revisions: `service`, as the service then was.
//! 4. `end`: how many lines there are before it, how many organizations and rows of history, and the SHA-256 checksum of all the
//!    bytes before it.
//!
//! Services are not in it: they are the fold of the history. The same contents give the same bytes, whichever store they
//! are in. Whether the store is in maintenance is not part of them.

mod reader;
mod record;
mod writer;

pub use reader::{ArchiveReader, Section, check_change, name_taken};
pub use writer::ArchiveWriter;

use std::collections::BTreeMap;
use std::io;

use async_trait::async_trait;

use crate::api_key::ApiKey;
use crate::error::StoreError;
use crate::repository::OrganizationRecord;
use crate::value::{ApiKeyId, OrganizationId};

/// Takes the bytes of an archive as they are made.
#[async_trait]
pub trait ArchiveSink: Send {
    /// Takes the next bytes, whole lines always.
    ///
    /// # Errors
    /// Why they could not be taken; the export fails with it.
    async fn write(&mut self, lines: &[u8]) -> io::Result<()>;
}

#[async_trait]
impl ArchiveSink for Vec<u8> {
    async fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.extend_from_slice(lines);
        Ok(())
    }
}

/// Gives the bytes of an archive as they are asked for.
#[async_trait]
pub trait ArchiveSource: Send {
    /// The next bytes, as many as come easily; none at the end.
    ///
    /// # Errors
    /// Why they could not be read; the import fails with it.
    async fn read(&mut self) -> io::Result<Vec<u8>>;
}

#[async_trait]
impl ArchiveSource for &[u8] {
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(std::mem::take(self).to_vec())
    }
}

/// How much an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArchiveSummary {
    /// Organizations.
    pub organizations: u64,
    /// Rows of history.
    pub revisions: u64,
    /// Lines, the last one aside.
    pub lines: u64,
}

/// An organization as an archive has it, its history aside.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchivedOrganization {
    /// Which.
    pub id: OrganizationId,
    /// The revision that its history ends at, its catalog revision, and its catalog.
    pub record: OrganizationRecord,
    /// Its API keys.
    pub api_keys: BTreeMap<ApiKeyId, ApiKey>,
}

/// An export came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive could not be written.
    #[error("the archive could not be written")]
    Sink(#[source] io::Error),
}

/// An import came to nothing: the store is as empty as it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The archive, or the store, is not one to import from, or into.
    #[error(transparent)]
    Refused(#[from] ImportRefusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive could not be read.
    #[error("the archive could not be read")]
    Source(#[source] io::Error),
}

/// Why an import was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportRefusal {
    /// The store holds an organization or an LLM already.
    #[error("the store is not empty: an archive is imported only into an empty one")]
    NotEmpty,
    /// A line is not one of an archive, or not in its place.
    #[error("line {line} of the archive is wrong: {fault}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        fault: String,
    },
    /// There is no last line.
    #[error("the archive is truncated: it ends after {0} lines, without the line that ends one")]
    Truncated(u64),
    /// The content is not what the last line says.
    #[error(
        "the archive is corrupt: its content does not have the checksum, or the counts, of its last line"
    )]
    Checksum,
    /// The content breaks an invariant.
    #[error("organization `{organization}` in the archive breaks a rule: {fault}")]
    Invariant {
        /// In which organization.
        organization: OrganizationId,
        /// Which and where.
        fault: String,
    },
}
