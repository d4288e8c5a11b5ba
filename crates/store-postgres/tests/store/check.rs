//! Whatever is damaged, a check names it.

use service_core::{Operations, Repository, StoreErrorKind};

use crate::support::{acme, apply, beside, create, listing, run, service_id, store};

const TEST: &str = r#"{
    "llms": [{"name": "llm one"}],
    "organizations": [
        {"id": "acme", "simulation_unit_tests": [
            {"id": "c00000000000000000000001", "service_id": "656565656565656500000001", "version_set_name": "release"}
        ]},
        {"id": "beta"}
    ]
}"#;

/// What a check says after a statement that no program of ours would run, on two services in a revision each and a live test.
async fn found_after(statement: &str) -> Vec<String> {
    let (store, database) = store().await;
    for number in [1, 2] {
        create(&store, service_id(number), &format!("name {number}")).await;
    }
    apply(&store, TEST).await;
    assert_eq!(store.check().await.unwrap(), [""; 0]);
    // Foreign keys are kept by triggers, which a replica leaves to the primary.
    let damage =
        format!("SET session_replication_role = replica; SET search_path = service_registry; {statement}");
    run(&mut beside(&database).await, &damage).await;
    let found = store.check().await.unwrap();
    store.close().await;
    found
}

async fn assert_found(statement: &str, sentence: &str) {
    let found = found_after(statement).await;
    assert!(found.iter().any(|violation| violation.contains(sentence)), "{statement}: {found:#?}");
    assert!(found.iter().all(|violation| violation.contains("`acme`")), "{statement}: {found:#?}");
}

#[tokio::test]
async fn damage_to_the_guard_and_the_history_is_found() {
    for (statement, sentence) in [
        (
            "UPDATE organizations SET revision = 3 WHERE organization = 'acme'",
            "the organization's counter is at 3",
        ),
        ("DELETE FROM history WHERE revision = 1", "without a gap"),
        ("UPDATE history SET body = '{' WHERE revision = 1", "revision 1"),
        ("UPDATE history SET id = decode(repeat('00', 12), 'hex') WHERE revision = 1", "revision 1"),
        ("UPDATE history SET name = 'other' WHERE revision = 1", "revision 1"),
        ("UPDATE history SET is_active = FALSE WHERE revision = 1", "revision 1"),
        (
            "UPDATE history SET body = replace(body, 'a00000000000000000000001', 'a0000000000000000000000f')
             WHERE revision = 2",
            "which the catalog does not know",
        ),
    ] {
        assert_found(statement, sentence).await;
    }
}

#[tokio::test]
async fn damage_to_any_column_of_a_service_is_found() {
    for change in [
        "name = 'other'",
        "is_active = FALSE",
        "agent_id = decode(repeat('00', 12), 'hex')",
        "state_machine_id = decode(repeat('00', 12), 'hex')",
        "tags = '{}'",
        "tags = '{'",
        "revision = 2",
        "id = decode(repeat('00', 12), 'hex')",
    ] {
        assert_found(&format!("UPDATE services SET {change} WHERE revision = 1"), "revision").await;
    }
    assert_found("DELETE FROM services WHERE revision = 1", "there are 1 services, but the history is of 2")
        .await;
}

#[tokio::test]
async fn damage_to_facets_is_found() {
    for statement in [
        "UPDATE facets SET services = 1 WHERE value = 'red'",
        "DELETE FROM facets WHERE value = 'red'",
        "UPDATE facets SET value = 'blue' WHERE value = 'red'",
        "UPDATE facets SET has_value = FALSE, value = '' WHERE value = 'red'",
        "INSERT INTO facets (organization, key, has_value, value, services) VALUES ('acme', 'of', TRUE, 'none', 1)",
        "INSERT INTO facets (organization, key, has_value, value, services) VALUES ('acme', ' ', FALSE, '', 1)",
    ] {
        assert_found(statement, "facet").await;
    }
}

#[tokio::test]
async fn damage_to_the_catalog_is_found() {
    for (statement, sentence) in [
        ("DELETE FROM agents", "which the catalog does not know"),
        (
            "UPDATE simulation_unit_tests SET version_set_name = 'gone'",
            "names no version set of an active service",
        ),
        ("UPDATE roles SET grants = '[' WHERE name = 'admin'", "role `admin`"),
        ("UPDATE users SET roles = '[\"nobody\"]' WHERE user_id = 'alice'", "nobody"),
    ] {
        assert_found(statement, sentence).await;
    }
    let found = found_after("UPDATE llms SET name = ''").await;
    assert!(matches!(&found[..], [sentence] if sentence.contains("an LLM")), "{found:#?}");
}

/// What the statements themselves take apart is not the caller's fault either.
#[tokio::test]
async fn what_cannot_be_read_is_corrupt() {
    let (store, database) = store().await;
    create(&store, service_id(1), "one").await;
    let mut beside = beside(&database).await;
    run(&mut beside, "UPDATE service_registry.history SET body = '{'").await;
    let query = service_core::FactsQuery { service: Some(service_id(1)), ..Default::default() };
    let fault = store.facts(&acme(), &query).await.unwrap_err();
    assert_eq!(fault.kind(), StoreErrorKind::Corrupt);
    let fault = store.list(&acme(), &listing(&[], &[], service_core::ContinuationToken::START)).await;
    assert_eq!(fault.unwrap_err().kind(), StoreErrorKind::Corrupt);
    for roles in ["{", "{}", "[1]", "[\"nobody\"]"] {
        run(&mut beside, &format!("UPDATE service_registry.users SET roles = '{roles}'")).await;
        let alice = service_core::Principal { organization: acme(), user: "alice".parse().unwrap() };
        let fault = service_core::Access::standing(&store, &acme(), &alice).await.unwrap_err();
        assert_eq!(fault.kind(), StoreErrorKind::Corrupt, "{roles}");
    }
}
