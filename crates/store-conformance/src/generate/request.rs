//! Requests to a registry, and running them.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use service_core::{
    Caller, CatalogChanges, CatalogDocument, CatalogError, CatalogRefusal, ContinuationToken, CreateService,
    DeleteVersionSet, Limit, ListServices, OrganizationId, Page, Refusal, Registry, RegistryError, Service,
    ServiceId, Sort, UpdateService, UpsertVersionSet,
};

use super::catalog::{self, CatalogRecipe, choose};
use super::listing::FilterRecipe;
use super::{listing, service, text};

/// A request whose service, if it concerns one, is chosen when the services are known.
#[derive(Debug, Clone)]
pub enum Recipe {
    /// To create a service.
    Create(CreateService),
    /// To change one.
    Update(Index, UpdateService),
    /// To store a version set.
    Upsert(Index, UpsertVersionSet),
    /// To remove a version set.
    Delete(Index, DeleteVersionSet),
    /// To change the catalog.
    Catalog(CatalogRecipe),
    /// To list services from the beginning.
    List(FilterRecipe, Sort, Limit),
    /// To continue a listing from any number, most of which are revisions.
    Continue(FilterRecipe, Sort, Limit, Index),
}

/// A request.
#[derive(Debug, Clone)]
pub enum Request {
    /// To create a service.
    Create(CreateService),
    /// To change one.
    Update(ServiceId, UpdateService),
    /// To store a version set.
    Upsert(ServiceId, UpsertVersionSet),
    /// To remove a version set.
    Delete(ServiceId, DeleteVersionSet),
    /// To change the catalog.
    Catalog(CatalogDocument),
    /// To list services.
    List(ListServices),
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The service as it is now.
    Service(Arc<Service>),
    /// What has changed in the catalog.
    Changes(CatalogChanges),
    /// A page.
    Page(Page),
    /// A rule forbids it.
    Refused(Refusal),
    /// The catalog cannot become that.
    CatalogRefused(CatalogRefusal),
}

impl Answer {
    /// Whether a rule forbade the request.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::CatalogRefused(_))
    }
}

impl Recipe {
    /// The request, for an organization that has these services and has taken `revisions` revisions.
    pub fn request(
        &self,
        organization: &OrganizationId,
        services: &[ServiceId],
        revisions: usize,
    ) -> Request {
        match self {
            Self::Create(request) => Request::Create(request.clone()),
            Self::Update(index, request) => Request::Update(choose(services, *index), request.clone()),
            Self::Upsert(index, request) => Request::Upsert(choose(services, *index), request.clone()),
            Self::Delete(index, request) => Request::Delete(choose(services, *index), request.clone()),
            Self::Catalog(recipe) => Request::Catalog(recipe.document(organization, services)),
            Self::List(filter, sort, limit) => Request::List(ListServices {
                filter: filter.filter(services),
                sort: sort.clone(),
                limit: *limit,
                token: ContinuationToken::START,
            }),
            Self::Continue(filter, sort, limit, index) => {
                // From -1 to one more than there are.
                let number = i64::try_from(index.index(revisions + 3)).unwrap_or(0) - 1;
                Request::List(ListServices {
                    filter: filter.filter(services),
                    sort: sort.clone(),
                    limit: *limit,
                    token: ContinuationToken::new(number),
                })
            }
        }
    }
}

