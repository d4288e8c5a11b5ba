//! The index of one organization that is kept in memory, exact at a revision.

use std::mem;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use service_core::{
    ContinuationToken, Listing, OrganizationId, Revision, Service, StoreError, StoreErrorKind, TagFacets,
};
use service_index::{Index, Keys};
use tokio::sync::OwnedMutexGuard;

use super::Reader;
use super::build::Build;
use super::recent::Recent;
use crate::row::{self, HistoryRow};

/// How many rows of history are read at once.
const ROWS: i64 = 256;
/// An index that lacks no more revisions than this is likely to select what one that lacks none would.
const NEAR: i64 = 31;
/// As how many services an organization counts beside its own.
const ORGANIZATION: usize = 32;
/// An index that lacks more revisions than this share of its services is built anew instead: reading all keys is as fast.
const SHARE: i64 = 4;

/// Which rows of history an index asks for: the last that it knows, to see whether that is still what it was, and those after it.
#[derive(Debug, Clone)]
pub struct Missed {
    /// The first revision.
    pub from: i64,
    /// How many rows at most.
    pub limit: i64,
    /// Which of all the indexes that were built asks.
    pub(super) index: u64,
    /// The last row that it knows.
    last: Option<Arc<HistoryRow>>,
}

/// The right to build an index, which one caller at a time has.
pub(super) type Turn = OwnedMutexGuard<Option<Build>>;

/// The index of an organization, if it is built.
#[derive(Debug)]
pub(super) struct OrganizationIndex {
    built: RwLock<Option<Built>>,
    /// What is built, or was begun by a caller who went away.
    building: Arc<tokio::sync::Mutex<Option<Build>>>,
    /// How many indexes were built, of all organizations.
    builds: Arc<AtomicU64>,
    /// The revision at which the organization was when somebody last looked.
    seen: AtomicI64,
    /// How many services it counts as, and all indexes together.
    weight: AtomicUsize,
    all: Arc<AtomicUsize>,
}

/// An index that is exact at a revision.
#[derive(Debug)]
struct Built {
    revision: i64,
    /// The least revision at which it is exact: some services may have come from states after the revision.
    exact: i64,
    /// The row of history that has the revision; none at the revision 0.
    last: Option<Arc<HistoryRow>>,
    /// Which of all the indexes that were built it is.
    number: u64,
    /// The services, by their revisions.
    index: Index<Revision>,
}

impl Missed {
    /// Those of some rows that it asks for, of rows in their order.
    pub(super) fn of<'r>(&self, rows: &'r [HistoryRow]) -> &'r [HistoryRow] {
        let before = |end: i64| rows.partition_point(|(revision, ..)| *revision < end);
        rows.get(before(self.from)..before(self.from.saturating_add(self.limit))).unwrap_or_default()
    }

    /// Whether the index knew what stands at the revision that a token names.
    pub(super) fn covers(&self, token: ContinuationToken) -> bool {
        self.last.is_some() && token.get() <= self.from
    }

    /// Whether some rows, which it has asked for, are of the history that the index is of. Then so is what was read with them, as far as
    /// the index knew when it asked.
    pub(super) fn is_of(&self, rows: &[HistoryRow]) -> bool {
        are_of_the_history(self.last.as_deref(), rows)
    }
}

/// Whether rows are of the same history as an index: whether the last that it knew is among them, if it knew any.
fn are_of_the_history(last: Option<&HistoryRow>, rows: &[HistoryRow]) -> bool {
    last.is_none_or(|last| rows.contains(last))
}

/// What a page is made of, as far as it is known, and what it was selected from.
pub(super) struct Selected {
    pub(super) services: Vec<Arc<Service>>,
    /// The revisions of the other services.
    pub(super) lacking: Vec<i64>,
    pub(super) facets: Option<TagFacets>,
    /// The revision of the index.
    pub(super) at: i64,
    /// The row of history that has it.
    last: Option<Arc<HistoryRow>>,
    /// Which of all the indexes that were built it is.
    index: u64,
}

impl Selected {
    /// Takes of what is lacking what was shown lately.
    pub(super) fn recall(&mut self, recent: &Recent) {
        let (services, lacking) = recent.of(self.index, &self.lacking);
        self.services.extend(services);
        self.lacking = lacking;
    }

    /// Takes what is lacking from rows, which come in their order, and has it kept. Rows of another history than that of the index are
    /// not what it has found.
    ///
    /// # Errors
    /// When a row is corrupt.
    pub(super) fn take(
        &mut self,
        rows: &[HistoryRow],
        organization: &OrganizationId,
        recent: &Recent,
    ) -> Result<(), StoreError> {
        if !are_of_the_history(self.last.as_deref(), rows) {
            return Ok(());
        }
        let mut taken = Vec::new();
        for revision in mem::take(&mut self.lacking) {
            let place = rows.binary_search_by_key(&revision, |(revision, ..)| *revision).ok();
            match place.and_then(|place| rows.get(place)) {
                Some(row) => taken.push((row::service(organization, row)?, row::bytes(row))),
                None => self.lacking.push(revision),
            }
        }
        self.services.extend(taken.iter().map(|(service, _)| Arc::clone(service)));
        recent.keep(self.index, taken);
        Ok(())
    }
}

