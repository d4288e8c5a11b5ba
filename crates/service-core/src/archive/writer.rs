use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::record::{ApiKeyLine, FORMAT, Header, OrganizationLine, Record, Trailer, VERSION, hex};
use super::{ArchiveSink, ArchiveSummary, ExportError};
use crate::api_key::ApiKey;
use crate::catalog::{LlmEntry, Llms, OrganizationEntry};
use crate::error::{StoreError, StoreErrorKind};
use crate::repository::OrganizationRecord;
use crate::service::Service;
use crate::value::{ApiKeyId, OrganizationId, Revision};

/// How many bytes are gathered before the sink gets them.
const CHUNK: usize = 64 * 1024;

/// Writes an archive from what a store gives it, in the order of the format. See [the format](super).
pub struct ArchiveWriter<'a> {
    sink: &'a mut dyn ArchiveSink,
    digest: Sha256,
    lines: Vec<u8>,
    summary: ArchiveSummary,
    /// The organization that is being written, the revision its history has come to, and the one it must come to.
    current: Option<(OrganizationId, Revision, Revision)>,
}

impl<'a> ArchiveWriter<'a> {
    /// Begins an archive with the LLMs of a store.
    ///
    /// # Errors
    /// When the sink fails.
    pub async fn begin(sink: &'a mut dyn ArchiveSink, llms: &Llms) -> Result<Self, ExportError> {
        let mut writer = Self {
            sink,
            digest: Sha256::new(),
            lines: Vec::with_capacity(CHUNK),
            summary: ArchiveSummary::default(),
            current: None,
        };
        writer.put(&Record::Archive(Header { format: FORMAT.to_owned(), version: VERSION })).await?;
        for (name, llm) in llms {
            let entry = LlmEntry { name: name.clone(), deprecated: llm.deprecated };
            writer.put(&Record::Llm(entry)).await?;
        }
        Ok(writer)
    }

    /// The next organization, in the order of their ids. Its history follows.
    ///
    /// # Errors
    /// When the sink fails, or the history of the organization before was not whole.
    pub async fn organization(
        &mut self,
        id: &OrganizationId,
        record: &OrganizationRecord,
        api_keys: &BTreeMap<ApiKeyId, ApiKey>,
    ) -> Result<(), ExportError> {
        self.history_is_whole()?;
        self.current = Some((id.clone(), Revision::ZERO, record.revision));
        self.summary.organizations += 1;
        self.put(&Record::Organization(OrganizationLine {
            id: id.clone(),
            revision: record.revision,
            catalog_revision: record.catalog_revision,
        }))
        .await?;
        let entry = OrganizationEntry::of(id.clone(), &record.catalog);
        let agents = entry.agents.into_iter().map(Record::Agent);
        let machines = entry.state_machines.into_iter().map(Record::StateMachine);
        let tests = entry.simulation_unit_tests.into_iter().map(Record::SimulationUnitTest);
        let roles = entry.roles.into_iter().map(Record::Role);
        let users = entry.users.into_iter().map(Record::User);
        let keys = api_keys.iter().map(|(id, key)| Record::ApiKey(ApiKeyLine::of(id, key)));
        for record in agents.chain(machines).chain(tests).chain(roles).chain(users).chain(keys) {
            self.put(&record).await?;
        }
        Ok(())
    }

    /// The next rows of the organization's history, in the order of their revisions.
    ///
    /// # Errors
    /// When the sink fails, or a revision is missing.
    pub async fn history(&mut self, rows: &[Arc<Service>]) -> Result<(), ExportError> {
        for row in rows {
            if let Some((organization, last, _)) = &mut self.current {
                if row.revision != last.next() {
                    return Err(gap(organization, *last).into());
                }
                *last = row.revision;
            }
            self.summary.revisions += 1;
            self.put(&Record::Service(Arc::clone(row))).await?;
        }
        Ok(())
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// When the sink fails, or the history of the last organization was not whole.
    pub async fn finish(mut self) -> Result<ArchiveSummary, ExportError> {
        self.history_is_whole()?;
        let ArchiveSummary { lines, organizations, revisions } = self.summary;
        let sha256 = hex(&self.digest.clone().finalize());
        self.put(&Record::End(Trailer { lines, organizations, revisions, sha256 })).await?;
        self.sink.write(&self.lines).await.map_err(ExportError::Sink)?;
        Ok(ArchiveSummary { lines, organizations, revisions })
    }

    fn history_is_whole(&self) -> Result<(), StoreError> {
        match &self.current {
            Some((organization, last, end)) if last != end => Err(gap(organization, *last)),
            _ => Ok(()),
        }
    }

    async fn put(&mut self, record: &Record) -> Result<(), ExportError> {
        let start = self.lines.len();
        serde_json::to_writer(&mut self.lines, record)
            .map_err(|error| StoreError::new(StoreErrorKind::Internal, error))?;
        self.lines.push(b'\n');
        self.digest.update(self.lines.get(start..).unwrap_or_default());
        self.summary.lines += 1;
        if self.lines.len() >= CHUNK {
            self.sink.write(&self.lines).await.map_err(ExportError::Sink)?;
            self.lines.clear();
        }
        Ok(())
    }
}

/// A history that cannot be written, because it could not be read again.
fn gap(organization: &OrganizationId, last: Revision) -> StoreError {
    let place = format_args!("the history of organization `{organization}`");
    StoreError::corrupt(place, format_args!("what follows revision {last} is missing or too much"))
}

impl fmt::Debug for ArchiveWriter<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ArchiveWriter").field("summary", &self.summary).finish_non_exhaustive()
    }
}
