//! Rows that someone has damaged are told as such: nothing is skipped, and nobody else is blamed.

use service_core::{
    Access, CatalogDocument, CatalogError, Commit, ContinuationToken, Facts, FactsQuery, Limit, Listing,
    Principal, Repository, ServiceFilter, Sort, StoreError, StoreErrorKind, Tags, UpdateService, Visibility,
    rules,
};

use crate::support::{Pair, acme, caller, request, service_id, tags};

fn listing(filter: &[&str]) -> Listing {
    Listing {
        filter: ServiceFilter::new([], None, filter.iter().map(|tag| tag.parse().unwrap())).unwrap(),
        visibility: Visibility::Everything,
        sort: Sort::default(),
        limit: Limit::default(),
        token: ContinuationToken::START,
    }
}

fn assert_corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error:?}");
}

async fn known(pair: &Pair) -> Facts {
    pair.facts(&FactsQuery { service: Some(service_id(1)), ..FactsQuery::default() }).await
}

fn commit(facts: &Facts, pair: &mut Pair) -> Commit {
    let change = UpdateService { description: Some("another".parse().unwrap()), ..UpdateService::default() };
    let expected = facts.service.as_ref().map(|service| service.revision);
    match rules::decide_update(facts, service_id(1), &change, &caller(), pair.now()).unwrap() {
        service_core::Decision::Change(draft) => {
            Commit { draft, expected, catalog_revision: facts.catalog_revision }
        }
        service_core::Decision::Unchanged => panic!("nothing to commit"),
    }
}

#[tokio::test]
async fn a_service_that_is_not_what_its_history_says_is_corrupt() {
    // A page is made of the history alone: what finds the services of a page is compared with it by a check.
    for (statement, is_told_by_a_page) in [
        ("DELETE FROM history WHERE revision = 1", true),
        ("UPDATE services SET revision = 2 WHERE revision = 1", true),
        ("UPDATE services SET name = 'other' WHERE revision = 1", false),
        ("UPDATE services SET is_active = 0 WHERE revision = 1", false),
        ("UPDATE services SET agent_id = zeroblob(12) WHERE revision = 1", false),
        ("UPDATE services SET state_machine_id = zeroblob(12) WHERE revision = 1", false),
        ("UPDATE services SET tags = '{\"team\":null}' WHERE revision = 1", false),
    ] {
        let mut pair = Pair::new().await;
        pair.create(service_id(1), &request("one", true, Tags::default())).await.unwrap();
        pair.create(service_id(2), &request("two", true, Tags::default())).await.unwrap();
        let facts = known(&pair).await;
        let commit = commit(&facts, &mut pair);
        let test = format!(
            r#"{{"organizations": [{{"id": "acme", "simulation_unit_tests": [
                {{"id": "c00000000000000000000001", "service_id": "{}", "version_set_name": "edge"}}]}}]}}"#,
            service_id(1)
        );
        let document = CatalogDocument::parse(test.as_bytes()).unwrap();

        pair.damage(statement).await;
        let query = FactsQuery { service: Some(service_id(1)), ..FactsQuery::default() };
        assert_corrupt(pair.store.facts(&acme(), &query).await);
        let listed = pair.store.list(&acme(), &listing(&[])).await;
        if is_told_by_a_page {
            assert_corrupt(listed);
        } else {
            assert_eq!(listed.unwrap(), pair.model.list(&listing(&[])));
        }
        assert_corrupt(pair.store.commit(commit).await);
        match pair.store.apply_catalog(&document).await {
            Err(CatalogError::Store(error)) => assert_corrupt::<()>(Err(error)),
            other => panic!("{other:?}"),
        }
    }
}

/// With the index built before the damage, and after it. What was shown before stays in memory, where no damage gets to it.
#[tokio::test]
async fn what_an_index_is_built_from_or_a_page_is_read_from_is_corrupt() {
    for (statement, is_found_by_an_index_that_is_built) in [
        ("DELETE FROM history WHERE revision = 1", true),
        ("UPDATE history SET body = '{' WHERE revision = 1", true),
        ("UPDATE history SET body = replace(body, 'one', '') WHERE revision = 1", true),
        ("UPDATE history SET id = zeroblob(12) WHERE revision = 1", true),
        ("UPDATE services SET tags = 'no json' WHERE revision = 1", false),
        ("UPDATE services SET tags = '{\"\": null}' WHERE revision = 1", false),
        ("UPDATE services SET name = '' WHERE revision = 1", false),
        ("UPDATE services SET id = zeroblob(3) WHERE revision = 1", false),
        ("UPDATE services SET agent_id = zeroblob(3) WHERE revision = 1", false),
        ("UPDATE services SET revision = -1 WHERE revision = 1", false),
    ] {
        for (is_built, is_shown) in [(false, false), (true, false), (true, true)] {
            let mut pair = Pair::new().await;
            for (number, name) in [(1, "one"), (2, "two")] {
                pair.create(service_id(number), &request(name, true, tags(&[("team", None)]))).await.unwrap();
            }
            let listing = listing(&["team:*"]);
            if is_built {
                let shown = if is_shown { listing.clone() } else { self::listing(&["team:of nobody"]) };
                pair.store.list(&acme(), &shown).await.unwrap();
            }
            pair.damage(statement).await;
            let listed = pair.store.list(&acme(), &listing).await;
            if is_shown || is_built && !is_found_by_an_index_that_is_built {
                assert_eq!(listed.unwrap(), pair.model.list(&listing), "{statement}");
            } else {
                assert_corrupt(listed);
            }
        }
    }
}

#[tokio::test]
async fn a_counter_that_is_ahead_of_its_history_gives_no_page() {
    let mut pair = Pair::new().await;
    pair.create(service_id(1), &request("one", true, tags(&[("team", None)]))).await.unwrap();
    pair.damage("UPDATE organizations SET revision = 9").await;
    pair.store.list(&acme(), &listing(&["team:*"])).await.unwrap_err();
    pair.damage("UPDATE organizations SET revision = 1").await;
    let listed = pair.store.list(&acme(), &listing(&["team:*"])).await.unwrap();
    assert_eq!(listed, pair.model.list(&listing(&["team:*"])));
}

#[tokio::test]
async fn roles_that_cannot_be_read_or_are_missing_are_corrupt() {
    let alice = Principal { organization: acme(), user: "alice".parse().unwrap() };
    for statement in [
        "UPDATE users SET roles = 'no json'",
        "UPDATE users SET roles = ''",
        r#"UPDATE users SET roles = '{"a": "reader"}'"#,
        r#"UPDATE users SET roles = '"reader"'"#,
        r#"UPDATE users SET roles = '["reader", 1]'"#,
        r#"UPDATE users SET roles = '[["reader"]]'"#,
        r#"UPDATE users SET roles = '["reader", "nobody"]'"#,
        "DELETE FROM roles WHERE name = 'reader'",
        "UPDATE roles SET grants = '{}'",
    ] {
        let pair = Pair::new().await;
        pair.damage(statement).await;
        assert_corrupt(pair.store.standing(&acme(), &alice).await);
    }
}
