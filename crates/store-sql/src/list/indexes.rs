//! The indexes of organizations that are kept in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use service_core::{
    Listing, OrganizationId, Revision, Service, StoreError, StoreErrorKind, TagFacets, Visibility,
};
use service_index::{Index, IndexBuilder, Keys, Slot};
use tokio::sync::OwnedMutexGuard;

use super::Reader;
use crate::row::{self, HistoryRow, KeysRow};

/// How many services are indexed at most, all organizations together: a few hundred bytes each. One organization may have more
/// by itself.
const MOST_SERVICES: usize = 2_000_000;
/// As how many services an organization counts beside its own.
const ORGANIZATION: usize = 32;
/// How many ends of pages are kept in mind of an organization at most.
const ENDS: usize = 256;
/// How many rows of history are read at once.
const ROWS: usize = 256;
/// How many services an index is built from at once.
const SERVICES: usize = 8192;
/// An index that lacks more revisions than this share of its services is built anew instead: reading all keys is as fast.
const SHARE: i64 = 4;

/// Of each organization that was listed by tags or through grants with conditions, the index, exact at some revision. What was
/// not used for the longest time goes first.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    kept: Mutex<Kept>,
    /// As how many services all of them count.
    services: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Each with the number of its last use.
    organizations: HashMap<OrganizationId, (Arc<OrganizationIndex>, u64)>,
    uses: u64,
}

impl Indexes {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index of an organization, built or not. Others are forgotten if all together have become too large.
    pub(super) fn of(&self, organization: &OrganizationId) -> Arc<OrganizationIndex> {
        let mut forgotten = Vec::new();
        let mut kept = self.kept();
        kept.uses += 1;
        let uses = kept.uses;
        let index = match kept.organizations.get_mut(organization) {
            Some((index, used)) => {
                *used = uses;
                Arc::clone(index)
            }
            None => {
                let index = Arc::new(OrganizationIndex::new(Arc::clone(&self.services)));
                kept.organizations.insert(organization.clone(), (Arc::clone(&index), uses));
                index
            }
        };
        let mut services = self.services.load(Ordering::Relaxed);
        if services > MOST_SERVICES {
            // Those that are forgotten and still in use count among all, but to forget others is no remedy.
            services = kept.organizations.values().map(|(index, _)| index.weight()).sum();
        }
        while services > MOST_SERVICES && kept.organizations.len() > 1 {
            let oldest = kept.organizations.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { break };
            if let Some((index, _)) = kept.organizations.remove(&oldest) {
                services = services.saturating_sub(index.weight());
                forgotten.push(index);
            }
        }
        drop(kept);
        if !forgotten.is_empty() {
            // A large index takes a while to take apart.
            tokio::task::spawn_blocking(move || drop(forgotten));
        }
        index
    }

    /// Forgets an index, unless another one has taken its place.
    pub(super) fn forget(&self, organization: &OrganizationId, index: &Arc<OrganizationIndex>) {
        let mut kept = self.kept();
        if kept.organizations.get(organization).is_some_and(|(kept, _)| Arc::ptr_eq(kept, index)) {
            kept.organizations.remove(organization);
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
    /// Which of the indexes that were built one after the other asks.
    generation: u64,
}

/// The right to build an index, which one caller at a time has.
pub(super) type Turn = OwnedMutexGuard<Option<Build>>;

/// The index of an organization, if it is built.
#[derive(Debug)]
pub(super) struct OrganizationIndex {
    built: RwLock<Option<Built>>,
    /// What is built, or was begun by a caller who went away.
    building: Arc<tokio::sync::Mutex<Option<Build>>>,
    /// How often it was built.
    builds: AtomicU64,
    /// Whether nothing had been written since the last listing before when somebody last looked.
    is_quiet: AtomicBool,
    /// The numbers of the services that pages ended with lately, by their revisions, which tokens are likely to name.
    ends: Mutex<HashMap<Revision, Slot>>,
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
    last: Option<HistoryRow>,
    generation: u64,
    /// The services, by their revisions.
    index: Index<Revision>,
}

impl Missed {
    /// Those of some rows that it asks for, of rows in their order.
    pub(super) fn of(self, rows: &[HistoryRow]) -> &[HistoryRow] {
        let before = |end: i64| rows.partition_point(|(revision, ..)| *revision < end);
        rows.get(before(self.from)..before(self.from.saturating_add(self.limit))).unwrap_or_default()
    }
}

/// What a page is made of, and what it was selected from.
pub(super) struct Selected {
    pub(super) revisions: Vec<i64>,
    pub(super) facets: Option<TagFacets>,
    /// Of which index, at which revision.
    state: (u64, i64),
    /// The number of the service that it comes after.
    after: Option<Slot>,
}

impl Selected {
    /// Its rows, if all of them are among some, which are in their order.
    fn among<'r>(&self, rows: &'r [HistoryRow]) -> Option<Vec<&'r HistoryRow>> {
        let row =
            |revision: &i64| rows.get(rows.binary_search_by_key(revision, |(revision, ..)| *revision).ok()?);
        self.revisions.iter().map(row).collect()
    }
}

