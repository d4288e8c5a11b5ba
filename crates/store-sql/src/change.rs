//! Writes of services: what they change in the tables that services are found by, for one or for many at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use service_core::archive::{check_change, name_taken};
use service_core::{ImportRefusal, Service, ServiceId, ServiceName, TagFacet};

/// A write of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The service as it was; `None` if there was none.
    pub before: Option<Arc<Service>>,
    /// The service as the write leaves it.
    pub after: Arc<Service>,
}

impl Change {
    /// Whether the service exists already and keeps its name and its activeness, which the indexes of services have.
    pub fn keeps_its_place(&self) -> bool {
        self.before
            .as_ref()
            .is_some_and(|before| before.name == self.after.name && before.is_active == self.after.is_active)
    }

    /// The name that is free after the write, if there is one.
    fn freed(&self) -> Option<&ServiceName> {
        self.before
            .as_ref()
            .filter(|before| before.is_active && !self.keeps_its_place())
            .map(|before| &before.name)
    }

    /// The name that is no longer free after the write, if there is one.
    fn taken(&self) -> Option<&ServiceName> {
        Some(&self.after).filter(|after| after.is_active && !self.keeps_its_place()).map(|after| &after.name)
    }
}

/// The writes that left these rows of history, which come in the order of their revisions.
///
/// `services` are those of their services that were there before the first of them, `holders` the active services that then had
/// one of the names that the rows have. Both follow the rows.
///
/// # Errors
/// When a row may not follow the one before it of the same service, or takes a name that is not free.
pub fn replay(
    rows: Vec<Arc<Service>>,
    services: &mut HashMap<ServiceId, Arc<Service>>,
    holders: &mut HashMap<ServiceName, ServiceId>,
) -> Result<Vec<Change>, ImportRefusal> {
    let mut changes = Vec::with_capacity(rows.len());
    for after in rows {
        let before = services.insert(after.id, Arc::clone(&after));
        if let Some(before) = &before {
            check_change(before, &after)?;
        }
        let change = Change { before, after };
        if let Some(name) = change.freed() {
            holders.remove(name);
        }
        if let Some(name) = change.taken()
            && holders.insert(name.clone(), change.after.id).is_some()
        {
            return Err(name_taken(&change.after));
        }
        changes.push(change);
    }
    Ok(changes)
}

/// Splits writes into runs, each of which may be written as if it happened in one moment: none has two writes of one service,
/// or one that takes a name which another one frees. The rows of a run may then be written in any order.
pub fn runs(changes: Vec<Change>) -> Vec<Vec<Change>> {
    let mut runs: Vec<Vec<Change>> = Vec::new();
    let (mut written, mut freed) = (BTreeSet::new(), BTreeSet::new());
    for change in changes {
        let begins = written.contains(&change.after.id)
            || change.taken().is_some_and(|name| freed.contains(name))
            || runs.is_empty();
        if begins {
            written.clear();
            freed.clear();
            runs.push(Vec::new());
        }
        written.insert(change.after.id);
        freed.extend(change.freed().cloned());
        if let Some(run) = runs.last_mut() {
            run.push(change);
        }
    }
    runs
}

/// By how much a run of writes changes the number of services that have a tag, where it does.
pub fn facets(changes: &[Change]) -> BTreeMap<TagFacet, i64> {
    let mut counts: BTreeMap<TagFacet, i64> = BTreeMap::new();
    let mut count = |service: &Service, change: i64| {
        for (key, value) in service.tags.pairs() {
            *counts.entry(TagFacet { key, value }).or_default() += change;
        }
    };
    for Change { before, after } in changes {
        if before.as_ref().is_some_and(|before| before.tags == after.tags) {
            continue;
        }
        if let Some(before) = before {
            count(before, -1);
        }
        count(after, 1);
    }
    counts.retain(|_, change| *change != 0);
    counts
}

#[cfg(test)]
mod tests;
