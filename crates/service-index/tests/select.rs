//! A page is what `paginate` says, whatever was inserted before, and however many services there are.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index as Choice;
use service_core::{
    ContinuationToken, Limit, Listing, Page, Permission, Service, ServiceFilter, ServiceId, TagFacet,
    TagFacets, Tags, Visibility, paginate,
};
use service_index::{Index, Keys};
use store_conformance::generate::{Draws, grants, listing, service};

type Services = BTreeMap<ServiceId, Arc<Service>>;

fn keyed(service: &Arc<Service>) -> (Keys, Arc<Service>) {
    (Keys::from(&**service), Arc::clone(service))
}

fn page(index: &Index<Arc<Service>>, listing: &Listing, after: Option<&Service>) -> Page {
    let services = index.select(listing, after).into_iter().cloned().collect();
    Page::of(services, listing.limit, None)
}

/// The page after a service that is in the index.
fn page_after(index: &Index<Arc<Service>>, listing: &Listing, after: &Service) -> Page {
    let number = index.slot(&after.id).unwrap();
    let services = index.select_after(listing, number).into_iter().cloned().collect();
    Page::of(services, listing.limit, None)
}

fn facets(services: &Services) -> TagFacets {
    let tags = services.values().flat_map(|service| service.tags.pairs());
    let facets: std::collections::BTreeSet<TagFacet> =
        tags.map(|(key, value)| TagFacet { key, value }).collect();
    TagFacets::of(facets)
}

proptest! {
    #[test]
    fn a_page_is_what_paginate_says(
        first in service::services(100),
        changes in prop::collection::vec((service::services(6), any::<Choice>()), 0..20),
        filter in listing::filter(),
        visibility in grants::visibility(),
        sort in listing::sort(),
        limit in listing::limit(),
        after in prop::option::of(any::<Choice>()),
        takes_old in any::<bool>(),
    ) {
        let mut services: Services = first.iter().map(|service| (service.id, Arc::clone(service))).collect();
        let mut index: Index<Arc<Service>> = services.values().map(keyed).collect();
        prop_assert!(index.is_consistent());
        let mut seen = first;
        for (drawn, choice) in changes {
            for service in drawn {
                // Half of them take the place of one that is there.
                let replaced = choice.index(2) == 0 && !seen.is_empty();
                let id = if replaced { seen[choice.index(seen.len())].id } else { service.id };
                let service = Arc::new(Service { id, ..(*service).clone() });
                let before = index.insert(Keys::from(&*service), Arc::clone(&service));
                prop_assert_eq!(before, services.insert(id, Arc::clone(&service)));
                seen.push(service);
            }
        }
        prop_assert!(index.is_consistent());
        prop_assert_eq!(index.facets(), facets(&services));
        prop_assert_eq!(index.len(), services.len());
        let ids: Vec<ServiceId> = services.keys().copied().collect();
        let listing = Listing {
            filter: if ids.is_empty() { ServiceFilter::default() } else { filter.filter(&ids) },
            visibility, sort, limit, token: ContinuationToken::START,
        };
        // A position may be that of a service that is no longer what it was.
        let positions: Vec<Arc<Service>> = if takes_old { seen } else { services.values().cloned().collect() };
        let after = after.filter(|_| !positions.is_empty()).map(|choice| choice.get(&positions));
        let all: Vec<Arc<Service>> = services.values().cloned().collect();
        let expected = paginate(&all, &listing, after.map(|after| &**after));
        prop_assert_eq!(&page(&index, &listing, after.map(|after| &**after)), &expected);
        if let Some(after) = after.filter(|after| services.get(&after.id) == Some(after)) {
            prop_assert_eq!(&page_after(&index, &listing, after), &expected);
        }
        prop_assert!(index.select_after(&listing, index.len() as u32).is_empty());
        for service in &all {
            prop_assert_eq!(index.get(&service.id), Some(service));
            let named = index.active_named(&service.name);
            let expected = all.iter().find(|other| other.is_active && other.name == service.name);
            prop_assert_eq!(named, expected);
        }
    }
}

fn tags(texts: &[String]) -> Tags {
    let tag = |text: &String| {
        let (key, value) = text.split_once(':').unwrap();
        (key.parse().unwrap(), (!value.is_empty()).then(|| value.parse().unwrap()))
    };
    Tags::new(texts.iter().map(tag)).unwrap()
}

