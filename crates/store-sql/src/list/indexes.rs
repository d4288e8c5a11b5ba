//! The indexes of organizations that are kept in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use service_core::{Listing, OrganizationId, Revision, Service, StoreError, StoreErrorKind, TagFacets};
use service_index::{Index, IndexBuilder, Keys};
use tokio::sync::MutexGuard;

use crate::row::{self, HistoryRow, KeysRow};

/// How many services are indexed at most, all organizations together: a few hundred bytes each. One organization may have more
/// by itself.
const MOST_SERVICES: usize = 2_000_000;
/// How many rows of history are read at once.
const ROWS: usize = 512;
/// An index that lacks more revisions than this share of its services is built anew instead: reading all keys is as fast.
const SHARE: i64 = 4;

/// Of each organization that was listed by tags or through grants with conditions, the index, exact at some revision. What was
/// not used for the longest time goes first.
#[derive(Debug, Default)]
pub struct Indexes(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Each with the number of its last use.
    organizations: HashMap<OrganizationId, (Arc<OrganizationIndex>, u64)>,
    uses: u64,
}

impl Indexes {
    /// The index of an organization, built or not.
    pub(super) fn of(&self, organization: &OrganizationId) -> Arc<OrganizationIndex> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        if let Some((index, used)) = kept.organizations.get_mut(organization) {
            *used = uses;
            return Arc::clone(index);
        }
        let index = Arc::<OrganizationIndex>::default();
        kept.organizations.insert(organization.clone(), (Arc::clone(&index), uses));
        index
    }

    /// Forgets an index.
    pub(super) fn forget(&self, organization: &OrganizationId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).organizations.remove(organization);
    }

    /// Forgets others until what is kept is no more than it may be.
    pub(super) fn make_room(&self, of: &OrganizationId) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.organizations.values().map(|(index, _)| index.services()).sum::<usize>() > MOST_SERVICES {
            let others = kept.organizations.iter().filter(|(id, _)| *id != of);
            let Some(oldest) = others.min_by_key(|(_, (_, used))| *used).map(|(id, _)| id.clone()) else {
                return;
            };
            kept.organizations.remove(&oldest);
        }
    }
}

/// Which rows of history an index asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// The first revision.
    pub from: i64,
    /// How many rows at most.
    pub limit: i64,
}

/// The index of an organization, if it is built.
#[derive(Debug, Default)]
pub(super) struct OrganizationIndex {
    built: RwLock<Option<Built>>,
    building: tokio::sync::Mutex<()>,
    services: AtomicUsize,
}

/// An index that is exact at a revision.
#[derive(Debug)]
pub(super) struct Built {
    revision: i64,
    /// What it holds of the service that has this revision.
    last: Option<Keys>,
    /// The services, by their revisions.
    index: Index<Revision>,
}

/// What a page is made of.
pub(super) struct Selected {
    pub(super) revisions: Vec<i64>,
    pub(super) facets: Option<TagFacets>,
}

impl OrganizationIndex {
    fn read(&self) -> RwLockReadGuard<'_, Option<Built>> {
        self.built.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Built>> {
        self.built.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn services(&self) -> usize {
        self.services.load(Ordering::Relaxed)
    }

    /// The rows to catch up with: the last that it knows, to see whether that is still what it was, and those after it.
    /// `None` if it is not built.
    pub(super) fn missed(&self) -> Option<Missed> {
        self.read().as_ref().map(Built::missed)
    }

    /// The rows to go on with on the way to a revision; `None` if the index is to be built instead.
    pub(super) fn missed_of(&self, revision: i64) -> Option<Missed> {
        let built = self.read();
        let built = built.as_ref()?;
        let share = i64::try_from(built.index.len()).unwrap_or(i64::MAX) / SHARE;
        let is_near = revision.saturating_sub(built.revision) <= share;
        is_near.then(|| built.missed())
    }

    /// Takes in the rows that it [`missed`](Self::missed), if it was asked; whether the index is of this revision then, or of a
    /// later one.
    pub(super) fn catch_up(
        &self,
        organization: &OrganizationId,
        revision: i64,
        rows: Option<&[HistoryRow]>,
    ) -> Result<bool, StoreError> {
        let Some(rows) = rows else { return Ok(self.is_of(revision)) };
        if let Some(built) = self.read().as_ref()
            && built.revision >= revision
            && built.agrees_with(organization, rows)?
        {
            // Most often nothing was written since: then the only row is one that the index knows.
            return Ok(true);
        }
        let mut built = self.write();
        let Some(index) = built.as_mut() else { return Ok(false) };
        let is_whole = index.agrees_with(organization, rows)? && index.take(organization, rows)?;
        if !is_whole || (index.revision < revision && rows.len() < ROWS) {
            // It is of another history than the database has now.
            *built = None;
            return Ok(false);
        }
        self.services.store(index.index.len(), Ordering::Relaxed);
        Ok(index.revision >= revision)
    }

    /// Waits for whoever builds the index.
    pub(super) async fn building(&self) -> MutexGuard<'_, ()> {
        self.building.lock().await
    }

