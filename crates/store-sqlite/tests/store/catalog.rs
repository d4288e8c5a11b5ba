//! Catalog documents: whole or not at all.

use service_core::{CatalogDocument, CatalogError, FactsQuery, Repository, StoreErrorKind, Tags};

use crate::support::{CATALOG, Pair, acme, request, service_id};

fn document(json: &str) -> CatalogDocument {
    CatalogDocument::parse(json.as_bytes()).unwrap()
}

#[tokio::test]
async fn applying_a_document_again_changes_nothing() {
    let mut pair = Pair::new().await;
    let before = pair.dump().await;
    assert!(pair.store.apply_catalog(&document(CATALOG)).await.unwrap().is_empty());
    assert_eq!(pair.dump().await, before);

    pair.apply(r#"{"organizations": [{"id": "acme", "agents": [{"id": "a00000000000000000000001", "latest_version": 4}]}]}"#)
        .await;
    let record = pair.store.organization(&acme()).await.unwrap().unwrap();
    assert_eq!(record, *pair.model.record());
    assert_eq!(record.catalog_revision.get(), 2);
}

#[tokio::test]
async fn a_document_that_is_refused_leaves_no_half_behind() {
    let pair = Pair::new().await;
    let before = pair.dump().await;
    let refused = document(
        r#"{
            "llms": [{"name": "new"}],
            "organizations": [
                {"id": "beta", "roles": [{"name": "reader"}]},
                {"id": "acme", "agents": [{"id": "a00000000000000000000001", "latest_version": 2}]}
            ]
        }"#,
    );
    assert!(matches!(pair.store.apply_catalog(&refused).await, Err(CatalogError::Refused(_))));
    assert_eq!(pair.dump().await, before);
}

#[tokio::test]
async fn tests_are_decided_on_the_services_that_are_there_and_told_with_the_facts() {
    let mut pair = Pair::new().await;
    let id = service_id(1);
    let with_test = format!(
        r#"{{"organizations": [{{"id": "acme", "simulation_unit_tests":
            [{{"id": "c00000000000000000000001", "service_id": "{id}", "version_set_name": "release"}}]}}]}}"#
    );
    let before = pair.dump().await;
    assert!(matches!(pair.store.apply_catalog(&document(&with_test)).await, Err(CatalogError::Refused(_))));
    assert_eq!(pair.dump().await, before);

    pair.create(id, &request("one", true, Tags::default())).await.unwrap();
    pair.apply(&with_test).await;
    let query = FactsQuery { service: Some(id), ..FactsQuery::default() };
    assert_eq!(pair.facts(&query).await.tested_version_sets.len(), 1);
    pair.apply(&with_test.replace("\"release\"", "\"release\", \"deleted\": true")).await;
    assert!(pair.facts(&query).await.tested_version_sets.is_empty());
}

#[tokio::test]
async fn facts_are_those_of_the_model_for_what_is_there_and_what_is_not() {
    let mut pair = Pair::new().await;
    pair.create(service_id(1), &request("one", true, Tags::default())).await.unwrap();
    let query = FactsQuery {
        service: Some(service_id(2)),
        name: Some("one".parse().unwrap()),
        agents: vec![
            "a00000000000000000000003".parse().unwrap(),
            "a000000000000000000000ff".parse().unwrap(),
        ],
        state_machines: vec!["b00000000000000000000002".parse().unwrap()],
        llms: ["llm one", "llm two", "llm \"'\u{1f600}"].map(|name| name.parse().unwrap()).to_vec(),
    };
    let facts = pair.facts(&query).await;
    assert_eq!((facts.agents.len(), facts.state_machines.len(), facts.llms.len()), (1, 1, 2));
    assert_eq!(facts.active_holder, Some(service_id(1)));
    pair.facts(&FactsQuery::default()).await;
}

#[tokio::test]
async fn before_the_schema_is_there_calls_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_sqlite::SqliteStore::open(directory.path().join("services.db")).await.unwrap();
    assert_eq!(store.llms().await.unwrap_err().kind(), StoreErrorKind::Schema);
    let CatalogError::Store(error) = store.apply_catalog(&document("{}")).await.unwrap_err() else {
        panic!("refused")
    };
    assert_eq!(error.kind(), StoreErrorKind::Schema);
}
