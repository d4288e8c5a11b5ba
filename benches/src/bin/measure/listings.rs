//! The listings that a store is measured with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use service_core::{
    Attribute, AttributeValue, Condition, ContinuationToken, Limit, Listed, Listing, OrganizationId, Page,
    Permission, Repository, ServiceFilter, ServiceId, Sort, Visibility,
};
use service_registry_benches::{Error, Numbers, caller};

use crate::rounds::{Act, Label, Place, Turn, Who};
use crate::stage::Subject;

/// How many places "anywhere" is.
pub(crate) const PLACES: usize = 40;
/// Every order there is.
pub(crate) const SORTS: [&str; 13] = [
    "+name",
    "",
    "-name",
    "+is_active",
    "-is_active",
    "+name,+is_active",
    "+name,-is_active",
    "-name,+is_active",
    "-name,-is_active",
    "+is_active,+name",
    "+is_active,-name",
    "-is_active,+name",
    "-is_active,-name",
];
/// The orders that filters are measured in.
pub(crate) const FILTER_SORTS: [&str; 4] = ["+name", "", "-is_active,+name", "-name"];
/// What no filter is called.
pub(crate) const ALL: &str = "no filter";
/// The same where the store has no index in memory, because nobody has asked it for a tag yet.
pub(crate) const NO_INDEX: &str = "no filter, no index";
/// One tag filter each: what it is called, and how it is written.
pub(crate) const ONE_TAG: [(&str, &str); 5] = [
    ("0.1 %", "team:team 7"),
    ("5 %", "region:region 3"),
    ("60 %", "env:prod"),
    ("key, any value: 10 %", "flag:*"),
    ("key, no value: 5 %", "flag:"),
];
/// Several tag filters each.
pub(crate) const TAGS: [(&str, &[&str]); 4] = [
    ("5 % and 60 %", &["region:region 3", "env:prod"]),
    ("0.1 % and 60 %", &["team:team 7", "env:prod"]),
    ("two halves, together 20", &["left:", "right:"]),
    ("three of two thirds, together 20", &["p:", "q:", "r:"]),
];
/// Grants with conditions, each beside the filter that it amounts to, or that comes next to it.
pub(crate) const GRANTS: [(&str, &str); 3] =
    [("grant: one tag, 5 %", "5 %"), ("grant: 20 ids", "20 ids"), ("grant: not the tag of 60 %", "60 %")];

/// What a listing asks for, but for where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) filter: ServiceFilter,
    pub(crate) visibility: Visibility,
    pub(crate) sort: Sort,
}

impl Question {
    /// About services with these tags, in this order.
    pub(crate) fn new(sort: &str, tags: &[&str]) -> Result<Self, Error> {
        let keys = sort.split(',').filter(|key| !key.is_empty());
        let sort = Sort::new(keys.map(str::parse).collect::<Result<_, _>>()?)?;
        let tags = tags.iter().map(|tag| tag.parse()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { filter: ServiceFilter::new([], None, tags)?, visibility: Visibility::Everything, sort })
    }

    pub(crate) fn at(&self, token: ContinuationToken) -> Result<Listing, Error> {
        let Self { filter, visibility, sort } = self.clone();
        Ok(Listing { filter, visibility, sort, limit: Limit::new(20)?, token })
    }
}

/// Pages of a store's.
pub(crate) struct Pages {
    repository: Arc<dyn Repository>,
    organization: OrganizationId,
    listings: Vec<Listing>,
}

#[async_trait]
impl Act for Pages {
    async fn act(&self, variant: usize) -> Result<usize, Error> {
        let listing = self.listings.get(variant % self.listings.len().max(1)).ok_or("there is no listing")?;
        Ok(page(&*self.repository, &self.organization, listing).await?.services.len())
    }
}

/// The page of a listing.
pub(crate) async fn page(
    repository: &dyn Repository,
    organization: &OrganizationId,
    listing: &Listing,
) -> Result<Page, Error> {
    match repository.list(organization, listing).await? {
        Listed::Page(page) => Ok(page),
        other => Err(format!("a page was asked for, and {other:?} came").into()),
    }
}

