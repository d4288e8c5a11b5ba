//! What listings are: order, filters, visibility and pages, as pure functions.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::cmp::Ordering;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use service_core::range::{Range, RangeOrder, RangeStart, ranges};
use service_core::visibility::ValueSet;
use service_core::*;
use store_conformance::generate::{grants, listing, service};

fn listing(filter: ServiceFilter, visibility: Visibility, sort: Sort, limit: Limit) -> Listing {
    Listing { filter, visibility, sort, limit, token: ContinuationToken::START }
}

fn ids(services: &[Arc<Service>]) -> Vec<ServiceId> {
    services.iter().map(|service| service.id).collect()
}

fn filter_by(tags: &[TagFilter]) -> ServiceFilter {
    ServiceFilter::new([], None, tags.iter().cloned()).unwrap()
}

/// What a listing must be, said in the plainest way: all of them, filtered and sorted.
fn plainly(services: &[Arc<Service>], listing: &Listing) -> Vec<Arc<Service>> {
    let mut wanted: Vec<_> = services
        .iter()
        .filter(|service| matches(&listing.filter, service) && admits(&listing.visibility, service))
        .cloned()
        .collect();
    wanted.sort_by(|left, right| {
        for key in listing.sort.keys() {
            let order = match key.field {
                SortField::Name => left.name.as_str().chars().cmp(right.name.as_str().chars()),
                SortField::IsActive => u8::from(left.is_active).cmp(&u8::from(right.is_active)),
            };
            let order = if key.direction == Direction::Descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        left.id.as_bytes().cmp(right.id.as_bytes())
    });
    wanted
}

mod order {
    use super::*;

    proptest! {
        #[test]
        fn is_total_antisymmetric_and_ends_at_the_id(
            left in service::service(),
            right in service::service(),
            sort in listing::sort(),
        ) {
            let order = compare(&sort, &left, &right);
            prop_assert_eq!(order.reverse(), compare(&sort, &right, &left));
            prop_assert_eq!(compare(&sort, &left, &left), Ordering::Equal);
            if left.id != right.id {
                prop_assert_ne!(order, Ordering::Equal);
            }
            let twin = Service { id: right.id, ..left.clone() };
            prop_assert_eq!(compare(&sort, &left, &twin), left.id.cmp(&right.id), "ties end at the id, ascending");
        }

        #[test]
        fn is_transitive(services in service::services(3), sort in listing::sort()) {
            for (a, b, c) in triples(&services) {
                if compare(&sort, a, b).is_lt() && compare(&sort, b, c).is_lt() {
                    prop_assert!(compare(&sort, a, c).is_lt());
                }
            }
        }
    }

    fn triples(services: &[Arc<Service>]) -> impl Iterator<Item = (&Service, &Service, &Service)> {
        services.iter().flat_map(move |a| {
            services.iter().flat_map(move |b| services.iter().map(move |c| (&**a, &**b, &**c)))
        })
    }
}

mod filter {
    use super::*;

    fn with_key(filter: &TagFilter) -> TagFilter {
        TagFilter { value: TagMatch::Any, ..filter.clone() }
    }

    fn absent(filter: &TagFilter) -> TagFilter {
        TagFilter { value: TagMatch::Absent, ..filter.clone() }
    }

    proptest! {
        #[test]
        fn a_key_is_its_values_and_no_value(service in service::service(), filter in listing::tag_filter()) {
            let Service { tags, .. } = &service;
            prop_assert!(!filter.matches(tags) || with_key(&filter).matches(tags), "key:* ⊇ key:v");
            let values = tags.pairs().filter(|(key, _)| *key == filter.key).filter_map(|(_, value)| value);
            let by_value = values.into_iter().any(|value| {
                TagFilter { value: TagMatch::Is(value), ..filter.clone() }.matches(tags)
            });
            prop_assert_eq!(with_key(&filter).matches(tags), by_value || absent(&filter).matches(tags));
            prop_assert!(!(by_value && absent(&filter).matches(tags)), "a key has one value or none");
        }

        #[test]
        fn every_tag_is_found_by_its_facet_and_by_its_key(service in service::service()) {
            for (key, value) in service.tags.pairs() {
                let facet = TagFacet { key: key.clone(), value };
                let filter: TagFilter = facet.to_string().parse().unwrap();
                prop_assert!(matches(&filter_by(&[filter]), &service));
                let key_only: TagFilter = format!("{key}:*").parse().unwrap();
                prop_assert!(matches(&filter_by(&[key_only]), &service));
            }
        }

        #[test]
        fn adding_a_filter_never_adds_a_service(
            services in service::services(20),
            few in listing::filter(),
            more in listing::tag_filter(),
        ) {
            let few = few.filter(&ids(&services));
            let ids_given = few.ids().iter().copied();
            let both = few.tags().iter().cloned().chain([more.clone()]);
            let both = ServiceFilter::new(ids_given, few.is_active(), both).unwrap();
            for service in &services {
                prop_assert_eq!(
                    matches(&both, service),
                    matches(&few, service) && more.matches(&service.tags),
                    "all of them must hold"
                );
            }
        }

        #[test]
        fn duplicates_and_order_do_not_matter(
            services in service::services(10),
            tags in proptest::collection::vec(listing::tag_filter(), 0..5),
            chosen in proptest::collection::vec(any::<Index>(), 0..5),
            is_active: Option<bool>,
        ) {
            prop_assume!(!services.is_empty());
            let chosen: Vec<_> = chosen.iter().map(|index| index.get(&services).id).collect();
            let once = ServiceFilter::new(chosen.clone(), is_active, tags.clone()).unwrap();
            let twice = ServiceFilter::new(
                chosen.iter().rev().chain(&chosen).copied(),
                is_active,
                tags.iter().rev().chain(&tags).cloned(),
            );
            prop_assert_eq!(twice, Ok(once.clone()));
            for service in &services {
                let by_hand = (chosen.is_empty() || chosen.contains(&service.id))
                    && is_active.is_none_or(|wanted| wanted == service.is_active)
                    && tags.iter().all(|tag| tag.matches(&service.tags));
                prop_assert_eq!(matches(&once, service), by_hand);
            }
        }

        #[test]
        fn no_conditions_admit_every_service(service in service::service()) {
            prop_assert!(matches(&ServiceFilter::default(), &service));
        }
    }

    #[test]
    fn has_at_most_a_thousand_ids_and_twenty_tag_filters() {
        let id = |number: u16| {
            let [high, low] = number.to_be_bytes();
            ServiceId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low])
        };
        assert!(ServiceFilter::new((0..1000).map(id), None, []).is_ok());
        assert!(ServiceFilter::new((0..1000).chain(0..1000).map(id), None, []).is_ok());
        assert!(ServiceFilter::new((0..1001).map(id), None, []).is_err());
        let tag = |number: usize| format!("k{number}:*").parse::<TagFilter>().unwrap();
        assert!(ServiceFilter::new([], None, (0..20).map(tag)).is_ok());
        assert!(ServiceFilter::new([], None, (0..21).map(tag)).is_err());
    }
}

