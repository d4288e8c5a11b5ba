//! Filters, sorts and listings.

use proptest::prelude::*;
use proptest::sample::Index;
use service_core::{
    ContinuationToken, Limit, Listing, ServiceFilter, ServiceId, Sort, SortKey, TagFilter, TagMatch,
    Visibility,
};

use super::{catalog, text};

/// All services, by id, on one page.
pub fn everything() -> Listing {
    Listing {
        filter: ServiceFilter::default(),
        visibility: Visibility::Everything,
        sort: Sort::default(),
        limit: Limit::with_maximum(1_000_000, usize::MAX).expect("a limit"),
        token: ContinuationToken::START,
    }
}

/// All thirteen sorts: by nothing, by one field, by two; each either way.
pub fn all_sorts() -> Vec<Sort> {
    let keys = ["+name", "-name", "+is_active", "-is_active"];
    let one = keys.iter().map(|key| vec![*key]);
    let two = keys.iter().flat_map(|first| keys.iter().map(move |second| vec![*first, *second]));
    std::iter::once(Vec::new())
        .chain(one)
        .chain(two)
        .filter_map(|keys| {
            let keys = keys.into_iter().map(|key| key.parse::<SortKey>().expect("a sort key"));
            Sort::new(keys.collect()).ok()
        })
        .collect()
}

/// A sort.
pub fn sort() -> impl Strategy<Value = Sort> {
    proptest::sample::select(all_sorts())
}

/// A tag filter.
pub fn tag_filter() -> impl Strategy<Value = TagFilter> {
    let value = prop_oneof![
        2 => Just(TagMatch::Any),
        1 => Just(TagMatch::Absent),
        3 => text::tag_value().prop_map(TagMatch::Is),
    ];
    (text::tag_key(), value).prop_map(|(key, value)| TagFilter { key, value })
}

/// A filter, whose ids are chosen when the services are known.
#[derive(Debug, Clone)]
pub struct FilterRecipe {
    ids: Vec<Index>,
    is_active: Option<bool>,
    tags: Vec<TagFilter>,
}

impl FilterRecipe {
    /// The filter, for an organization that has these services.
    pub fn filter(&self, services: &[ServiceId]) -> ServiceFilter {
        let ids = self.ids.iter().map(|index| catalog::choose(services, *index));
        ServiceFilter::new(ids, self.is_active, self.tags.iter().cloned()).expect("a small filter")
    }
}

/// Filters: most have one or two conditions.
pub fn filter() -> BoxedStrategy<FilterRecipe> {
    let ids = prop_oneof![
        3 => Just(Vec::new()),
        1 => proptest::collection::vec(any::<Index>(), 1..30),
    ];
    let tags = prop_oneof![
        2 => Just(Vec::new()),
        2 => proptest::collection::vec(tag_filter(), 1..2),
        1 => proptest::collection::vec(tag_filter(), 2..4),
    ];
    (ids, proptest::option::weighted(0.4, any::<bool>()), tags)
        .prop_map(|(ids, is_active, tags)| FilterRecipe { ids, is_active, tags })
        .boxed()
}

/// A limit; small ones are frequent.
pub fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![3 => 1..4_usize, 1 => 1..=Limit::MAXIMUM]
        .prop_filter_map("a limit", |limit| Limit::new(limit).ok())
}