/// As many services as it takes for every way to find a page to be the best one for some listing: tags of all frequencies, two
/// that seldom meet, one that nine of ten have, one that only the first names and one that only the last ones have, a name that two thirds of the inactive ones share.
fn many(count: usize) -> Vec<Arc<Service>> {
    let template = Draws::seeded(1).draw(&service::service());
    let mut state = 1_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let services = (0..count).map(|number| {
        let is_active = below(4) != 0;
        let rank = below(1_000_000);
        let shares = !is_active && below(3) != 0;
        let name = if shares { "shared".to_owned() } else { format!("n {rank:06} {number}") };
        let mut texts = vec![
            format!("team:{}", below(count / 10)),
            format!("env:{}", ["prod", "prod", "prod", "test", ""][below(5)]),
        ];
        let both = number % (count / 20) == 0;
        texts.extend((both || number % 2 == 0).then(|| "left:".to_owned()));
        texts.extend((both || number % 2 == 1).then(|| "right:a".to_owned()));
        texts.extend((below(10) != 0).then(|| "usual:".to_owned()));
        texts.extend((rank < 700_000).then(|| "early:".to_owned()));
        texts.extend((rank > 900_000).then(|| "late:".to_owned()));
        let mut id = [0; 12];
        id[..8].copy_from_slice(&(below(1 << 30) as u64).to_be_bytes());
        id[8..].copy_from_slice(&(number as u32).to_be_bytes());
        Arc::new(Service {
            id: ServiceId::from_bytes(id),
            name: name.parse().unwrap(),
            is_active,
            tags: tags(&texts),
            agent_id: service::agent_id(below(5) as u8),
            state_machine_id: service::state_machine_id(below(50) as u8),
            ..template.clone()
        })
    });
    services.collect()
}

fn filters() -> Vec<ServiceFilter> {
    let tags: [&[&str]; 12] = [
        &[],
        &["env:prod"],
        &["env:"],
        &["env:*"],
        &["team:3"],
        &["late:*"],
        &["left:", "right:a"],
        &["env:prod", "left:*"],
        &["env:test", "late:"],
        &["team:7", "env:prod"],
        &["nobody:has this"],
        &["env:prod", "late:", "right:a"],
    ];
    let filter = |tags: &&[&str], is_active| {
        ServiceFilter::new([], is_active, tags.iter().map(|tag| tag.parse().unwrap())).unwrap()
    };
    tags.iter()
        .flat_map(|tags| [None, Some(true), Some(false)].map(|is_active| filter(tags, is_active)))
        .collect()
}

fn visibilities(services: &[Arc<Service>]) -> Vec<Visibility> {
    let few: Vec<String> =
        services.iter().step_by(services.len() / 20).map(|service| service.id.to_string()).collect();
    let json = [
        serde_json::json!([{}]),
        serde_json::json!([{"tags.env": {"type": "NotEquals", "value": "prod"}}]),
        serde_json::json!([{"tags.usual": {"type": "NotEquals", "value": null}}]),
        serde_json::json!([{"tags.early": {"type": "NotEquals", "value": null}}]),
        serde_json::json!([{"service_id": {"type": "In", "values": few}}]),
        serde_json::json!([{"tags.team": {"type": "Equals", "value": "3"}}, {"tags.late": {"type": "Equals", "value": null}}]),
        serde_json::json!([
            {"name": {"type": "Equals", "value": "shared"}, "tags.left": {"type": "Equals", "value": null}},
            {"agent_id": {"type": "In", "values": [service::agent_id(1), service::agent_id(3)]},
             "service_hierarchical_state_machine_id": {"type": "NotEquals", "value": service::state_machine_id(7)},
             "tags.right": {"type": "Equals", "value": "a"}, "tags.left": {"type": "Equals", "value": null}},
        ]),
        serde_json::json!([{"tags.team": {"type": "In", "values": ["3", "of nobody"]}}]),
        serde_json::json!([{"tags.team": {"type": "NotEquals", "value": "of nobody"}}]),
        serde_json::json!([{"tags.team": {"type": "Equals", "value": "of nobody"}}, {"tags.team": {"type": "In", "values": ["of none", "3"]}}]),
        serde_json::json!([{"name": {"type": "Equals", "value": "shared"}}]),
        serde_json::json!([{"name": {"type": "NotEquals", "value": "shared"}}]),
        serde_json::json!([{"name": {"type": "In", "values": ["shared", "nobody has this", services[5].name, services[9].name]}}]),
        serde_json::json!([
            {"name": {"type": "In", "values": ["shared", services[70].name]}, "tags.team": {"type": "In", "values": ["1", "2", "3"]}},
            {"name": {"type": "NotEquals", "value": services[71].name}, "tags.team": {"type": "In", "values": ["4", "5", "6"]}},
            {"name": {"type": "Equals", "value": services[72].name}, "tags.env": {"type": "NotEquals", "value": "test"}},
            {"service_id": {"type": "In", "values": few}, "tags.env": {"type": "In", "values": ["prod", "test"]}},
        ]),
        serde_json::json!([
            {"tags.team": {"type": "In", "values": (0..40).map(|team| team.to_string()).collect::<Vec<_>>()}, "tags.left": {"type": "Equals", "value": null}},
            {"tags.team": {"type": "In", "values": (0..40).map(|team| team.to_string()).collect::<Vec<_>>()}, "tags.late": {"type": "Equals", "value": null}},
        ]),
        serde_json::json!([{"is_active": {"type": "Equals", "value": false}, "tags.right": {"type": "NotEquals", "value": "a"}}]),
        serde_json::json!([
            {"name": {"type": "NotEquals", "value": "shared"}, "is_active": {"type": "Equals", "value": false},
             "tags.env": {"type": "NotEquals", "value": "prod"}, "tags.left": {"type": "NotEquals", "value": null},
             "tags.late": {"type": "Equals", "value": null}},
        ]),
    ];
    let grants = json.into_iter().map(|grants| {
        let grants = grants.as_array().unwrap().iter().map(|conditions| {
            serde_json::from_value(
                serde_json::json!({"permission_name": "Service:GetService", "conditions": conditions}),
            )
            .unwrap()
        });
        service_core::Grants::new(grants.collect::<Vec<_>>()).unwrap()
    });
    grants.map(|grants| Visibility::of(&grants, Permission::GetService)).collect()
}

