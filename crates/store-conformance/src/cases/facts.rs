//! Facts: complete, of one snapshot, and nothing that was not asked for.

use std::collections::BTreeSet;

use service_core::catalog::SimulationUnitTestEntry;
use service_core::{
    CatalogDocument, FactsQuery, LlmName, ServiceId, UpsertVersionSet, VersionSet, VersionSetName,
};

use super::{Setting, activate, creation, rename};
use crate::generate::catalog::{LLMS, organization_entry, test_id};
use crate::generate::service::{agent_id, state_machine_id};
use crate::generate::{Draws, request, text};
use crate::store::Fresh;

fn llm(name: &str) -> LlmName {
    name.parse().expect("an llm name")
}

fn set_name(name: &str) -> VersionSetName {
    name.parse().expect("a version set name")
}

/// Over random services and random questions, the facts are exactly the model's.
pub async fn are_what_the_model_says(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let mut draws = Draws::seeded(11);
    let ids = populate(&setting, &mut draws).await;
    let state = setting.state(&setting.acme).await;
    let llms = setting.llms().await;
    for number in 0..120_usize {
        let query = FactsQuery {
            service: Some(number % 7).filter(|rest| *rest > 0).map(|_| {
                ids.get(number % (ids.len() + 1)).copied().unwrap_or(ServiceId::from_bytes([0xee; 12]))
            }),
            name: (number % 3 == 0).then(|| draws.draw(&text::service_name())),
            agents: draws.several(number % 4, &crate::generate::catalog::agent()),
            state_machines: draws.several(number % 3, &crate::generate::catalog::state_machine()),
            llms: draws.several(number % 5, &crate::generate::catalog::llm()),
        };
        let facts = setting.repository().facts(&setting.acme, &query).await.expect("facts");
        assert_eq!(facts, Some(state.facts(&llms, &query)), "{query:?}");
    }
}

async fn populate(setting: &Setting, draws: &mut Draws) -> Vec<ServiceId> {
    let mut ids = Vec::new();
    for _ in 0..40 {
        let request = draws.draw(&request::create());
        if let Ok(service) = setting.registry.create(&setting.acme, &setting.admin, &request).await {
            ids.push(service.id);
        }
        if let Some(id) = ids.last() {
            let upsert = draws.draw(&request::upsert());
            let upserted = setting.registry.upsert_version_set(&setting.acme, &setting.admin, *id, &upsert);
            drop(upserted.await);
            let recipe = draws.draw(&crate::generate::catalog::recipe());
            drop(setting.repository().apply_catalog(&recipe.document(&setting.acme, &ids)).await);
        }
    }
    ids
}

/// With a service come its agent, its state machine, the LLMs of all its version sets and the revisions, unasked.
pub async fn come_with_what_the_service_refers_to(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let service = setting.create("s", true).await;
    for (name, llm) in [("one", LLMS[0]), ("two", LLMS[2])] {
        let json = serde_json::json!({ "llm_model_preferences": { "greet": { "llm_name": llm } } });
        let version_set: VersionSet = serde_json::from_value(json).expect("a version set");
        let upsert = UpsertVersionSet { name: set_name(name), version_set };
        let upserted =
            setting.registry.upsert_version_set(&setting.acme, &setting.admin, service.id, &upsert).await;
        upserted.expect("a version set that is stored");
    }
    let query = FactsQuery {
        service: Some(service.id),
        agents: vec![agent_id(2), agent_id(4)],
        state_machines: vec![state_machine_id(3)],
        llms: vec![llm(LLMS[3]), llm("unknown")],
        ..FactsQuery::default()
    };
    let facts =
        setting.repository().facts(&setting.acme, &query).await.expect("facts").expect("an organization");
    assert_eq!(facts.service.map(|service| service.revision.get()), Some(3));
    assert!(facts.agents.keys().copied().eq([agent_id(0), agent_id(2)]));
    assert!(facts.state_machines.keys().copied().eq([state_machine_id(0), state_machine_id(3)]));
    let llms: BTreeSet<_> = facts.llms.keys().cloned().collect();
    assert_eq!(llms, [LLMS[0], LLMS[2], LLMS[3]].map(llm).into());
    assert!(facts.llms[&llm(LLMS[3])].deprecated && facts.agents[&agent_id(2)].deprecated);
    assert_eq!(facts.active_holder, Some(service.id), "without a name asked for, the service's own");
    let record = setting.record(&setting.acme).await;
    assert_eq!(facts.catalog_revision, record.catalog_revision);
}

/// The holder of a name is the active service that has it, to the code point; inactive ones do not count.
pub async fn name_the_active_holder(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let holder = |name: &str, service: Option<ServiceId>| {
        let name = Some(name).filter(|name| !name.is_empty()).map(|name| name.parse().expect("a name"));
        let query = FactsQuery { service, name, ..FactsQuery::default() };
        let (repository, acme) = (setting.repository(), &setting.acme);
        async move { repository.facts(acme, &query).await.expect("facts").expect("an organization").active_holder }
    };
    let sleeper = setting.create("é", false).await;
    assert_eq!(holder("é", None).await, None);
    let active = setting.create("é", true).await;
    assert_eq!(holder("é", None).await, Some(active.id));
    assert_eq!(holder("", Some(sleeper.id)).await, Some(active.id), "the name of the service asked for");
    for other in ["e\u{301}", "É", "e", "é é"] {
        assert_eq!(holder(other, Some(active.id)).await, None, "{other:?}");
    }
    assert_eq!(holder("", None).await, None, "neither a name nor a service");
    assert_eq!(holder("", Some(ServiceId::from_bytes([9; 12]))).await, None);
    setting.update(active.id, rename("e")).await;
    assert_eq!(holder("é", None).await, None);
    assert_eq!(holder("e", None).await, Some(active.id));
    setting.update(active.id, activate(false)).await;
    assert_eq!(holder("e", None).await, None);
    let other = setting.registry.create(&setting.other, &setting.admin, &creation("é", true)).await;
    other.expect("a service of the other organization");
    assert_eq!(holder("é", None).await, None, "of this organization");
}

/// The version sets that live tests name are given with their service; deleted tests, and those of other services, do not count.
pub async fn name_the_version_sets_of_live_tests(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let [tested, other] = [setting.create("tested", true).await, setting.create("other", true).await];
    let test = |number, service_id, name, deleted| SimulationUnitTestEntry {
        id: test_id(number),
        service_id,
        version_set_name: set_name(name),
        deleted,
    };
    let apply = async |tests: Vec<SimulationUnitTestEntry>| {
        let mut entry = organization_entry(setting.acme.clone());
        entry.simulation_unit_tests = tests;
        setting.apply(&CatalogDocument { llms: Vec::new(), organizations: vec![entry] }).await;
    };
    let named = async |service| {
        let query = FactsQuery { service: Some(service), ..FactsQuery::default() };
        let facts = setting.repository().facts(&setting.acme, &query).await.expect("facts");
        facts.expect("an organization").tested_version_sets
    };
    apply(vec![
        test(0, tested.id, "release", false),
        test(1, tested.id, "edge", true),
        test(2, tested.id, "release", false),
        test(3, tested.id, "never-there", true),
    ])
    .await;
    assert_eq!(named(tested.id).await, [set_name("release")].into());
    assert_eq!(named(other.id).await, BTreeSet::new());
    apply(vec![test(0, other.id, "edge", false), test(2, tested.id, "release", true)]).await;
    assert_eq!(named(tested.id).await, BTreeSet::new());
    assert_eq!(named(other.id).await, [set_name("edge")].into());
}
