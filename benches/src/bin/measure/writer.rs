//! Someone who writes to an organization, with all decisions made before the clock runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use service_core::rules::{decide_create, decide_update};
use service_core::{
    Caller, Commit, CommitOutcome, CreateService, Decision, Facts, FactsQuery, Repository, Service,
    ServiceId, ServiceName, Tags, Timestamp, UpdateService, VersionSetName,
};
use service_registry_benches::{Error, Numbers, Organization, caller, llms};

use crate::stage::Subject;

/// When the first of them writes: after all that is there.
const NOW: i64 = 1_800_000_000_000_000;

pub(crate) struct Writer {
    repository: Arc<dyn Repository>,
    organization: Organization,
    caller: Caller,
    facts: Facts,
    numbers: Numbers,
    /// Told apart from other writers to the same organization by this.
    name: String,
    count: u64,
}

impl Writer {
    /// One who writes to an organization, under a number that no other writer to it has.
    pub(crate) async fn new(
        subject: &Subject,
        organization: &Organization,
        number: u64,
    ) -> Result<Self, Error> {
        let (repository, id) = (Arc::clone(&subject.repository), organization.id());
        let record = repository.organization(id).await?.ok_or("the organization is missing")?;
        let query = FactsQuery {
            agents: record.catalog.agents.keys().copied().collect(),
            state_machines: record.catalog.state_machines.keys().copied().collect(),
            llms: llms()?.into_keys().collect(),
            ..FactsQuery::default()
        };
        let facts = repository.facts(id, &query).await?.ok_or("the organization is missing")?;
        // However often somebody of this number writes, names and ids are new.
        let revision = record.revision.get();
        let seed = number.wrapping_mul(1_000_003).wrapping_add(u64::try_from(revision)?);
        Ok(Self {
            repository,
            caller: caller(id, BTreeMap::new())?,
            organization: organization.clone(),
            facts,
            numbers: Numbers::new(seed),
            name: format!("{number} at {revision}"),
            count: 0,
        })
    }

    fn now(&self) -> Result<Timestamp, Error> {
        Ok(Timestamp::from_microseconds(NOW + i64::try_from(self.count)?)?)
    }

    /// A decision to create a service like the others, with other tags if they are given.
    pub(crate) fn decided(&mut self, tags: Option<Tags>) -> Result<Commit, Error> {
        self.count += 1;
        let like = self.organization.created(self.numbers.below(self.organization.services()))?;
        let Service { name, description, is_active, agent_id, state_machine_id, keyterms, .. } = like;
        let request = CreateService {
            name: ServiceName::new(&format!("{name} {} by {}", self.count, self.name))?,
            description,
            is_active,
            agent_id,
            state_machine_id,
            tags: tags.unwrap_or(like.tags),
            keyterms,
            release: like.version_sets.get(&VersionSetName::release()).cloned(),
        };
        let now = self.now()?;
        let id = ServiceId::created_at(now, self.numbers.draw().to_be_bytes());
        let draft = decide_create(&self.facts, self.organization.id(), &request, &self.caller, id, now)?;
        Ok(Commit { draft, expected: None, catalog_revision: self.facts.catalog_revision })
    }

    /// Creates a service, and says which, and how long the commit took.
    pub(crate) async fn create(&mut self) -> Result<(ServiceId, Duration), Error> {
        self.create_with(None).await
    }

    /// The same with these tags.
    pub(crate) async fn create_with(&mut self, tags: Option<Tags>) -> Result<(ServiceId, Duration), Error> {
        let commit = self.decided(tags)?;
        Ok((commit.draft.service().id, committed(&*self.repository, commit).await?))
    }

    /// Renames a service, and says how long the commit took.
    pub(crate) async fn rename(&mut self, id: ServiceId) -> Result<Duration, Error> {
        self.count += 1;
        let word = self.numbers.draw();
        let name = ServiceName::new(&format!("{word:016x} {} by {}", self.count, self.name))?;
        let query = FactsQuery { service: Some(id), name: Some(name.clone()), ..FactsQuery::default() };
        let facts = self.repository.facts(self.organization.id(), &query).await?;
        let facts = facts.ok_or("the organization is missing")?;
        let expected = facts.service.as_ref().map(|service| service.revision);
        let request = UpdateService { name: Some(name), ..UpdateService::default() };
        let Decision::Change(draft) = decide_update(&facts, id, &request, &self.caller, self.now()?)? else {
            return Err("a rename changed nothing".into());
        };
        committed(&*self.repository, Commit { draft, expected, catalog_revision: facts.catalog_revision })
            .await
    }
}

/// How long a commit took that must happen.
pub(crate) async fn committed(repository: &dyn Repository, commit: Commit) -> Result<Duration, Error> {
    let begin = Instant::now();
    let outcome = repository.commit(commit).await?;
    let took = begin.elapsed();
    match outcome {
        CommitOutcome::Committed(_) => Ok(took),
        CommitOutcome::Stale => Err("nobody else writes, so no commit is stale".into()),
    }
}
