//! The table of cases, and the two ways to run it.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use crate::store::{Fresh, Store};

/// How long a case may take, far more than any needs: what never ends fails too.
const PATIENCE: Duration = Duration::from_mins(5);

/// One promise of a store, and how to see whether it is kept.
#[derive(Clone, Copy)]
pub struct Case {
    /// What it is about, and what is promised: `commit::takes_the_next_revision`.
    pub name: &'static str,
    run: for<'a> fn(&'a Fresh) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
}

impl Case {
    #[doc(hidden)]
    pub const fn new(
        name: &'static str,
        run: for<'a> fn(&'a Fresh) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
    ) -> Self {
        Self { name, run }
    }

    /// Runs the case, on a runtime of its own that has two threads; panics if the promise is broken.
    pub fn run(&self, fresh: &Fresh) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime with two threads");
        let run = async { tokio::time::timeout(PATIENCE, (self.run)(fresh)).await };
        runtime.block_on(run).expect("an end: some call does not return, or what is waited for never comes");
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// Gives every case to a macro: `$callback!({ $argument } topic: case, case; topic: case; )`. This is the one table of cases.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_case {
    ($callback:ident $argument:tt) => {
        $crate::$callback! { $argument
            organizations:
                an_unknown_one_is_none_everywhere,
                a_new_one_is_empty_with_its_catalog,
                with_the_same_ids_are_isolated,
                are_out_of_reach_of_ids_and_tokens_of_others;
            commit:
                takes_the_next_revision,
                is_stale_without_the_organization,
                is_stale_on_another_revision_of_the_service,
                is_stale_if_the_service_exists_already,
                is_stale_if_the_service_does_not_exist,
                is_stale_on_another_catalog_revision,
                is_stale_if_the_active_name_is_taken,
                lets_inactive_services_share_names,
                frees_a_name_by_renaming_and_by_deactivation,
                keeps_every_value_as_it_was;
            history:
                is_immutable_and_in_order,
                starts_after_any_revision_with_any_limit;
            facts:
                are_what_the_model_says,
                come_with_what_the_service_refers_to,
                name_the_active_holder,
                name_the_version_sets_of_live_tests;
            listing:
                is_what_paginate_says,
                continues_from_every_revision,
                walks_concatenate_to_the_whole,
                takes_large_filters_and_pages,
                gives_pages_as_large_as_asked_for,
                takes_the_largest_visibility,
                refuses_tokens_it_never_issued,
                refuses_tokens_of_services_out_of_sight,
                keeps_tokens_valid_after_changes,
                counts_facets_exactly,
                truncates_facets_at_a_thousand;
            catalog:
                applies_whole_and_moves_on_by_one,
                is_idempotent,
                applies_nothing_of_what_it_refuses,
                refuses_entries_that_come_twice,
                refuses_versions_that_fall,
                refuses_tests_without_a_target,
                refuses_roles_that_are_unknown,
                refuses_too_many_grants,
                keeps_llms_for_the_whole_store;
            access:
                standing_follows_the_catalog,
                standing_knows_issuers_apart,
                api_keys_verify_only_their_own_secret,
                api_keys_are_added_once;
            operations:
                migrating_again_changes_nothing,
                maintenance_is_kept_until_it_ends;
            archive:
                moves_a_store_byte_for_byte,
                keeps_tokens_valid,
                is_the_models_to_the_byte,
                is_one_snapshot_beside_writes,
                comes_into_an_empty_store_alone,
                is_nothing_if_it_breaks_off,
                is_refused_if_truncated,
                is_refused_if_corrupt,
                is_refused_if_it_breaks_an_invariant,
                check_finds_nothing_wrong;
            atomic:
                what_a_call_did_the_next_one_sees,
                writes_nobody_waits_for_happen_whole_or_not_at_all,
                documents_nobody_waits_for_are_applied_whole_or_not_at_all,
                reads_go_on_beside_a_write_under_way;
            random:
                operations_answer_as_the_model_does,
                histories_answer_as_the_model_does,
                walks_during_writes_meet_their_promise;
            concurrent:
                creators_of_one_name_leave_one_active,
                upserts_and_deletes_of_a_set_never_mix,
                activation_and_rename_never_share_a_name,
                catalog_changes_and_writes_keep_the_invariants,
                updates_of_one_service_are_all_counted,
                walks_return_each_unchanged_service_once,
                readers_see_whole_writes;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __case_table {
    ({} $($topic:ident: $($case:ident),+;)+) => {
        &[$($(
            $crate::suite::Case::new(
                concat!(stringify!($topic), "::", stringify!($case)),
                |fresh| Box::pin($crate::cases::$topic::$case(fresh)),
            ),
        )+)+]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __case_tests {
    ({ $fresh:path } $($topic:ident: $($case:ident),+;)+) => {
        $(mod $topic {
            use super::*;

            $(#[test]
            fn $case() {
                $crate::suite::run_case(
                    concat!(stringify!($topic), "::", stringify!($case)),
                    &$crate::Fresh::new($fresh),
                );
            })+
        })+
    };
}

/// Writes one `#[test]` for each case of the suite, in a module for each topic. It is given an asynchronous function that makes a
/// fresh [`Store`](crate::Store), and wants nothing else of where it is used:
///
/// ```
/// use store_conformance::{Store, conformance_tests, reference::ModelStore};
///
/// async fn fresh() -> Store {
///     Store::new(ModelStore::default())
/// }
///
/// conformance_tests!(fresh);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($fresh:path) => {
        $crate::__for_each_case!(__case_tests { $fresh });
    };
}

/// Every case, in the order in which a store is best got right.
pub const CASES: &[Case] = __for_each_case!(__case_table {});

/// Runs the case of this name.
///
/// # Panics
/// When the promise is broken, or there is no such case.
pub fn run_case(name: &str, fresh: &Fresh) {
    let case = CASES.iter().find(|case| case.name == name).expect("a case of the suite");
    case.run(fresh);
}

/// Runs every case, each on fresh stores, and returns the names of those that failed; why stands on standard error.
pub fn run_all<Make, Made>(make: Make) -> Vec<&'static str>
where
    Make: Fn() -> Made + Send + Sync + 'static,
    Made: Future<Output = Store> + Send + 'static,
{
    let fresh = Fresh::new(make);
    let broken = |case: &&Case| std::panic::catch_unwind(AssertUnwindSafe(|| case.run(&fresh))).is_err();
    CASES.iter().filter(broken).map(|case| case.name).collect()
}
