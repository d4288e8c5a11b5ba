//! Listings that a database serves by itself.

use std::collections::BTreeSet;
use std::str::FromStr;

use service_core::range::{Range, ranges};
use service_core::visibility::ValueSet;
use service_core::{Attribute, AttributeValue, ContinuationToken, Listing, ServiceId, Visibility};

/// The services of some ids, or all of them, in ranges that follow a position.
#[derive(Debug, Clone, PartialEq)]
pub struct Plain {
    /// The ids to choose from; `None`: all.
    pub ids: Option<BTreeSet<ServiceId>>,
    /// The ranges, in the order of their activeness under the sort.
    pub ranges: Vec<PlainRange>,
    /// Whether all services of the first activeness come before those of the other. If not, they interleave.
    pub consecutive: bool,
}

/// A range, and the positions that it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainRange {
    /// The range.
    pub range: Range,
    /// The activeness of those positions; `None`: whichever there may be.
    pub after: Option<bool>,
}

impl Plain {
    /// Whether a listing asks for no tag, and its visibility for nothing but ids and activeness.
    pub fn suits(listing: &Listing) -> bool {
        listing.filter.tags().is_empty()
            && match &listing.visibility {
                Visibility::Everything | Visibility::Nothing => true,
                Visibility::AnyOf(conjunctions) => match conjunctions.as_slice() {
                    [conjunction] => conjunction.iter().all(|condition| {
                        matches!(condition, (Attribute::ServiceId | Attribute::IsActive, ValueSet::OneOf(_)))
                    }),
                    _ => false,
                },
            }
    }

    /// What a listing that suits asks for. Where it is not known whether what its token names is active, there are ranges for
    /// either.
    pub fn of(listing: &Listing, after: Option<bool>) -> Self {
        let seen = Seen::of(&listing.visibility);
        let asked = Some(listing.filter.ids()).filter(|ids| !ids.is_empty());
        let ids = match (asked, &seen.ids) {
            (Some(asked), Some(seen)) => Some(asked & seen),
            (asked, seen) => asked.or(seen.as_ref()).cloned(),
        };
        let of = |after| (after, ranges(&listing.sort, listing.filter.is_active(), after));
        let positions = match (listing.token, after) {
            (ContinuationToken::START, _) => vec![of(None)],
            (_, Some(_)) => vec![of(after)],
            (_, None) => vec![of(Some(false)), of(Some(true))],
        };
        let (_, whole) = of(None);
        let mut ranges = Vec::new();
        for Range { is_active, .. } in whole.ranges {
            if ids.as_ref().is_some_and(BTreeSet::is_empty) || !seen.activeness.contains(&is_active) {
                continue;
            }
            let starts = positions.iter().filter_map(|(after, ranges)| {
                let range = ranges.ranges.iter().find(|range| range.is_active == is_active)?;
                Some(PlainRange { range: *range, after: *after })
            });
            match starts.collect::<Vec<_>>().as_slice() {
                [one, other] if one.range == other.range => {
                    ranges.push(PlainRange { after: None, ..*one });
                }
                [sole] if positions.len() == 1 => ranges.push(PlainRange { after: None, ..*sole }),
                starts => ranges.extend_from_slice(starts),
            }
        }
        Self { ids, ranges, consecutive: whole.consecutive }
    }
}

/// What a visibility that suits shows.
pub(super) struct Seen {
    /// The ids; `None`: all.
    ids: Option<BTreeSet<ServiceId>>,
    activeness: BTreeSet<bool>,
}

impl Seen {
    /// What a visibility shows, if a listing with it suits.
    pub(super) fn of(visibility: &Visibility) -> Self {
        let mut seen = Self { ids: None, activeness: BTreeSet::from([false, true]) };
        let conjunction = match visibility {
            Visibility::Everything => return seen,
            Visibility::Nothing => None,
            Visibility::AnyOf(conjunctions) => conjunctions.first(),
        };
        let Some(conjunction) = conjunction else { return Self { ids: Some(BTreeSet::new()), ..seen } };
        for (attribute, set) in conjunction {
            match (attribute, set) {
                (Attribute::ServiceId, ValueSet::OneOf(values)) => {
                    seen.ids = Some(values.iter().filter_map(id).collect());
                }
                _ => seen.activeness.retain(|each| set.contains(Some(&AttributeValue::Boolean(*each)))),
            }
        }
        seen
    }

    /// Whether it shows a service: [`admits`](service_core::admits) of as much of it as it depends on.
    pub(super) fn admits(&self, id: &ServiceId, is_active: bool) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(id)) && self.activeness.contains(&is_active)
    }
}

