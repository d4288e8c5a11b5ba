//! Organizations to measure with: the same services for the same size, every time.
//!
//! Tags differ in how many services they find: `team` one in a thousand, `region` one in twenty, `env:prod` six in ten. `side`
//! is `left` or `right` for every service, and `left` and `right` are keys that only twenty services have both of.

use std::sync::Arc;

use service_core::catalog::{AgentEntry, OrganizationEntry, StateMachineEntry};
use service_core::{
    AgentId, CatalogDocument, Commit, CommitOutcome, CreateService, Description, Facts, FactsQuery, Grants,
    OrganizationId, Principal, Repository, Service, ServiceId, ServiceName, StateMachineId, TagKey, TagValue,
    Tags, Timestamp, UserId,
};
use service_core::{Caller, Grant, rules};

/// What went wrong while a data set was built.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

const AGENT: AgentId = AgentId::from_bytes([1; 12]);
const STATE_MACHINE: StateMachineId = StateMachineId::from_bytes([2; 12]);

/// The organization that is measured.
///
/// # Errors
/// Never: the id is well-formed.
pub fn organization() -> Result<OrganizationId, Error> {
    Ok("acme".parse()?)
}

/// A sequence of numbers that looks random and is the same each time (SplitMix64).
#[derive(Debug)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn tag(key: &str, value: Option<String>) -> Result<(TagKey, Option<TagValue>), Error> {
    Ok((key.parse()?, value.map(|value| value.parse()).transpose()?))
}

/// The services of an organization of this size, as one would create them: their order is not the order of their names.
///
/// # Errors
/// Never: every value is well-formed.
pub fn requests(count: usize) -> Result<Vec<CreateService>, Error> {
    let mut numbers = Numbers(7);
    (0..count)
        .map(|index| {
            let stride = (count / 20).max(1);
            let mut tags = vec![
                tag("team", Some(format!("team {}", numbers.below(1000))))?,
                tag("region", Some(format!("region {}", numbers.below(20))))?,
                tag(
                    "env",
                    Some(
                        ["prod", "staging", "dev"]
                            [[0, 0, 0, 0, 0, 0, 1, 1, 1, 2][numbers.below(10) as usize]]
                            .to_owned(),
                    ),
                )?,
            ];
            if numbers.below(10) == 0 {
                tags.push(tag("flag", (numbers.below(2) == 0).then(|| "on".to_owned()))?);
            }
            let both = index % stride == 0;
            if both || index % 2 == 0 {
                tags.push(tag("left", None)?);
            }
            if both || index % 2 == 1 {
                tags.push(tag("right", None)?);
            }
            Ok(CreateService {
                name: ServiceName::new(&format!("Service {:016x}", numbers.next()))?,
                description: Description::new(
                    "Answers the questions that callers have about their next appointment.",
                )?,
                is_active: numbers.below(3) != 0,
                agent_id: AGENT,
                state_machine_id: STATE_MACHINE,
                tags: Tags::new(tags)?,
                keyterms: Default::default(),
                release: None,
            })
        })
        .collect()
}

/// The same services without a store.
///
/// # Errors
/// Never: every request is allowed.
pub fn services(count: usize) -> Result<Vec<Arc<Service>>, Error> {
    let (caller, facts) = (caller()?, facts()?);
    let drafts = requests(count)?.into_iter().enumerate();
    drafts
        .map(|(index, request)| {
            let revision = i64::try_from(index + 1)?.try_into()?;
            Ok(Arc::new(decide(&facts, &request, &caller, index)?.stamped(revision)))
        })
        .collect()
}

/// Puts the same services into a store.
///
/// # Errors
/// When the store fails.
pub async fn fill(store: &dyn Repository, count: usize) -> Result<(), Error> {
    let organization = organization()?;
    store.apply_catalog(&catalog()?).await?;
    let caller = caller()?;
    let query =
        FactsQuery { agents: vec![AGENT], state_machines: vec![STATE_MACHINE], ..FactsQuery::default() };
    let facts = store.facts(&organization, &query).await?.ok_or("the organization was just added")?;
    for (index, request) in requests(count)?.into_iter().enumerate() {
        let draft = decide(&facts, &request, &caller, index)?;
        let commit = Commit { draft, expected: None, catalog_revision: facts.catalog_revision };
        if store.commit(commit).await? == CommitOutcome::Stale {
            return Err("nobody else writes, so no commit is stale".into());
        }
    }
    Ok(())
}

fn decide(
    facts: &Facts,
    request: &CreateService,
    caller: &Caller,
    index: usize,
) -> Result<service_core::Draft, Error> {
    let created_at = Timestamp::from_microseconds(1_700_000_000_000_000 + i64::try_from(index)? * 1000)?;
    let id = ServiceId::created_at(created_at, Numbers(u64::try_from(index)?).next().to_be_bytes());
    Ok(rules::decide_create(facts, &organization()?, request, caller, id, created_at)?)
}

/// Someone who may do everything.
///
/// # Errors
/// Never: every value is well-formed.
pub fn caller() -> Result<Caller, Error> {
    let names = ["GetService", "CreateService", "UpdateService", "CreateVersionSet", "UpdateVersionSet"];
    let grants = names
        .iter()
        .map(|name| Grant::new(format!("Service:{name}").parse()?, Default::default()))
        .collect::<Result<Vec<_>, _>>()?;
    let principal = Principal { organization: organization()?, user: UserId::new("bench")? };
    Ok(Caller { principal, grants: Grants::new(grants)? })
}

fn catalog() -> Result<CatalogDocument, Error> {
    let version = Some(1.try_into()?);
    let mut entry = OrganizationEntry::new(organization()?);
    let (name, deprecated) = (Default::default(), false);
    entry.agents.push(AgentEntry { id: AGENT, name, latest_version: version, deprecated });
    let name = Default::default();
    entry.state_machines.push(StateMachineEntry {
        id: STATE_MACHINE,
        name,
        latest_version: version,
        deprecated,
    });
    Ok(CatalogDocument { llms: Vec::new(), organizations: vec![entry] })
}

fn facts() -> Result<Facts, Error> {
    let versioned =
        service_core::catalog::Versioned { latest_version: Some(1.try_into()?), ..Default::default() };
    Ok(Facts {
        agents: [(AGENT, versioned.clone())].into(),
        state_machines: [(STATE_MACHINE, versioned)].into(),
        ..Facts::default()
    })
}
