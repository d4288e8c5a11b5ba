//! Organizations in a model store, and a registry over it: what real stores are compared with, step by step.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use service_core::{Caller, OrganizationId, OrganizationState, Registry, Repository, ServiceId};

use crate::environment::TestEnvironment;
use crate::generate::request::{Answer, Recipe, Request};
use crate::generate::{catalog, grants};
use crate::question::{self, Question, Reply};
use crate::reference::{Contents, ModelStore};

/// A model store with two organizations that have a catalog to begin with, and a registry over it.
///
/// A clone is a world of its own that continues in the same way: the same requests get the same answers, down to ids and times.
#[derive(Debug)]
pub struct World {
    store: Arc<ModelStore>,
    environment: Arc<TestEnvironment>,
    registry: Registry,
}

impl World {
    /// The world at its beginning.
    pub fn new() -> Self {
        let world = Self::over(Contents::default(), TestEnvironment::seeded(1));
        let start = catalog::start([0, 1].map(catalog::organization));
        block_on(world.store.apply_catalog(&start)).expect("a catalog to begin with");
        world
    }

    fn over(contents: Contents, environment: TestEnvironment) -> Self {
        let store = Arc::new(ModelStore::new(contents));
        let environment = Arc::new(environment);
        let repository: Arc<dyn Repository> = Arc::<ModelStore>::clone(&store);
        let registry = Registry::new(repository, Arc::<TestEnvironment>::clone(&environment));
        Self { store, environment, registry }
    }

    /// All that is stored.
    pub fn contents(&self) -> Contents {
        self.store.contents()
    }

    /// An organization as it is.
    pub fn state(&self, organization: &OrganizationId) -> OrganizationState {
        self.contents().organizations.remove(organization).unwrap_or_default()
    }

    /// The request that a recipe amounts to now.
    pub fn request(&self, organization: &OrganizationId, recipe: &Recipe) -> Request {
        let state = self.state(organization);
        let services: Vec<ServiceId> = state.services().keys().copied().collect();
        recipe.request(organization, &services, state.history().len())
    }

    /// Makes a request.
    pub fn make(&self, organization: &OrganizationId, caller: &Caller, request: &Request) -> Answer {
        block_on(request.run(&self.registry, organization, caller)).expect("the model store never fails")
    }

    /// Asks what a store can be asked.
    pub fn ask(&self, question: &Question) -> Reply {
        block_on(question::ask(&self.registry, &*self.store, question)).expect("the model store never fails")
    }

    /// Makes the request that a recipe amounts to, as somebody who may do everything.
    pub fn run(&self, organization: &OrganizationId, recipe: &Recipe) -> Answer {
        self.make(organization, &administrator(), &self.request(organization, recipe))
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for World {
    fn clone(&self) -> Self {
        Self::over(self.contents(), TestEnvironment::clone(&self.environment))
    }
}

/// Somebody who may do everything.
pub fn administrator() -> Caller {
    grants::admin(catalog::principal(0, 0))
}

/// Runs a future that never waits for anything but its turn, as those over a model store.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}
