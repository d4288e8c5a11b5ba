//! Whatever a store can be asked, as data: to ask several stores the same, and to compare what they reply.

use std::sync::Arc;

use service_core::{
    Access, Caller, Environment, Listed, Listing, Llms, OrganizationId, OrganizationRecord, Principal,
    Registry, RegistryError, Repository, Revision, Service, Standing,
};

use crate::environment::TestEnvironment;
use crate::generate::catalog;
use crate::generate::request::{Answer, Request};
use crate::store::{Fresh, Store};

/// Something that is asked of a store, directly or through a registry over it.
#[derive(Debug, Clone)]
pub enum Question {
    /// A request of somebody to the registry, or a change of the catalog.
    Request(OrganizationId, Caller, Box<Request>),
    /// One page.
    List(OrganizationId, Box<Listing>),
    /// The first rows of history after a revision.
    History(OrganizationId, Revision, usize),
    /// Revisions and catalog.
    Organization(OrganizationId),
    /// The LLMs that the store knows.
    Llms,
    /// What somebody holds.
    Standing(OrganizationId, Principal),
}

/// What a store replies.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// To a request.
    Answer(Box<Answer>),
    /// To a listing.
    Listed(Box<Listed>),
    /// Rows of history.
    History(Option<Vec<Arc<Service>>>),
    /// Revisions and catalog.
    Organization(Option<Box<OrganizationRecord>>),
    /// The LLMs.
    Llms(Llms),
    /// What somebody holds.
    Standing(Standing),
}

/// A store that is asked, with a registry over it. The clock and the entropy are the same for all of them, so that replies can be
/// compared whole, ids and times included.
#[derive(Debug)]
pub struct Subject {
    store: Store,
    registry: Registry,
}

impl Subject {
    /// A fresh store in which two organizations have a catalog to begin with: where a [`World`](crate::world::World) begins.
    pub async fn begin(fresh: &Fresh) -> Self {
        let store = fresh.store().await;
        let start = catalog::start([0, 1].map(catalog::organization));
        store.repository.apply_catalog(&start).await.expect("a catalog to begin with");
        let environment: Arc<dyn Environment> = Arc::new(TestEnvironment::seeded(1));
        let registry = Registry::new(Arc::clone(&store.repository), environment);
        Self { store, registry }
    }

    /// Asks.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn ask(&self, question: &Question) -> Result<Reply, RegistryError> {
        ask(&self.registry, &*self.store.access, question).await
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

pub(crate) async fn ask(
    registry: &Registry,
    access: &dyn Access,
    question: &Question,
) -> Result<Reply, RegistryError> {
    let repository: &dyn Repository = &**registry.repository();
    Ok(match question {
        Question::Request(organization, caller, request) => {
            Reply::Answer(Box::new(request.run(registry, organization, caller).await?))
        }
        Question::List(organization, listing) => {
            Reply::Listed(Box::new(repository.list(organization, listing).await?))
        }
        Question::History(organization, after, limit) => {
            Reply::History(repository.history(organization, *after, *limit).await?)
        }
        Question::Organization(organization) => {
            Reply::Organization(repository.organization(organization).await?.map(Box::new))
        }
        Question::Llms => Reply::Llms(repository.llms().await?),
        Question::Standing(organization, principal) => {
            Reply::Standing(access.standing(organization, principal).await?)
        }
    })
}
