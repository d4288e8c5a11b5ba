//! What a store keeps in memory for its listings is never older, nor other, than what the database has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use service_core::{
    ContinuationToken, Limit, Listed, Listing, Operations, Page, Repository, Revision, Service, ServiceId,
    TagFacet, TagFacets, paginate,
};
use sqlx::PgConnection;
use store_postgres::PostgresStore;
use test_postgres::Database;

use crate::support::{acme, beside, committed, create, listing, renaming, run, service_id, store};

/// Listings of every kind that an index serves, those first that need it.
fn asked() -> Vec<Listing> {
    let mut listings = Vec::new();
    for tags in [&["team:red"][..], &["team:*"], &["team:red", "team:*"], &["team:blue"], &[]] {
        for sort in [&[][..], &["+name"], &["-is_active", "-name"]] {
            let limit = Limit::new(20).unwrap();
            listings.push(Listing { limit, ..listing(sort, tags, ContinuationToken::START) });
        }
    }
    listings
}

async fn page(store: &PostgresStore, listing: &Listing) -> Page {
    match store.list(&acme(), listing).await.unwrap() {
        Listed::Page(page) => page,
        listed => panic!("{listed:?}"),
    }
}

/// The services as the whole history leaves them.
async fn services(store: &PostgresStore) -> Vec<Arc<Service>> {
    let (mut services, mut after) = (BTreeMap::<ServiceId, Arc<Service>>::new(), Revision::ZERO);
    loop {
        let rows = store.history(&acme(), after, 5000).await.unwrap().unwrap();
        let Some(last) = rows.last() else { return services.into_values().collect() };
        after = last.revision;
        services.extend(rows.iter().map(|service| (service.id, Arc::clone(service))));
    }
}

/// All listings, from the beginning and from some services on, are what the model says of the history.
async fn assert_right(store: &PostgresStore) {
    let services = services(store).await;
    let tags = services.iter().flat_map(|service| service.tags.pairs());
    let tags: BTreeSet<TagFacet> = tags.map(|(key, value)| TagFacet { key, value }).collect();
    let facets = TagFacets::of(tags);
    let some = services.iter().step_by(services.len() / 6 + 1);
    let positions: Vec<Option<&Arc<Service>>> = std::iter::once(None).chain(some.map(Some)).collect();
    for listing in asked() {
        for after in &positions {
            let token =
                after.map_or(ContinuationToken::START, |after| ContinuationToken::after(after.revision));
            let listing = Listing { token, ..listing.clone() };
            let mut expected = paginate(&services, &listing, after.map(|after| &**after));
            expected.facets = after.is_none().then(|| facets.clone());
            assert_eq!(page(store, &listing).await, expected, "{listing:?}");
        }
    }
}

#[tokio::test]
async fn what_another_store_writes_is_on_the_next_page() {
    let (here, database) = store().await;
    let there = PostgresStore::open(database.url()).await.unwrap();
    assert_right(&here).await;
    for number in 0..4 {
        create(&there, service_id(number), &format!("name {number}")).await;
        assert_right(&here).await;
        committed(
            there.commit(renaming(&there, service_id(number / 2), &format!("again {number}")).await).await,
        );
        assert_right(&here).await;
    }
    // And what each writes, in turns.
    for number in 4..8 {
        create(if number % 2 == 0 { &here } else { &there }, service_id(number), &format!("name {number}"))
            .await;
        assert_right(&here).await;
        assert_right(&there).await;
    }
}

/// Sets an organization in which every write made a service back to a revision, as an older backup would.
async fn set_back(connection: &mut PgConnection, revision: i64) {
    let statements = format!(
        "SET search_path = service_registry;
         DELETE FROM services WHERE organization = 'acme' AND revision > {revision};
         DELETE FROM history WHERE organization = 'acme' AND revision > {revision};
         UPDATE organizations SET revision = {revision} WHERE organization = 'acme';
         {COUNT}"
    );
    run(connection, &statements).await;
}

const COUNT: &str = "DELETE FROM facets;
     INSERT INTO facets
     SELECT organization, key, value IS NOT NULL, coalesce(value, ''), count(*)
     FROM services CROSS JOIN json_each_text(tags::json)
     GROUP BY 1, 2, 3, 4";

/// A store whose index knows six services: built from all of them, or told of each after it was built.
async fn six(told: bool) -> (PostgresStore, Database) {
    let (store, database) = store().await;
    for number in 0..6 {
        create(&store, service_id(number), &format!("name {number}")).await;
        if told {
            assert_right(&store).await;
        }
    }
    assert_right(&store).await;
    (store, database)
}