#[test]
fn large_organizations_are_paged_the_same() {
    let services = many(12_000);
    let mut index: Index<Arc<Service>> = services[..6000].iter().map(keyed).collect();
    for service in &services[6000..] {
        let (keys, service) = keyed(service);
        index.insert(keys, service);
    }
    assert!(index.is_consistent());
    let limit = Limit::new(20).unwrap();
    let sorts = listing::all_sorts();
    let visibilities = visibilities(&services);
    for (number, filter) in filters().into_iter().enumerate() {
        for (other, visibility) in visibilities.iter().enumerate() {
            for sort in sorts.iter().skip((number + other) % 4).step_by(4) {
                let listing = Listing {
                    filter: filter.clone(),
                    visibility: visibility.clone(),
                    sort: sort.clone(),
                    limit,
                    token: ContinuationToken::START,
                };
                for after in [None, Some(&*services[(number * 331 + other) % services.len()])] {
                    let expected = paginate(&services, &listing, after);
                    assert_eq!(page(&index, &listing, after), expected, "{listing:?} after {after:?}");
                }
            }
        }
    }
}

#[test]
fn services_of_one_name_are_paged_the_same_wherever_a_page_begins() {
    let sizes = [1, 2, 1, 3, 1, 1, 40, 2, 2, 1, 7, 1];
    let groups = (0..).zip(sizes).flat_map(|(group, size)| std::iter::repeat_n(group, size));
    let mut services = many(sizes.iter().sum());
    for (number, (service, group)) in services.iter_mut().zip(groups).enumerate() {
        let named = Service { name: format!("n {group:02}").parse().unwrap(), ..(**service).clone() };
        *service = Arc::new(Service { is_active: number % 3 == 0, ..named });
    }
    let built: Index<Arc<Service>> = services.iter().map(keyed).collect();
    let mut grown = Index::new();
    for (number, service) in services.iter().enumerate() {
        // Each has another's name first, and comes to its own later.
        let other = services[(number * 7 + 3) % services.len()].name.clone();
        grown.insert(Keys::from(&Service { name: other, ..(**service).clone() }), Arc::clone(service));
    }
    for service in &services {
        grown.insert(Keys::from(&**service), Arc::clone(service));
    }
    for index in [built, grown] {
        assert!(index.is_consistent());
        for sort in listing::all_sorts() {
            let listing = Listing {
                filter: ServiceFilter::default(),
                visibility: Visibility::Everything,
                sort,
                limit: Limit::new(4).unwrap(),
                token: ContinuationToken::START,
            };
            assert_eq!(page(&index, &listing, None), paginate(&services, &listing, None));
            for service in &services {
                // As it is, and as it was before its activeness changed.
                for is_active in [true, false] {
                    let after = Service { is_active, ..(**service).clone() };
                    let expected = paginate(&services, &listing, Some(&after));
                    assert_eq!(page(&index, &listing, Some(&after)), expected, "{listing:?} after {after:?}");
                    if after == **service {
                        let page = page_after(&index, &listing, &after);
                        assert_eq!(page, expected, "{listing:?} after {after:?}");
                    }
                }
            }
        }
    }
}

