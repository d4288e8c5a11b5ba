//! The data are what they are said to be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use service_core::{
    ContinuationToken, Limit, Listed, Listing, Operations, Repository, Service, ServiceFilter, Sort,
    TagFacets, Visibility, matches,
};
use service_registry_benches::{DataSet, Organization, Profile, fill, organization, services};
use store_memory::MemoryStore;

fn count(services: &[Arc<Service>], tags: &[&str]) -> usize {
    let filter = ServiceFilter::new([], None, tags.iter().map(|tag| tag.parse().unwrap())).unwrap();
    services.iter().filter(|service| matches(&filter, service)).count()
}

#[test]
fn tags_are_dealt_out_in_exact_shares() {
    let services = services(20_000).unwrap();
    for (tags, expected) in [
        (&["team:team 7"][..], 20),
        (&["team:team 999"], 20),
        (&["region:region 3"], 1_000),
        (&["env:prod"], 12_000),
        (&["env:staging"], 6_000),
        (&["env:dev"], 2_000),
        (&["flag:*"], 2_000),
        (&["flag:"], 1_000),
        (&["flag:on"], 1_000),
        (&["left:"], 10_010),
        (&["right:"], 10_010),
        (&["left:", "right:"], 20),
        (&["p:", "q:", "r:"], 20),
    ] {
        assert_eq!(count(&services, tags), expected, "{tags:?}");
    }
    // Each of three is on two thirds of the services, and on the twenty that have all.
    for tag in ["p:", "q:", "r:"] {
        assert!(count(&services, &[tag]).abs_diff(13_340) <= 20, "{tag}");
    }
    // Independent shares multiply.
    let both = count(&services, &["region:region 3", "env:prod"]);
    assert!(both.abs_diff(600) < 60, "{both}");
    let tags: usize = services.iter().map(|service| service.tags.len()).sum();
    assert!((5 * 20_000..=62 * 2_000 + 2_000).contains(&tags), "{tags}");
}

#[test]
fn a_row_is_as_long_as_one_expects() {
    let services = services(2_000).unwrap();
    let bytes: usize = services.iter().map(|service| service.json_bytes()).sum();
    assert!((600..=1_200).contains(&(bytes / services.len())), "{}", bytes / services.len());
    let sets: BTreeSet<usize> = services.iter().map(|service| service.version_sets.len()).collect();
    assert_eq!(sets, [2, 3].into());
}

#[test]
fn names_are_not_in_the_order_of_ids_and_activeness_is_mixed() {
    let services = services(2_000).unwrap();
    assert!(services.is_sorted_by_key(|service| service.created_at));
    assert!(!services.is_sorted_by_key(|service| service.name.clone()));
    let active = services.iter().filter(|service| service.is_active).count();
    assert!(active.abs_diff(1_333) <= 1, "{active}");
    let names: BTreeSet<_> = services.iter().map(|service| &service.name).collect();
    assert!((1_900..2_000).contains(&names.len()), "some share a name: {}", names.len());
}

#[test]
fn the_same_numbers_give_the_same_services() {
    for profile in [Profile::Realistic, Profile::Adversarial] {
        let rows = || -> Vec<Service> {
            let organization = Organization::new(organization().unwrap(), profile, 300).unwrap().changed(300);
            organization.rows().map(Result::unwrap).collect()
        };
        assert_eq!(rows(), rows());
        assert_eq!(rows().len(), 600);
    }
}

#[test]
fn most_organizations_are_small() {
    let data = DataSet::realistic(10_000).unwrap();
    assert_eq!(data.organizations().len(), 100);
    let small: Vec<u64> =
        data.organizations().iter().map(Organization::services).filter(|n| *n < 10_000).collect();
    assert_eq!(small.len(), 99);
    assert_eq!((small.iter().min(), small.iter().max()), (Some(&3), Some(&1000)));
    assert!(small.iter().sum::<u64>() < 25_000);
    let sized = |id: &str| {
        let mut organizations = data.organizations().iter();
        organizations.find(|organization| organization.id().as_str() == id).map(Organization::services)
    };
    assert_eq!(sized("small-00"), Some(500));
}