/// All that a store is measured with.
pub(crate) async fn turns(subject: &Subject) -> Result<Vec<Turn>, Error> {
    let (mut turns, tokens) = (Vec::new(), anywhere(subject.size)?);
    for sort in SORTS {
        for filter in [ALL, NO_INDEX] {
            turns.extend(places(subject, filter, sort, &Question::new(sort, &[])?, &tokens).await?);
        }
    }
    for sort in FILTER_SORTS {
        for (name, tag) in ONE_TAG {
            turns.extend(places(subject, name, sort, &Question::new(sort, &[tag])?, &tokens).await?);
        }
    }
    for (name, tags) in TAGS {
        turns.extend(places(subject, name, "+name", &Question::new("+name", tags)?, &tokens).await?);
    }
    let (ids, their_tokens) = ids(subject)?;
    let by_ids = ServiceFilter::new(ids.iter().copied(), None, [])?;
    let question = Question { filter: by_ids, ..Question::new("+name", &[])? };
    turns.extend(places(subject, "20 ids", "+name", &question, &their_tokens).await?);
    for (name, _) in GRANTS {
        let (attribute, condition) = condition(name, &ids)?;
        let caller = caller(subject.main.id(), BTreeMap::from([(attribute, condition)]))?;
        let visibility = Visibility::of(&caller.grants, Permission::GetService);
        let question = Question { visibility, ..Question::new("+name", &[])? };
        let tokens = if name.contains("ids") { &their_tokens } else { &tokens };
        turns.extend(places(subject, name, "+name", &question, tokens).await?);
    }
    let small = subject.small()?;
    for (name, tags) in [(ALL, &[][..]), ("5 %", &["region:region 3"]), TAGS[2]] {
        let question = Question::new("+name", tags)?;
        let tokens = anywhere(500)?.into_iter().map(|token| question.at(ContinuationToken::new(token)));
        let anywhere = tokens.collect::<Result<_, _>>()?;
        for (place, listings) in
            [(Place::Small, vec![question.at(ContinuationToken::START)?]), (Place::SmallAnywhere, anywhere)]
        {
            turns.extend(turn(subject, &small, name, "+name", place, listings));
        }
    }
    Ok(turns)
}

/// The first page, the second where there is one, and pages anywhere that the caller may see.
async fn places(
    subject: &Subject,
    filter: &'static str,
    sort: &str,
    question: &Question,
    tokens: &[i64],
) -> Result<Vec<Turn>, Error> {
    let main = subject.main.id();
    let Some(repository) = asked(subject, filter) else { return Ok(Vec::new()) };
    let first = question.at(ContinuationToken::START)?;
    let next = page(&**repository, main, &first).await?.next;
    let anywhere = tokens.iter().map(|&token| question.at(ContinuationToken::new(token)));
    let mut anywhere = anywhere.collect::<Result<Vec<_>, _>>()?;
    if question.visibility != Visibility::Everything {
        let mut seen = Vec::new();
        for listing in anywhere {
            if matches!(repository.list(main, &listing).await?, Listed::Page(_)) {
                seen.push(listing);
            }
        }
        anywhere = seen;
    }
    let second = next.map(|next| question.at(next)).transpose()?;
    let places = [
        (Place::First, vec![first]),
        (Place::Second, second.into_iter().collect()),
        (Place::Anywhere, anywhere),
    ];
    let places = places.into_iter().filter(|(_, listings)| !listings.is_empty());
    let turns = places.filter_map(|(place, listings)| turn(subject, main, filter, sort, place, listings));
    Ok(turns.collect())
}

/// The store that is asked for a filter, if there is one.
fn asked<'s>(subject: &'s Subject, filter: &str) -> Option<&'s Arc<dyn Repository>> {
    if filter == NO_INDEX { subject.without_index.as_ref() } else { Some(&subject.repository) }
}

/// Pages of one organization.
pub(crate) fn turn(
    subject: &Subject,
    organization: &OrganizationId,
    filter: &'static str,
    sort: &str,
    place: Place,
    listings: Vec<Listing>,
) -> Option<Turn> {
    let label = Label { who: Who::Store, size: subject.size, sort: sort.to_owned(), filter, place };
    let (repository, organization) = (Arc::clone(asked(subject, filter)?), organization.clone());
    Some(Turn { label, every: 1, act: Box::new(Pages { repository, organization, listings }) })
}

/// Tokens of services all over an organization, which was created with so many: any revision is one.
pub(crate) fn anywhere(services: u64) -> Result<Vec<i64>, Error> {
    let mut numbers = Numbers::new(23);
    (0..PLACES).map(|_| Ok(i64::try_from(1 + numbers.below(services))?)).collect()
}

/// Twenty services all over the organization, and their tokens.
fn ids(subject: &Subject) -> Result<(BTreeSet<ServiceId>, Vec<i64>), Error> {
    let mut numbers = Numbers::new(29);
    let (mut ids, mut tokens) = (BTreeSet::new(), Vec::new());
    while ids.len() < 20 {
        let service = subject.main.created(numbers.below(subject.size))?;
        if ids.insert(service.id) {
            tokens.push(service.revision.get());
        }
    }
    Ok((ids, tokens))
}

/// What a grant of this name asks for.
fn condition(name: &str, ids: &BTreeSet<ServiceId>) -> Result<(Attribute, Condition), Error> {
    let text = |text: &str| AttributeValue::Text(text.into());
    Ok(match name {
        "grant: one tag, 5 %" => {
            (Attribute::Tag("region".parse()?), Condition::Equals { value: text("region 3") })
        }
        "grant: 20 ids" => {
            let values = ids.iter().map(|id| text(&id.to_string())).collect();
            (Attribute::ServiceId, Condition::In { values })
        }
        _ => (Attribute::Tag("env".parse()?), Condition::NotEquals { value: text("prod") }),
    })
}