/// All its tags, and one more.
fn with_tag(service: &Service, tag: &str) -> Arc<Service> {
    let tags = service.tags.pairs();
    let key = tag.parse().unwrap();
    Arc::new(Service { tags: Tags::new(tags.chain([(key, None)])).unwrap(), ..service.clone() })
}

/// The first page and one from the middle on, of those that have a tag, in each order.
fn assert_paged_the_same(index: &Index<Arc<Service>>, services: &[Arc<Service>], tags: &[&str]) {
    assert!(index.is_consistent());
    let filter = ServiceFilter::new([], None, tags.iter().map(|tag| tag.parse().unwrap())).unwrap();
    for sort in listing::all_sorts() {
        let listing = Listing {
            filter: filter.clone(),
            visibility: Visibility::Everything,
            sort,
            limit: Limit::new(10).unwrap(),
            token: ContinuationToken::START,
        };
        for after in [None, Some(&*services[services.len() / 2])] {
            let expected = paginate(services, &listing, after);
            assert_eq!(page(index, &listing, after), expected, "{listing:?} after {after:?}");
        }
    }
}

#[test]
fn terms_of_few_and_of_many_services_are_paged_the_same() {
    let sizes = [1, 2, 15, 16, 17, 18, 31, 32, 33, 34, 63, 64, 65, 66, 150];
    let mut services = many(200);
    for size in sizes {
        for (number, service) in services.iter_mut().enumerate() {
            if (number * 7 + size) % 200 < size {
                *service = with_tag(service, &format!("size{size}"));
            }
        }
    }
    for built in [0, 100, 199, 200] {
        let mut index: Index<Arc<Service>> = services[..built].iter().map(keyed).collect();
        for service in &services[built..] {
            let (keys, service) = keyed(service);
            index.insert(keys, service);
        }
        for size in sizes {
            assert_paged_the_same(&index, &services, &[&format!("size{size}:")]);
            assert_paged_the_same(&index, &services, &[&format!("size{size}:*"), "size66:"]);
            assert_paged_the_same(&index, &services, &["env:prod", &format!("size{size}:")]);
        }
        let sizes_of_tags: BTreeMap<String, usize> =
            index.tags().map(|(facet, count)| (facet.key.to_string(), count)).collect();
        assert!(sizes.iter().all(|size| sizes_of_tags[&format!("size{size}")] == *size));
    }
}

#[test]
fn services_come_to_a_term_and_leave_it_at_every_size() {
    let mut services = many(140);
    let mut index: Index<Arc<Service>> = services.iter().map(keyed).collect();
    let mut tagged: Vec<usize> = Vec::new();
    let mut step = 0;
    for size in [70, 28, 70, 31, 34, 31, 140, 0, 3] {
        while tagged.len() != size {
            step += 1;
            let number = if tagged.len() < size {
                let free = (step * 37..).map(|number| number % 140).find(|number| !tagged.contains(number));
                tagged.push(free.unwrap());
                tagged[tagged.len() - 1]
            } else {
                tagged.swap_remove(step * 31 % tagged.len())
            };
            let old = &services[number];
            let tags = old.tags.pairs().filter(|(key, _)| key.as_str() != "in");
            let tags = Tags::new(tags).unwrap();
            let without = Service { tags, is_active: old.is_active ^ (step % 3 == 0), ..(**old).clone() };
            let moved = if tagged.contains(&number) { with_tag(&without, "in") } else { Arc::new(without) };
            let mut changed = vec![(number, moved)];
            // One of those that stay changes as well, which is to leave and to come back.
            if let Some(stays) = tagged.get(step % 7).filter(|stays| **stays != number) {
                let name = format!("n {:06}", step * 7919 % 1_000_000).parse().unwrap();
                changed.push((*stays, Arc::new(Service { name, ..(*services[*stays]).clone() })));
            }
            for (number, service) in changed {
                index.insert(Keys::from(&*service), Arc::clone(&service));
                services[number] = service;
            }
            assert_paged_the_same(&index, &services, &["in:"]);
        }
    }
}

#[test]
fn tags_that_no_others_have_weigh() {
    let services = many(200);
    let index = |tagged: &dyn Fn(usize, &Arc<Service>) -> Arc<Service>| -> Index<Arc<Service>> {
        services.iter().enumerate().map(|(number, service)| keyed(&tagged(number, service))).collect()
    };
    let plain = index(&|_, service| Arc::clone(service));
    assert!((150..350).contains(&plain.weight()), "{}", plain.weight());
    let mut heavy = index(&|number, service| with_tag(service, &format!("only{number}")));
    assert!(heavy.weight() > plain.weight() + 200, "{}", heavy.weight());
    for service in &services {
        heavy.insert(Keys::from(&**service), Arc::clone(service));
    }
    assert_eq!(heavy.weight(), plain.weight());
}
