//! The suite holds for the model store, which is what its cases compare with.

use store_conformance::reference::ModelStore;
use store_conformance::{Store, conformance_tests};

async fn fresh() -> Store {
    Store::new(ModelStore::default())
}

conformance_tests!(fresh);