fn id(value: &AttributeValue) -> Option<ServiceId> {
    match value {
        AttributeValue::Text(text) => ServiceId::from_str(text).ok(),
        AttributeValue::Null | AttributeValue::Boolean(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use service_core::visibility::Conjunction;
    use service_core::{Page, Service, admits, paginate};
    use store_conformance::generate::{grants, listing, service};

    use super::*;

    /// The page of the services that the ids and ranges leave, found in the simplest way.
    fn page(services: &[Arc<Service>], listing: &Listing, after: Option<&Service>, is_known: bool) -> Page {
        let token = ContinuationToken::new(after.map_or(0, |_| 1));
        let known = after.filter(|_| is_known).map(|after| after.is_active);
        let plain = Plain::of(&Listing { token, ..listing.clone() }, known);
        let follows = |range: &PlainRange| {
            range.after.is_none_or(|is_active| after.is_some_and(|after| after.is_active == is_active))
        };
        let left = services.iter().filter(|service| {
            plain.ids.as_ref().is_none_or(|ids| ids.contains(&service.id))
                && plain.ranges.iter().any(|each| each.range.is_active == service.is_active && follows(each))
        });
        let all =
            Listing { visibility: Visibility::Everything, filter: Default::default(), ..listing.clone() };
        paginate(&left.cloned().collect::<Vec<_>>(), &all, after)
    }

    /// The ranges of each position are those that [`ranges`] tells, and those that both positions have stand there once.
    #[test]
    fn the_ranges_of_each_position_are_there_once() {
        for sort in listing::all_sorts() {
            for is_active in [None, Some(false), Some(true)] {
                let filter = service_core::ServiceFilter::new([], is_active, []).unwrap();
                let first = Listing { filter, sort: sort.clone(), ..listing::everything() };
                let of_first = Plain::of(&first, None);
                let told: Vec<Range> = of_first.ranges.iter().map(|each| each.range).collect();
                assert_eq!(told, ranges(&sort, is_active, None).ranges);
                let token = Listing { token: ContinuationToken::new(1), ..first };
                let of_token = Plain::of(&token, None);
                assert_eq!(of_token.consecutive, of_first.consecutive);
                for after in [false, true] {
                    let follows = |each: &&PlainRange| each.after.is_none_or(|position| position == after);
                    let told: Vec<Range> =
                        of_token.ranges.iter().filter(follows).map(|each| each.range).collect();
                    assert_eq!(told, ranges(&sort, is_active, Some(after)).ranges);
                    let known = Plain::of(&token, Some(after)).ranges;
                    assert!(known.iter().all(|each| each.after.is_none()));
                    assert!(known.iter().map(|each| each.range).eq(told));
                }
                let mut once = of_token.ranges.iter().map(|each| each.range).collect::<Vec<_>>();
                once.dedup();
                assert_eq!(once.len(), of_token.ranges.len());
            }
        }
    }

    proptest! {
        #[test]
        fn ids_and_activeness_are_all_that_a_plain_listing_depends_on(
            services in service::services(30),
            filter in listing::filter(),
            (visibility, seen) in (grants::visibility(), prop::collection::vec(any::<prop::sample::Index>(), 0..9)),
            (sees_ids, activeness) in (any::<bool>(), prop::option::of(any::<bool>())),
            sort in listing::sort(),
            after in prop::option::of(any::<prop::sample::Index>()),
        ) {
            prop_assume!(!services.is_empty());
            let ids: Vec<ServiceId> = services.iter().map(|service| service.id).collect();
            let mut conjunction = Conjunction::new();
            if sees_ids {
                let seen = seen.iter().map(|choice| AttributeValue::Text(choice.get(&ids).to_string().into()));
                conjunction.insert(Attribute::ServiceId, ValueSet::OneOf(seen.collect()));
            }
            if let Some(is_active) = activeness {
                conjunction.insert(Attribute::IsActive, ValueSet::OneOf([AttributeValue::Boolean(is_active)].into()));
            }
            let after = after.map(|choice| &**choice.get(&services));
            for visibility in [visibility, Visibility::AnyOf(vec![conjunction])] {
                let listing = Listing { filter: filter.filter(&ids), visibility, sort: sort.clone(), ..listing::everything() };
                if Plain::suits(&listing) {
                    for is_known in [false, true] {
                        let found = page(&services, &listing, after, is_known);
                        prop_assert_eq!(found, paginate(&services, &listing, after));
                    }
                    let seen = Seen::of(&listing.visibility);
                    for service in &services {
                        let is_seen = seen.admits(&service.id, service.is_active);
                        prop_assert_eq!(is_seen, admits(&listing.visibility, service));
                    }
                }
            }
        }
    }
}