mod visibility {
    use super::*;

    /// Grants, and a service whose attributes their conditions are likely to name.
    fn meeting() -> impl Strategy<Value = (Grants, Vec<Arc<Service>>)> {
        (grants::grants_to_see(), service::services(12))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn as_simplified_is_the_grants_as_written((grants, services) in meeting()) {
            let visibility = Visibility::of(&grants, Permission::GetService);
            for service in services {
                prop_assert_eq!(
                    admits(&visibility, &service),
                    grants.admit(Permission::GetService, &service, None),
                    "{:?} as {:?}", grants, visibility
                );
            }
        }

        #[test]
        fn is_as_simple_as_it_says((grants, _) in meeting()) {
            let Visibility::AnyOf(conjunctions) = Visibility::of(&grants, Permission::GetService) else {
                return Ok(());
            };
            prop_assert!(!conjunctions.is_empty());
            prop_assert!(conjunctions.is_sorted());
            for (index, conjunction) in conjunctions.iter().enumerate() {
                prop_assert!(!conjunction.is_empty(), "an empty one would be everything");
                for (attribute, set) in conjunction {
                    match set {
                        ValueSet::OneOf(values) | ValueSet::NoneOf(values) => prop_assert!(!values.is_empty()),
                    }
                    if *attribute == Attribute::IsActive {
                        prop_assert!(matches!(set, ValueSet::OneOf(values) if values.len() == 1));
                    }
                }
                for (other_index, other) in conjunctions.iter().enumerate() {
                    if index == other_index {
                        continue;
                    }
                    prop_assert!(!implied(conjunction, other), "{:?} implies {:?}", conjunction, other);
                    let differing = conjunction
                        .keys()
                        .chain(other.keys())
                        .filter(|attribute| conjunction.get(attribute) != other.get(attribute))
                        .collect::<std::collections::BTreeSet<_>>();
                    let same_attributes = conjunction.keys().eq(other.keys());
                    prop_assert!(!same_attributes || differing.len() > 1, "{:?} and {:?} are one", conjunction, other);
                }
            }
        }

        #[test]
        fn does_not_depend_on_the_order_of_what_it_means((grants, services) in meeting()) {
            let mut reversed: Vec<Grant> = grants.iter().cloned().collect();
            reversed.reverse();
            let reversed = Grants::new(reversed).unwrap();
            let (one, other) =
                [&grants, &reversed].map(|grants| Visibility::of(grants, Permission::GetService)).into();
            for service in services {
                prop_assert_eq!(admits(&one, &service), admits(&other, &service));
            }
        }

        #[test]
        fn more_grants_never_show_less(
            (grants, services) in meeting(),
            more in grants::grant_of(Permission::GetService),
        ) {
            let all = Grants::new(grants.iter().cloned().chain([more])).unwrap();
            let (few, all) =
                [&grants, &all].map(|grants| Visibility::of(grants, Permission::GetService)).into();
            for service in services {
                prop_assert!(!admits(&few, &service) || admits(&all, &service));
            }
        }
    }

