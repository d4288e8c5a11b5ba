//! Whatever is damaged, a check names it, and finds nothing else wrong than what hangs together with it.

use service_core::Operations;

use crate::support::{Dice, Pair, request, service_id, tags};

/// Two services in two revisions each, a live test, and much else that is sound.
async fn sound() -> Pair {
    let mut pair = Pair::new().await;
    for number in [1, 2] {
        let tags = tags(&[("team", Some("red")), ("env", None)]);
        pair.create(service_id(number), &request(&format!("name {number}"), true, tags)).await.unwrap();
    }
    pair.apply(
        r#"{"organizations": [{"id": "acme", "simulation_unit_tests": [
            {"id": "c00000000000000000000001", "service_id": "656565656565656500000001", "version_set_name": "release"}
        ]}]}"#,
    )
    .await;
    pair
}

async fn violations(pair: &Pair) -> Vec<String> {
    pair.store.check().await.unwrap()
}

/// What a check says after a statement that no program of ours would run.
async fn found_after(statement: &'static str) -> Vec<String> {
    let pair = sound().await;
    assert_eq!(violations(&pair).await, [""; 0]);
    pair.damage(statement).await;
    violations(&pair).await
}

/// The check finds something, all of it in the organization that was damaged or told by SQLite itself, and this among it.
async fn assert_found(statement: &'static str, sentence: &str) {
    let found = found_after(statement).await;
    assert!(found.iter().any(|violation| violation.contains(sentence)), "{statement}: {found:#?}");
    let is_by_sqlite =
        |violation: &str| violation.starts_with("the file is damaged") || violation.contains("rows of `");
    assert!(
        found.iter().all(|violation| violation.contains("`acme`") || is_by_sqlite(violation)),
        "{statement}: {found:#?}"
    );
}

#[tokio::test]
async fn what_sqlite_finds_is_told() {
    let stray = "INSERT INTO roles (organization, name, grants) VALUES ('nobody', 'reader', '[]')";
    assert_found(stray, "1 rows of `roles` name rows of `organizations` that are not there").await;
    assert_found("UPDATE organizations SET catalog_revision = -1", "CHECK constraint failed").await;
}

#[tokio::test]
async fn what_was_written_is_sound() {
    let mut pair = Pair::new().await;
    pair.fill(120, &mut Dice::new(7)).await;
    assert_eq!(violations(&pair).await, [""; 0]);
}

#[tokio::test]
async fn damage_to_the_guard_is_found() {
    assert_found("UPDATE organizations SET revision = 3", "the organization's counter is at 3").await;
    assert_found("UPDATE organizations SET catalog_revision = -1", "catalog revision").await;
}

#[tokio::test]
async fn damage_to_the_history_is_found() {
    assert_found("DELETE FROM history WHERE revision = 1", "without a gap").await;
    assert_found("UPDATE history SET body = '{' WHERE revision = 1", "revision 1").await;
    assert_found("UPDATE history SET id = zeroblob(12) WHERE revision = 1", "revision 1").await;
    assert_found("UPDATE history SET name = 'other' WHERE revision = 1", "revision 1").await;
    assert_found("UPDATE history SET is_active = 0 WHERE revision = 1", "revision 1").await;
    assert_found(
        "UPDATE history SET body = replace(body, 'a00000000000000000000001', 'a0000000000000000000000f')
         WHERE revision = 2",
        "which the catalog does not know",
    )
    .await;
}

#[tokio::test]
async fn damage_to_any_column_of_a_service_is_found() {
    for statement in [
        "UPDATE services SET name = 'other' WHERE revision = 1",
        "UPDATE services SET is_active = 0 WHERE revision = 1",
        "UPDATE services SET agent_id = zeroblob(12) WHERE revision = 1",
        "UPDATE services SET state_machine_id = zeroblob(12) WHERE revision = 1",
        "UPDATE services SET tags = '{}' WHERE revision = 1",
        "UPDATE services SET tags = replace(tags, 'red', 'blue') WHERE revision = 1",
        "UPDATE services SET tags = ' ' || tags WHERE revision = 1",
        "UPDATE services SET tags = 'no json' WHERE revision = 1",
        "UPDATE services SET revision = 2 WHERE revision = 1",
        "UPDATE services SET id = zeroblob(12) WHERE revision = 1",
    ] {
        assert_found(statement, "revision").await;
    }
    assert_found("DELETE FROM services WHERE revision = 1", "there are 1 services, but the history is of 2")
        .await;
}

#[tokio::test]
async fn damage_to_facets_is_found() {
    for (statement, sentence) in [
        ("UPDATE facets SET services = 1 WHERE value = 'red'", "counts 1 services, but 2 have the tag"),
        ("UPDATE facets SET services = 9 WHERE has_value = 0", "counts 9 services, but 2 have the tag"),
        ("UPDATE facets SET services = -1 WHERE has_value = 0", "a facet of organization"),
        ("UPDATE facets SET value = 'blue' WHERE value = 'red'", "of a tag that no service has"),
        ("UPDATE facets SET key = 'crew' WHERE value = 'red'", "of 2 services is not among the facets"),
        ("UPDATE facets SET has_value = 0 WHERE value = 'red'", "of a tag that no service has"),
        ("UPDATE facets SET has_value = 1 WHERE key = 'env'", "a facet of organization"),
        ("DELETE FROM facets WHERE value = 'red'", "of 2 services is not among the facets"),
        ("DELETE FROM facets WHERE has_value = 0", "of 2 services is not among the facets"),
        (
            "INSERT INTO facets (organization, key, has_value, value, services) VALUES ('acme', 'of', 1, 'nobody', 1)",
            "of a tag that no service has",
        ),
        (
            "INSERT INTO facets (organization, key, has_value, value, services) VALUES ('acme', 'of', 1, 'nobody', 0)",
            "of a tag that no service has",
        ),
    ] {
        assert_found(statement, sentence).await;
    }
}

#[tokio::test]
async fn damage_to_the_catalog_is_found() {
    for (statement, sentence) in [
        ("DELETE FROM agents WHERE latest_version = 3", "which the catalog does not know"),
        ("DELETE FROM state_machines WHERE latest_version = 2", "which the catalog does not know"),
        ("UPDATE agents SET id = zeroblob(3) WHERE latest_version = 3", "an id has 12 bytes"),
        (
            "UPDATE simulation_unit_tests SET version_set_name = 'gone'",
            "names no version set of an active service",
        ),
        (
            "UPDATE simulation_unit_tests SET service_id = zeroblob(12)",
            "names no version set of an active service",
        ),
        ("UPDATE roles SET grants = '[' WHERE name = 'admin'", "role `admin`"),
        ("UPDATE users SET roles = '[\"nobody\"]' WHERE user_id = 'alice'", "nobody"),
        (
            "INSERT INTO api_keys (organization, id, hash, created_at) VALUES ('acme', 'key', zeroblob(3), 0)",
            "a hash has 32 bytes",
        ),
    ] {
        assert_found(statement, sentence).await;
    }
    let found = found_after("UPDATE llms SET name = '' WHERE deprecated = 0").await;
    assert!(matches!(&found[..], [sentence] if sentence.contains("an LLM")), "{found:#?}");
}
