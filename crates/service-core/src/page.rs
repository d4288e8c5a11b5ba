//! Pages of a listing, and where the next one starts.

use std::fmt;
use std::sync::Arc;

use crate::filter::{ServiceFilter, matches};
use crate::select::{Place, Selection};
use crate::service::Service;
use crate::sort::Sort;
use crate::value::{Revision, TagKey, TagValue, ValueError};
use crate::visibility::{Visibility, admits};

/// How many services a page holds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(usize);

impl Limit {
    /// The largest limit the HTTP API takes.
    pub const MAXIMUM: usize = 20;

    /// A limit in 1..=20.
    ///
    /// # Errors
    /// When it is outside of that.
    pub fn new(limit: usize) -> Result<Self, ValueError> {
        if (1..=Self::MAXIMUM).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err(ValueError::new("limit", "must be an integer from 1 to 20"))
        }
    }

    /// A limit of at least 1, for embedders who accept larger pages than the HTTP API does.
    ///
    /// # Errors
    /// When it is 0 or more than `maximum`.
    pub fn with_maximum(limit: usize, maximum: usize) -> Result<Self, ValueError> {
        if (1..=maximum).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err(ValueError::new("limit", "must be at least 1 and at most the maximum"))
        }
    }

    /// The number of services.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for Limit {
    /// Ten.
    fn default() -> Self {
        Self(10)
    }
}

/// Where a page starts: at the beginning, or after the service that a revision left behind.
///
/// A history row never changes, so a revision names one position in every order for ever, whatever happens to the
/// service afterwards. As a number, 0 is the beginning. Any other number is a claim by whoever sends it: a store
/// answers [`Listed::InvalidToken`](crate::repository::Listed::InvalidToken) where it names no revision, or one
/// that the caller may not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContinuationToken(i64);

impl ContinuationToken {
    /// The beginning of a listing.
    pub const START: Self = Self(0);

    /// The token with this number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The token for what comes after a service as it was at this revision.
    pub const fn after(revision: Revision) -> Self {
        Self(revision.get())
    }

    /// The token's number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The revision to continue after, `None` at the beginning. A negative number is a revision that no organization has,
    /// and is told apart from the beginning by the error.
    ///
    /// # Errors
    /// When the number is negative.
    pub fn position(self) -> Result<Option<Revision>, ValueError> {
        if self == Self::START { Ok(None) } else { Revision::new(self.0).map(Some) }
    }
}

/// What to list, in which order, from where, and for whose eyes.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// What the services must satisfy.
    pub filter: ServiceFilter,
    /// What the caller may see of them.
    pub visibility: Visibility,
    /// Their order.
    pub sort: Sort,
    /// How many to return.
    pub limit: Limit,
    /// Where to start.
    pub token: ContinuationToken,
}

/// One page of a listing: one snapshot of the organization.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The services, in order.
    pub services: Vec<Arc<Service>>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<ContinuationToken>,
    /// What the organization's services can be filtered by; on the first page only.
    pub facets: Option<TagFacets>,
}

impl Page {
    /// A page of at most `limit` of `services`, which are in order and may be more.
    pub fn of(mut services: Vec<Arc<Service>>, limit: Limit, facets: Option<TagFacets>) -> Self {
        let has_more = services.len() > limit.get();
        services.truncate(limit.get());
        let next = services.last().filter(|_| has_more).map(|last| ContinuationToken::after(last.revision));
        Self { services, next, facets }
    }
}

/// The distinct tags of an organization's services, whatever the filter and the permissions: the first
/// [`TagFacets::MAXIMUM`] by key, then no value before values, then by value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagFacets {
    /// The tags, in order. Shared, so that a page bears them for nothing.
    pub tags: Arc<[TagFacet]>,
    /// Whether there are more than are given here.
    pub truncated: bool,
}

impl TagFacets {
    /// The most tags that are given.
    pub const MAXIMUM: usize = 1000;

    /// The first [`TagFacets::MAXIMUM`] of tags that are distinct and in order.
    pub fn of(tags: impl IntoIterator<Item = TagFacet>) -> Self {
        let mut tags: Vec<TagFacet> = tags.into_iter().take(Self::MAXIMUM + 1).collect();
        let truncated = tags.len() > Self::MAXIMUM;
        tags.truncate(Self::MAXIMUM);
        Self { tags: tags.into(), truncated }
    }
}

/// A tag that some service has. Displays as the tag filter that finds those services.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagFacet {
    /// The tag's key.
    pub key: TagKey,
    /// The tag's value, if it has one.
    pub value: Option<TagValue>,
}

impl fmt::Display for TagFacet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.key, self.value.as_ref().map_or("", TagValue::as_str))
    }
}

/// How many services are looked at together. Services are far apart in memory, and their names are elsewhere: what takes time is to wait
/// for both. So one pass gets to the services, and another to what their names say; in each, the processor waits for many at once.
const TOGETHER: usize = 32;

/// The page of a listing over the services of one organization, given in any order: what every store must answer.
///
/// `after` is the service that the listing's token names, as it was at that revision; `None` starts at the beginning.
/// The page bears no facets. Selects the first `limit` without sorting the rest.
pub fn paginate(services: &[Arc<Service>], listing: &Listing, after: Option<&Service>) -> Page {
    let sort = &listing.sort;
    let after = after.map(|service| Place::of(service, service.name.as_str(), sort));
    let mut first = Selection::new(sort, listing.limit.get().saturating_add(1));
    let (mut named, mut placed) = (Vec::new(), Vec::new());
    for together in services.chunks(TOGETHER) {
        let matching = together.iter().filter(|service| matches(&listing.filter, service));
        named.clear();
        named.extend(matching.map(|service| (service, service.name.as_str())));
        placed.clear();
        placed.extend(named.iter().map(|(service, name)| (Place::of(service, name, sort), *service)));
        for (place, service) in &placed {
            // Most are refused for their place alone. What the caller may see takes longer to tell, so that comes last.
            if first.wants(place)
                && after.as_ref().is_none_or(|after| place.compare(after, sort).is_gt())
                && admits(&listing.visibility, service)
            {
                first.push(*place, service);
            }
        }
    }
    Page::of(first.into_sorted().cloned().collect(), listing.limit, None)
}