    /// Whether each set of `wide` holds every value that the set of `narrow` holds; tried out on the values named and on one that is
    /// not.
    fn implied(
        narrow: &service_core::visibility::Conjunction,
        wide: &service_core::visibility::Conjunction,
    ) -> bool {
        wide.iter().all(|(attribute, outer)| {
            let Some(inner) = narrow.get(attribute) else { return false };
            let named = |set: &ValueSet| match set {
                ValueSet::OneOf(values) | ValueSet::NoneOf(values) => values.clone(),
            };
            let mut tried: Vec<Option<AttributeValue>> =
                named(inner).into_iter().chain(named(outer)).map(Some).collect();
            if *attribute != Attribute::IsActive {
                tried.extend([None, Some(AttributeValue::Text("\0 named nowhere".into()))]);
            }
            tried.iter().all(|value| !inner.contains(value.as_ref()) || outer.contains(value.as_ref()))
        })
    }
}

mod pages {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn of_any_limit_concatenate_to_the_unpaged_list(
            services in service::services(100),
            filter in listing::filter(),
            visibility in prop_oneof![Just(Visibility::Everything), grants::visibility()],
            limit in listing::limit(),
        ) {
            let filter = filter.filter(&ids(&services));
            for sort in listing::all_sorts() {
                let asked = listing(filter.clone(), visibility.clone(), sort, limit);
                let wanted = plainly(&services, &asked);
                let mut walked: Vec<Arc<Service>> = Vec::new();
                loop {
                    let page = paginate(&services, &asked, walked.last().map(|last| &**last));
                    prop_assert_eq!(&page.facets, &None);
                    prop_assert!(page.services.len() <= limit.get());
                    prop_assert_eq!(page.next.is_some(), walked.len() + page.services.len() < wanted.len());
                    prop_assert!(page.next.is_none() || page.services.len() == limit.get(), "pages are full");
                    let next = page.next;
                    walked.extend(page.services);
                    let last = walked.last().map(|last| ContinuationToken::after(last.revision));
                    match next {
                        Some(token) => prop_assert_eq!(Some(token), last),
                        None => break,
                    }
                }
                prop_assert_eq!(ids(&walked), ids(&wanted));
            }
        }