impl OrganizationIndex {
    pub(super) fn new(all: Arc<AtomicUsize>, builds: Arc<AtomicU64>) -> Self {
        all.fetch_add(ORGANIZATION, Ordering::Relaxed);
        let weight = AtomicUsize::new(ORGANIZATION);
        Self {
            built: RwLock::default(),
            building: Arc::default(),
            builds,
            seen: AtomicI64::new(0),
            weight,
            all,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Built>> {
        if self.built.is_poisoned() {
            drop(self.write());
        }
        self.built.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Built>> {
        self.built.write().unwrap_or_else(|poisoned| {
            // Whoever panicked may have left it half changed.
            let mut built = poisoned.into_inner();
            *built = None;
            self.built.clear_poison();
            built
        })
    }

    pub(super) fn is_built(&self) -> bool {
        self.read().is_some()
    }

    pub(super) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    pub(super) fn weigh(&self, services: usize) {
        let weight = services + ORGANIZATION;
        let before = self.weight.swap(weight, Ordering::Relaxed);
        self.all.fetch_add(weight, Ordering::Relaxed);
        self.all.fetch_sub(before, Ordering::Relaxed);
    }

    /// What it has missed; `None` if it is not built.
    pub(super) fn missed(&self) -> Option<Missed> {
        Some(self.read().as_ref()?.missed(ROWS))
    }

    /// The same, if that was little when somebody last looked.
    pub(super) fn missed_little(&self) -> Option<Missed> {
        let built = self.read();
        let built = built.as_ref().filter(|built| self.is_near(built))?;
        // And the row that it knows.
        Some(built.missed(NEAR + 1))
    }

    fn is_near(&self, built: &Built) -> bool {
        self.seen.load(Ordering::Relaxed).saturating_sub(built.revision) <= NEAR
    }

    /// What a page is made of, after a position if there is one, if what was written since is not on it; `None` if that is unlikely.
    pub(super) fn expected(
        &self,
        missed: &Missed,
        listing: &Listing,
        after: Option<&Service>,
        recent: &Recent,
    ) -> Option<Selected> {
        let mut selected = {
            let built = self.read();
            let built = built.as_ref().filter(|built| built.number == missed.index)?;
            let is_likely = self.is_near(built) && built.is_of(built.revision);
            is_likely.then(|| built.select(listing, after))?
        };
        selected.recall(recent);
        Some(selected)
    }

    /// Notes at which revision the organization is.
    pub(super) fn look(&self, revision: i64) {
        self.seen.store(revision, Ordering::Relaxed);
    }

    /// The rows to go on with on the way to a revision; `None` if the index is to be built instead.
    pub(super) fn missed_of(&self, revision: i64) -> Option<Missed> {
        let built = self.read();
        let built = built.as_ref()?;
        let share = i64::try_from(built.index.len()).unwrap_or(i64::MAX) / SHARE;
        let is_near = revision.saturating_sub(built.revision) <= share;
        is_near.then(|| built.missed(ROWS))
    }

    /// Takes in the rows that it [`missed`](Self::missed), if it was asked; whether the index is of this revision then, or of a
    /// later one.
    pub(super) fn catch_up(
        &self,
        organization: &OrganizationId,
        revision: i64,
        told: Option<(&Missed, &[HistoryRow])>,
    ) -> Result<bool, StoreError> {
        let (services, known) = {
            let built = self.read();
            let Some(built) = built.as_ref() else { return Ok(false) };
            // What another index has missed says nothing of this one.
            let Some((_, rows)) = told.filter(|(missed, _)| missed.index == built.number) else {
                return Ok(built.is_of(revision));
            };
            // Most often nothing was written since: then the only row is one that the index knows.
            if built.agrees_with(rows) && built.is_of(revision) {
                return Ok(true);
            }
            let new = rows.iter().filter(|(revision, ..)| *revision > built.revision);
            let services: Vec<Arc<Service>> =
                new.map(|row| row::service(organization, row)).collect::<Result<_, _>>()?;
            (services, built.number)
        };
        let Some((missed, rows)) = told else { return Ok(false) };
        let mut slot = self.write();
        let Some(built) = slot.as_mut() else { return Ok(false) };
        if built.number != known {
            return Ok(built.is_of(revision));
        }
        let is_whole = built.agrees_with(rows) && built.take(&services, rows);
        if is_whole && (built.is_of(revision) || i64::try_from(rows.len()) == Ok(missed.limit)) {
            self.weigh(built.index.weight());
            return Ok(built.is_of(revision));
        }
        // It is of another history than the database has now.
        let discarded = slot.take();
        drop(slot);
        self.weigh(0);
        drop(discarded);
        Ok(false)
    }

    /// Waits while somebody builds an index that there is not; then the turn to build it, if it is not built.
    pub(super) async fn turn(&self) -> Option<Turn> {
        if self.read().is_some() {
            return None;
        }
        let turn = Arc::clone(&self.building).lock_owned().await;
        let is_built = self.read().is_some();
        (!is_built).then_some(turn)
    }

    /// Builds the index, unless somebody else did meanwhile. What was read stays if the caller goes away, and whoever comes next
    /// goes on from there.
    pub(super) async fn build(
        self: &Arc<Self>,
        reader: &mut dyn Reader,
        organization: &OrganizationId,
        revision: i64,
        turn: Option<Turn>,
    ) -> Result<(), StoreError> {
        let mut building = match turn {
            Some(turn) => turn,
            None => Arc::clone(&self.building).lock_owned().await,
        };
        if self.missed_of(revision).is_some() {
            return Ok(());
        }
        let build = Build::go_on(&mut building, reader, organization, revision).await?;
        build.read(reader, organization, |count| self.weigh(count)).await?;
        let index = Arc::clone(self);
        // Beside what else the process does, and to its end, whether or not anybody waits for it.
        tokio::task::spawn_blocking(move || index.finish(building))
            .await
            .map_err(|fault| StoreError::new(StoreErrorKind::Internal, fault))
    }

    fn finish(&self, mut building: Turn) {
        let Some(Build { services, revision, exact, last, .. }) = building.take() else { return };
        let index = services.finish();
        let mut built = self.write();
        let number = self.builds.fetch_add(1, Ordering::Relaxed);
        self.weigh(index.weight());
        let before = built.replace(Built { revision, exact, last, number, index });
        drop(built);
        drop(before);
    }

    /// What a page is made of: what was expected, if that is it. `None` if the index is not, or no longer, exact at a revision or a
    /// later one.
    pub(super) fn select(
        &self,
        revision: i64,
        listing: &Listing,
        after: Option<&Service>,
        expected: Option<Selected>,
    ) -> Option<Selected> {
        let built = self.read();
        let built = built.as_ref().filter(|built| built.is_of(revision))?;
        let expected = expected.filter(|expected| (expected.index, expected.at) == built.state());
        Some(expected.unwrap_or_else(|| built.select(listing, after)))
    }
}

impl Drop for OrganizationIndex {
    fn drop(&mut self) {
        self.all.fetch_sub(self.weight(), Ordering::Relaxed);
    }
}

impl Built {
    /// What tells it from what it is after a change.
    fn state(&self) -> (u64, i64) {
        (self.number, self.revision)
    }

    /// What a page is made of, with facets if it is a first one.
    fn select(&self, listing: &Listing, after: Option<&Service>) -> Selected {
        Selected {
            services: Vec::new(),
            lacking: self.index.select(listing, after).into_iter().map(|revision| revision.get()).collect(),
            facets: after.is_none().then(|| self.index.facets()),
            index: self.number,
            at: self.revision,
            last: self.last.clone(),
        }
    }

    fn is_of(&self, revision: i64) -> bool {
        self.revision >= revision.max(self.exact)
    }

    fn missed(&self, limit: i64) -> Missed {
        Missed { from: self.revision.max(1), limit, index: self.number, last: self.last.clone() }
    }

    /// Whether the row that the index was last told of is still what it was, as far as these rows tell.
    fn agrees_with(&self, rows: &[HistoryRow]) -> bool {
        match (rows.iter().find(|(revision, ..)| *revision == self.revision), &self.last) {
            (Some(row), Some(last)) => *row == **last,
            // Another reader may have told it of what came after these rows.
            (None, Some(_)) => rows.last().is_some_and(|(revision, ..)| *revision < self.revision),
            (_, None) => true,
        }
    }

    /// Takes the services of the rows after its revision; whether none is left out.
    fn take(&mut self, services: &[Arc<Service>], rows: &[HistoryRow]) -> bool {
        for service in services {
            let revision = service.revision.get();
            if revision > self.revision + 1 {
                return false;
            }
            if revision == self.revision + 1 {
                // One that was read late in a build may be newer.
                if self.index.get(&service.id).is_none_or(|known| *known < service.revision) {
                    self.index.insert(Keys::from(&**service), service.revision);
                }
                self.revision = revision;
            }
        }
        if let Some(row) = rows.iter().find(|(revision, ..)| *revision == self.revision) {
            self.last = Some(Arc::new(row.clone()));
        }
        true
    }
}
