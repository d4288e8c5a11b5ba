//! Services as an index would not like them.
//!
//! | | |
//! |---|---|
//! | two in five | inactive, and all of one name; half of them have the tag `twin` |
//! | one in ten | names after all others, which alone have the tag `late`; another one in ten before all others, with `early` |
//! | the others | names that begin with a team's, and that team as a tag; one in five has a name of another alphabet |
//! | one in seven | no tags |
//! | one in fifty | twenty tags |
//! | one service | the tag `only:one` |
//! | half each | `left:` and `right:`, both on exactly twenty, as far as services have tags |
//!
//! Some keys begin with others (`a`, `aa`, `a b`), some values are like keys. Ids are in no order.

use service_core::{
    Description, OrganizationId, Principal, Revision, Service, ServiceId, ServiceName, TagKey, TagValue,
    Tags, Timestamp, UserId, VersionSet, VersionSets,
};

use crate::catalog::{AGENTS, agent, state_machine};
use crate::{Error, Numbers, Permutation};

/// The name that two services in five have.
const SHARED: &str = "Melody \u{1f3b5} that all know";
/// What names of other alphabets begin with. Byte by byte they come in this order, which is no locale's; in UTF-16 the last one
/// would come before the one before it.
const ALPHABETS: [&str; 10] = ["B", "a", "a\u{301}", "z", "Å", "é", "я", "日本語", "\u{ffee}", "\u{1f600}"];

#[derive(Debug)]
pub(crate) struct Adversarial {
    services: u64,
    seed: u64,
    creator: Principal,
    kinds: Permutation,
    sides: Permutation,
}

impl Adversarial {
    pub(crate) fn new(organization: &OrganizationId, services: u64) -> Result<Self, Error> {
        let seed = 0xbad ^ services;
        let creator = Principal { organization: organization.clone(), user: UserId::new("møllér")? };
        Ok(Self {
            services,
            seed,
            creator,
            kinds: Permutation::new(seed, services),
            sides: Permutation::new(seed ^ 1, services),
        })
    }

    /// The service of this index, as it was created.
    pub(crate) fn service(&self, index: u64) -> Result<Service, Error> {
        let mut numbers = Numbers::new(self.seed ^ index.wrapping_mul(0x9e37_79b9));
        let kind = self.kinds.at(index);
        let (name, is_active, mut tags) = described(kind, &mut numbers)?;
        if kind.is_multiple_of(7) {
            tags.clear();
        } else {
            let (side, half) = (self.sides.at(index), self.services / 2);
            tags.extend((side < half + 10).then(|| ("left".to_owned(), None)));
            tags.extend((side + 10 >= half).then(|| ("right".to_owned(), None)));
        }
        if kind == 1 {
            tags.push(("only".to_owned(), Some("one".to_owned())));
        }
        if kind % 50 == 3 {
            let missing = 20_usize.saturating_sub(tags.len());
            tags.extend(
                (0..missing).map(|number| (format!("t{number:02}"), Some(format!("v{}", number % 3)))),
            );
        }
        let tags = tags.into_iter().map(|(key, value)| -> Result<(TagKey, Option<TagValue>), Error> {
            Ok((key.parse()?, value.map(|value| value.parse()).transpose()?))
        });
        let created_at = Timestamp::from_microseconds(1_600_000_000_000_000 + i64::try_from(index)?)?;
        let [first, second] = [numbers.draw().to_be_bytes(), numbers.draw().to_be_bytes()];
        let mut id = [0; 12];
        for (byte, from) in id.iter_mut().zip(first.into_iter().chain(second)) {
            *byte = from;
        }
        Ok(Service {
            id: ServiceId::from_bytes(id),
            organization: self.creator.organization.clone(),
            name: ServiceName::new(&name)?,
            description: Description::new("To be found where one would not look.")?,
            is_active,
            agent_id: agent(u8::try_from(numbers.below(AGENTS.into()))?),
            state_machine_id: state_machine(u8::try_from(numbers.below(AGENTS.into()))?),
            tags: Tags::new(tags.collect::<Result<Vec<_>, _>>()?)?,
            keyterms: Default::default(),
            version_sets: VersionSets::with_release(VersionSet::default()),
            creator: self.creator.clone(),
            updated_by: self.creator.clone(),
            created_at,
            updated_at: created_at,
            revision: Revision::new(i64::try_from(index + 1)?)?,
        })
    }
}

type Described = (String, bool, Vec<(String, Option<String>)>);

/// Name, activeness and tags of the service of a kind.
fn described(kind: u64, numbers: &mut Numbers) -> Result<Described, Error> {
    let tag = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
    let often_active = numbers.below(4) != 0;
    Ok(match kind % 10 {
        0..4 => {
            let twin = (kind % 4 < 2).then(|| tag("twin", None));
            (SHARED.to_owned(), false, twin.into_iter().chain([tag("a", Some("a b"))]).collect())
        }
        4 => (format!("\u{10fffd} {kind}"), often_active, vec![tag("late", None), tag("a b", None)]),
        5 => (format!("!{kind}"), often_active, vec![tag("early", Some("yes")), tag("aa", Some("a"))]),
        _ => {
            let team = kind / 10 % 25;
            let alphabet = usize::try_from(numbers.below(50))?;
            let begin = ALPHABETS
                .get(alphabet)
                .map_or_else(|| format!("Team {team:02}"), |begin| (*begin).to_owned());
            let tags = vec![tag("team", Some(&format!("{team:02}"))), tag("équipe", Some("日本 語"))];
            (format!("{begin} {kind}"), often_active, tags)
        }
    })
}
