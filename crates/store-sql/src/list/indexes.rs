//! The indexes of organizations that are kept in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use service_core::{Listing, OrganizationId, Revision, Service, StoreError, StoreErrorKind, TagFacets};
use service_index::{Index, IndexBuilder, Keys};
use tokio::sync::OwnedMutexGuard;

use super::Reader;
use crate::row::{self, HistoryRow, KeysRow};

/// How many services are indexed at most, all organizations together: a few hundred bytes each. One organization may have more
/// by itself.
const MOST_SERVICES: usize = 2_000_000;
/// As how many services an organization counts beside its own.
const ORGANIZATION: usize = 32;
/// How many rows of history are read at once.
const ROWS: usize = 256;
/// How many services an index is built from at once.
const SERVICES: usize = 8192;
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
        while kept.organizations.values().map(|(index, _)| index.weight()).sum::<usize>() > MOST_SERVICES {
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
    building: Arc<tokio::sync::Mutex<Option<Build>>>,
    services: AtomicUsize,
}

/// An index that is exact at a revision.
#[derive(Debug)]
struct Built {
    revision: i64,
    /// The least revision at which it is exact: some services may have come from states after the revision.
    exact: i64,
    /// What the service that was written last was then found by; `None` until a row of history has told.
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

    fn weight(&self) -> usize {
        self.services.load(Ordering::Relaxed) + ORGANIZATION
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
            && built.is_of(revision)
            && built.agrees_with(organization, rows)?
        {
            // Most often nothing was written since: then the only row is one that the index knows.
            return Ok(true);
        }
        let mut built = self.write();
        let Some(index) = built.as_mut() else { return Ok(false) };
        let is_whole = index.agrees_with(organization, rows)? && index.take(organization, rows)?;
        if !is_whole || (!index.is_of(revision) && rows.len() < ROWS) {
            // It is of another history than the database has now.
            *built = None;
            return Ok(false);
        }
        self.services.store(index.index.len(), Ordering::Relaxed);
        Ok(index.is_of(revision))
    }

    /// Whether the index is exact at this revision or a later one.
    fn is_of(&self, revision: i64) -> bool {
        self.read().as_ref().is_some_and(|built| built.is_of(revision))
    }

    /// Waits while somebody builds the index for the first time.
    pub(super) async fn wait(&self) {
        if self.read().is_none() {
            drop(self.building.lock().await);
        }
    }

    /// Builds the index, unless somebody else does meanwhile. What was read stays if the caller goes away, and whoever comes next
    /// goes on from there.
    pub(super) async fn build(
        self: &Arc<Self>,
        reader: &mut dyn Reader,
        organization: &OrganizationId,
        revision: i64,
    ) -> Result<(), StoreError> {
        let mut building = Arc::clone(&self.building).lock_owned().await;
        if self.is_of(revision) {
            return Ok(());
        }
        // One that began at a later revision is of another history.
        building.take_if(|build| build.revision > revision);
        let build = building.get_or_insert_with(|| Build::of(revision));
        loop {
            let rows = reader.keys(organization, &build.after, SERVICES).await?;
            for row in &rows {
                build.push(organization, row)?;
            }
            if rows.len() < SERVICES {
                break;
            }
        }
        let index = Arc::clone(self);
        // Beside what else the process does, and to its end, whether or not anybody waits for it.
        tokio::task::spawn_blocking(move || index.finish(building))
            .await
            .map_err(|fault| StoreError::new(StoreErrorKind::Internal, fault))
    }

    fn finish(&self, mut building: OwnedMutexGuard<Option<Build>>) {
        if let Some(Build { services, revision, exact, .. }) = building.take() {
            let index = services.finish();
            self.services.store(index.len(), Ordering::Relaxed);
            *self.write() = Some(Built { revision, exact, last: None, index });
        }
    }

    /// The revisions of the services of a page and the one after it, in order, and the facets; `None` if the index is not, or no
    /// longer, exact at a revision or a later one.
    pub(super) fn select(
        &self,
        revision: i64,
        listing: &Listing,
        after: Option<&Service>,
    ) -> Option<Selected> {
        let built = self.read();
        let Built { index, .. } = built.as_ref().filter(|built| built.is_of(revision))?;
        let revisions = index.select(listing, after).into_iter().map(|revision| revision.get()).collect();
        Some(Selected { revisions, facets: after.is_none().then(|| index.facets()) })
    }
}

impl Built {
    fn is_of(&self, revision: i64) -> bool {
        self.revision >= revision.max(self.exact) && (self.last.is_some() || self.revision == 0)
    }

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
            let is_last = row.0 == self.revision && self.last.is_none();
            if is_last || row.0 == self.revision + 1 {
                let service = row::service(organization, row)?;
                let keys = Keys::from(&*service);
                if self.index.get(&service.id).is_none_or(|known| *known < service.revision) {
                    self.index.insert(keys.clone(), service.revision);
                }
                (self.revision, self.last) = (row.0, Some(keys));
            }
        }
        Ok(true)
    }
}

/// An index that is being built: services are read some at a time, and what was written meanwhile comes from the history.
#[derive(Debug)]
struct Build {
    services: IndexBuilder<Revision>,
    /// The revision of the organization before any service was read.
    revision: i64,
    /// The highest revision of a service that was read.
    exact: i64,
    /// The id of the last service that was read.
    after: Vec<u8>,
}

impl Build {
    fn of(revision: i64) -> Self {
        Self { services: IndexBuilder::default(), revision, exact: revision, after: Vec::new() }
    }

    fn push(&mut self, organization: &OrganizationId, row: &KeysRow) -> Result<(), StoreError> {
        let (keys, revision) = row::keys(organization, row)?;
        self.after = keys.id.as_bytes().to_vec();
        self.exact = self.exact.max(revision.get());
        self.services.push(keys, revision);
        Ok(())
    }
}
