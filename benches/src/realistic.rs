//! Services as one would expect them.
//!
//! | tag | on |
//! |---|---|
//! | `team:team 0` … `team:team 999` | each on one service in a thousand |
//! | `region:region 0` … `region:region 19` | each on one in twenty |
//! | `env:prod`, `env:staging`, `env:dev` | six, three and one in ten |
//! | `flag:on`, `flag:` | each on one in twenty |
//! | `left:`, `right:` | each on half, both on exactly twenty |
//! | `p:`, `q:`, `r:` | two of them on each, all three on exactly twenty |
//!
//! Shares are exact where the number of services allows it, and independent of each other. That makes six tags a service. Two in
//! three services are active. Of the inactive ones some have the name of another service, as copies that are kept do.

use std::collections::BTreeMap;

use service_core::{
    Description, InteractionName, Keyterm, Keyterms, LlmConfig, LlmName, LlmParams, LlmPreferences,
    OrganizationId, Principal, Revision, Service, ServiceId, ServiceName, TagKey, TagValue, Tags, Timestamp,
    UserId, VersionSet, VersionSetName, VersionSets,
};

use crate::catalog::{AGENTS, LLMS, VERSIONS, agent, state_machine};
use crate::{Error, Numbers, Permutation};

/// How many services have both of two tags that each have half, or all of three.
const TOGETHER: u64 = 20;
/// When the first service was created.
const BEGINNING: i64 = 1_700_000_000_000_000;

const FIELDS: [&str; 24] = [
    "Allergy",
    "Billing",
    "Cardiology",
    "Claims",
    "Dental",
    "Eligibility",
    "Enrollment",
    "Fertility",
    "Geriatrics",
    "Home care",
    "Imaging",
    "Insurance",
    "Laboratory",
    "Maternity",
    "Nutrition",
    "Oncology",
    "Pediatrics",
    "Pharmacy",
    "Referral",
    "Sleep",
    "Telehealth",
    "Urgent care",
    "Vaccination",
    "Wellness",
];
const TASKS: [&str; 12] = [
    "appointment",
    "call back",
    "discharge",
    "follow up",
    "intake",
    "onboarding",
    "outreach",
    "refill",
    "reminder",
    "scheduling",
    "survey",
    "triage",
];
const ROLES: [&str; 6] = ["agent", "assistant", "coach", "concierge", "navigator", "specialist"];

/// The services of one organization.
#[derive(Debug)]
pub(crate) struct Realistic {
    organization: OrganizationId,
    services: u64,
    seed: u64,
    names: Permutation,
    activeness: Permutation,
    tags: Dealer,
    people: Vec<Principal>,
    interactions: Vec<InteractionName>,
    llms: Vec<LlmName>,
    keyterms: Vec<Keyterm>,
    further: [VersionSetName; 2],
}

impl Realistic {
    pub(crate) fn new(organization: &OrganizationId, services: u64) -> Result<Self, Error> {
        let seed = organization.as_str().bytes().fold(7, |seed: u64, byte| seed * 31 + u64::from(byte));
        let people = ["alice", "bob", "carol", "dmitri", "esi"].map(|user| -> Result<_, Error> {
            Ok(Principal { organization: organization.clone(), user: UserId::new(user)? })
        });
        Ok(Self {
            organization: organization.clone(),
            services,
            seed,
            names: Permutation::new(seed ^ 1, services),
            activeness: Permutation::new(seed ^ 2, services),
            tags: Dealer::new(seed, services)?,
            people: people.into_iter().collect::<Result<_, _>>()?,
            interactions: parsed(&[
                "greeting",
                "identify_caller",
                "collect_details",
                "confirm",
                "hand_over",
            ])?,
            llms: parsed(&LLMS)?,
            keyterms: parsed(&["metoprolol", "apixaban", "co-payment", "deductible", "prior authorization"])?,
            further: [VersionSetName::new("test")?, VersionSetName::new("canary")?],
        })
    }

    /// The service of this index, as it was created.
    pub(crate) fn service(&self, index: u64) -> Result<Service, Error> {
        let mut numbers = Numbers::new(self.seed ^ index.wrapping_mul(0x9e37_79b9));
        let created_at = Timestamp::from_microseconds(BEGINNING + i64::try_from(index)? * 40_000)?;
        let is_active = !self.activeness.at(index).is_multiple_of(3);
        let named_like =
            if is_active || numbers.below(8) != 0 { index } else { numbers.below(self.services) };
        let creator = pick(&self.people, &mut numbers)?.clone();
        let machine = u8::try_from(numbers.below(AGENTS.into()))?;
        Ok(Service {
            id: ServiceId::created_at(created_at, numbers.draw().to_be_bytes()),
            organization: self.organization.clone(),
            name: self.name(named_like)?,
            description: description(&mut numbers)?,
            is_active,
            agent_id: agent(u8::try_from(numbers.below(AGENTS.into()))?),
            state_machine_id: state_machine(machine),
            tags: self.tags.tags(index)?,
            keyterms: self.keyterms(&mut numbers)?,
            version_sets: self.version_sets(&mut numbers)?,
            updated_by: creator.clone(),
            creator,
            created_at,
            updated_at: created_at,
            revision: Revision::new(i64::try_from(index + 1)?)?,
        })
    }

    /// A name that no service of another index has.
    fn name(&self, index: u64) -> Result<ServiceName, Error> {
        let number = self.names.at(index);
        let mut numbers = Numbers::new(number);
        let field = pick(&FIELDS, &mut numbers)?;
        let (task, role) = (pick(&TASKS, &mut numbers)?, pick(&ROLES, &mut numbers)?);
        Ok(ServiceName::new(&format!("{field} {task} {role} {number:05}"))?)
    }

