//! Organizations of thousands of services, realistic and adversarial, in every built-in store: every page is what `paginate` says,
//! whichever way the store takes to find it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use service_core::{
    ContinuationToken, Grants, Limit, Listed, Listing, OrganizationId, Page, Permission, Repository, Service,
    ServiceFilter, ServiceId, Visibility, paginate,
};
use service_registry_benches::{DataSet, Organization, Profile, fill};
use service_registry_tests::stores;
use store_conformance::Fresh;
use store_conformance::generate::listing;

/// Large enough that two tags that seldom meet are intersected, and that an index is built in more than one reading.
const SERVICES: u64 = 9_000;

/// What an organization has: every row of its history, and its services as they are.
struct Model {
    id: OrganizationId,
    history: Vec<Arc<Service>>,
    services: Vec<Arc<Service>>,
}

impl Model {
    fn of(organization: &Organization) -> Self {
        let history: Vec<Arc<Service>> = organization.rows().map(|row| Arc::new(row.unwrap())).collect();
        let services: BTreeMap<ServiceId, Arc<Service>> =
            history.iter().map(|row| (row.id, Arc::clone(row))).collect();
        Self { id: organization.id().clone(), history, services: services.into_values().collect() }
    }
}

fn filters(model: &Model) -> Vec<ServiceFilter> {
    let ids: Vec<ServiceId> =
        model.services.iter().step_by(model.services.len() / 40).map(|service| service.id).collect();
    let tags: [&[&str]; 16] = [
        &[],
        &["env:prod"],
        &["flag:*"],
        &["flag:"],
        &["region:*"],
        &["twin:*"],
        &["late:*"],
        &["early:*"],
        &["only:one"],
        &["left:*"],
        &["left:*", "right:*"],
        &["late:*", "early:*"],
        &["late:*", "left:*"],
        &["twin:*", "right:*"],
        &["nobody:*"],
        &["left:*", "right:*", "t07:v1"],
    ];
    let mut filters = Vec::new();
    for (number, tags) in tags.iter().enumerate() {
        let is_active = [None, Some(true), Some(false)][number % 3];
        let parsed = || tags.iter().map(|tag| tag.parse().unwrap());
        filters.push(ServiceFilter::new([], None, parsed()).unwrap());
        filters.push(ServiceFilter::new([], is_active, parsed()).unwrap());
    }
    filters.push(ServiceFilter::new(ids.clone(), None, []).unwrap());
    filters.push(ServiceFilter::new(ids, Some(false), ["left:*".parse().unwrap()]).unwrap());
    filters
}

fn visibilities(model: &Model) -> Vec<Visibility> {
    let some = &model.services[model.services.len() / 3];
    let ids: Vec<String> = model
        .services
        .iter()
        .step_by(model.services.len() / 20)
        .map(|service| service.id.to_string())
        .collect();
    let conditions = [
        serde_json::json!([{}]),
        serde_json::json!([{"service_id": {"type": "In", "values": ids}}]),
        serde_json::json!([{"tags.left": {"type": "Equals", "value": null}}]),
        serde_json::json!([{"tags.env": {"type": "NotEquals", "value": "prod"}}]),
        serde_json::json!([{"name": {"type": "Equals", "value": some.name}}, {"agent_id": {"type": "Equals", "value": some.agent_id}}]),
        serde_json::json!([
            {"is_active": {"type": "Equals", "value": false}, "tags.left": {"type": "Equals", "value": null},
             "tags.right": {"type": "Equals", "value": null}},
            {"is_active": {"type": "Equals", "value": true}, "tags.twin": {"type": "NotEquals", "value": null},
             "name": {"type": "NotEquals", "value": some.name}},
        ]),
    ];
    let visibility = |grants: &serde_json::Value| {
        let grant = |conditions| {
            let grant =
                serde_json::json!({"permission_name": "Service:GetService", "conditions": conditions});
            serde_json::from_value(grant).unwrap()
        };
        let grants = Grants::new(grants.as_array().unwrap().iter().map(grant)).unwrap();
        Visibility::of(&grants, Permission::GetService)
    };
    conditions.iter().map(visibility).collect()
}

