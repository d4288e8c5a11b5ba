//! What operators do.

use super::{Setting, everything};
use crate::store::Fresh;

/// Migrating a store that is up to date, several times at once, changes nothing.
pub async fn migrating_again_changes_nothing(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    setting.create("s", true).await;
    let before = setting.state(&setting.acme).await;
    let migrations = (0..4).map(|_| {
        let operations = setting.store.operations.clone();
        tokio::spawn(async move { operations.migrate().await })
    });
    for migration in migrations.collect::<Vec<_>>() {
        migration.await.expect("no panic").expect("a migration with nothing to do");
    }
    setting.store.operations.ready().await.expect("a store that is ready");
    assert_eq!(setting.state(&setting.acme).await, before);
}

/// Maintenance is off at first, on once begun, and off once ended; beginning and ending twice is once. The store itself keeps
/// answering.
pub async fn maintenance_is_kept_until_it_ends(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let operations = &setting.store.operations;
    assert!(!operations.maintenance().await.expect("an answer"));
    for on in [true, true, false, false, true] {
        operations.set_maintenance(on).await.expect("a change");
        assert_eq!(operations.maintenance().await.expect("an answer"), on);
    }
    setting.create("s", true).await;
    assert_eq!(setting.page(&setting.acme, &everything()).await.services.len(), 1);
    operations.ready().await.expect("a store that is ready");
}
