//! Random histories on every built-in store beside the model, more of them than the suite runs.

use service_registry_tests::stores;
use store_conformance::{Fresh, state_machine};

#[test]
fn memory_answers_as_the_model_does() {
    state_machine::run(256, &Fresh::new(stores::memory));
}

#[test]
fn sqlite_answers_as_the_model_does() {
    state_machine::run(96, &Fresh::new(stores::sqlite));
}

#[test]
fn postgres_answers_as_the_model_does() {
    state_machine::run(64, &Fresh::new(stores::postgres));
}
