//! The suite itself, tested: for every kind of fault a store that has it and no other, and the cases that must find it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a store that is broken on purpose may panic"
)]

mod fault;
mod listings;
mod operators;
mod reads;
mod writes;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fault::{Broken, Fault};
use store_conformance::{Fresh, Store, run_all, run_case, state_machine};

fn fresh<F: Fault>() -> Fresh {
    Fresh::new(|| async { Store::new(Broken::<F>::default()) })
}

/// How often a case about a race is run: in memory a race takes microseconds, and not every run of a case meets one.
const TRIES: usize = 20;

/// Looks that the cases about a fault fail on a store that has it.
fn finds<F: Fault>(cases: &[&str]) {
    let fresh = fresh::<F>();
    for case in cases {
        let races = case.starts_with("concurrent::") || *case == "archive::is_one_snapshot_beside_writes";
        let tries = if races { TRIES } else { 1 };
        let fails = |_| catch_unwind(AssertUnwindSafe(|| run_case(case, &fresh))).is_err();
        assert!((0..tries).any(fails), "`{case}` does not find {:?}", F::default());
    }
}

#[derive(Debug, Default)]
struct None;

impl Fault for None {}

#[test]
fn a_store_without_a_fault_passes() {
    assert_eq!(run_all(|| async { Store::new(Broken::<None>::default()) }), [""; 0]);
}

#[test]
fn running_all_names_the_cases_that_fail() {
    let broken = run_all(|| async { Store::new(Broken::<reads::OnlyEverMoreFacets>::default()) });
    for case in ["listing::counts_facets_exactly", "random::histories_answer_as_the_model_does"] {
        assert!(broken.contains(&case), "{broken:?}");
    }
    assert!(!broken.contains(&"commit::is_stale_on_another_catalog_revision"), "{broken:?}");
}

#[test]
fn a_fault_that_histories_find_is_told_by_few_steps() {
    let run = || state_machine::run(64, &fresh::<reads::OnlyEverMoreFacets>());
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("a fault");
    let told = panic.downcast_ref::<String>().expect("a message");
    let (fault, steps) = told.split_once("after these steps:\n").expect("steps");
    assert!(fault.contains("the model replies") && fault.contains("and the store"), "{told}");
    // A service with a tag and a change that takes it away, and seldom some more that choose which service that is.
    assert!((1..=10).contains(&steps.lines().count()), "{told}");
}
