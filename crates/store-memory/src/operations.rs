//! What operators do with the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::RwLock;

use async_trait::async_trait;
use service_core::archive::Section;
use service_core::{
    ApiKey, ApiKeyId, ArchiveReader, ArchiveSink, ArchiveSource, ArchiveSummary, ArchiveWriter, ExportError,
    ImportError, ImportRefusal, Operations, OrganizationId, OrganizationRecord, Revision, StoreError,
    StoreErrorKind,
};

use crate::organization::Organization;
use crate::restored::Restored;
use crate::{MemoryStore, State, read, write};

/// How many rows of history are read under one lock.
const ROWS: usize = 256;

#[async_trait]
impl Operations for MemoryStore {
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn maintenance(&self) -> Result<bool, StoreError> {
        Ok(read(&self.state).in_maintenance)
    }

    async fn set_maintenance(&self, on: bool) -> Result<(), StoreError> {
        write(&self.state).in_maintenance = on;
        Ok(())
    }

    async fn export(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, ExportError> {
        let (llms, organizations) = {
            // Locked against all writers, so that it is one moment. History only grows: where it ends is all to remember of it.
            let state = write(&self.state);
            let organizations: BTreeMap<OrganizationId, Guard> = state
                .organizations
                .iter()
                .map(|(id, organization)| {
                    let organization = read(organization);
                    (id.clone(), (organization.record().clone(), organization.api_keys().clone()))
                })
                .collect();
            (state.llms.clone(), organizations)
        };
        let mut writer = ArchiveWriter::begin(sink, &llms).await?;
        for (id, (record, api_keys)) in &organizations {
            writer.organization(id, record, api_keys).await?;
            let mut last = Revision::ZERO;
            while last < record.revision {
                let rows = self.with_organization(id, |organization, _| organization.history(last, ROWS));
                let mut rows = rows.unwrap_or_default();
                rows.retain(|row| row.revision <= record.revision);
                let Some(newest) = rows.last() else { break };
                last = newest.revision;
                writer.history(&rows).await?;
            }
        }
        writer.finish().await
    }

    async fn import(&self, source: &mut dyn ArchiveSource) -> Result<ArchiveSummary, ImportError> {
        read(&self.state).refuse_unless_empty()?;
        let mut reader = ArchiveReader::begin(source).await?;
        let mut organizations: HashMap<OrganizationId, RwLock<Organization>> = HashMap::new();
        let mut current: Option<(OrganizationId, Restored)> = None;
        while let Some(section) = reader.next().await? {
            match section {
                Section::Organization(archived) => {
                    let id = archived.id.clone();
                    let complete = current.replace((id, Restored::begin(*archived)));
                    organizations.extend(complete.map(|(id, restored)| (id, restored.complete().into())));
                }
                Section::History(rows) => {
                    let Some((_, restored)) = &mut current else {
                        return Err(
                            StoreError::new(StoreErrorKind::Internal, "history of no organization").into()
                        );
                    };
                    for row in rows {
                        restored.take(row)?;
                    }
                }
            }
        }
        organizations.extend(current.map(|(id, restored)| (id, restored.complete().into())));
        let mut state = write(&self.state);
        state.refuse_unless_empty()?;
        state.llms = reader.llms().clone();
        state.organizations = organizations;
        Ok(reader.summary())
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        let state = read(&self.state);
        let mut organizations: Vec<_> = state.organizations.iter().collect();
        organizations.sort_unstable_by_key(|(id, _)| *id);
        let violations =
            organizations.into_iter().flat_map(|(id, organization)| read(organization).check(id));
        Ok(violations.collect())
    }
}

/// What an organization holds beside its services.
type Guard = (OrganizationRecord, BTreeMap<ApiKeyId, ApiKey>);

impl State {
    fn refuse_unless_empty(&self) -> Result<(), ImportRefusal> {
        if self.organizations.is_empty() && self.llms.is_empty() {
            Ok(())
        } else {
            Err(ImportRefusal::NotEmpty)
        }
    }
}
