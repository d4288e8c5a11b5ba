//! What moves a store and checks it, over what each database is asked and told for that.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use service_core::archive::{ArchivedOrganization, Section};
use service_core::catalog::{ChangeKind, OrganizationChanges};
use service_core::{
    ApiKey, ApiKeyHash, ApiKeyId, ArchiveReader, ArchiveSink, ArchiveSource, ArchiveSummary, ArchiveWriter,
    CatalogChanges, ExportError, ImportError, ImportRefusal, Llms, OrganizationId, OrganizationRecord,
    Revision, Service, ServiceId, ServiceName, StoreError, StoreErrorKind, TagFacet, Timestamp,
};

use crate::change::{self, Change, replay, runs};
use crate::check::StoreCheck;
use crate::row::{self, FacetRow, PlacedRow, ServiceRow};

/// How many rows are read at once: of the largest services, some megabytes.
const ROWS: usize = 64;

/// A snapshot of a whole store: every answer is of the same moment.
#[async_trait]
pub trait Snapshot: Send {
    /// The LLMs.
    async fn llms(&mut self) -> Result<Llms, StoreError>;

    /// The organization that follows one in the order of their ids, or the first.
    async fn organization_after(&mut self, id: Option<&OrganizationId>)
    -> Result<Option<String>, StoreError>;

    /// Guard and catalog of an organization.
    async fn record(&mut self, id: &OrganizationId) -> Result<Option<OrganizationRecord>, StoreError>;

    /// The API keys of an organization: id, hash, time in microseconds.
    async fn api_keys(&mut self, id: &OrganizationId) -> Result<Vec<(String, Vec<u8>, i64)>, StoreError>;