#[tokio::test]
async fn an_index_that_knows_more_than_a_database_which_was_set_back_is_not_used() {
    for told in [false, true] {
        for revision in [5, 4, 1, 0] {
            let (store, database) = six(told).await;
            set_back(&mut beside(&database).await, revision).await;
            assert_eq!(store.check().await.unwrap(), [""; 0]);
            assert_right(&store).await;
            create(&store, service_id(9), "after that").await;
            assert_right(&store).await;
        }
    }
}

/// The history goes on elsewhere, to fewer revisions than the index knows, as many, and more.
#[tokio::test]
async fn an_index_of_another_history_is_not_used() {
    for told in [false, true] {
        for others in [1, 3, 5] {
            let (store, database) = six(told).await;
            set_back(&mut beside(&database).await, 3).await;
            let other = PostgresStore::open(database.url()).await.unwrap();
            for number in 0..others {
                create(&other, service_id(100 + number), &format!("other {number}")).await;
            }
            assert_right(&store).await;
        }
    }
}

/// Adds services after the first, so that there are so many.
async fn grow(connection: &mut PgConnection, services: usize) {
    let statements = format!(
        "SET search_path = service_registry;
         INSERT INTO history (organization, revision, id, name, is_active, body)
         SELECT organization, number, decode(lpad(to_hex(number), 24, '0'), 'hex'), 'name ' || number, is_active,
             (body::jsonb || jsonb_build_object('id', lpad(to_hex(number), 24, '0'), 'revision', number,
                 'name', 'name ' || number,
                 'tags', jsonb_build_object('team', CASE number % 3 WHEN 1 THEN 'red' WHEN 2 THEN 'blue' END)))::text
         FROM history CROSS JOIN generate_series(2, {services}) AS number
         WHERE organization = 'acme' AND revision = 1;
         INSERT INTO services (organization, id, name, is_active, agent_id, state_machine_id, tags, revision)
         SELECT h.organization, h.id, h.body::jsonb ->> 'name', s.is_active, s.agent_id, s.state_machine_id,
             replace((h.body::jsonb -> 'tags')::text, ' ', ''), h.revision
         FROM services AS s CROSS JOIN history AS h
         WHERE h.revision > 1;
         UPDATE organizations SET revision = {services} WHERE organization = 'acme';
         {COUNT}"
    );
    run(connection, &statements).await;
}

/// Gives another name and another tag to so many services that were not changed yet.
async fn change(connection: &mut PgConnection, services: usize) {
    let statements = format!(
        "SET search_path = service_registry;
         CREATE TEMPORARY TABLE changed ON COMMIT DROP AS
         SELECT s.id, o.revision + row_number() OVER (ORDER BY s.revision) AS revision, s.is_active, h.body
         FROM organizations AS o
         JOIN services AS s ON s.organization = o.organization
         JOIN history AS h ON h.organization = s.organization AND h.revision = s.revision
         WHERE o.organization = 'acme'
         ORDER BY s.revision LIMIT {services};
         INSERT INTO history (organization, revision, id, name, is_active, body)
         SELECT 'acme', revision, id, 'renamed ' || revision, is_active,
             (body::jsonb || jsonb_build_object('revision', revision, 'name', 'renamed ' || revision,
                 'tags', jsonb_build_object('team', 'red')))::text
         FROM changed;
         UPDATE services AS s SET name = 'renamed ' || c.revision, tags = '{{\"team\":\"red\"}}', revision = c.revision
         FROM changed AS c WHERE s.organization = 'acme' AND s.id = c.id;
         UPDATE organizations SET revision = revision + {services} WHERE organization = 'acme';
         {COUNT}"
    );
    run(connection, &statements).await;
}

#[tokio::test]
async fn an_index_that_lacks_thousands_of_revisions_catches_up_or_is_built_anew() {
    const SERVICES: usize = 9000;
    let (here, database) = store().await;
    create(&here, service_id(0), "name 1").await;
    let mut beside = beside(&database).await;
    grow(&mut beside, SERVICES).await;
    assert_right(&here).await;
    // So few that it is told of each; then so many that it is not.
    for lacks in [2000, 6000] {
        change(&mut beside, lacks).await;
        assert_right(&here).await;
    }
    assert_eq!(here.check().await.unwrap(), [""; 0]);
    assert_eq!(services(&here).await.len(), SERVICES);
}
