use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::record::{FORMAT, Header, Record, Trailer, VERSION, hex};
use super::{ArchiveSource, ArchiveSummary, ArchivedOrganization, ImportError, ImportRefusal};
use crate::api_key::ApiKey;
use crate::catalog::{CatalogChanges, CatalogDocument, Llm, Llms, OrganizationCatalog, OrganizationEntry};
use crate::check::{change_fault, row_fault};
use crate::repository::OrganizationRecord;
use crate::service::Service;
use crate::value::{OrganizationId, Revision, ServiceId, parse_json};

/// The most bytes that a line can have: more than any value that is well-formed takes.
const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;
/// The highest catalog revision that is taken: further on than anybody comes, with room for those who come after.
const MAX_CATALOG_REVISION: i64 = 1 << 53;
/// The most rows of history that are given at once.
const MAX_ROWS: usize = 256;
/// How many bytes of history are given at once, about.
const ROWS_BYTES: usize = 4 * 1024 * 1024;

/// A part of an archive, as a store takes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Section {
    /// The next organization, which has no service yet.
    Organization(Box<ArchivedOrganization>),
    /// The next rows of its history, in the order of their revisions: some hundred at most.
    History(Vec<Arc<Service>>),
}

/// Reads an archive, a section at a time.
///
/// What it gives is well-formed, in its place, and keeps every invariant that can be told from the catalog and the row itself,
/// or from all rows of a service that a test names. Left to the store is what it has indexes for: that no two active services of an
/// organization have one name ([`name_taken`]), and that each row may follow the one before it of the same service
/// ([`check_change`]). Whether the archive is whole is known when the last section has been read: until then, nothing that
/// was made of it may stay.
pub struct ArchiveReader<'a> {
    lines: Lines<'a>,
    llms: Llms,
    summary: ArchiveSummary,
    /// A line that begins the next section.
    ahead: Option<Record>,
    current: Option<Current>,
}

/// The organization that is being read.
struct Current {
    id: OrganizationId,
    catalog: OrganizationCatalog,
    /// The tests, which can be judged when the services are known.
    tests: OrganizationEntry,
    /// The services that live tests name, as far as the history has come.
    tested: BTreeMap<ServiceId, Option<Arc<Service>>>,
    last: Revision,
    end: Revision,
}

impl<'a> ArchiveReader<'a> {
    /// Begins to read: the head of the archive, and the LLMs.
    ///
    /// # Errors
    /// When it is no archive, or one of another version, or cannot be read.
    pub async fn begin(source: &'a mut dyn ArchiveSource) -> Result<Self, ImportError> {
        let lines = Lines { source, digest: Sha256::new(), count: 0, bytes: Vec::new(), start: 0, last: 0 };
        let mut reader =
            Self { lines, llms: Llms::new(), summary: ArchiveSummary::default(), ahead: None, current: None };
        match reader.lines.next().await? {
            Record::Archive(header) if header.format == FORMAT && header.version != VERSION => {
                let version = header.version;
                return Err(
                    reader.wrong(format!("the archive has version {version}, this program reads {VERSION}"))
                );
            }
            Record::Archive(Header { format, .. }) if format == FORMAT => {}
            _ => return Err(reader.wrong("it does not begin an archive of the service registry".to_owned())),
        }
        loop {
            match reader.lines.next().await? {
                Record::Llm(entry) => {
                    let llm = Llm { deprecated: entry.deprecated };
                    if reader.llms.insert(entry.name.clone(), llm).is_some() {
                        return Err(reader.wrong(format!("llm `{}` comes twice", entry.name)));
                    }
                }
                other => {
                    reader.ahead = Some(other);
                    return Ok(reader);
                }
            }
        }
    }

    /// The LLMs of the archive.
    pub fn llms(&self) -> &Llms {
        &self.llms
    }

    /// How much has been read; all there is once there is no next section.
    pub fn summary(&self) -> ArchiveSummary {
        self.summary
    }

    /// The next section; `None` at the end of an archive that is whole.
    ///
    /// # Errors
    /// When the archive is refused or cannot be read.
    pub async fn next(&mut self) -> Result<Option<Section>, ImportError> {
        let record = match self.ahead.take() {
            Some(record) => record,
            None => self.lines.next().await?,
        };
        match record {
            Record::Service(row) => self.rows(row).await.map(Some),
            Record::Organization(line) => {
                self.organization_is_whole()?;
                if self.current.as_ref().is_some_and(|before| before.id >= line.id) {
                    return Err(
                        self.wrong("organizations come in the order of their ids, each once".to_owned())
                    );
                }
                if !(1..=MAX_CATALOG_REVISION).contains(&line.catalog_revision.get()) {
                    let fault = format!("a catalog revision is a number from 1 to {MAX_CATALOG_REVISION}");
                    return Err(self.wrong(fault));
                }
                self.summary.organizations += 1;
                let record = OrganizationRecord {
                    revision: line.revision,
                    catalog_revision: line.catalog_revision,
                    catalog: OrganizationCatalog::default(),
                };
                self.catalog(line.id, record).await.map(Some)
            }
            Record::End(trailer) => {
                self.organization_is_whole()?;
                self.lines.end(&trailer, &mut self.summary).await?;
                // Whoever asks once more gets the same answer.
                self.ahead = Some(Record::End(trailer));
                Ok(None)
            }
            other => Err(self.wrong(format!("`{}` is not in its place", other.key()))),
        }
    }

