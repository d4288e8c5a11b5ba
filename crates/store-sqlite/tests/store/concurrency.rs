//! Many at once: tasks, processes, and callers who go away.

use std::sync::Arc;
use std::time::Duration;

use service_core::{
    ContinuationToken, FactsQuery, Limit, Listed, Listing, OrganizationState, Registry, RegistryError,
    Repository, Revision, ServiceFilter, Sort, Tags, UpdateService, Visibility,
};
use sqlx::Connection;
use store_sqlite::SqliteStore;
use system_environment::SystemEnvironment;

use crate::support::{Dice, Pair, acme, caller, request, service_id, tags};

const WRITERS: u32 = 8;
const WRITES: u32 = 15;

fn first_page() -> Listing {
    Listing {
        filter: ServiceFilter::default(),
        visibility: Visibility::Everything,
        sort: Sort::default(),
        limit: Limit::default(),
        token: ContinuationToken::START,
    }
}

/// Writers that create, rename and retag, all of them also one service that they share.
async fn write(store: SqliteStore, writer: u32) {
    let registry = Registry::new(Arc::new(store), Arc::new(SystemEnvironment));
    let shared = service_id(0);
    for number in 0..WRITES {
        let name = format!("{writer} {number}");
        let team = Some(["red", "blue"][(number % 2) as usize]);
        let own = registry
            .create(&acme(), &caller(), &request(&name, true, tags(&[("team", team)])))
            .await
            .unwrap();
        let rename =
            UpdateService { name: Some(format!("{name} new").parse().unwrap()), ..UpdateService::default() };
        registry.update(&acme(), &caller(), own.id, &rename).await.unwrap();
        let describe = UpdateService { description: Some(name.parse().unwrap()), ..UpdateService::default() };
        // All want the same service at once. Losing to the others many times is no failure of the store.
        while let Err(error) = registry.update(&acme(), &caller(), shared, &describe).await {
            assert!(matches!(error, RegistryError::Contention), "{error:?}");
        }
    }
}

async fn assert_sound(store: &SqliteStore, writes: i64) {
    let record = store.organization(&acme()).await.unwrap().unwrap();
    assert_eq!(record.revision.get(), writes);
    let history = store.history(&acme(), Revision::ZERO, usize::MAX).await.unwrap().unwrap();
    let state = OrganizationState::of(record, history);
    assert_eq!(state.violations(&acme()), Vec::<String>::new());
    for sort in crate::support::sorts() {
        let mut listing = Listing { sort, ..first_page() };
        while let Listed::Page(page) = store.list(&acme(), &listing).await.unwrap() {
            assert_eq!(Listed::Page(page.clone()), state.list(&listing));
            let Some(next) = page.next else { break };
            listing.token = next;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_in_one_process_queue_and_leave_no_gap() {
    let mut pair = Pair::new().await;
    pair.create(service_id(0), &request("shared", false, Tags::default())).await.unwrap();
    let tasks: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(pair.store.clone(), writer))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_sound(&pair.store, i64::from(1 + WRITERS * WRITES * 3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_several_processes_wait_for_each_other() {
    let mut pair = Pair::new().await;
    pair.create(service_id(0), &request("shared", false, Tags::default())).await.unwrap();
    let mut tasks = Vec::new();
    for writer in 0..3 {
        tasks.push(tokio::spawn(write(SqliteStore::open(pair.path()).await.unwrap(), writer)));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_sound(&pair.store, i64::from(1 + 3 * WRITES * 3)).await;
}

#[tokio::test]
async fn reads_wait_for_no_write_and_see_none_that_is_not_committed() {
    let mut pair = Pair::new().await;
    pair.fill(5, &mut Dice::new(1)).await;
    let mut beside = pair.beside().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut beside).await.unwrap();
    sqlx::query("UPDATE organizations SET revision = 99").execute(&mut beside).await.unwrap();
    let reads = async {
        pair.facts(&FactsQuery { service: Some(service_id(0)), ..FactsQuery::default() }).await;
        assert_eq!(pair.store.list(&acme(), &first_page()).await.unwrap(), pair.model.list(&first_page()));
        let record = pair.store.organization(&acme()).await.unwrap().unwrap();
        assert_eq!(record, *pair.model.record());
    };
    // Far less than a write would wait for the other.
    tokio::time::timeout(Duration::from_secs(4), reads).await.unwrap();
    sqlx::query("ROLLBACK").execute(&mut beside).await.unwrap();
    beside.close().await.unwrap();
    pair.create(service_id(500), &request("after it", true, Tags::default())).await.unwrap();
}

#[tokio::test]
async fn callers_who_go_away_leave_a_store_that_works_and_no_half_of_a_write() {
    let mut pair = Pair::new().await;
    pair.fill(3, &mut Dice::new(2)).await;
    let writes = pair.model.record().revision.get();
    let registry = Registry::new(Arc::new(pair.store.clone()), Arc::new(SystemEnvironment));
    for number in 0..60 {
        let request = request(&format!("abandoned {number}"), true, tags(&[("team", Some("red"))]));
        // Each gets a little further than the one before it.
        let patience = Duration::from_micros(40 * number);
        tokio::time::timeout(patience, registry.create(&acme(), &caller(), &request)).await.ok();
        tokio::time::timeout(patience, pair.store.list(&acme(), &first_page())).await.ok();
    }
    registry.create(&acme(), &caller(), &request("last", true, Tags::default())).await.unwrap();
    let record = pair.store.organization(&acme()).await.unwrap().unwrap();
    assert!(record.revision.get() > writes);
    assert_sound(&pair.store, record.revision.get()).await;
}
