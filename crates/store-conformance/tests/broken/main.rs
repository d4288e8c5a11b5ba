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
use store_conformance::{CASES, Fresh, Store, run_all, run_case, state_machine};

/// The one case that takes its time where it fails: it looks for the shortest way to the fault.
const HISTORIES: &str = "random::histories_answer_as_the_model_does";

fn fresh<F: Fault>() -> Fresh {
    Fresh::new(|| async { Store::new(Broken::<F>::default()) })
}

/// The cases that fail on a store with this fault.
fn failing<F: Fault>() -> Vec<&'static str> {
    let fresh = fresh::<F>();
    let fails = |name: &&str| catch_unwind(AssertUnwindSafe(|| run_case(name, &fresh))).is_err();
    CASES.iter().map(|case| case.name).filter(|name| *name != HISTORIES).filter(fails).collect()
}

/// Looks that the cases about a fault fail on a store that has it; and that others do not, so that it is this fault they find.
fn finds<F: Fault>(cases: &[&str]) {
    let failing = failing::<F>();
    for case in cases {
        assert!(failing.contains(case), "`{case}` does not find it; these fail: {failing:#?}");
    }
    assert!(failing.len() < CASES.len() * 3 / 4, "more than a single fault: {failing:#?}");
}

#[derive(Debug, Default)]
struct None;

impl Fault for None {}

#[test]
fn a_store_without_a_fault_passes() {
    assert_eq!(failing::<None>(), [""; 0]);
    assert_eq!(run_all(|| async { Store::new(Broken::<None>::default()) }), [""; 0]);
}

#[test]
fn running_all_names_the_cases_that_fail() {
    let broken = run_all(|| async { Store::new(Broken::<reads::OnlyEverMoreFacets>::default()) });
    for case in ["listing::counts_facets_exactly", HISTORIES] {
        assert!(broken.contains(&case), "{broken:?}");
    }
}

#[test]
fn a_fault_that_histories_find_is_told_by_few_steps() {
    let run = || state_machine::run(64, &fresh::<reads::OnlyEverMoreFacets>());
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("a fault");
    let told = panic.downcast_ref::<String>().expect("a message");
    let (fault, steps) = told.split_once("after these steps:\n").expect("steps");
    assert!(fault.contains("the model replies") && fault.contains("and the store"), "{told}");
    // A service with a tag, and one that takes it away.
    assert!((1..=4).contains(&steps.lines().count()), "{told}");
}
