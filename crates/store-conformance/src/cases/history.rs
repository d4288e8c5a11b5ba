//! History: immutable, in order, and read from anywhere.

use service_core::Revision;

use super::{Setting, activate, rename, retag};
use crate::store::Fresh;

/// Each write leaves one row, the whole service as it then was, and no later write changes it.
pub async fn is_immutable_and_in_order(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    let mut rows = vec![setting.create("a", true).await, setting.create("b", false).await];
    for (index, request) in [rename("c"), retag(&["t:1", "u:"]), activate(false), rename("d"), activate(true)]
        .into_iter()
        .enumerate()
    {
        let id = rows[index % 2].id;
        let service = setting.update(id, request).await;
        if rows.iter().all(|row| row.revision != service.revision) {
            rows.push(service);
        }
        assert_eq!(setting.history(&setting.acme).await, rows);
    }
    assert!(rows.iter().zip(1..).all(|(row, number)| row.revision.get() == number));
}

/// The first rows after a revision, at most as many as asked for; none where there are none, whatever the numbers.
pub async fn starts_after_any_revision_with_any_limit(fresh: &Fresh) {
    let setting = Setting::new(fresh).await;
    for number in 0..12 {
        setting.create(&format!("s{number}"), true).await;
    }
    let all = setting.history(&setting.acme).await;
    let revisions = [0, 1, 5, 11, 12, 13, 1 << 40, i64::MAX];
    for after in revisions.map(|number| Revision::new(number).expect("a revision")) {
        for limit in [0, 1, 3, 12, 13, usize::MAX] {
            let rows = setting.repository().history(&setting.acme, after, limit).await;
            let expected: Vec<_> =
                all.iter().filter(|row| row.revision > after).take(limit).cloned().collect();
            assert_eq!(rows.expect("history"), Some(expected), "{limit} after {after}");
        }
    }
    let none = setting.repository().history(&setting.other, Revision::ZERO, 10).await;
    assert_eq!(none.expect("history"), Some(Vec::new()), "an organization without writes");
}
