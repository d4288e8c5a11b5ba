//! Random requests, step by step beside the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use service_core::{
    ContinuationToken, Environment, Listing, OrganizationState, Registry, Service, ServiceId, Visibility,
    admits, matches,
};

use super::Setting;
use crate::environment::TestEnvironment;
use crate::generate::request::{Recipe, any_request, create, organization, write};
use crate::generate::{Draws, catalog, grants, listing};
use crate::state_machine;
use crate::store::Fresh;
use crate::world::World;

/// Every request gets the model's answer, down to ids, times and revisions, and leaves what the model holds.
pub async fn operations_answer_as_the_model_does(fresh: &Fresh) {
    for seed in 40..44 {
        let mut draws = Draws::seeded(seed);
        let world = World::new();
        let store = fresh.store().await;
        let start = catalog::start([0, 1].map(catalog::organization));
        store.repository.apply_catalog(&start).await.expect("a catalog to begin with");
        let environment: Arc<dyn Environment> = Arc::new(TestEnvironment::seeded(1));
        let registry = Registry::new(Arc::clone(&store.repository), environment);
        for step in 0..80 {
            let (organization, recipe) = draws.draw(&(organization(), any_request()));
            let caller = draws.draw(&grants::caller());
            let request = world.request(&organization, &recipe);
            let expected = world.make(&organization, &caller, &request);
            let answer = request.run(&registry, &organization, &caller).await.expect("an answer");
            assert_eq!(answer, expected, "seed {seed}, step {step}: {request:?}");
        }
        for organization in [0, 1].map(catalog::organization) {
            let expected = world.state(&organization);
            let history =
                store.repository.history(&organization, service_core::Revision::ZERO, usize::MAX).await;
            assert_eq!(history.expect("history").as_deref(), Some(expected.history()));
            let record = store.repository.organization(&organization).await.expect("a record");
            assert_eq!(record.as_ref(), Some(expected.record()));
        }
        assert_eq!(store.repository.llms().await.expect("the LLMs"), world.contents().llms);
    }
}

/// The same over other histories in every run, with walks during writes, pages from anywhere and looks at history; and what is stored at
/// the end is the model's, in every order.
pub async fn histories_answer_as_the_model_does(fresh: &Fresh) {
    tokio::task::block_in_place(|| {
        state_machine::run_on(&tokio::runtime::Handle::current(), state_machine::CASES, fresh);
    });
}

/// Whatever is written between two pages, each service that matches throughout a walk and whose sort fields do not change is
/// returned exactly once.
pub async fn walks_during_writes_meet_their_promise(fresh: &Fresh) {
    let mut draws = Draws::seeded(45);
    let setting = Setting::new(fresh).await;
    for request in draws.several(40, &create()) {
        drop(setting.registry.create(&setting.acme, &setting.admin, &request).await);
    }
    for round in 0..26 {
        let ids: Vec<ServiceId> = setting.state(&setting.acme).await.services().keys().copied().collect();
        let sorts = listing::all_sorts();
        let mut listing = Listing {
            filter: draws.draw(&listing::filter()).filter(&ids),
            visibility: if round % 3 == 0 {
                draws.draw(&grants::visibility())
            } else {
                Visibility::Everything
            },
            sort: sorts[round % sorts.len()].clone(),
            limit: draws.draw(&listing::limit()),
            token: ContinuationToken::START,
        };
        let mut throughout = matching(&setting.state(&setting.acme).await, &listing);
        let mut returned: BTreeMap<ServiceId, usize> = BTreeMap::new();
        for pages in 1.. {
            assert!(pages <= super::MAX_PAGES, "a walk that does not end");
            let page = setting.page(&setting.acme, &listing).await;
            for service in &page.services {
                *returned.entry(service.id).or_default() += 1;
            }
            let Some(token) = page.next else { break };
            listing.token = token;
            for recipe in draws.several(2, &write()) {
                if matches!(recipe, Recipe::Catalog(_)) {
                    continue;
                }
                let request = recipe.request(&setting.acme, &ids, 0);
                request.run(&setting.registry, &setting.acme, &setting.admin).await.expect("an answer");
            }
            let now = matching(&setting.state(&setting.acme).await, &listing);
            throughout.retain(|id, before| {
                now.get(id).is_some_and(|now| (&now.name, now.is_active) == (&before.name, before.is_active))
            });
        }
        for id in throughout.keys() {
            assert_eq!(returned.get(id), Some(&1), "{id} in {listing:?}");
        }
    }
}

fn matching(state: &OrganizationState, listing: &Listing) -> BTreeMap<ServiceId, Arc<Service>> {
    let services = state.services().iter();
    services
        .filter(|(_, service)| matches(&listing.filter, service) && admits(&listing.visibility, service))
        .map(|(id, service)| (*id, Arc::clone(service)))
        .collect()
}
