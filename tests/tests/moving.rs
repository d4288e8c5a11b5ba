//! A store that is moved from one kind to the next, and back, is the store it was.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use service_core::*;
use service_registry_tests::stores;
use store_conformance::Store;
use store_conformance::generate::request::{self, Recipe};
use store_conformance::generate::{catalog, listing};
use store_conformance::reference::ModelStore;
use store_conformance::world::World;

async fn export(store: &dyn Operations) -> Vec<u8> {
    let mut archive = Vec::new();
    store.export(&mut archive).await.unwrap();
    archive
}

/// Imports the archive, and gives what an export then says.
async fn through(store: &Store, archive: &[u8]) -> Vec<u8> {
    let operations: &Arc<dyn Operations> = &store.operations;
    operations.import(&mut &archive[..]).await.unwrap();
    assert_eq!(operations.check().await.unwrap(), Vec::<String>::new());
    export(&**operations).await
}

/// Every page that a token can ask for, in every order.
fn listings(state: &OrganizationState) -> Vec<Listing> {
    let tokens = 0..=i64::try_from(state.history().len()).unwrap();
    let tokens = tokens.map(ContinuationToken::new);
    tokens
        .flat_map(|token| {
            listing::all_sorts().into_iter().map(move |sort| Listing {
                filter: ServiceFilter::default(),
                visibility: Visibility::Everything,
                sort,
                limit: Limit::new(3).unwrap(),
                token,
            })
        })
        .collect()
}

proptest! {
    #![proptest_config(Config { cases: 12, ..Config::default() })]

    #[test]
    fn from_sqlite_to_postgresql_to_memory_to_sqlite(
        recipes in vec((request::organization(), request::write()), 1..40),
        creations in vec(request::create(), 1..8),
    ) {
        let world = World::new();
        let acme = catalog::organization(0);
        creations.into_iter().for_each(|request| drop(world.run(&acme, &Recipe::Create(request))));
        recipes.iter().for_each(|(organization, recipe)| drop(world.run(organization, recipe)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let archive = export(&ModelStore::new(world.contents())).await;
            let stores = [
                stores::sqlite().await,
                stores::postgres().await,
                stores::memory().await,
                stores::sqlite().await,
            ];
            for store in &stores {
                assert_eq!(through(store, &archive).await, archive);
                for (organization, state) in &world.contents().organizations {
                    for listing in listings(state) {
                        let listed = store.repository.list(organization, &listing).await.unwrap();
                        assert_eq!(listed, state.list(&listing), "tokens from before stay valid");
                    }
                }
            }
        });
    }
}
