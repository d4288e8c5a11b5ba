//! What a commit does, and what a stale one does not.

use service_core::rules::{UpsertVersionSet, decide_create, decide_upsert_version_set};
use service_core::{
    CatalogRevision, Commit, CommitOutcome, ContinuationToken, Decision, FactsQuery, Limit, Listed, Listing,
    OrganizationId, Repository, Revision, ServiceFilter, Sort, StoreErrorKind, Tags, UpdateService,
    VersionSet, Visibility,
};
use sqlx::Connection;
use store_sqlite::SqliteStore;

use crate::support::{Dice, Pair, acme, caller, committed, request, service_id, tags};

fn first_page() -> Listing {
    Listing {
        filter: ServiceFilter::default(),
        visibility: Visibility::Everything,
        sort: Sort::default(),
        limit: Limit::default(),
        token: ContinuationToken::START,
    }
}

async fn new_service(pair: &mut Pair, number: u32, name: &str, is_active: bool) -> Commit {
    let (id, request) = (service_id(number), request(name, is_active, Tags::default()));
    let query = FactsQuery {
        service: Some(id),
        agents: vec![request.agent_id],
        state_machines: vec![request.state_machine_id],
        ..FactsQuery::default()
    };
    let facts = pair.facts(&query).await;
    let draft = decide_create(&facts, &acme(), &request, &caller(), id, pair.now()).unwrap();
    Commit { draft, expected: None, catalog_revision: facts.catalog_revision }
}

#[tokio::test]
async fn history_guard_and_catalog_are_those_of_the_model() {
    let mut pair = Pair::new().await;
    pair.fill(40, &mut Dice::new(3)).await;
    let record = pair.store.organization(&acme()).await.unwrap().unwrap();
    assert_eq!(record, *pair.model.record());
    assert_eq!(pair.store.llms().await.unwrap(), pair.llms);
    let last = record.revision.get();
    for (after, limit) in [(0, usize::MAX), (0, 0), (3, 5), (last - 1, 9), (last, 1), (last + 7, 1)] {
        let after = Revision::new(after).unwrap();
        let history = pair.store.history(&acme(), after, limit).await.unwrap().unwrap();
        assert_eq!(history, pair.model.history_after(after, limit));
    }
    for id in pair.model.services().keys() {
        pair.facts(&FactsQuery { service: Some(*id), ..FactsQuery::default() }).await;
    }
    let nowhere: OrganizationId = "nowhere".parse().unwrap();
    assert_eq!(pair.store.history(&nowhere, Revision::ZERO, 9).await.unwrap(), None);
    assert_eq!(pair.store.organization(&nowhere).await.unwrap(), None);
    assert_eq!(pair.store.facts(&nowhere, &FactsQuery::default()).await.unwrap(), None);
}

