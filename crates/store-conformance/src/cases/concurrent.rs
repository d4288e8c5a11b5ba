//! Writers and readers that race: nobody observes, or leaves behind, a state that breaks an invariant.
//!
//! Each case gives several tasks, on two threads, the same few things to fight for, and looks at what is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use service_core::catalog::{OrganizationEntry, SimulationUnitTestEntry};
use service_core::{
    CatalogDocument, DeleteVersionSet, Limit, Listed, Listing, Refusal, RegistryError, Service, ServiceId,
    UpsertVersionSet, VersionSet,
};

use super::{Setting, activate, creation, everything, limited, rename, retag, sorted};
use crate::generate::catalog::{agent_entry, test_id, version};
use crate::store::Fresh;

type Written = Result<Arc<Service>, RegistryError>;

/// Runs tasks at once and returns what each returned, in order.
async fn all<T: Send + 'static>(tasks: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("a task that does not panic"));
    }
    results
}

/// Whether a write was done; a race that was lost too often is not done, anything else is a failure.
fn done(written: &Written) -> bool {
    match written {
        Ok(_) => true,
        Err(RegistryError::Refused(_) | RegistryError::Contention) => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// Of many creators of one active name exactly one succeeds, the others learn that it is taken.
pub async fn creators_of_one_name_leave_one_active(fresh: &Fresh) {
    let setting = Setting::shared(fresh).await;
    for round in 0..6 {
        let name = format!("wanted {round}");
        let tasks = (0..8).map(|_| {
            let (setting, name) = (Arc::clone(&setting), name.clone());
            async move {
                setting.registry.create(&setting.acme, &setting.admin, &creation(&name, true)).await
            }
        });
        let written = all(tasks.collect()).await;
        assert_eq!(written.iter().filter(|written| done(written)).count(), 1);
        for refused in written.iter().filter_map(|written| written.as_ref().err()) {
            assert!(
                matches!(refused, RegistryError::Refused(Refusal::ActiveNameTaken(taken)) if taken.as_str() == name),
                "{refused}"
            );
        }
        let state = setting.state(&setting.acme).await;
        assert_eq!(state.services().len(), round + 1);
    }
}

/// A set that some replace and others remove is, at every revision, one that somebody wrote, or absent.
pub async fn upserts_and_deletes_of_a_set_never_mix(fresh: &Fresh) {
    let setting = Setting::shared(fresh).await;
    let id = setting.create("s", true).await.id;
    let name = || "preview".parse().expect("a version set name");
    let tasks = (1..=6_i64).map(|number| {
        let setting = Arc::clone(&setting);
        async move {
            let mut outcomes = Vec::new();
            for _ in 0..5 {
                let (organization, caller) = (&setting.acme, &setting.admin);
                outcomes.push(if number % 3 == 0 {
                    let request = DeleteVersionSet { name: name() };
                    setting.registry.delete_version_set(organization, caller, id, &request).await
                } else {
                    // Both pins are the same number: a mixture of two would show.
                    let pin = Some(version(1 + number % 3));
                    let version_set = VersionSet {
                        agent_version_number: pin,
                        state_machine_version_number: pin,
                        ..VersionSet::default()
                    };
                    let request = UpsertVersionSet { name: name(), version_set };
                    setting.registry.upsert_version_set(organization, caller, id, &request).await
                });
            }
            outcomes
        }
    });
    let written = all(tasks.collect()).await.into_iter().flatten().collect::<Vec<_>>();
    assert!(written.iter().filter(|written| done(written)).count() >= 10);
    for row in setting.state(&setting.acme).await.history() {
        if let Some(set) = row.version_sets.get(&name()) {
            assert_eq!(set.agent_version_number, set.state_machine_version_number);
            assert!(set.agent_version_number.is_some());
        }
    }
}

/// Some activate services of one name, others rename active services to it: never are two of them active at a time.
pub async fn activation_and_rename_never_share_a_name(fresh: &Fresh) {
    let setting = Setting::shared(fresh).await;
    let mut sleepers = Vec::new();
    let mut movers = Vec::new();
    for number in 0..3 {
        sleepers.push(setting.create("contended", false).await.id);
        movers.push(setting.create(&format!("mover {number}"), true).await.id);
    }
    let change = |setting: &Arc<Setting>, id: ServiceId, requests: Vec<service_core::UpdateService>| {
        let setting = Arc::clone(setting);
        async move {
            for request in requests {
                done(&setting.registry.update(&setting.acme, &setting.admin, id, &request).await);
            }
        }
    };
    let mut tasks = Vec::new();
    for (number, (sleeper, mover)) in sleepers.into_iter().zip(movers).enumerate() {
        tasks.push(change(&setting, sleeper, (0..8).map(|round| activate(round % 2 == 0)).collect()));
        let own = format!("mover {number}");
        let back_and_forth = (0..8).map(|round| rename(if round % 2 == 0 { "contended" } else { &own }));
        tasks.push(change(&setting, mover, back_and_forth.collect()));
    }
    all(tasks).await;
    // The state checks its last moment; the history tells of every moment before.
    let state = setting.state(&setting.acme).await;
    let mut services: BTreeMap<ServiceId, Arc<Service>> = BTreeMap::new();
    for row in state.history() {
        services.insert(row.id, Arc::clone(row));
        let holders =
            services.values().filter(|service| service.is_active && service.name.as_str() == "contended");
        assert!(holders.count() <= 1, "after revision {}", row.revision);
    }
}

/// While agents get versions and tests come and go, writers pin versions, remove sets and deactivate: no moment breaks an invariant,
/// and every catalog change that is accepted counts.
pub async fn catalog_changes_and_writes_keep_the_invariants(fresh: &Fresh) {
    let setting = Setting::shared(fresh).await;
    let id = setting.create("s", true).await.id;
    let before = setting.record(&setting.acme).await.catalog_revision.get();
    let held = Arc::new(());
    let writing = Arc::downgrade(&held);
    let apply = |change: fn(&mut OrganizationEntry, ServiceId, i64)| {
        let (setting, writing) = (Arc::clone(&setting), writing.clone());
        async move {
            let mut applied: i64 = 0;
            let mut rounds = 0..;
            while writing.strong_count() > 0 {
                let mut entry = OrganizationEntry::new(setting.acme.clone());
                change(&mut entry, id, rounds.next().unwrap_or(0));
                let document = CatalogDocument { llms: Vec::new(), organizations: vec![entry] };
                match setting.repository().apply_catalog(&document).await {
                    Ok(changes) => applied += i64::from(!changes.is_empty()),
                    Err(service_core::CatalogError::Refused(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
                keeps_its_invariants(&setting, id).await;
            }
            applied
        }
    };
    let versions = apply(|entry, _, round| {
        entry.agents = vec![agent_entry(0, Some(4 + round), false)];
    });
    let tests = apply(|entry, service_id, round| {
        let version_set_name = "preview".parse().expect("a version set name");
        let deleted = round % 2 == 1;
        let test = SimulationUnitTestEntry { id: test_id(0), service_id, version_set_name, deleted };
        entry.simulation_unit_tests = vec![test];
    });
    let writes = || {
        let (setting, held) = (Arc::clone(&setting), Arc::clone(&held));
        async move {
            let _writing = held;
            let name = || "preview".parse().expect("a version set name");
            for round in 0..20_i64 {
                let (organization, caller) = (&setting.acme, &setting.admin);
                let version_set =
                    VersionSet { agent_version_number: Some(version(3 + round)), ..VersionSet::default() };
                let upsert = UpsertVersionSet { name: name(), version_set };
                done(&setting.registry.upsert_version_set(organization, caller, id, &upsert).await);
                keeps_its_invariants(&setting, id).await;
                let delete = DeleteVersionSet { name: name() };
                done(&setting.registry.delete_version_set(organization, caller, id, &delete).await);
                keeps_its_invariants(&setting, id).await;
                done(&setting.registry.update(organization, caller, id, &activate(round % 2 == 1)).await);
                keeps_its_invariants(&setting, id).await;
            }
        }
    };
    let writers = [tokio::spawn(writes()), tokio::spawn(writes())];
    drop(held);
    let (versions, tests) = (tokio::spawn(versions), tokio::spawn(tests));
    let applied = versions.await.expect("no panic") + tests.await.expect("no panic");
    for writer in writers {
        writer.await.expect("no panic");
    }
    let state = setting.state(&setting.acme).await;
    assert_eq!(state.record().catalog_revision.get(), before + applied, "by one for each change");
}

/// Looks that a service and the catalog fit together at this moment: in what one call shows, for two calls show two moments.
async fn keeps_its_invariants(setting: &Setting, id: ServiceId) {
    let query = service_core::FactsQuery { service: Some(id), ..Default::default() };
    let facts = setting.repository().facts(&setting.acme, &query).await.expect("facts");
    let facts = facts.expect("an organization");
    let seen = facts.service.expect("the service");
    assert!(facts.tested_version_sets.is_empty() || seen.is_active, "a live test on a sleeper");
    for tested in &facts.tested_version_sets {
        assert!(seen.version_sets.get(tested).is_some(), "a live test on no version set");
    }
    let agent = &facts.agents[&seen.agent_id];
    for (_, set) in seen.version_sets.iter() {
        assert!(set.agent_version_number.is_none_or(|pin| agent.has_version(pin)), "a pin on no version");
    }
}

/// Of many writers to one service none overwrites another unseen: each write that succeeds is one row of history, which differs from the
/// row before it in what its writer wrote, and in nothing else.
pub async fn updates_of_one_service_are_all_counted(fresh: &Fresh) {
    let setting = Setting::shared(fresh).await;
    let id = setting.create("s", true).await.id;
    let name = |writer: usize| format!("of-{writer}").parse().expect("a version set name");
    let tasks = (0..6).map(|writer| {
        let setting = Arc::clone(&setting);
        async move {
            let mut written = Vec::new();
            for round in 0..6 {
                let pin = Some(version(1 + (round + i64::from(writer % 2 == 0)) % 3));
                let version_set = VersionSet { agent_version_number: pin, ..VersionSet::default() };
                let request = UpsertVersionSet { name: name(writer), version_set };
                let (organization, caller) = (&setting.acme, &setting.admin);
                let outcome = setting.registry.upsert_version_set(organization, caller, id, &request).await;
                if done(&outcome) {
                    written.extend(outcome.ok().map(|service| (service, request)));
                }
            }
            written
        }
    });
    let mut written = all(tasks.collect()).await.into_iter().flatten().collect::<Vec<_>>();
    written.sort_by_key(|(service, _)| service.revision);
    let state = setting.state(&setting.acme).await;
    assert_eq!(state.history().len(), 1 + written.len(), "a row for each write that was done");
    for (rows, (service, request)) in state.history().windows(2).zip(&written) {
        assert_eq!(rows[1], *service, "what the writer was told is what the history holds");
        let with = rows[0].version_sets.clone().with(request.name.clone(), request.version_set.clone());
        assert_eq!(rows[1].version_sets, with.expect("few version sets"), "and nothing else has changed");
    }
}

/// While services are created, renamed and retagged, walks return each service that nobody touches exactly once.
pub async fn walks_return_each_unchanged_service_once(fresh: &Fresh) {
    let setting = Setting::shared(fresh).await;
    let mut untouched = Vec::new();
    let mut touched = Vec::new();
    for number in 0..24 {
        let service = setting.create(&format!("name {}", number * 7 % 24), number % 4 != 0).await;
        if number % 3 == 0 { touched.push(service.id) } else { untouched.push(service.id) }
    }
    let writer = tokio::spawn({
        let setting = Arc::clone(&setting);
        async move {
            for round in 0..40_usize {
                let id = touched[round % touched.len()];
                let request = match round % 3 {
                    0 => rename(&format!("name {} moved {round}", round % 24)),
                    1 => retag(&["moved:"]),
                    _ => activate(round % 2 == 0),
                };
                done(&setting.registry.update(&setting.acme, &setting.admin, id, &request).await);
                if round % 5 == 0 {
                    setting.create(&format!("name {round} new"), true).await;
                }
            }
        }
    });
    let walkers =
        [vec![], vec!["+name"], vec!["-name"], vec!["+is_active", "-name"], vec!["-name", "+is_active"]];
    let walks = walkers.map(|keys| {
        let (setting, untouched) = (Arc::clone(&setting), untouched.clone());
        async move {
            for limit in [1, 2, 5] {
                let mut returned: BTreeMap<ServiceId, usize> = BTreeMap::new();
                let mut listing = Listing { sort: sorted(&keys), limit: limited(limit), ..everything() };
                for pages in 1.. {
                    assert!(pages <= super::MAX_PAGES, "a walk that does not end");
                    let page = setting.page(&setting.acme, &listing).await;
                    for service in &page.services {
                        *returned.entry(service.id).or_default() += 1;
                    }
                    let Some(token) = page.next else { break };
                    listing.token = token;
                }
                for id in &untouched {
                    assert_eq!(returned.get(id), Some(&1), "{id} by {keys:?}");
                }
            }
        }
    });
    all(walks.into()).await;
    writer.await.expect("a writer that does not panic");
    setting.state(&setting.acme).await;
}

/// A page is one snapshot: a service is as one write left it, and the facets are those of the services of that moment. What a reader
/// has seen, it never sees undone.
pub async fn readers_see_whole_writes(fresh: &Fresh) {
    let setting = Setting::shared(fresh).await;
    let id = setting.create("s", true).await.id;
    let held = Arc::new(());
    let writing = Arc::downgrade(&held);
    let writer = tokio::spawn({
        let setting = Arc::clone(&setting);
        async move {
            let _writing = held;
            for round in 0..40 {
                let request = service_core::UpdateService {
                    description: Some(format!("v{round}").parse().expect("a description")),
                    ..retag(&[&format!("round:v{round}")])
                };
                setting.update(id, request).await;
            }
        }
    });
    let readers = (0..2).map(|_| {
        let (setting, writing) = (Arc::clone(&setting), writing.clone());
        async move {
            let mut last = 0;
            // The last look comes after the last write, whatever came of it.
            let mut more = true;
            while more {
                more = writing.strong_count() > 0;
                let listing = Listing { limit: Limit::default(), ..everything() };
                let Listed::Page(page) = setting.list(&setting.acme, &listing).await else {
                    panic!("a page")
                };
                let seen = &page.services[0];
                let facets = page.facets.expect("facets on the first page").tags;
                let tags: Vec<_> = seen.tags.pairs().collect();
                let facets: Vec<_> =
                    facets.iter().map(|facet| (facet.key.clone(), facet.value.clone())).collect();
                assert_eq!(facets, tags, "facets and services of one snapshot");
                if let Some((_, Some(value))) = tags.first() {
                    assert_eq!(seen.description.as_str(), value.as_str(), "a write is seen whole");
                }
                let revision = seen.revision.get();
                assert!(revision >= last, "what was seen once stays seen");
                last = revision;
            }
            last
        }
    });
    let last = all(readers.collect()).await;
    assert_eq!(last, [41; 2], "every write, once it has returned");
    writer.await.expect("a writer that does not panic");
}