impl Request {
    /// Makes the request.
    ///
    /// # Errors
    /// When it was neither done nor refused.
    pub async fn run(
        &self,
        registry: &Registry,
        organization: &OrganizationId,
        caller: &Caller,
    ) -> Result<Answer, RegistryError> {
        let answer = match self {
            Self::Create(request) => {
                registry.create(organization, caller, request).await.map(Answer::Service)
            }
            Self::Update(id, request) => {
                registry.update(organization, caller, *id, request).await.map(Answer::Service)
            }
            Self::Upsert(id, request) => {
                registry.upsert_version_set(organization, caller, *id, request).await.map(Answer::Service)
            }
            Self::Delete(id, request) => {
                registry.delete_version_set(organization, caller, *id, request).await.map(Answer::Service)
            }
            Self::List(request) => {
                registry.list(organization, caller, request.clone()).await.map(Answer::Page)
            }
            Self::Catalog(document) => match registry.repository().apply_catalog(document).await {
                Ok(changes) => Ok(Answer::Changes(changes)),
                Err(CatalogError::Refused(refusal)) => Ok(Answer::CatalogRefused(refusal)),
                Err(CatalogError::Store(error)) => Err(error.into()),
            },
        };
        match answer {
            Err(RegistryError::Refused(refusal)) => Ok(Answer::Refused(refusal)),
            answer => answer,
        }
    }
}

/// Requests to create a service, most of which obey the rules.
pub fn create() -> BoxedStrategy<CreateService> {
    let refers = (catalog::agent(), catalog::state_machine());
    let release = proptest::option::weighted(0.3, service::version_set());
    (
        text::service_name(),
        text::description(),
        any::<bool>(),
        refers,
        service::tags(),
        text::keyterms(),
        release,
    )
        .prop_map(|(name, description, is_active, (agent_id, state_machine_id), tags, keyterms, release)| {
            CreateService {
                name,
                description,
                is_active,
                agent_id,
                state_machine_id,
                tags,
                keyterms,
                release,
            }
        })
        .boxed()
}

/// Requests to change a service: one to three fields each.
pub fn update() -> BoxedStrategy<UpdateService> {
    let rarely = 0.15;
    (
        proptest::option::weighted(0.4, text::service_name()),
        proptest::option::weighted(rarely, text::description()),
        proptest::option::weighted(0.4, any::<bool>()),
        proptest::option::weighted(rarely, catalog::agent()),
        proptest::option::weighted(rarely, catalog::state_machine()),
        proptest::option::weighted(0.3, service::tags()),
        proptest::option::weighted(rarely, text::keyterms()),
    )
        .prop_map(|(name, description, is_active, agent_id, state_machine_id, tags, keyterms)| {
            UpdateService { name, description, is_active, agent_id, state_machine_id, tags, keyterms }
        })
        .boxed()
}

/// Requests to store a version set.
pub fn upsert() -> BoxedStrategy<UpsertVersionSet> {
    (text::version_set_name(), service::version_set())
        .prop_map(|(name, version_set)| UpsertVersionSet { name, version_set })
        .boxed()
}

/// Requests to remove a version set.
pub fn delete() -> impl Strategy<Value = DeleteVersionSet> {
    text::version_set_name().prop_map(|name| DeleteVersionSet { name })
}

/// Requests that change services or the catalog.
pub fn write() -> BoxedStrategy<Recipe> {
    prop_oneof![
        4 => create().prop_map(Recipe::Create),
        6 => (any::<Index>(), update()).prop_map(|(index, request)| Recipe::Update(index, request)),
        3 => (any::<Index>(), upsert()).prop_map(|(index, request)| Recipe::Upsert(index, request)),
        2 => (any::<Index>(), delete()).prop_map(|(index, request)| Recipe::Delete(index, request)),
        4 => catalog::recipe().prop_map(Recipe::Catalog),
    ]
    .boxed()
}

/// Requests of any kind.
pub fn any_request() -> BoxedStrategy<Recipe> {
    let list = || (listing::filter(), listing::sort(), listing::limit());
    prop_oneof![
        5 => write(),
        1 => list().prop_map(|(filter, sort, limit)| Recipe::List(filter, sort, limit)),
        1 => (list(), any::<Index>())
            .prop_map(|((filter, sort, limit), index)| Recipe::Continue(filter, sort, limit, index)),
    ]
    .boxed()
}

/// One of the first two organizations, whose ids differ only in case; the first one mostly.
pub fn organization() -> impl Strategy<Value = OrganizationId> {
    select(&[0_u8, 0, 0, 1][..]).prop_map(catalog::organization)
}