#[tokio::test]
async fn facets_follow_each_write_and_leave_nothing_behind() {
    let mut pair = Pair::new().await;
    let id = service_id(1);
    pair.create(id, &request("one", true, tags(&[("team", Some("red")), ("env", None)]))).await.unwrap();
    pair.create(service_id(2), &request("two", true, tags(&[("team", Some("red"))]))).await.unwrap();
    let changes = [
        UpdateService {
            tags: Some(tags(&[("team", Some("blue")), ("env", None)])),
            ..UpdateService::default()
        },
        UpdateService { name: Some("other".parse().unwrap()), ..UpdateService::default() },
        UpdateService { tags: Some(tags(&[("env", Some("x"))])), ..UpdateService::default() },
        UpdateService { is_active: Some(false), ..UpdateService::default() },
        UpdateService { tags: Some(Tags::default()), is_active: Some(true), ..UpdateService::default() },
        UpdateService { tags: Some(tags(&[("n", Some("1"))])), ..UpdateService::default() },
    ];
    for change in changes {
        pair.update(id, &change).await.unwrap().unwrap();
        let listed = pair.store.list(&acme(), &first_page()).await.unwrap();
        assert_eq!(listed, pair.model.list(&first_page()));
        let mut wanted: Vec<String> = pair
            .model
            .facets()
            .iter()
            .map(|(facet, services)| {
                let value = facet.value.as_ref().map_or("", |value| value.as_str());
                let has_value = i32::from(facet.value.is_some());
                format!(r#"["facet","acme","{}",{has_value},"{value}",{services}]"#, facet.key)
            })
            .collect();
        wanted.sort_unstable();
        assert_eq!(facets(&pair).await, wanted);
    }
    for id in [1, 2] {
        let bare = UpdateService { tags: Some(Tags::default()), ..UpdateService::default() };
        pair.update(service_id(id), &bare).await.unwrap().unwrap();
    }
    assert_eq!(facets(&pair).await, [""; 0]);
}

/// The rows of facets, in order.
async fn facets(pair: &Pair) -> Vec<String> {
    let dump = pair.dump().await;
    dump.lines().filter(|line| line.starts_with("[\"facet\"")).map(str::to_owned).collect()
}

/// Makes every write to the facets fail, as long as the trigger is there.
const NO_FACET_IS_TOUCHED: &str = "
    CREATE TRIGGER no_insert BEFORE INSERT ON facets BEGIN SELECT RAISE(ABORT, 'touched'); END;
    CREATE TRIGGER no_update BEFORE UPDATE ON facets BEGIN SELECT RAISE(ABORT, 'touched'); END;
    CREATE TRIGGER no_delete BEFORE DELETE ON facets BEGIN SELECT RAISE(ABORT, 'touched'); END;";

#[tokio::test]
async fn a_write_that_keeps_the_tags_touches_no_facet() {
    let mut pair = Pair::new().await;
    pair.create(service_id(1), &request("one", true, tags(&[("team", None)]))).await.unwrap();
    let mut beside = pair.beside().await;
    sqlx::raw_sql(NO_FACET_IS_TOUCHED).execute(&mut beside).await.unwrap();
    beside.close().await.unwrap();
    let before = facets(&pair).await;
    for change in [
        UpdateService { description: Some("another".parse().unwrap()), ..UpdateService::default() },
        UpdateService { name: Some("two".parse().unwrap()), ..UpdateService::default() },
        UpdateService { is_active: Some(false), ..UpdateService::default() },
    ] {
        pair.update(service_id(1), &change).await.unwrap().unwrap();
    }
    let facts = pair.facts(&FactsQuery { service: Some(service_id(1)), ..FactsQuery::default() }).await;
    let preview = UpsertVersionSet { name: "preview".parse().unwrap(), version_set: VersionSet::default() };
    let decision = decide_upsert_version_set(&facts, service_id(1), &preview, &caller(), pair.now()).unwrap();
    let Decision::Change(draft) = decision else { panic!("nothing to commit") };
    let expected = facts.service.as_ref().map(|service| service.revision);
    committed(pair.commit(Commit { draft, expected, catalog_revision: facts.catalog_revision }).await);
    assert_eq!(facets(&pair).await, before);
}

#[tokio::test]
async fn a_stale_commit_changes_nothing() {
    let mut pair = Pair::new().await;
    pair.create(service_id(1), &request("taken", true, tags(&[("team", Some("red"))]))).await.unwrap();
    let fresh = new_service(&mut pair, 2, "new", true).await;
    let taken = new_service(&mut pair, 3, "other", true).await;
    let before = pair.dump().await;

    let mut again = new_service(&mut pair, 4, "four", false).await;
    again.expected = Some(Revision::new(1).unwrap());
    let mut older = fresh.clone();
    older.catalog_revision = CatalogRevision::ZERO;
    let mut newer = fresh.clone();
    newer.catalog_revision = fresh.catalog_revision.next();
    for stale in [again, older, newer] {
        assert_eq!(pair.commit(stale).await, CommitOutcome::Stale);
        assert_eq!(pair.dump().await, before);
    }

    // The name is taken between the decision and the commit, then the id.
    let rename = UpdateService { name: Some("other".parse().unwrap()), ..UpdateService::default() };
    pair.update(service_id(1), &rename).await.unwrap().unwrap();
    let before = pair.dump().await;
    assert_eq!(pair.commit(taken).await, CommitOutcome::Stale);
    assert_eq!(pair.dump().await, before);
    assert!(matches!(pair.commit(fresh.clone()).await, CommitOutcome::Committed(_)));
    let before = pair.dump().await;
    assert_eq!(pair.commit(fresh).await, CommitOutcome::Stale);
    assert_eq!(pair.dump().await, before);
}

#[tokio::test]
async fn a_commit_to_an_organization_that_is_not_there_is_stale() {
    let mut pair = Pair::new().await;
    let commit = new_service(&mut pair, 1, "one", true).await;
    let elsewhere = SqliteStore::open(pair.directory.path().join("empty.db")).await.unwrap();
    service_core::Operations::migrate(&elsewhere).await.unwrap();
    assert_eq!(elsewhere.commit(commit).await.unwrap(), CommitOutcome::Stale);
}

#[tokio::test]
async fn organizations_share_nothing() {
    let mut pair = Pair::new().await;
    pair.apply(&crate::support::CATALOG.replace("\"acme\"", "\"beta\"")).await;
    pair.fill(10, &mut Dice::new(5)).await;
    let beta: OrganizationId = "beta".parse().unwrap();
    let Listed::Page(page) = pair.store.list(&beta, &first_page()).await.unwrap() else { panic!("no page") };
    assert!(page.services.is_empty());
    assert!(page.facets.unwrap().tags.is_empty());
    let known = *pair.model.services().keys().next().unwrap();
    let query = FactsQuery { service: Some(known), ..FactsQuery::default() };
    assert_eq!(pair.store.facts(&beta, &query).await.unwrap().unwrap().service, None);
    let forged = Listing { token: ContinuationToken::new(1), ..first_page() };
    assert_eq!(pair.store.list(&beta, &forged).await.unwrap(), Listed::InvalidToken);
    assert_eq!(pair.store.history(&beta, Revision::ZERO, 9).await.unwrap().unwrap(), []);
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let mut pair = Pair::new().await;
    pair.fill(20, &mut Dice::new(9)).await;
    let before = pair.dump().await;
    pair.store.close().await;
    pair.store = SqliteStore::open(pair.path()).await.unwrap();
    service_core::Operations::migrate(&pair.store).await.unwrap();
    assert_eq!(pair.dump().await, before);
    assert_eq!(pair.store.list(&acme(), &first_page()).await.unwrap(), pair.model.list(&first_page()));
    pair.create(service_id(77), &request("after the restart", true, Tags::default())).await.unwrap();
}

#[tokio::test]
async fn a_row_that_does_not_parse_is_corrupt_and_not_the_callers_fault() {
    let mut pair = Pair::new().await;
    pair.create(service_id(1), &request("one", true, Tags::default())).await.unwrap();
    let mut beside = pair.beside().await;
    for body in [
        "'no json'",
        "json_set(body, '$.name', '')",
        "json_set(body, '$.revision', 2)",
        "json_set(body, '$.organization', 'beta')",
    ] {
        let statement = format!("UPDATE history SET body = {body}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut beside).await.unwrap();
        let error = pair.store.list(&acme(), &first_page()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error:?}");
        let query = FactsQuery { service: Some(service_id(1)), ..FactsQuery::default() };
        let error = pair.store.facts(&acme(), &query).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error:?}");
        if body == "'no json'" {
            let whole = serde_json::to_string(&**pair.model.at(Revision::new(1).unwrap()).unwrap()).unwrap();
            sqlx::query("UPDATE history SET body = ?1").bind(whole).execute(&mut beside).await.unwrap();
        }
    }
    beside.close().await.unwrap();
}