impl OrganizationIndex {
    fn new(all: Arc<AtomicUsize>) -> Self {
        all.fetch_add(ORGANIZATION, Ordering::Relaxed);
        let weight = AtomicUsize::new(ORGANIZATION);
        Self {
            built: RwLock::default(),
            building: Arc::default(),
            builds: AtomicU64::new(0),
            is_quiet: AtomicBool::new(true),
            ends: Mutex::default(),
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

    fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    fn weigh(&self, services: usize) {
        let weight = services + ORGANIZATION;
        let before = self.weight.swap(weight, Ordering::Relaxed);
        self.all.fetch_add(weight, Ordering::Relaxed);
        self.all.fetch_sub(before, Ordering::Relaxed);
    }

    /// The rows to catch up with: the last that it knows, to see whether that is still what it was, and those after it. With them what a
    /// page is made of if there are none after it. `None` if it is not built.
    pub(super) fn missed(&self, listing: &Listing) -> Option<(Missed, Option<Selected>)> {
        let built = self.read();
        let built = built.as_ref()?;
        Some((built.missed(), self.expected(built, listing)))
    }

    /// What a page is made of if nothing was written; `None` if that is unlikely, or not known. Where a token stands is known if a page
    /// ended there lately; a caller who sees only some may know of it if a page of this listing could have ended there.
    fn expected(&self, built: &Built, listing: &Listing) -> Option<Selected> {
        if !self.is_quiet.load(Ordering::Relaxed) || !built.is_of(built.revision) {
            return None;
        }
        let Some(revision) = listing.token.position().ok()? else {
            return Some(built.selected(built.index.select(listing, None), true));
        };
        let after = *self.ends().get(&revision)?;
        if built.index.value(after) != Some(&revision) {
            return None;
        }
        let services = match listing.visibility {
            Visibility::Everything => built.index.select_after(listing, after),
            Visibility::AnyOf(_) | Visibility::Nothing => built.index.select_after_listed(listing, after)?,
        };
        Some(Selected { after: Some(after), ..built.selected(services, false) })
    }

    /// Notes at which revision the organization was when it was asked for what was missed.
    pub(super) fn look(&self, missed: Missed, revision: i64) {
        self.is_quiet.store(revision <= missed.from, Ordering::Relaxed);
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
        told: Option<(Missed, &[HistoryRow])>,
    ) -> Result<bool, StoreError> {
        let (services, known) = {
            let built = self.read();
            let Some(built) = built.as_ref() else { return Ok(false) };
            // What another index has missed says nothing of this one.
            let Some((_, rows)) = told.filter(|(missed, _)| missed.generation == built.generation) else {
                return Ok(built.is_of(revision));
            };
            // Most often nothing was written since: then the only row is one that the index knows.
            if built.agrees_with(rows) && built.is_of(revision) {
                return Ok(true);
            }
            let new = rows.iter().filter(|(revision, ..)| *revision > built.revision);
            let services: Vec<Arc<Service>> =
                new.map(|row| row::service(organization, row)).collect::<Result<_, _>>()?;
            (services, built.generation)
        };
        let rows = told.map_or(&[][..], |(_, rows)| rows);
        let mut slot = self.write();
        let Some(built) = slot.as_mut() else { return Ok(false) };
        if built.generation != known {
            return Ok(built.is_of(revision));
        }
        let is_whole = built.agrees_with(rows) && built.take(&services, rows);
        if is_whole && (built.is_of(revision) || rows.len() == ROWS) {
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
        if let Some(begun) = &*building {
            // What was begun in another history is of no use in this one.
            let last = reader.at(organization, &[begun.revision]).await?.into_iter().next();
            if begun.revision > revision || last != begun.last {
                *building = None;
            }
        }
        let build = match &mut *building {
            Some(build) => build,
            None => {
                let last = match revision {
                    0 => None,
                    _ => reader.at(organization, &[revision]).await?.into_iter().next(),
                };
                if last.is_none() && revision > 0 {
                    let place = format!("the history of organization `{organization}`");
                    return Err(StoreError::corrupt(place, format_args!("revision {revision} is missing")));
                }
                building.insert(Build::of(revision, last))
            }
        };
        loop {
            let rows = reader.keys(organization, &build.after, SERVICES).await?;
            for row in &rows {
                build.push(organization, row)?;
            }
            self.weigh(build.count);
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

    fn finish(&self, mut building: Turn) {
        let Some(Build { services, revision, exact, last, .. }) = building.take() else { return };
        let index = services.finish();
        let mut built = self.write();
        let generation = self.builds.fetch_add(1, Ordering::Relaxed);
        self.weigh(index.weight());
        let before = built.replace(Built { revision, exact, last, generation, index });
        drop(built);
        drop(before);
    }

    /// What a page is made of: what was expected, if that is it. `None` if the index is not, or no longer, exact at a revision or a
    /// later one.
    ///
    /// With it those rows of its services that were read, if all of them were, and the index is of the history that they were read from: one
    /// that others have built or told of more since may be of another.
    pub(super) fn select<'r>(
        &self,
        revision: i64,
        listing: &Listing,
        after: Option<&Service>,
        expected: Option<Selected>,
        read: Option<(Missed, &'r [HistoryRow])>,
    ) -> Option<(Selected, Option<Vec<&'r HistoryRow>>)> {
        let built = self.read();
        let built = built.as_ref().filter(|built| built.is_of(revision))?;
        let is_it = |expected: &Selected| {
            let comes_after_it = match (expected.after, after) {
                (None, None) => true,
                (Some(number), Some(service)) => built.index.stands(number, service),
                _ => false,
            };
            expected.state == built.state() && comes_after_it
        };
        let select = || built.selected(built.index.select(listing, after), after.is_none());
        let selected = expected.filter(is_it).unwrap_or_else(select);
        let is_of_them = |(missed, rows): &(Missed, &[HistoryRow])| {
            missed.generation == built.generation
                && built.last.as_ref().is_none_or(|last| rows.contains(last))
        };
        let rows = read.filter(is_of_them).and_then(|(_, rows)| selected.among(rows));
        Some((selected, rows))
    }

    /// Keeps in mind where a service stands that a page ended with, or that one began after.
    pub(super) fn remember(&self, service: &Service) {
        let slot = self.read().as_ref().and_then(|built| built.index.slot(&service.id));
        let Some(slot) = slot else { return };
        let mut ends = self.ends();
        if ends.len() >= ENDS && !ends.contains_key(&service.revision) {
            ends.clear();
        }
        ends.insert(service.revision, slot);
    }

    fn ends(&self) -> MutexGuard<'_, HashMap<Revision, Slot>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
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
        (self.generation, self.revision)
    }

    /// What is selected, of the first page or another one.
    fn selected(&self, services: Vec<&Revision>, is_first: bool) -> Selected {
        let revisions = services.into_iter().map(|revision| revision.get()).collect();
        let facets = is_first.then(|| self.index.facets());
        Selected { revisions, facets, state: self.state(), after: None }
    }

    fn is_of(&self, revision: i64) -> bool {
        self.revision >= revision.max(self.exact)
    }

    fn missed(&self) -> Missed {
        let limit = i64::try_from(ROWS).unwrap_or(i64::MAX);
        Missed { from: self.revision.max(1), limit, generation: self.generation }
    }

    /// Whether the row that the index was last told of is still what it was, as far as these rows tell.
    fn agrees_with(&self, rows: &[HistoryRow]) -> bool {
        match (rows.iter().find(|(revision, ..)| *revision == self.revision), &self.last) {
            (Some(row), Some(last)) => row == last,
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
            self.last = Some(row.clone());
        }
        true
    }
}

/// An index that is being built: services are read some at a time, and what was written meanwhile comes from the history.
#[derive(Debug)]
pub(super) struct Build {
    services: IndexBuilder<Revision>,
    /// How many services were read.
    count: usize,
    /// The revision of the organization before any service was read.
    revision: i64,
    /// The row of history that has it.
    last: Option<HistoryRow>,
    /// The highest revision of a service that was read.
    exact: i64,
    /// The id of the last service that was read.
    after: Vec<u8>,
}

impl Build {
    fn of(revision: i64, last: Option<HistoryRow>) -> Self {
        Self {
            services: IndexBuilder::default(),
            count: 0,
            revision,
            last,
            exact: revision,
            after: Vec::new(),
        }
    }

    fn push(&mut self, organization: &OrganizationId, row: &KeysRow) -> Result<(), StoreError> {
        let (keys, revision) = row::keys(organization, row)?;
        self.after = keys.id.as_bytes().to_vec();
        self.exact = self.exact.max(revision.get());
        self.count += 1;
        self.services.push(keys, revision);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_not_used_for_the_longest_time_is_forgotten_when_all_together_are_too_large() {
        let indexes = Indexes::default();
        let [first, second, third] = ["first", "second", "third"].map(|id| id.parse().unwrap());
        let (of_first, of_second) = (indexes.of(&first), indexes.of(&second));
        of_first.weigh(MOST_SERVICES / 2);
        of_second.weigh(MOST_SERVICES / 2);
        assert!(Arc::ptr_eq(&indexes.of(&first), &of_first));
        let of_third = indexes.of(&third);
        // The first was used after the second, and the third just now.
        assert!(Arc::ptr_eq(&indexes.of(&first), &of_first));
        assert!(Arc::ptr_eq(&indexes.of(&third), &of_third));
        assert!(!Arc::ptr_eq(&indexes.of(&second), &of_second));
        // One that is larger than all may be is kept by itself.
        of_first.weigh(2 * MOST_SERVICES);
        assert!(Arc::ptr_eq(&indexes.of(&first), &of_first));
        assert!(!Arc::ptr_eq(&indexes.of(&third), &of_third));
    }
}