    async fn catalog(
        &mut self,
        id: OrganizationId,
        mut record: OrganizationRecord,
    ) -> Result<Section, ImportError> {
        let mut entry = OrganizationEntry::new(id.clone());
        let mut api_keys = BTreeMap::new();
        let rest = loop {
            match self.lines.next().await? {
                Record::Agent(agent) => entry.agents.push(agent),
                Record::StateMachine(machine) => entry.state_machines.push(machine),
                Record::SimulationUnitTest(test) => entry.simulation_unit_tests.push(test),
                Record::Role(role) => entry.roles.push(role),
                Record::User(user) => entry.users.push(user),
                Record::ApiKey(line) => {
                    let key = ApiKey { hash: line.hash, created_at: line.created_at };
                    if api_keys.insert(line.id.clone(), key).is_some() {
                        return Err(self.wrong(format!("api key `{}` comes twice", line.id)));
                    }
                }
                other => break other,
            }
        };
        self.ahead = Some(rest);
        let mut tests = OrganizationEntry::new(id.clone());
        tests.simulation_unit_tests = std::mem::take(&mut entry.simulation_unit_tests);
        let live = tests.simulation_unit_tests.iter().filter(|test| !test.deleted);
        let tested = live.map(|test| (test.service_id, None)).collect();
        record.catalog = apply(OrganizationCatalog::default(), entry, &BTreeMap::new())?;
        // Deleted or not, the tests belong to the catalog from the beginning; who they name is looked at when it is known.
        let mut whole = record.catalog.clone();
        for test in &tests.simulation_unit_tests {
            let (id, test) = test.clone().into_parts();
            whole.simulation_unit_tests.insert(id, test);
        }
        self.current = Some(Current {
            id: id.clone(),
            catalog: std::mem::replace(&mut record.catalog, whole),
            tests,
            tested,
            last: Revision::ZERO,
            end: record.revision,
        });
        Ok(Section::Organization(Box::new(ArchivedOrganization { id, record, api_keys })))
    }

    async fn rows(&mut self, first: Arc<Service>) -> Result<Section, ImportError> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        let mut next = first;
        loop {
            bytes += self.lines.last;
            self.row(&next)?;
            rows.push(next);
            if rows.len() >= MAX_ROWS || bytes >= ROWS_BYTES {
                return Ok(Section::History(rows));
            }
            match self.lines.next().await? {
                Record::Service(row) => next = row,
                other => {
                    self.ahead = Some(other);
                    return Ok(Section::History(rows));
                }
            }
        }
    }

    fn row(&mut self, row: &Arc<Service>) -> Result<(), ImportError> {
        let Some(current) = &mut self.current else {
            return Err(self.wrong("`service` comes before any `organization`".to_owned()));
        };
        if row.revision != current.last.next() {
            let fault = format!("revision {} follows revision {}", row.revision, current.last);
            return Err(self.wrong(fault));
        }
        if let Some(fault) = row_fault(&current.id, &current.catalog, row) {
            let fault = format!("service `{}` in revision {} {fault}", row.id, row.revision);
            return Err(ImportRefusal::Invariant { organization: current.id.clone(), fault }.into());
        }
        if let Some(tested) = current.tested.get_mut(&row.id) {
            *tested = Some(Arc::clone(row));
        }
        current.last = row.revision;
        self.summary.revisions += 1;
        Ok(())
    }

    /// Checks what can be told of an organization when all of it has been read.
    fn organization_is_whole(&self) -> Result<(), ImportError> {
        let Some(current) = &self.current else { return Ok(()) };
        if current.last != current.end {
            let fault = format!("its history ends at revision {}, and not at {}", current.last, current.end);
            return Err(ImportRefusal::Invariant { organization: current.id.clone(), fault }.into());
        }
        apply(current.catalog.clone(), current.tests.clone(), &current.tested)?;
        Ok(())
    }

    fn wrong(&self, fault: String) -> ImportError {
        ImportRefusal::Line { line: self.lines.count, fault }.into()
    }
}

