//! The suite holds for the model store, which is what its cases compare with, and names what is broken in one that is not a store.

use std::sync::Arc;

use store_conformance::reference::ModelStore;
use store_conformance::{CASES, Store, conformance_tests, run_all};

async fn fresh() -> Store {
    Store::new(ModelStore::default())
}

conformance_tests!(fresh);

#[test]
fn running_all_finds_nothing_wrong() {
    assert_eq!(run_all(fresh), Vec::<&str>::new());
}

#[test]
fn names_the_cases_that_fail() {
    // The same store each time: what one case left behind breaks another.
    let store = Arc::new(Store::new(ModelStore::default()));
    let broken = run_all(move || {
        let store = Arc::clone(&store);
        async move { Store::clone(&store) }
    });
    assert!(broken.contains(&"commit::takes_the_next_revision"), "{broken:?}");
    assert!(broken.len() < CASES.len(), "{broken:?}");
}

#[test]
fn every_case_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len());
}
