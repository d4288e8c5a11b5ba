//! The building of an index.

use std::sync::Arc;

use service_core::{OrganizationId, Revision, StoreError};
use service_index::IndexBuilder;

use super::Reader;
use crate::row::{self, HistoryRow, KeysRow};

/// How many services are read at once.
const SERVICES: usize = 8192;

/// An index that is being built: services are read some at a time, and what was written meanwhile comes from the history.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) services: IndexBuilder<Revision>,
    /// The revision of the organization before any service was read.
    pub(super) revision: i64,
    /// The row of history that has it.
    pub(super) last: Option<Arc<HistoryRow>>,
    /// The highest revision of a service that was read, or the organization's.
    pub(super) exact: i64,
    /// How many services were read.
    count: usize,
    /// The id of the last service that was read.
    after: Vec<u8>,
}

impl Build {
    /// What was begun, if it is of the history that the database has; otherwise a new one, of an organization that is at a revision.
    ///
    /// # Errors
    /// When the database fails, or the revision is missing in the history.
    pub(super) async fn go_on<'b>(
        begun: &'b mut Option<Self>,
        reader: &mut dyn Reader,
        organization: &OrganizationId,
        revision: i64,
    ) -> Result<&'b mut Self, StoreError> {
        if let Some(build) = &*begun {
            let last = reader.at(organization, &[build.revision]).await?.into_iter().next();
            if build.revision > revision || last.as_ref() != build.last.as_deref() {
                *begun = None;
            }
        }
        match begun {
            Some(build) => Ok(build),
            None => Ok(begun.insert(Self::begin(reader, organization, revision).await?)),
        }
    }

    async fn begin(
        reader: &mut dyn Reader,
        organization: &OrganizationId,
        revision: i64,
    ) -> Result<Self, StoreError> {
        let last = match revision {
            0 => None,
            _ => reader.at(organization, &[revision]).await?.into_iter().next(),
        };
        if last.is_none() && revision > 0 {
            let place = format!("the history of organization `{organization}`");
            return Err(StoreError::corrupt(place, format_args!("revision {revision} is missing")));
        }
        Ok(Self {
            services: IndexBuilder::default(),
            revision,
            last: last.map(Arc::new),
            exact: revision,
            count: 0,
            after: Vec::new(),
        })
    }

    /// Reads the services that are still to be read, and says after each part how many there are.
    ///
    /// # Errors
    /// When the database fails, or a row is corrupt. What was read stays.
    pub(super) async fn read(
        &mut self,
        reader: &mut dyn Reader,
        organization: &OrganizationId,
        mut there_are: impl FnMut(usize) + Send,
    ) -> Result<(), StoreError> {
        loop {
            let rows = reader.keys(organization, &self.after, SERVICES).await?;
            for row in &rows {
                self.push(organization, row)?;
            }
            there_are(self.count);
            if rows.len() < SERVICES {
                return Ok(());
            }
        }
    }

    fn push(&mut self, organization: &OrganizationId, row: &KeysRow) -> Result<(), StoreError> {
        let (keys, revision) = row::keys(organization, row)?;
        self.after = keys.id.as_bytes().to_vec();
        self.exact = self.exact.max(revision.get());
        self.count += 1;
        self.services.push(keys, revision);
        Ok(())
    }
}
