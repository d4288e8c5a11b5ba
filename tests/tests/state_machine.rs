//! Random requests, catalog changes, listings and walks, on every built-in store beside the model; whatever differs is shrunk to
//! the fewest steps that show it.
//!
//! The reference is a [`World`]: the same registry over the model store, with the same clock and the same entropy, so that answers are
//! compared whole, ids and times included.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use service_core::*;
use store_conformance::Store;
use store_conformance::environment::TestEnvironment;
use store_conformance::generate::listing::{self, FilterRecipe};
use store_conformance::generate::request::{self, Answer, Recipe, Request};
use store_conformance::generate::{catalog, grants};
use store_conformance::world::{World, administrator};
use store_memory::MemoryStore;
use store_sqlite::SqliteStore;
use tokio::runtime::Runtime;

/// One step.
#[derive(Debug, Clone)]
enum Transition {
    /// A request of somebody, for one of the two organizations.
    Request(OrganizationId, Caller, Recipe),
    /// A whole walk of somebody, with requests made between its pages.
    Walk { caller: Caller, filter: FilterRecipe, sort: Sort, limit: Limit, between: Vec<Recipe> },
    /// A look at history from any revision.
    History(OrganizationId, Index, usize),
    /// A look at what somebody holds.
    Standing(OrganizationId, Principal),
}

/// What was asked and answered in a step.
#[derive(Debug, Clone)]
enum Exchange {
    Request(OrganizationId, Caller, Box<Request>, Box<Answer>),
    History(OrganizationId, Revision, usize, Vec<Arc<Service>>),
    Standing(OrganizationId, Principal, Option<Grants>),
}

/// The model, and the exchanges of the last step.
#[derive(Debug, Clone)]
struct Model {
    world: World,
    last: Vec<Exchange>,
}

impl Model {
    fn request(&mut self, organization: &OrganizationId, caller: &Caller, request: Request) -> Answer {
        let before = self.world.state(organization);
        let answer = self.world.make(organization, caller, &request);
        let after = self.world.state(organization);
        assert_eq!(after.violations(organization), Vec::<String>::new());
        assert!(!answer.is_refusal() || after == before, "a refusal changes nothing");
        let exchange = (Box::new(request), Box::new(answer.clone()));
        self.last.push(Exchange::Request(organization.clone(), caller.clone(), exchange.0, exchange.1));
        answer
    }

    fn service_ids(&self, organization: &OrganizationId) -> Vec<ServiceId> {
        self.world.state(organization).services().keys().copied().collect()
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        Just(()).prop_map(|()| Self { world: World::new(), last: Vec::new() }).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Transition> {
        let walk = (
            grants::caller(),
            listing::filter(),
            listing::sort(),
            listing::limit(),
            proptest::collection::vec(request::write(), 0..6),
        );
        prop_oneof![
            12 => (request::organization(), grants::caller(), request::any_request())
                .prop_map(|(organization, caller, recipe)| Transition::Request(organization, caller, recipe)),
            // A service to begin with is what most steps need.
            4 => (request::organization(), request::create()).prop_map(|(organization, request)| {
                Transition::Request(organization, administrator(), Recipe::Create(request))
            }),
            2 => walk.prop_map(|(caller, filter, sort, limit, between)| {
                Transition::Walk { caller, filter, sort, limit, between }
            }),
            1 => (request::organization(), any::<Index>(), 0..20_usize)
                .prop_map(|(organization, after, limit)| Transition::History(organization, after, limit)),
            1 => (request::organization(), 0..3_u8, 0..4_u8)
                .prop_map(|(organization, of, number)| {
                    Transition::Standing(organization, catalog::principal(of, number))
                }),
        ]
        .boxed()
    }

    fn apply(mut model: Self, transition: &Transition) -> Self {
        model.last.clear();
        match transition {
            Transition::Request(organization, caller, recipe) => {
                let request = model.world.request(organization, recipe);
                model.request(organization, caller, request);
            }
            Transition::Walk { caller, filter, sort, limit, between } => {
                let acme = catalog::organization(0);
                let filter = filter.filter(&model.service_ids(&acme));
                let mut between = between.iter();
                let mut token = ContinuationToken::START;
                loop {
                    let request =
                        ListServices { filter: filter.clone(), sort: sort.clone(), limit: *limit, token };
                    let Answer::Page(page) = model.request(&acme, caller, Request::List(request)) else {
                        break;
                    };
                    let Some(next) = page.next else { break };
                    token = next;
                    if let Some(recipe) = between.next() {
                        let request = model.world.request(&acme, recipe);
                        model.request(&acme, &administrator(), request);
                    }
                }
            }
            Transition::History(organization, after, limit) => {
                let state = model.world.state(organization);
                let after = i64::try_from(after.index(state.history().len() + 2)).unwrap();
                let after = Revision::new(after).unwrap();
                let rows = state.history_after(after, *limit);
                model.last.push(Exchange::History(organization.clone(), after, *limit, rows));
            }
            Transition::Standing(organization, principal) => {
                let held = model.world.state(organization).record().catalog.grants(principal).unwrap();
                model.last.push(Exchange::Standing(organization.clone(), principal.clone(), held));
            }
        }
        model
    }
}

/// A store, a registry over it, and the runtime both run on.
struct UnderTest {
    store: Store,
    registry: Registry,
    // Last, so that what runs on it is dropped first.
    runtime: Runtime,
}

impl UnderTest {
    fn new(fresh: impl AsyncFnOnce() -> Store) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = runtime.block_on(async {
            let store = fresh().await;
            let start = catalog::start([0, 1].map(catalog::organization));
            store.repository.apply_catalog(&start).await.unwrap();
            store
        });
        let environment: Arc<dyn Environment> = Arc::new(TestEnvironment::seeded(1));
        let registry = Registry::new(Arc::clone(&store.repository), environment);
        Self { store, registry, runtime }
    }

