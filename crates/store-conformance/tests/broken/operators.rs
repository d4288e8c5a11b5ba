//! Maintenance and keys that are forgotten, archives that are not whole.

use async_trait::async_trait;
use service_core::archive::{ArchiveSink, ArchiveSource, ArchiveSummary, ExportError, ImportError};
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

/// Imports what it can of an archive, and says in the end that it is refused.
#[derive(Debug, Default)]
struct ImportLeavesSomething;

#[async_trait]
impl Fault for ImportLeavesSomething {
    async fn import(
        &self,
        store: &ModelStore,
        source: &mut dyn ArchiveSource,
    ) -> Result<ArchiveSummary, ImportError> {
        let imported = store.import(source).await;
        if matches!(&imported, Err(ImportError::Refused(refusal)) if *refusal != ImportRefusal::NotEmpty) {
            let id = "left-behind".parse().expect("an organization id");
            store.change(|contents| contents.organizations.entry(id).or_default().record().revision);
        }
        imported
    }
}

/// Adds an archive to what is there.
#[derive(Debug, Default)]
struct ImportReplaces;

#[async_trait]
impl Fault for ImportReplaces {
    async fn import(
        &self,
        store: &ModelStore,
        source: &mut dyn ArchiveSource,
    ) -> Result<ArchiveSummary, ImportError> {
        let imported = ModelStore::default();
        let summary = imported.import(source).await?;
        store.change(|contents| *contents = imported.contents());
        Ok(summary)
    }
}

/// Numbers the revisions of an archive anew, without those of services that are inactive now.
#[derive(Debug, Default)]
struct ImportNumbersAnew;

#[async_trait]
impl Fault for ImportNumbersAnew {
    async fn import(
        &self,
        store: &ModelStore,
        source: &mut dyn ArchiveSource,
    ) -> Result<ArchiveSummary, ImportError> {
        let summary = store.import(source).await?;
        store.change(|contents| {
            for state in contents.organizations.values_mut() {
                let rows = state.services().values().map(|service| Service::clone(service));
                let numbered: Vec<_> = (1..)
                    .zip(rows)
                    .map(|(number, row)| Service {
                        revision: Revision::new(number).expect("a revision"),
                        ..row
                    })
                    .map(std::sync::Arc::new)
                    .collect();
                let revision = numbered.last().map(|row| row.revision).unwrap_or_default();
                *state = OrganizationState::of(
                    OrganizationRecord { revision, ..state.record().clone() },
                    numbered,
                );
            }
        });
        Ok(summary)
    }
}

/// Takes an archive without looking whether its end is there: what comes before it is enough.
#[derive(Debug, Default)]
struct ImportNeedsNoEnd;

#[async_trait]
impl Fault for ImportNeedsNoEnd {
    async fn import(
        &self,
        store: &ModelStore,
        source: &mut dyn ArchiveSource,
    ) -> Result<ArchiveSummary, ImportError> {
        match store.import(source).await {
            Err(ImportError::Refused(ImportRefusal::Truncated(_))) => Ok(ArchiveSummary::default()),
            imported => imported,
        }
    }
}

#[test]
fn an_import_that_is_not_whole_is_found() {
    finds::<ImportLeavesSomething>(&[
        "archive::is_refused_if_truncated",
        "archive::is_refused_if_corrupt",
        "archive::is_refused_if_it_breaks_an_invariant",
    ]);
    finds::<ImportReplaces>(&["archive::comes_into_an_empty_store_alone"]);
    finds::<ImportNumbersAnew>(&["archive::keeps_tokens_valid", "archive::moves_a_store_byte_for_byte"]);
    finds::<ImportNeedsNoEnd>(&["archive::is_refused_if_truncated"]);
}

/// Exports one organization after the other, while others write.
#[derive(Debug, Default)]
struct ExportInParts;

#[async_trait]
impl Fault for ExportInParts {
    async fn export(
        &self,
        store: &ModelStore,
        sink: &mut dyn ArchiveSink,
    ) -> Result<ArchiveSummary, ExportError> {
        let mut writer = ArchiveWriter::begin(sink, &store.contents().llms).await?;
        let organizations: Vec<OrganizationId> = store.contents().organizations.keys().cloned().collect();
        for id in organizations {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            let state = store.contents().organizations.remove(&id).expect("an organization");
            writer.organization(&id, state.record(), &Default::default()).await?;
            writer.history(state.history()).await?;
        }
        writer.finish().await
    }
}

#[test]
fn an_export_of_several_moments_is_found() {
    finds::<ExportInParts>(&["archive::is_one_snapshot_beside_writes"]);
}

/// Finds fault with inactive services.
#[derive(Debug, Default)]
struct CheckIsTooStrict;

#[async_trait]
impl Fault for CheckIsTooStrict {
    async fn check(&self, store: &ModelStore) -> Result<Vec<String>, StoreError> {
        let contents = store.contents();
        let services = contents.organizations.values().flat_map(|state| state.services().values());
        Ok(services.filter(|service| !service.is_active).map(|service| service.id.to_string()).collect())
    }
}

#[test]
fn a_check_that_finds_what_is_not_there_is_found() {
    finds::<CheckIsTooStrict>(&["archive::check_finds_nothing_wrong"]);
}