/// Every filter under some of the visibilities, every visibility under some of the filters, all sorts among them.
fn listings(model: &Model) -> Vec<Listing> {
    let (filters, visibilities, sorts) = (filters(model), visibilities(model), listing::all_sorts());
    let mut listings = Vec::new();
    for (number, filter) in filters.iter().enumerate() {
        for (other, visibility) in visibilities.iter().enumerate() {
            for step in 0..3 {
                let sort = &sorts[(number + 5 * other + 4 * step) % sorts.len()];
                listings.push(Listing {
                    filter: filter.clone(),
                    visibility: visibility.clone(),
                    sort: sort.clone(),
                    limit: Limit::new(20).unwrap(),
                    token: ContinuationToken::START,
                });
            }
        }
    }
    listings
}

/// What a database finds by itself: no tag, and no visibility but by id and activeness. It does as long as nothing else was asked for;
/// afterwards, an index in memory finds it.
fn plain_listings(model: &Model) -> Vec<Listing> {
    let filters = filters(model);
    let ids = filters.iter().find(|filter| !filter.ids().is_empty()).unwrap().ids();
    let mut listings = Vec::new();
    for sort in listing::all_sorts() {
        for is_active in [None, Some(true), Some(false)] {
            for ids in [vec![], ids.iter().copied().collect()] {
                let filter = ServiceFilter::new(ids, is_active, []).unwrap();
                for visibility in plain_visibilities(model) {
                    let (filter, sort, limit) = (filter.clone(), sort.clone(), Limit::new(20).unwrap());
                    listings.push(Listing {
                        filter,
                        visibility,
                        sort,
                        limit,
                        token: ContinuationToken::START,
                    });
                }
            }
        }
    }
    listings
}

fn plain_visibilities(model: &Model) -> Vec<Visibility> {
    let mut seen = visibilities(model);
    seen.truncate(2);
    let active = serde_json::json!([{"permission_name": "Service:GetService",
        "conditions": {"is_active": {"type": "Equals", "value": true}}}]);
    seen.push(Visibility::of(&serde_json::from_value(active).unwrap(), Permission::GetService));
    seen.push(Visibility::Nothing);
    seen
}

async fn page(store: &dyn Repository, model: &Model, listing: &Listing) -> Page {
    match store.list(&model.id, listing).await.unwrap() {
        Listed::Page(page) => page,
        other => panic!("{other:?} to {listing:?}"),
    }
}

async fn every_page_is_right(name: &str, fresh: Fresh, data: &DataSet) {
    let store = fresh.store().await;
    fill(&*store.operations, data).await.unwrap();
    for organization in data.organizations() {
        let model = Model::of(organization);
        if model.services.len() < 1000 {
            continue;
        }
        let (plain, all) = (plain_listings(&model), listings(&model));
        for (number, listing) in plain.into_iter().chain(all).enumerate() {
            // A position that is often no longer that of its service; what the visibility does not show is no position.
            let after = &model.history[number * 7919 % model.history.len()];
            let seen = service_core::admits(&listing.visibility, after);
            let positions = [None, Some(after).filter(|_| seen)];
            for (index, after) in
                positions.into_iter().enumerate().filter(|(index, after)| *index == 0 || after.is_some())
            {
                let token =
                    after.map_or(ContinuationToken::START, |after| ContinuationToken::after(after.revision));
                let listing = Listing { token, ..listing.clone() };
                let found = page(&*store.repository, &model, &listing).await;
                let expected = paginate(&model.services, &listing, after.map(|after| &**after));
                assert_eq!(
                    (found.services, found.next),
                    (expected.services, expected.next),
                    "{name}: {listing:?}"
                );
                assert_eq!(found.facets.is_some(), index == 0);
            }
        }
    }
    assert_eq!(store.operations.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_of_a_realistic_organization_is_right() {
    let data = DataSet::realistic(SERVICES).unwrap();
    for (name, fresh) in stores::all() {
        every_page_is_right(name, fresh, &data).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_of_an_adversarial_organization_is_right() {
    let organization =
        Organization::new("adversary".parse().unwrap(), Profile::Adversarial, SERVICES).unwrap();
    let data = DataSet::new(vec![organization.changed(SERVICES / 2)]);
    for (name, fresh) in stores::all() {
        every_page_is_right(name, fresh, &data).await;
    }
}
