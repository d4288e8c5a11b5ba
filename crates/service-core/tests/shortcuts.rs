//! What the pure functions do to be quick changes no answer, and allocates nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use allocation_counter::measure;
use proptest::prelude::*;
use service_core::*;
use store_conformance::generate::{grants, listing, service};

/// What an attribute is in a service, said in the plainest way.
fn value_of(attribute: &Attribute, service: &Service) -> Option<AttributeValue> {
    let text = |text: String| AttributeValue::Text(text.into());
    match attribute {
        Attribute::ServiceId => Some(text(service.id.to_string())),
        Attribute::Name => Some(text(service.name.to_string())),
        Attribute::IsActive => Some(AttributeValue::Boolean(service.is_active)),
        Attribute::AgentId => Some(text(service.agent_id.to_string())),
        Attribute::StateMachineId => Some(text(service.state_machine_id.to_string())),
        Attribute::Tag(key) => {
            let value = service.tags.get(key.as_str())?;
            Some(value.map_or(AttributeValue::Null, |value| text(value.to_string())))
        }
        Attribute::VersionSetName => None,
    }
}

fn admits_plainly(visibility: &Visibility, service: &Service) -> bool {
    match visibility {
        Visibility::Everything => true,
        Visibility::Nothing => false,
        Visibility::AnyOf(conjunctions) => conjunctions.iter().any(|conjunction| {
            let within = |(attribute, set): (_, &visibility::ValueSet)| {
                set.contains(value_of(attribute, service).as_ref())
            };
            conjunction.iter().all(within)
        }),
    }
}

/// Names that begin alike for longer than the order looks at first, or end where it does.
fn alike() -> impl Strategy<Value = ServiceName> {
    ("a{0,2}|a{13,17}|b{15}é?", "[ab é\u{10400}]{0,3}").prop_map(|(start, end)| {
        let name = format!("{start}{end}");
        ServiceName::new(&name).or_else(|_| ServiceName::new("a")).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_visibility_admits_as_its_sets_contain(
        visibility in grants::visibility(),
        services in service::services(20),
    ) {
        for service in services {
            let admitted = admits_plainly(&visibility, &service);
            let mut answer = !admitted;
            prop_assert_eq!(measure(|| answer = admits(&visibility, &service)).count_total, 0);
            prop_assert_eq!(answer, admitted);
        }
    }

    #[test]
    fn an_attribute_is_its_text_in_the_service(service in service::service(), key in service::tags()) {
        let plain = [
            Attribute::ServiceId,
            Attribute::Name,
            Attribute::IsActive,
            Attribute::AgentId,
            Attribute::StateMachineId,
            Attribute::VersionSetName,
        ];
        let keys = service.tags.pairs().chain(key.pairs()).map(|(key, _)| Attribute::Tag(key));
        for attribute in plain.into_iter().chain(keys) {
            prop_assert_eq!(attribute.of(&service, None), value_of(&attribute, &service));
        }
    }

    #[test]
    fn matching_allocates_nothing(
        services in service::services(20),
        filter in listing::filter(),
        sort in listing::sort(),
    ) {
        let ids: Vec<_> = services.iter().map(|service| service.id).collect();
        let filter = filter.filter(&ids);
        let allocated = measure(|| {
            for service in &services {
                let others = services.iter().filter(|other| compare(&sort, service, other).is_lt());
                std::hint::black_box((matches(&filter, service), others.count()));
            }
        });
        prop_assert_eq!(allocated.count_total, 0);
    }

    #[test]
    fn names_that_begin_alike_are_paged_in_order(
        services in service::services(120),
        names in proptest::collection::vec(alike(), 120),
        limit in listing::limit(),
        start in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let services: Vec<Arc<Service>> = services
            .iter()
            .zip(names)
            .map(|(service, name)| Arc::new(Service { name, ..(**service).clone() }))
            .collect();
        for sort in listing::all_sorts() {
            let mut wanted = services.clone();
            wanted.sort_by(|left, right| compare(&sort, left, right));
            let start = start.filter(|_| !services.is_empty()).map(|start| start.index(services.len()));
            let after = start.map(|start| Arc::clone(&wanted[start]));
            let rest = &wanted[start.map_or(0, |start| start + 1)..];
            let asked = Listing {
                filter: ServiceFilter::default(),
                visibility: Visibility::Everything,
                sort,
                limit,
                token: ContinuationToken::START,
            };
            let page = paginate(&services, &asked, after.as_deref());
            prop_assert_eq!(page.services, &rest[..rest.len().min(limit.get())]);
            prop_assert_eq!(page.next.is_some(), rest.len() > limit.get());
        }
    }
}

#[test]
fn a_page_may_be_larger_than_all_there_is() {
    let limit = Limit::with_maximum(usize::MAX, usize::MAX).unwrap();
    let asked = Listing {
        filter: ServiceFilter::default(),
        visibility: Visibility::Everything,
        sort: Sort::default(),
        limit,
        token: ContinuationToken::START,
    };
    assert_eq!(paginate(&[], &asked, None), Page::default());
}

/// Most version sets prefer one LLM or two, with a parameter: maps with room for more would be most of a service.
#[test]
fn a_preference_takes_no_more_memory_where_there_are_few() {
    let taken = |preferences: usize| {
        let preference =
            |number| format!(r#""{number}":{{"llm_name":"gpt","params":{{"temperature":0.5}}}}"#);
        let preferences: Vec<String> = (0..preferences).map(preference).collect();
        let release = format!(r#"{{"llm_model_preferences":{{{}}}}}"#, preferences.join(","));
        let json = format!(r#"{{"edge":{{}},"release":{release}}}"#);
        let mut sets = None;
        let taken = measure(|| sets = serde_json::from_str::<VersionSets>(&json).ok());
        assert!(sets.is_some());
        taken.bytes_current
    };
    let (none, each) = (taken(0), (taken(10) - taken(0)) / 10);
    assert!(none < 250 && each < 200, "{none} bytes without preferences, {each} for each");
    for few in [1, 2, 3] {
        assert_eq!(taken(few), none + i64::try_from(few).unwrap() * each);
    }
}
