//! Listings that a database serves by itself.

use std::collections::BTreeSet;
use std::str::FromStr;

use service_core::range::{Ranges, ranges};
use service_core::visibility::{Conjunction, ValueSet};
use service_core::{Attribute, AttributeValue, Listing, Service, ServiceId, Visibility};

/// The services of some ids, or all of them, in ranges that follow a position.
#[derive(Debug, Clone, PartialEq)]
pub struct Plain {
    /// The ids to choose from; `None`: all.
    pub ids: Option<BTreeSet<ServiceId>>,
    /// The ranges.
    pub ranges: Ranges,
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

    /// What a listing that suits asks for after a position.
    pub fn of(listing: &Listing, after: Option<&Service>) -> Self {
        let none = Self { ids: None, ranges: Ranges { ranges: Vec::new(), consecutive: true } };
        let mut ids = Some(listing.filter.ids().clone()).filter(|ids| !ids.is_empty());
        let mut ranges = ranges(&listing.sort, listing.filter.is_active(), after);
        let conjunction = match &listing.visibility {
            Visibility::Nothing => return none,
            Visibility::Everything => &Conjunction::new(),
            Visibility::AnyOf(conjunctions) => match conjunctions.first() {
                Some(conjunction) => conjunction,
                None => return none,
            },
        };
        for (attribute, set) in conjunction {
            match (attribute, set) {
                (Attribute::ServiceId, ValueSet::OneOf(values)) => {
                    let seen: BTreeSet<ServiceId> = values.iter().filter_map(id).collect();
                    ids = Some(ids.map_or_else(|| seen.clone(), |ids| &ids & &seen));
                }
                _ => ranges
                    .ranges
                    .retain(|range| set.contains(Some(&AttributeValue::Boolean(range.is_active)))),
            }
        }
        if ids.as_ref().is_some_and(BTreeSet::is_empty) { none } else { Self { ids, ranges } }
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
    use service_core::{Page, paginate};
    use store_conformance::generate::{grants, listing, service};

    use super::*;

    /// The page of the services that the ids and ranges leave, found in the simplest way.
    fn page(services: &[Arc<Service>], listing: &Listing, after: Option<&Service>) -> Page {
        let plain = Plain::of(listing, after);
        let left = services.iter().filter(|service| {
            plain.ids.as_ref().is_none_or(|ids| ids.contains(&service.id))
                && plain.ranges.ranges.iter().any(|range| range.is_active == service.is_active)
        });
        let all =
            Listing { visibility: Visibility::Everything, filter: Default::default(), ..listing.clone() };
        paginate(&left.cloned().collect::<Vec<_>>(), &all, after)
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
                    prop_assert_eq!(page(&services, &listing, after), paginate(&services, &listing, after));
                }
            }
        }
    }
}
