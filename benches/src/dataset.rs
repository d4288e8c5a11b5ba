//! Organizations with their services and their history.

use std::collections::BTreeMap;
use std::sync::Arc;

use service_core::{
    ArchiveSink, ArchiveSummary, ArchiveWriter, CatalogRevision, OrganizationId, OrganizationRecord,
    Revision, Service,
};

use crate::adversarial::Adversarial;
use crate::changes::Changes;
use crate::realistic::Realistic;
use crate::{Error, Numbers, catalog, llms, organization};

/// How many small organizations stand beside the one that is measured.
const SMALL: u64 = 99;
/// How many rows are handed on at once.
const ROWS: usize = 256;

/// What the services of an organization are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As one would expect them: tags that one service in a thousand has, one in twenty, six in ten; names all over the
    /// alphabet, ids in the order of creation.
    Realistic,
    /// As an index would not like them: tags that go with the names, one on the last names alone, one on a single service;
    /// many services of one name; ids in no order; names in every alphabet; services without tags and with twenty.
    Adversarial,
}

/// An organization and how its services come about. Each is made when it is asked for.
#[derive(Debug, Clone)]
pub struct Organization {
    id: OrganizationId,
    services: u64,
    changes: u64,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Realistic(Arc<Realistic>),
    Adversarial(Arc<Adversarial>),
}

impl Organization {
    /// An organization of so many services. Nothing has happened to them since they were created.
    ///
    /// # Errors
    /// Never: every value is well-formed.
    pub fn new(id: OrganizationId, profile: Profile, services: u64) -> Result<Self, Error> {
        let source = match profile {
            Profile::Realistic => Source::Realistic(Arc::new(Realistic::new(&id, services)?)),
            Profile::Adversarial => Source::Adversarial(Arc::new(Adversarial::new(&id, services)?)),
        };
        Ok(Self { id, services, changes: 0, source })
    }

    /// The same with so many writes after all services were created: renames, other tags, other activeness, other descriptions.
    #[must_use]
    pub fn changed(self, changes: u64) -> Self {
        Self { changes: if self.services == 0 { 0 } else { changes }, ..self }
    }

    /// Which organization it is.
    pub fn id(&self) -> &OrganizationId {
        &self.id
    }

    /// How many services it has.
    pub fn services(&self) -> u64 {
        self.services
    }

    /// The last revision of its history.
    ///
    /// # Errors
    /// When there are more than a revision can count.
    pub fn revision(&self) -> Result<Revision, Error> {
        Ok(Revision::new(i64::try_from(self.services + self.changes)?)?)
    }

    /// The service that was created as the one of this index: revision `index + 1`.
    ///
    /// # Errors
    /// When there are more than a revision can count.
    pub fn created(&self, index: u64) -> Result<Service, Error> {
        match &self.source {
            Source::Realistic(realistic) => realistic.service(index),
            Source::Adversarial(adversarial) => adversarial.service(index),
        }
    }

    /// Its history, in the order of the revisions.
    pub fn rows(&self) -> impl Iterator<Item = Result<Service, Error>> + Send + '_ {
        let created = (0..self.services).map(|index| self.created(index));
        created.chain(Changes::of(self, self.changes))
    }

    /// Its guard and its catalog.
    ///
    /// # Errors
    /// Never: every value is well-formed.
    pub fn record(&self) -> Result<OrganizationRecord, Error> {
        let catalog_revision = CatalogRevision::new(1)?;
        Ok(OrganizationRecord { revision: self.revision()?, catalog_revision, catalog: catalog(&self.id)? })
    }
}

/// What a store can be filled with.
#[derive(Debug, Clone, Default)]
pub struct DataSet {
    organizations: Vec<Organization>,
}

impl DataSet {
    /// These organizations.
    pub fn new(mut organizations: Vec<Organization>) -> Self {
        organizations.sort_by(|left, right| left.id.cmp(&right.id));
        Self { organizations }
    }

    /// What measurements are made with: one organization of so many services beside 99 small ones of 3 to 1,000, of which
    /// `small-00` has 500. However large the one is, the small ones are the same.
    ///
    /// # Errors
    /// Never: every value is well-formed.
    pub fn realistic(services: u64) -> Result<Self, Error> {
        let mut organizations = vec![Organization::new(organization()?, Profile::Realistic, services)?];
        let mut numbers = Numbers::new(11);
        for number in 0..SMALL {
            // As many from 3 to 30 as from 30 to 300: most organizations are small.
            let size = match number {
                0 => 500,
                1 => 3,
                2 => 1000,
                _ => [(3, 30), (30, 300), (300, 1000)]
                    .into_iter()
                    .nth(usize::try_from(number % 5 / 2)?)
                    .map_or(3, |(least, most)| least + numbers.below(most - least)),
            };
            let id = format!("small-{number:02}").parse()?;
            organizations.push(Organization::new(id, Profile::Realistic, size)?);
        }
        Ok(Self::new(organizations))
    }

    /// What tests are made with: an adversarial organization of so many services, and a realistic one of half as many, both changed
    /// as often as they have services.
    ///
    /// # Errors
    /// Never: every value is well-formed.
    pub fn adversarial(services: u64) -> Result<Self, Error> {
        let other = "Other".parse()?;
        Ok(Self::new(vec![
            Organization::new(organization()?, Profile::Adversarial, services)?.changed(services),
            Organization::new(other, Profile::Realistic, services / 2)?.changed(services / 2),
        ]))
    }

    /// Its organizations, by id.
    pub fn organizations(&self) -> &[Organization] {
        &self.organizations
    }

    /// The services of all of them.
    pub fn services(&self) -> u64 {
        self.organizations.iter().map(Organization::services).sum()
    }

    /// Writes the archive that a store which holds them would export.
    ///
    /// # Errors
    /// When the sink fails.
    pub async fn write(&self, sink: &mut dyn ArchiveSink) -> Result<ArchiveSummary, Error> {
        let mut writer = ArchiveWriter::begin(sink, &llms()?).await?;
        for organization in &self.organizations {
            writer.organization(&organization.id, &organization.record()?, &BTreeMap::new()).await?;
            let mut rows = organization.rows();
            loop {
                let next = rows.by_ref().take(ROWS).map(|row| row.map(Arc::new));
                let next: Vec<Arc<Service>> = next.collect::<Result<_, _>>()?;
                if next.is_empty() {
                    break;
                }
                writer.history(&next).await?;
            }
        }
        Ok(writer.finish().await?)
    }
}