    /// Asks what the model was asked, and compares the answers.
    fn exchange(&self, exchange: &Exchange) {
        self.runtime.block_on(async {
            match exchange {
                Exchange::Request(organization, caller, request, expected) => {
                    let answer = request.run(&self.registry, organization, caller).await.unwrap();
                    assert_eq!(answer, **expected, "{request:?}");
                }
                Exchange::History(organization, after, limit, expected) => {
                    let rows = self.store.repository.history(organization, *after, *limit).await.unwrap();
                    assert_eq!(rows.as_ref(), Some(expected));
                }
                Exchange::Standing(organization, principal, expected) => {
                    let standing = self.store.access.standing(organization, principal).await.unwrap();
                    let expected = expected.clone().map_or(Standing::UnknownPrincipal, Standing::Known);
                    assert_eq!(standing, expected);
                }
            }
        });
    }

    /// Compares all that is stored.
    fn holds_what_the_model_holds(&self, model: &Model) {
        let repository = &self.store.repository;
        self.runtime.block_on(async {
            let contents = model.world.contents();
            assert_eq!(repository.llms().await.unwrap(), contents.llms);
            for (organization, state) in &contents.organizations {
                let record = repository.organization(organization).await.unwrap();
                assert_eq!(record.as_ref(), Some(state.record()));
                let history = repository.history(organization, Revision::ZERO, usize::MAX).await.unwrap();
                assert_eq!(history.as_deref(), Some(state.history()));
                for sort in listing::all_sorts() {
                    let listing = Listing {
                        filter: ServiceFilter::default(),
                        visibility: Visibility::Everything,
                        sort,
                        limit: Limit::with_maximum(1000, 1000).unwrap(),
                        token: ContinuationToken::START,
                    };
                    assert_eq!(repository.list(organization, &listing).await.unwrap(), state.list(&listing));
                }
            }
        });
    }
}

/// Says for a store how a fresh one is made.
macro_rules! under_test {
    ($name:ident, $fresh:expr) => {
        struct $name;

        impl StateMachineTest for $name {
            type SystemUnderTest = UnderTest;
            type Reference = Model;

            fn init_test(_: &Model) -> UnderTest {
                UnderTest::new($fresh)
            }

            fn apply(store: UnderTest, model: &Model, _: Transition) -> UnderTest {
                model.last.iter().for_each(|exchange| store.exchange(exchange));
                store
            }

            fn teardown(store: UnderTest, model: Model) {
                store.holds_what_the_model_holds(&model);
            }
        }
    };
}

under_test!(OnMemory, async || Store::new(MemoryStore::new()));
under_test!(OnSqlite, async || {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("store.sqlite")).await.unwrap();
    store.migrate().await.unwrap();
    Store::new(store).keeping(directory)
});

fn cases(cases: u32) -> Config {
    Config { cases, max_shrink_iters: 2000, ..Config::default() }
}

prop_state_machine! {
    #![proptest_config(cases(256))]

    #[test]
    fn memory_answers_as_the_model_does(sequential 1..60 => OnMemory);
}

prop_state_machine! {
    #![proptest_config(cases(96))]

    #[test]
    fn sqlite_answers_as_the_model_does(sequential 1..60 => OnSqlite);
}