#[test]
fn adversarial_services_are_what_they_are_said_to_be() {
    let organization = Organization::new(organization().unwrap(), Profile::Adversarial, 5_000).unwrap();
    let services: Vec<Arc<Service>> = organization.rows().map(|row| Arc::new(row.unwrap())).collect();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for service in &services {
        *by_name.entry(service.name.as_str()).or_default() += 1;
    }
    assert_eq!(by_name.values().max(), Some(&2_000));
    assert_eq!(count(&services, &["only:one"]), 1);
    assert!((1..=20).contains(&count(&services, &["left:", "right:"])));
    assert!(services.iter().filter(|service| service.tags.len() == 20).count() >= 80);
    assert!(services.iter().filter(|service| service.tags.is_empty()).count() >= 700);
    assert!(!services.is_sorted_by_key(|service| service.id));
    assert!(services.iter().any(|service| !service.name.as_str().is_ascii()));

    let mut by_order = services.clone();
    by_order.sort_by(|left, right| left.name.cmp(&right.name));
    let (head, tail) = by_order.split_at(4_500);
    assert!(count(tail, &["late:"]) > 400);
    assert_eq!(count(head, &["late:"]), 0);
    assert_eq!(count(&by_order[600..], &["early:yes"]), 0);
}

async fn filled(data: &DataSet) -> MemoryStore {
    let store = MemoryStore::new();
    let summary = fill(&store, data).await.unwrap();
    assert_eq!(summary.organizations, data.organizations().len() as u64);
    store
}

#[tokio::test]
async fn a_store_takes_all_of_it_and_finds_nothing_wrong() {
    let realistic = DataSet::realistic(1_000).unwrap();
    let some = DataSet::new(realistic.organizations()[..8].to_vec());
    for data in [some, DataSet::adversarial(1_000).unwrap()] {
        let store = filled(&data).await;
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
        for organization in data.organizations() {
            let record = store.organization(organization.id()).await.unwrap().unwrap();
            assert_eq!(record, organization.record().unwrap());
        }
        // What comes out is, to the byte, what went in.
        let (mut written, mut exported) = (Vec::new(), Vec::new());
        data.write(&mut written).await.unwrap();
        store.export(&mut exported).await.unwrap();
        assert!(written == exported);
    }
}

#[tokio::test]
async fn the_list_of_facets_is_full() {
    let organization = Organization::new(organization().unwrap(), Profile::Realistic, 3_000).unwrap();
    let store = filled(&DataSet::new(vec![organization.clone()])).await;
    let listing = Listing {
        filter: ServiceFilter::default(),
        visibility: Visibility::Everything,
        sort: Sort::default(),
        limit: Limit::new(20).unwrap(),
        token: ContinuationToken::START,
    };
    let listed = store.list(organization.id(), &listing).await.unwrap();
    let Listed::Page(page) = listed else { panic!("{listed:?}") };
    let TagFacets { tags, truncated } = page.facets.unwrap();
    assert_eq!((tags.len(), truncated), (1_000, true));
}

#[tokio::test]
async fn a_full_store_is_not_filled() {
    let other = Organization::new("other".parse().unwrap(), Profile::Realistic, 500).unwrap();
    let data = DataSet::new(vec![other]);
    let store = filled(&data).await;
    assert!(fill(&store, &data).await.unwrap_err().to_string().contains("not empty"));
}

#[test]
fn changes_make_long_histories_and_every_kind_of_write() {
    let organization =
        Organization::new(organization().unwrap(), Profile::Realistic, 500).unwrap().changed(2_000);
    let mut latest: BTreeMap<_, Service> = BTreeMap::new();
    let (mut renamed, mut retagged, mut toggled) = (0, 0, 0);
    let mut lengths: HashMap<_, usize> = HashMap::new();
    for row in organization.rows() {
        let row = row.unwrap();
        *lengths.entry(row.id).or_default() += 1;
        if let Some(before) = latest.insert(row.id, row.clone()) {
            renamed += usize::from(before.name != row.name);
            retagged += usize::from(before.tags != row.tags);
            toggled += usize::from(before.is_active != row.is_active);
        }
    }
    assert!(renamed > 400 && retagged > 400 && toggled > 400, "{renamed} {retagged} {toggled}");
    assert_eq!(latest.len(), 500);
    assert!(lengths.values().max() > Some(&50));
}