    /// Whether the index is of this revision or a later one.
    pub(super) fn is_of(&self, revision: i64) -> bool {
        self.read().as_ref().is_some_and(|built| built.revision >= revision)
    }

    /// Takes a new index.
    pub(super) fn take(&self, new: Built) {
        self.services.store(new.index.len(), Ordering::Relaxed);
        *self.write() = Some(new);
    }

    /// The revisions of the services of a page and the one after it, in order, and the facets.
    pub(super) fn select(&self, listing: &Listing, after: Option<&Service>) -> Option<Selected> {
        let built = self.read();
        let Built { index, .. } = built.as_ref()?;
        let revisions = index.select(listing, after).into_iter().map(|revision| revision.get()).collect();
        Some(Selected { revisions, facets: after.is_none().then(|| index.facets()) })
    }
}

impl Built {
    fn missed(&self) -> Missed {
        Missed { from: self.revision.max(1), limit: i64::try_from(ROWS).unwrap_or(i64::MAX) }
    }

    /// Whether the row that the index was last told of is still what it was.
    fn agrees_with(&self, organization: &OrganizationId, rows: &[HistoryRow]) -> Result<bool, StoreError> {
        match (rows.iter().find(|(revision, ..)| *revision == self.revision), &self.last) {
            (Some(row), Some(last)) => Ok(Keys::from(&*row::service(organization, row)?) == *last),
            // Another reader may have told it of what came after these rows.
            (None, Some(_)) => Ok(rows.last().is_some_and(|(revision, ..)| *revision < self.revision)),
            (_, None) => Ok(true),
        }
    }

    /// Takes the rows after its revision; whether none is left out.
    fn take(&mut self, organization: &OrganizationId, rows: &[HistoryRow]) -> Result<bool, StoreError> {
        for row in rows {
            if row.0 > self.revision + 1 {
                return Ok(false);
            }
            if row.0 == self.revision + 1 {
                let service = row::service(organization, row)?;
                let keys = Keys::from(&*service);
                self.index.insert(keys.clone(), service.revision);
                (self.revision, self.last) = (row.0, Some(keys));
            }
        }
        Ok(true)
    }
}

/// An index that is being built from the keys of all services, as one state has them.
#[derive(Debug, Default)]
pub(super) struct Build {
    services: IndexBuilder<Revision>,
    revision: i64,
    last: Option<Keys>,
}

impl Build {
    pub(super) fn push(&mut self, organization: &OrganizationId, row: &KeysRow) -> Result<(), StoreError> {
        let (keys, revision) = row::keys(organization, row)?;
        // The last write left its revision on the service that it wrote.
        if revision.get() > self.revision {
            (self.revision, self.last) = (revision.get(), Some(keys.clone()));
        }
        self.services.push(keys, revision);
        Ok(())
    }

    /// Sorts, beside what else the process does.
    pub(super) async fn finish(self) -> Result<Built, StoreError> {
        let Self { services, revision, last } = self;
        let index = tokio::task::spawn_blocking(move || services.finish())
            .await
            .map_err(|fault| StoreError::new(StoreErrorKind::Internal, fault))?;
        Ok(Built { revision, last, index })
    }
}