/// A catalog after the entries of an archive, which are judged as those of a catalog file are.
fn apply(
    mut catalog: OrganizationCatalog,
    entry: OrganizationEntry,
    services: &BTreeMap<ServiceId, Option<Arc<Service>>>,
) -> Result<OrganizationCatalog, ImportRefusal> {
    let organization = entry.id.clone();
    let document = CatalogDocument { llms: Vec::new(), organizations: vec![entry] };
    let changes = CatalogChanges::decide(
        &document,
        &Llms::new(),
        |_| Some(&catalog),
        |_, id| services.get(id).cloned().flatten(),
    )
    .map_err(|refusal| ImportRefusal::Invariant { organization, fault: refusal.to_string() })?;
    changes.organizations.values().for_each(|changes| catalog.apply(changes));
    Ok(catalog)
}

/// The refusal of a row that is active while another active service has its name.
pub fn name_taken(row: &Service) -> ImportRefusal {
    ImportRefusal::Invariant {
        organization: row.organization.clone(),
        fault: format!(
            "service `{}` in revision {} is active, and so is another one that is called `{}`",
            row.id, row.revision, row.name
        ),
    }
}

/// Checks that a row of history may follow the one before it of the same service.
///
/// # Errors
/// When the time goes backwards, or the service was created otherwise than before.
pub fn check_change(before: &Service, row: &Service) -> Result<(), ImportRefusal> {
    match change_fault((&before.creator, before.created_at, before.updated_at), row) {
        None => Ok(()),
        Some(fault) => Err(ImportRefusal::Invariant {
            organization: row.organization.clone(),
            fault: format!("service `{}` in revision {} {fault}", row.id, row.revision),
        }),
    }
}

impl fmt::Debug for ArchiveReader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ArchiveReader").field("summary", &self.summary).finish_non_exhaustive()
    }
}

/// The lines of an archive, and what the last one is to say of them.
struct Lines<'a> {
    source: &'a mut dyn ArchiveSource,
    /// Of all lines but the one that ends the archive.
    digest: Sha256,
    /// How many lines have been read.
    count: u64,
    /// What has been read from the source; lines before `start` are done with.
    bytes: Vec<u8>,
    start: usize,
    /// How many bytes the last line had.
    last: usize,
}

impl Lines<'_> {
    async fn next(&mut self) -> Result<Record, ImportError> {
        let mut searched = self.start;
        let end = loop {
            let unsearched = self.bytes.get(searched..).unwrap_or_default();
            if let Some(length) = unsearched.iter().position(|byte| *byte == b'\n') {
                break searched + length;
            }
            if self.bytes.len() - self.start > MAX_LINE_BYTES {
                self.count += 1;
                return Err(self.wrong(format!("it is longer than {MAX_LINE_BYTES} bytes")).into());
            }
            self.bytes.drain(..self.start);
            self.start = 0;
            searched = self.bytes.len();
            let more = self.source.read().await.map_err(ImportError::Source)?;
            if more.is_empty() {
                return Err(ImportRefusal::Truncated(self.count).into());
            }
            self.bytes.extend_from_slice(&more);
        };
        let line = self.bytes.get(self.start..end).unwrap_or_default();
        self.last = line.len();
        self.count += 1;
        // First as it stands, for an error that says what is wrong; then once more for what the types let pass, such as keys that come
        // twice in a map. A service lets nothing of that pass, and most lines are services.
        let record = serde_json::from_slice::<Record>(line)
            .and_then(|record| match record {
                Record::Service(_) => Ok(record),
                other => parse_json(line).map(|_| other),
            })
            .map_err(|fault| self.wrong(without_line(&fault)))?;
        if !matches!(record, Record::End(_)) {
            self.digest.update(line);
            self.digest.update(b"\n");
        }
        self.start = end + 1;
        Ok(record)
    }

    /// Compares the end of an archive with what was before it. Nothing may follow.
    async fn end(&mut self, trailer: &Trailer, summary: &mut ArchiveSummary) -> Result<(), ImportError> {
        summary.lines = self.count - 1;
        let expected = Trailer {
            lines: summary.lines,
            organizations: summary.organizations,
            revisions: summary.revisions,
            sha256: hex(&self.digest.clone().finalize()),
        };
        if *trailer != expected {
            return Err(ImportRefusal::Checksum.into());
        }
        let follows = self.start < self.bytes.len()
            || !self.source.read().await.map_err(ImportError::Source)?.is_empty();
        if follows {
            self.count += 1;
            return Err(self.wrong("it follows the line that ends the archive".to_owned()).into());
        }
        Ok(())
    }

    fn wrong(&self, fault: String) -> ImportRefusal {
        ImportRefusal::Line { line: self.count, fault }
    }
}

/// What is wrong with a line, without the line number that the parser gives within it: it is always 1.
fn without_line(fault: &serde_json::Error) -> String {
    fault.to_string().replace(" at line 1 column ", " at column ")
}