    /// The next rows of history, in order.
    async fn history(
        &mut self,
        id: &OrganizationId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<PlacedRow>, StoreError>;

    /// The next rows of services, in the order of the bytes of their ids, each with the row of history it names.
    async fn services(
        &mut self,
        id: &OrganizationId,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<ServiceRow>, StoreError>;

    /// The facets that are kept.
    async fn facets(&mut self, id: &OrganizationId) -> Result<Vec<FacetRow>, StoreError>;
}

/// A transaction that takes over a whole store, and holds off all others who write.
#[async_trait]
pub trait Takeover: Send {
    /// Whether there is neither an organization nor an LLM.
    async fn is_empty(&mut self) -> Result<bool, StoreError>;

    /// Adds LLMs, and organizations with their catalogs.
    async fn add_catalog(&mut self, changes: &CatalogChanges) -> Result<(), StoreError>;

    /// Sets the catalog revision of an organization and adds its API keys.
    async fn complete(&mut self, organization: &ArchivedOrganization) -> Result<(), StoreError>;

    /// Those of some services that are there.
    async fn services_of(
        &mut self,
        organization: &OrganizationId,
        ids: &BTreeSet<ServiceId>,
    ) -> Result<Vec<Arc<Service>>, StoreError>;

    /// Those active services that have one of some names: name, id.
    async fn holders_of(
        &mut self,
        organization: &OrganizationId,
        names: &BTreeSet<&str>,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Writes a run of changes to history and services, and nothing else.
    async fn write(&mut self, organization: &OrganizationId, changes: &[Change]) -> Result<(), StoreError>;

    /// Adds the facets of an organization, and moves it on to a revision.
    async fn finish(
        &mut self,
        organization: &OrganizationId,
        facets: &BTreeMap<TagFacet, i64>,
        revision: Revision,
    ) -> Result<(), StoreError>;
}

/// Writes a snapshot as an archive.
///
/// # Errors
/// When the snapshot or the sink fails.
pub async fn export(
    snapshot: &mut dyn Snapshot,
    sink: &mut dyn ArchiveSink,
) -> Result<ArchiveSummary, ExportError> {
    let llms = snapshot.llms().await?;
    let mut writer = ArchiveWriter::begin(sink, &llms).await?;
    let mut last: Option<OrganizationId> = None;
    while let Some(id) = snapshot.organization_after(last.as_ref()).await? {
        let id: OrganizationId = row::text("an organization", &id)?;
        if let Some(record) = snapshot.record(&id).await? {
            let keys = snapshot.api_keys(&id).await?;
            let keys = keys.iter().map(api_key).collect::<Result<BTreeMap<_, _>, _>>()?;
            writer.organization(&id, &record, &keys).await?;
            let mut after = Revision::ZERO;
            loop {
                let rows = snapshot.history(&id, after.get(), ROWS).await?;
                let rows: Vec<Arc<Service>> =
                    rows.iter().map(|placed| row::service(&id, &placed.row)).collect::<Result<_, _>>()?;
                let Some(newest) = rows.last() else { break };
                after = newest.revision;
                writer.history(&rows).await?;
            }
        }
        last = Some(id);
    }
    writer.finish().await
}

fn api_key((id, hash, created_at): &(String, Vec<u8>, i64)) -> Result<(ApiKeyId, ApiKey), StoreError> {
    let place = "an API key";
    let hash = hash.as_slice().try_into().map_err(|_| StoreError::corrupt(place, "a hash has 32 bytes"))?;
    let created_at =
        Timestamp::from_microseconds(*created_at).map_err(|fault| StoreError::corrupt(place, fault))?;
    Ok((row::text(place, id)?, ApiKey { hash: ApiKeyHash::from_bytes(hash), created_at }))
}

/// Takes an archive over. Whatever came of it stays only if the caller commits.
///
/// # Errors
/// When the archive is refused or cannot be read, or the transaction fails.
pub async fn import(
    takeover: &mut dyn Takeover,
    source: &mut dyn ArchiveSource,
) -> Result<ArchiveSummary, ImportError> {
    if !takeover.is_empty().await? {
        return Err(ImportRefusal::NotEmpty.into());
    }
    let mut reader = ArchiveReader::begin(source).await?;
    let llms = reader.llms().iter().map(|(name, llm)| (name.clone(), (ChangeKind::Added, *llm)));
    takeover.add_catalog(&CatalogChanges { llms: llms.collect(), ..CatalogChanges::default() }).await?;
    // What every write changes is written once: nothing tidies up a row that one transaction writes again and again.
    let mut written: Option<Written> = None;
    while let Some(section) = reader.next().await? {
        match section {
            Section::Organization(organization) => {
                finish(takeover, written.take()).await?;
                let added = OrganizationChanges::adding(&organization.record.catalog);
                let organizations = BTreeMap::from([(organization.id.clone(), added)]);
                takeover.add_catalog(&CatalogChanges { organizations, ..CatalogChanges::default() }).await?;
                takeover.complete(&organization).await?;
                written = Some(Written::of(organization.id));
            }
            Section::History(rows) => {
                if let Some(written) = &mut written {
                    add_history(takeover, rows, written).await?;
                }
            }
        }
    }
    finish(takeover, written).await?;
    Ok(reader.summary())
}

/// What was written of the history of an organization.
struct Written {
    organization: OrganizationId,
    facets: BTreeMap<TagFacet, i64>,
    revision: Revision,
}

impl Written {
    fn of(organization: OrganizationId) -> Self {
        Self { organization, facets: BTreeMap::new(), revision: Revision::ZERO }
    }
}

async fn finish(takeover: &mut dyn Takeover, written: Option<Written>) -> Result<(), StoreError> {
    let Some(Written { organization, mut facets, revision }) = written else { return Ok(()) };
    facets.retain(|_, services| *services != 0);
    takeover.finish(&organization, &facets, revision).await
}

/// Replays rows of history, all of one organization.
async fn add_history(
    takeover: &mut dyn Takeover,
    rows: Vec<Arc<Service>>,
    written: &mut Written,
) -> Result<(), ImportError> {
    let organization = &written.organization;
    let ids: BTreeSet<ServiceId> = rows.iter().map(|row| row.id).collect();
    let present = takeover.services_of(organization, &ids).await?;
    let mut services: HashMap<ServiceId, Arc<Service>> =
        present.into_iter().map(|service| (service.id, service)).collect();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let mut holders: HashMap<ServiceName, ServiceId> = HashMap::new();
    for (name, id) in takeover.holders_of(organization, &names).await? {
        let place = "the holder of a name";
        holders.insert(row::text(place, &name)?, row::id(place, &id, ServiceId::from_bytes)?);
    }
    for run in runs(replay(rows, &mut services, &mut holders)?) {
        takeover.write(organization, &run).await?;
        for (facet, services) in change::facets(&run) {
            *written.facets.entry(facet).or_default() += services;
        }
        written.revision =
            run.iter().map(|change| change.after.revision).fold(written.revision, Revision::max);
    }
    Ok(())
}

/// What is wrong in a snapshot.
///
/// # Errors
/// When the snapshot fails.
pub async fn check(snapshot: &mut dyn Snapshot) -> Result<Vec<String>, StoreError> {
    let mut violations = Vec::new();
    if let Err(fault) = snapshot.llms().await {
        violations.push(said(fault)?);
    }
    let mut last: Option<OrganizationId> = None;
    while let Some(name) = snapshot.organization_after(last.as_ref()).await? {
        let id: OrganizationId = match row::text("an organization", &name) {
            Ok(id) => id,
            // Nothing can be asked about it, nor about those after it.
            Err(fault) => {
                violations.push(said(fault)?);
                break;
            }
        };
        match snapshot.record(&id).await {
            Ok(Some(record)) => match check_organization(snapshot, &id, &record).await {
                Ok(found) => violations.extend(found),
                // Of a row that not even the database can read, it says no more than this.
                Err(fault) => violations.push(format!("organization `{id}`: {}", said(fault)?)),
            },
            Ok(None) => {}
            Err(fault) => violations.push(format!("organization `{id}`: {}", said(fault)?)),
        }
        last = Some(id);
    }
    Ok(violations)
}

async fn check_organization(
    snapshot: &mut dyn Snapshot,
    id: &OrganizationId,
    record: &OrganizationRecord,
) -> Result<Vec<String>, StoreError> {
    let mut check = StoreCheck::new(id, record);
    for (user, roles) in &record.catalog.users {
        for role in roles.iter().filter(|role| !record.catalog.roles.contains_key(*role)) {
            check.report(&format!("user `{user}` has the role `{role}`, which the catalog does not know"));
        }
        if let Err(fault) = record.catalog.grants(user) {
            check.report(&format!("user `{user}`: {fault}"));
        }
    }
    for key in &snapshot.api_keys(id).await? {
        if let Err(fault) = api_key(key) {
            check.report(&said(fault)?);
        }
    }
    let mut after = 0;
    loop {
        let rows = snapshot.history(id, after, ROWS).await?;
        let Some(PlacedRow { row: (newest, ..), .. }) = rows.last() else { break };
        after = *newest;
        rows.iter().for_each(|row| check.history(row));
    }
    let mut after = Vec::new();
    loop {
        let rows = snapshot.services(id, &after, ROWS).await?;
        let Some(newest) = rows.last() else { break };
        after = newest.id().to_vec();
        rows.into_iter().for_each(|row| check.service(row));
    }
    check.facets(snapshot.facets(id).await?);
    Ok(check.finish())
}

/// A fault of what is stored as a sentence; any other failure stays one.
pub(crate) fn said(fault: StoreError) -> Result<String, StoreError> {
    match (fault.kind(), std::error::Error::source(&fault)) {
        (StoreErrorKind::Corrupt, Some(source)) => Ok(source.to_string()),
        _ => Err(fault),
    }
}