        #[test]
        fn begin_after_any_position_even_of_a_service_that_is_not_among_them(
            services in service::services(30),
            position in service::service(),
            sort in listing::sort(),
            limit in listing::limit(),
        ) {
            let asked = listing(ServiceFilter::default(), Visibility::Everything, sort, limit);
            let after: Vec<_> = plainly(&services, &asked)
                .into_iter()
                .filter(|service| compare(&asked.sort, service, &position).is_gt())
                .collect();
            let page = paginate(&services, &asked, Some(&position));
            prop_assert_eq!(ids(&page.services), ids(&after[..after.len().min(limit.get())]));
        }

        #[test]
        fn facets_are_the_first_thousand(count in prop_oneof![0..20_usize, 990..1010_usize]) {
            let tags: Vec<TagFacet> = (0..count)
                .map(|number| TagFacet { key: format!("{number:04}").parse().unwrap(), value: None })
                .collect();
            let facets = TagFacets::of(tags.clone());
            prop_assert_eq!(facets.truncated, count > 1000);
            prop_assert_eq!(&facets.tags[..], &tags[..count.min(1000)]);
        }

        #[test]
        fn ranges_cover_exactly_what_comes_after_a_position(
            services in service::services(30),
            position in proptest::option::of(service::service()),
            chosen in any::<Index>(),
            among_them: bool,
            is_active: Option<bool>,
        ) {
            let position = match position {
                Some(_) if among_them && !services.is_empty() => Some((**chosen.get(&services)).clone()),
                position => position,
            };
            for sort in listing::all_sorts() {
                let filter = ServiceFilter::new([], is_active, []).unwrap();
                let asked = listing(filter, Visibility::Everything, sort.clone(), Limit::default());
                let wanted: Vec<_> = plainly(&services, &asked)
                    .into_iter()
                    .filter(|service| position.as_ref().is_none_or(|after| compare(&sort, service, after).is_gt()))
                    .collect();
                let found = ranges(&sort, is_active, position.as_ref().map(|after| after.is_active));
                prop_assert!(found.ranges.len() <= 2);
                let read: Vec<Vec<Arc<Service>>> =
                    found.ranges.iter().map(|range| read(range, position.as_ref(), &services)).collect();
                for range in &read {
                    prop_assert!(range.is_sorted_by(|left, right| compare(&sort, left, right).is_lt()), "each in order");
                }
                let mut all = read.concat();
                if !found.consecutive {
                    all.sort_by(|left, right| compare(&sort, left, right));
                }
                prop_assert_eq!(ids(&all), ids(&wanted), "{:?} after {:?}: {:?}", sort, position, found);
            }
        }
    }

    /// What an index gives that holds the services in the range's order.
    fn read(range: &Range, position: Option<&Service>, services: &[Arc<Service>]) -> Vec<Arc<Service>> {
        let by_name =
            |direction: Direction, left: &ServiceName, right: &ServiceName| direction.apply(left.cmp(right));
        let begins = |service: &Arc<Service>| match (range.start, range.order, position) {
            (RangeStart::First, ..) => true,
            (RangeStart::AfterId, _, Some(after)) => service.id > after.id,
            (RangeStart::After, RangeOrder::Name(direction), Some(after)) => {
                by_name(direction, &service.name, &after.name).then(service.id.cmp(&after.id)).is_gt()
            }
            (RangeStart::AtName, RangeOrder::Name(direction), Some(after)) => {
                by_name(direction, &service.name, &after.name).is_ge()
            }
            (RangeStart::BeyondName, RangeOrder::Name(direction), Some(after)) => {
                by_name(direction, &service.name, &after.name).is_gt()
            }
            (start, order, _) => panic!("{start:?} in a range by {order:?}"),
        };
        let mut read: Vec<_> = services
            .iter()
            .filter(|service| service.is_active == range.is_active && begins(service))
            .cloned()
            .collect();
        read.sort_by(|left, right| match range.order {
            RangeOrder::Id => left.id.cmp(&right.id),
            RangeOrder::Name(direction) => {
                by_name(direction, &left.name, &right.name).then(left.id.cmp(&right.id))
            }
        });
        read
    }
}
