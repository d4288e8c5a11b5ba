//! Random operations on the model, through the registry: refusals change nothing, what is accepted keeps every invariant,
//! and walks meet their promise whatever is written between two pages.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use service_core::*;
use store_conformance::generate::request::{self, Answer, Recipe, Request};
use store_conformance::generate::{catalog, grants, listing, service};
use store_conformance::world::{World, administrator};

fn acme() -> OrganizationId {
    catalog::organization(0)
}

fn check(state: &OrganizationState) -> Result<(), TestCaseError> {
    let violations = state.violations(&acme());
    prop_assert!(violations.is_empty(), "{:#?}", violations);
    let folded = OrganizationState::of(state.record().clone(), state.history().iter().cloned());
    prop_assert_eq!(&folded, state, "the state is the fold of its history");
    Ok(())
}

/// What an accepted write must have done to the state, beyond keeping invariants.
fn check_step(
    before: &OrganizationState,
    after: &OrganizationState,
    answer: &Answer,
) -> Result<(), TestCaseError> {
    prop_assert!(after.history().starts_with(before.history()), "history only grows");
    prop_assert!(after.record().catalog_revision >= before.record().catalog_revision);
    match answer {
        Answer::Refused(_) | Answer::CatalogRefused(_) | Answer::Page(_) => prop_assert_eq!(after, before),
        Answer::Changes(changes) if changes.organizations.is_empty() => prop_assert_eq!(after, before),
        Answer::Changes(_) => {
            prop_assert_eq!(after.record().catalog_revision, before.record().catalog_revision.next());
            prop_assert_eq!(after.history(), before.history());
        }
        Answer::Service(service) => {
            prop_assert_eq!(after.services().get(&service.id), Some(service));
            prop_assert_eq!(&after.record().catalog, &before.record().catalog);
            if before.services().get(&service.id) == Some(service) {
                prop_assert_eq!(after, before, "a write that changes nothing takes no revision");
            } else {
                prop_assert_eq!(service.revision, before.record().revision.next(), "no gaps");
                prop_assert_eq!(after.record().revision, service.revision);
                prop_assert_eq!(after.history().len(), before.history().len() + 1);
                let others = |state: &OrganizationState| {
                    let mut services = state.services().clone();
                    services.remove(&service.id);
                    services
                };
                prop_assert_eq!(others(after), others(before), "one write changes one service");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn refusals_change_nothing_and_everything_else_keeps_the_invariants(
        steps in proptest::collection::vec((request::any_request(), grants::caller()), 1..40),
    ) {
        let world = World::new();
        let mut before = world.state(&acme());
        check(&before)?;
        for (recipe, caller) in &steps {
            let answer = world.make(&acme(), caller, &world.request(&acme(), recipe));
            let after = world.state(&acme());
            check_step(&before, &after, &answer)?;
            check(&after)?;
            before = after;
        }
    }

    #[test]
    fn saying_the_same_again_changes_nothing(
        steps in proptest::collection::vec(request::write(), 1..25),
        again in request::write(),
    ) {
        let world = World::new();
        for recipe in &steps {
            world.run(&acme(), recipe);
        }
        let request = world.request(&acme(), &again);
        let first = world.make(&acme(), &administrator(), &request);
        let before = world.state(&acme());
        let second = world.make(&acme(), &administrator(), &request);
        match (&request, &first, &second) {
            (Request::Create(_) | Request::Delete(..), ..) => {}
            (_, Answer::Service(first), Answer::Service(second)) => {
                prop_assert_eq!(first, second);
                prop_assert_eq!(world.state(&acme()), before);
            }
            (_, Answer::Changes(_), Answer::Changes(second)) => {
                prop_assert!(second.is_empty());
                prop_assert_eq!(world.state(&acme()), before);
            }
            (_, first, second) => prop_assert_eq!(first, second),
        }
    }

    #[test]
    fn a_walk_during_writes_returns_exactly_once_what_matches_throughout(
        start in proptest::collection::vec(request::create(), 5..40),
        writes in proptest::collection::vec(request::write(), 0..60),
        between in 0..8_usize,
        filter in listing::filter(),
        visibility in prop_oneof![2 => Just(Visibility::Everything), 1 => grants::visibility()],
        sort in listing::sort(),
        limit in listing::limit(),
    ) {
        let world = World::new();
        for request in start {
            world.run(&acme(), &Recipe::Create(request));
        }
        let filter = filter.filter(&world.state(&acme()).services().keys().copied().collect::<Vec<_>>());
        let mut listing = Listing { filter, visibility, sort, limit, token: ContinuationToken::START };
        let mut writes = writes.iter();
        let mut throughout = matching(&world.state(&acme()), &listing);
        let mut returned: BTreeMap<ServiceId, usize> = BTreeMap::new();
        loop {
            let page = match world.state(&acme()).list(&listing) {
                Listed::Page(page) => page,
                // The service that a token names is judged as it was, so a token a walk was given stays good.
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            for service in &page.services {
                *returned.entry(service.id).or_default() += 1;
            }
            let Some(token) = page.next else { break };
            listing.token = token;
            for recipe in writes.by_ref().take(between) {
                world.run(&acme(), recipe);
                let now = matching(&world.state(&acme()), &listing);
                throughout.retain(|id, before| now.get(id).is_some_and(|now| {
                    (&now.name, now.is_active) == (&before.name, before.is_active)
                }));
            }
        }
        for id in throughout.keys() {
            prop_assert_eq!(returned.get(id), Some(&1), "{} of {:?}", id, returned);
        }
    }

    #[test]
    fn a_token_names_one_position_for_ever(
        start in proptest::collection::vec(request::create(), 5..30),
        writes in proptest::collection::vec(request::write(), 1..30),
        sort in listing::sort(),
    ) {
        let world = World::new();
        for request in start {
            world.run(&acme(), &Recipe::Create(request));
        }
        let positions = world.state(&acme()).history().to_vec();
        for recipe in &writes {
            world.run(&acme(), recipe);
        }
        let state = world.state(&acme());
        let services: Vec<_> = state.services().values().cloned().collect();
        for position in positions {
            let listing = Listing {
                filter: ServiceFilter::default(),
                visibility: Visibility::Everything,
                sort: sort.clone(),
                limit: Limit::default(),
                token: ContinuationToken::after(position.revision),
            };
            // As the service was, whatever it is now.
            let expected = paginate(&services, &listing, Some(&position));
            prop_assert_eq!(state.list(&listing), Listed::Page(expected));
        }
    }
}

fn matching(state: &OrganizationState, listing: &Listing) -> BTreeMap<ServiceId, Arc<Service>> {
    let matching = state
        .services()
        .iter()
        .filter(|(_, service)| matches(&listing.filter, service) && admits(&listing.visibility, service));
    matching.map(|(id, service)| (*id, Arc::clone(service))).collect()
}

#[test]
fn random_operations_reach_most_refusals() {
    // The properties above prove nothing about what never happens.
    let mut draws = store_conformance::generate::Draws::seeded(7);
    let mut codes: BTreeMap<&'static str, usize> = BTreeMap::new();
    for _ in 0..150 {
        let world = World::new();
        for (recipe, caller) in draws.several(60, &(request::any_request(), grants::caller())) {
            let code = match world.make(&acme(), &caller, &world.request(&acme(), &recipe)) {
                Answer::Refused(refusal) => refusal.code(),
                Answer::CatalogRefused(CatalogRefusal::TestWithoutTarget { .. }) => "test_without_target",
                Answer::CatalogRefused(CatalogRefusal::VersionFalls { .. }) => "version_falls",
                Answer::CatalogRefused(CatalogRefusal::UnknownRole { .. }) => "unknown_role",
                Answer::CatalogRefused(CatalogRefusal::Duplicate { .. }) => "duplicate",
                Answer::CatalogRefused(_) => "other",
                Answer::Service(_) => "written",
                Answer::Changes(_) => "catalog_changed",
                Answer::Page(_) => "listed",
            };
            *codes.entry(code).or_default() += 1;
        }
    }
    let expected = [
        "written",
        "catalog_changed",
        "listed",
        "permission_denied",
        "service_not_found",
        "agent_not_found",
        "state_machine_not_found",
        "agent_deprecated",
        "state_machine_deprecated",
        "agent_has_no_versions",
        "state_machine_has_no_versions",
        "invalid_agent",
        "invalid_state_machine",
        "agent_version_not_found",
        "state_machine_version_not_found",
        "llm_not_supported",
        "llm_deprecated",
        "invalid_llm_params",
        "active_name_taken",
        "service_in_use",
        "reserved_version_set",
        "version_set_not_found",
        "version_set_in_use",
        "validation_failed",
        "test_without_target",
        "version_falls",
        "unknown_role",
        "duplicate",
    ];
    let unreached: Vec<_> = expected.iter().filter(|code| !codes.contains_key(*code)).collect();
    assert!(unreached.is_empty(), "never reached: {unreached:?} of {codes:?}");
}

/// An organization with two services, after four writes, and what of it can be forged.
fn forged(forge: impl FnOnce(&mut OrganizationRecord, &mut Vec<Service>)) -> Vec<String> {
    let world = World::new();
    for name in ["one", "two"] {
        let request = CreateService {
            name: name.parse().unwrap(),
            description: "d".parse().unwrap(),
            is_active: true,
            agent_id: service::agent_id(0),
            state_machine_id: service::state_machine_id(0),
            tags: Tags::default(),
            keyterms: Keyterms::default(),
            release: None,
        };
        world.run(&acme(), &Recipe::Create(request));
    }
    let state = world.state(&acme());
    let mut record = state.record().clone();
    let mut history: Vec<Service> = state.history().iter().map(|row| (**row).clone()).collect();
    forge(&mut record, &mut history);
    OrganizationState::of(record, history.into_iter().map(Arc::new)).violations(&acme())
}

#[test]
fn violations_name_what_is_wrong_and_nothing_else() {
    assert_eq!(forged(|_, _| {}), Vec::<String>::new());
    let pinned = |agent: Option<i64>, machine: Option<i64>| VersionSet {
        agent_version_number: agent.map(|number| VersionNumber::new(number).unwrap()),
        state_machine_version_number: machine.map(|number| VersionNumber::new(number).unwrap()),
        ..VersionSet::default()
    };
    let test = |service_id, name: &str| service_core::catalog::SimulationUnitTest {
        service_id,
        version_set_name: name.parse().unwrap(),
        deleted: false,
    };
    let found = |said: &str, violations: Vec<String>| {
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(violations[0].contains(said), "{violations:?}");
    };
    found("both active", forged(|_, history| history[1].name = history[0].name.clone()));
    found("is of organization", forged(|_, history| history[0].organization = catalog::organization(1)));
    for set in [pinned(Some(4), None), pinned(None, Some(4))] {
        let forge = |_: &mut _, history: &mut Vec<Service>| {
            history[0].version_sets = VersionSets::with_release(set);
        };
        found("pins a version that does not exist", forged(forge));
    }
    found(
        "names no version set",
        forged(|record, history| {
            let test = test(history[0].id, "absent");
            record.catalog.simulation_unit_tests.insert(catalog::test_id(0), test);
        }),
    );
    found(
        "names no version set",
        forged(|record, history| {
            let test = test(history[0].id, "release");
            record.catalog.simulation_unit_tests.insert(catalog::test_id(0), test);
            history[0].is_active = false;
        }),
    );
    found("the history ends at", forged(|record, _| record.revision = record.revision.next()));
    let missing_row = forged(|_, history| drop(history.remove(0)));
    assert!(missing_row.iter().any(|violation| violation.contains("without a gap")), "{missing_row:?}");
    found(
        "updated earlier",
        forged(|record, history| {
            let mut later = history[0].clone();
            later.revision = record.revision.next();
            later.updated_at = Timestamp::UNIX_EPOCH;
            record.revision = later.revision;
            history.push(later);
        }),
    );
}