    fn keyterms(&self, numbers: &mut Numbers) -> Result<Keyterms, Error> {
        let skipped = usize::try_from(numbers.below(4))?;
        Ok(Keyterms::new(self.keyterms.iter().skip(skipped).take(2).cloned().collect())?)
    }

    /// `edge`, `release` with two preferences, and for one in three a further one.
    fn version_sets(&self, numbers: &mut Numbers) -> Result<VersionSets, Error> {
        let sets = VersionSets::with_release(self.version_set(numbers, 2)?);
        if numbers.below(3) != 0 {
            return Ok(sets);
        }
        let name = pick(&self.further, numbers)?.clone();
        let set = self.version_set(numbers, 1)?;
        Ok(sets.with(name, set)?)
    }

    fn version_set(&self, numbers: &mut Numbers, preferences: usize) -> Result<VersionSet, Error> {
        let mut preferred = BTreeMap::new();
        for _ in 0..preferences {
            let mut params = serde_json::Map::new();
            params.insert(
                "temperature".to_owned(),
                (f64::from(u8::try_from(numbers.below(10))?) / 10.0).into(),
            );
            let config =
                LlmConfig { llm_name: pick(&self.llms, numbers)?.clone(), params: LlmParams::new(params)? };
            preferred.insert(pick(&self.interactions, numbers)?.clone(), config);
        }
        let mut version = || -> Result<_, Error> {
            Ok(Some((1 + i64::try_from(numbers.below(u64::try_from(VERSIONS)?))?).try_into()?))
        };
        Ok(VersionSet {
            agent_version_number: version()?,
            state_machine_version_number: version()?,
            llm_model_preferences: LlmPreferences::new(preferred)?,
        })
    }
}

fn description(numbers: &mut Numbers) -> Result<Description, Error> {
    let field = pick(&FIELDS, numbers)?.to_lowercase();
    let task = pick(&TASKS, numbers)?;
    Ok(Description::new(&format!(
        "Answers patients who call about {field}: greets them, finds out who they are, takes care of the {task}, and \
         hands over to a person whenever that is asked for."
    ))?)
}

/// Gives each service its tags.
#[derive(Debug)]
struct Dealer {
    services: u64,
    teams: Permutation,
    regions: Permutation,
    environments: Permutation,
    flags: Permutation,
    sides: Permutation,
    pairs: Permutation,
    keys: BTreeMap<&'static str, TagKey>,
    team_values: Vec<TagValue>,
    region_values: Vec<TagValue>,
    environment_values: Vec<TagValue>,
    on: TagValue,
}

impl Dealer {
    fn new(seed: u64, services: u64) -> Result<Self, Error> {
        let dealt = |number: u64| Permutation::new(seed.wrapping_add(100 + number), services);
        let keys = ["team", "region", "env", "flag", "left", "right", "p", "q", "r"];
        let keys = keys.into_iter().map(|key| Ok((key, key.parse()?))).collect::<Result<_, Error>>()?;
        let values = |key: &str, count: u32| -> Result<Vec<TagValue>, Error> {
            (0..count).map(|number| Ok(format!("{key} {number}").parse()?)).collect()
        };
        Ok(Self {
            services,
            teams: dealt(1),
            regions: dealt(2),
            environments: dealt(3),
            flags: dealt(4),
            sides: dealt(5),
            pairs: dealt(6),
            keys,
            team_values: values("team", 1000)?,
            region_values: values("region", 20)?,
            environment_values: parsed(&["prod", "staging", "dev"])?,
            on: "on".parse()?,
        })
    }

    fn tags(&self, index: u64) -> Result<Tags, Error> {
        let mut tags = vec![
            ("team", Some(share(&self.team_values, self.teams.at(index))?)),
            ("region", Some(share(&self.region_values, self.regions.at(index))?)),
        ];
        let environment = match self.environments.at(index) % 10 {
            0..6 => 0,
            6..9 => 1,
            _ => 2,
        };
        tags.push(("env", Some(share(&self.environment_values, environment)?)));
        match self.flags.at(index) % 20 {
            0 => tags.push(("flag", Some(&self.on))),
            1 => tags.push(("flag", None)),
            _ => {}
        }
        let (side, half) = (self.sides.at(index), self.services / 2);
        if side < half + TOGETHER / 2 {
            tags.push(("left", None));
        }
        if side + TOGETHER / 2 >= half {
            tags.push(("right", None));
        }
        let pair = self.pairs.at(index);
        for (key, left_out) in [("p", 0), ("q", 1), ("r", 2)] {
            if pair < TOGETHER || pair % 3 != left_out {
                tags.push((key, None));
            }
        }
        let tags = tags.into_iter().map(|(key, value)| {
            let key = self.keys.get(key).ok_or_else(|| format!("there is no tag `{key}`"))?;
            Ok((key.clone(), value.cloned()))
        });
        Ok(Tags::new(tags.collect::<Result<Vec<_>, Error>>()?)?)
    }
}

/// Values that are well-formed.
pub(crate) fn parsed<T>(texts: &[&str]) -> Result<Vec<T>, Error>
where
    T: std::str::FromStr<Err: Into<Error>>,
{
    texts.iter().map(|text| text.parse().map_err(Into::into)).collect()
}

/// One of some things, whichever comes.
fn pick<'a, T>(things: &'a [T], numbers: &mut Numbers) -> Result<&'a T, Error> {
    share(things, numbers.draw())
}

/// The one of some things that a number falls to.
fn share<T>(things: &[T], number: u64) -> Result<&T, Error> {
    let place = usize::try_from(number)? % things.len().max(1);
    things.get(place).ok_or_else(|| "there is nothing to choose from".into())
}
