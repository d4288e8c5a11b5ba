//! Maintenance and keys that are forgotten, archives that are not whole.

use async_trait::async_trait;
use service_core::*;
use store_conformance::reference::ModelStore;

use crate::fault::Fault;
use crate::finds;

/// Begins maintenance where it should end it, and the other way round, whenever it is asked twice.
#[derive(Debug, Default)]
struct MaintenanceToggles;

#[async_trait]
impl Fault for MaintenanceToggles {
    async fn set_maintenance(&self, store: &ModelStore, on: bool) -> Result<(), StoreError> {
        let now = store.maintenance().await?;
        store.set_maintenance(if on == now { !on } else { on }).await
    }
}

#[test]
fn maintenance_that_does_not_last_is_found() {
    finds::<MaintenanceToggles>(&["operations::maintenance_is_kept_until_it_ends"]);
}

/// Says that a key is added where there is one already.
#[derive(Debug, Default)]
struct KeysAreAddedTwice;

#[async_trait]
impl Fault for KeysAreAddedTwice {
    async fn add_api_key(
        &self,
        store: &ModelStore,
        organization: &OrganizationId,
        id: &ApiKeyId,
        hash: &ApiKeyHash,
        created_at: Timestamp,
    ) -> Result<bool, StoreError> {
        store.add_api_key(organization, id, hash, created_at).await?;
        Ok(store.contents().organizations.contains_key(organization))
    }
}

#[test]
fn a_key_that_is_added_twice_is_found() {
    finds::<KeysAreAddedTwice>(&["access::api_keys_are_added_once"]);
}
