//! What a listing asks of an index, and how the first services that satisfy it are found.

use std::borrow::Cow;
use std::cell::OnceCell;

use roaring::{MultiOps, RoaringBitmap};
use service_core::range::RangeOrder;
use service_core::visibility::Conjunction;
use service_core::{Listing, Visibility};

use crate::blocks::Slot;
use crate::condition::{Membership, Resolved, Test, Unions, resolve};
use crate::index::Index;
use crate::order::Label;
use crate::postings::Postings;
use crate::term::{Term, TermName};

/// How many candidates are tested one by one before the sets are intersected.
const PATIENCE: usize = 2048;
/// The services of one activeness or of either, in an order, from the first on whose label is not below a bound.
pub(crate) struct Stretch {
    pub(crate) is_active: Option<bool>,
    pub(crate) order: RangeOrder,
    pub(crate) bound: Label,
}

/// The conditions of a listing on services: some set, if there is one, all required terms, and one of the alternatives, if there
/// are any.
pub(crate) struct Query<'a, T> {
    index: &'a Index<T>,
    within: Option<RoaringBitmap>,
    /// The rarest first.
    required: Vec<(Term, &'a Postings)>,
    /// Terms that no service may have.
    excluded: Vec<&'a Postings>,
    alternatives: Vec<Vec<Test>>,
    /// All services that satisfy the conditions, once it is known.
    found: OnceCell<RoaringBitmap>,
}

impl<'a, T> Query<'a, T> {
    /// The conditions of a listing; `None` if no service can satisfy them.
    pub(crate) fn of(index: &'a Index<T>, listing: &Listing) -> Option<Self> {
        let ids = listing.filter.ids();
        let mut query = Self {
            index,
            within: (!ids.is_empty()).then(|| ids.iter().filter_map(|id| index.slot(id)).collect()),
            required: Vec::new(),
            excluded: Vec::new(),
            alternatives: Vec::new(),
            found: OnceCell::new(),
        };
        for tag in listing.filter.tags() {
            query.require(index.term(&TermName::of(tag))?);
        }
        match &listing.visibility {
            Visibility::Everything => {}
            Visibility::Nothing => return None,
            Visibility::AnyOf(conjunctions) => query.see(conjunctions)?,
        }
        query.required.sort_unstable_by_key(|(term, postings)| (postings.count(), *term));
        query.required.dedup_by_key(|(term, _)| *term);
        Some(query)
    }

    /// Whether some term is required.
    pub(crate) fn requires_terms(&self) -> bool {
        !self.required.is_empty()
    }

    /// Whether all services satisfy it.
    pub(crate) fn asks_nothing(&self) -> bool {
        self.within.is_none()
            && self.required.is_empty()
            && self.excluded.is_empty()
            && self.alternatives.is_empty()
    }

    fn require(&mut self, term: Term) {
        self.required.extend(self.index.of_term(term).map(|postings| (term, postings)));
    }

    /// Takes a visibility in; `None` if it shows nothing of what is there.
    fn see(&mut self, conjunctions: &[Conjunction]) -> Option<()> {
        let index = self.index;
        if let [sole] = conjunctions {
            return self.demand_all(conditions(index, sole));
        }
        let mut alternatives = Vec::new();
        for conjunction in conjunctions {
            match open(conditions(index, conjunction)) {
                Some(tests) if tests.is_empty() => return Some(()),
                Some(tests) => alternatives.push(tests),
                None => {}
            }
        }
        match alternatives.pop() {
            None => return None,
            Some(sole) if alternatives.is_empty() => {
                return self.demand_all(sole.into_iter().map(Resolved::Open));
            }
            Some(last) => alternatives.push(last),
        }
        for tests in &mut alternatives {
            self.sort(tests);
        }
        self.alternatives = alternatives;
        Some(())
    }

    /// The fewest first: they tell soonest that a service is none of them, and what comes after them is as short.
    fn sort(&self, tests: &mut [Test]) {
        tests.sort_by_cached_key(|test| test.count(self.index).unwrap_or(u64::MAX));
    }

    /// Takes in what must hold of every service; `None` if of none it does.
    fn demand_all(&mut self, conditions: impl Iterator<Item = Resolved>) -> Option<()> {
        let mut rest = Vec::new();
        for condition in conditions {
            match condition {
                Resolved::Never => return None,
                Resolved::Always => {}
                Resolved::Open(test) => rest.extend(self.demand(test)),
            }
        }
        if !rest.is_empty() {
            self.sort(&mut rest);
            self.alternatives.push(rest);
        }
        Some(())
    }

    /// Takes in what must hold of every service, wherever that comes from, if it can lead to them; gives it back if it cannot.
    fn demand(&mut self, test: Test) -> Option<Test> {
        match test {
            Test::Has(term, Membership::Inside) => self.require(term),
            Test::Has(term, Membership::Outside) => self.excluded.extend(self.index.of_term(term)),
            Test::In(set, Membership::Inside) => {
                self.within = Some(match self.within.take() {
                    Some(within) => within & set,
                    None => set,
                });
            }
            other => return Some(other),
        }
        None
    }

    /// The first services of a stretch that satisfy the conditions: as many as wanted, if there are so many. Where terms are required,
    /// the stretch is of one activeness.
    pub(crate) fn first(&self, stretch: &Stretch, wanted: usize) -> Vec<Slot> {
        if wanted == 0 {
            return Vec::new();
        }
        if self.within.is_some() {
            return self.least(self.found(), stretch, wanted);
        }
        let rarest = self.required.first().map_or(self.index.all(), |(_, postings)| postings);
        let orders = self.index.orders();
        if self.required.len() <= 1 && self.excluded.is_empty() && self.alternatives.is_empty() {
            return match stretch.is_active {
                Some(is_active) => rarest.first(is_active, stretch.order, orders, stretch.bound, wanted),
                None => orders.get(stretch.order).first(stretch.bound, wanted),
            };
        }
        if let ([], [excluded], []) = (&*self.required, &*self.excluded, &*self.alternatives)
            && self.is_worth_a_walk(self.at_most(), wanted, self.index.len())
        {
            let found = self.first_without(excluded, stretch, wanted);
            return found.unwrap_or_else(|| self.least(self.found(), stretch, wanted));
        }
        match stretch.is_active {
            Some(is_active) => {
                let candidates = || rarest.from(is_active, stretch.order, orders, stretch.bound);
                self.first_of(candidates, rarest.len(is_active), stretch, wanted)
            }
            None => {
                let candidates = || orders.get(stretch.order).starting_at(stretch.bound);
                self.first_of(candidates, self.index.len(), stretch, wanted)
            }
        }
    }

    /// The first services of a stretch that are not among some, where nothing else is asked: both are in the same order, so whether the
    /// next service is excluded is told by the next of those that are. `None` if too many were looked at.
    fn first_without(&self, excluded: &Postings, stretch: &Stretch, wanted: usize) -> Option<Vec<Slot>> {
        let Stretch { is_active, order, bound } = *stretch;
        let orders = self.index.orders();
        for most in [wanted.saturating_mul(6), PATIENCE.max(wanted)] {
            let first =
                |postings: &Postings, is_active| postings.first(is_active, order, orders, bound, most);
            let (candidates, excluded) = match is_active {
                Some(is_active) => {
                    (first(self.index.all(), is_active), [first(excluded, is_active), Vec::new()])
                }
                None => {
                    let both = [true, false].map(|is_active| first(excluded, is_active));
                    (orders.get(order).first(bound, most), both)
                }
            };
            let [mut left, mut right] = excluded.each_ref().map(Vec::as_slice);
            let mut found = Vec::with_capacity(wanted.min(most));
            for slot in &candidates {
                if left.first() == Some(slot) {
                    left = left.get(1..).unwrap_or_default();
                } else if right.first() == Some(slot) {
                    right = right.get(1..).unwrap_or_default();
                } else {
                    found.push(*slot);
                    if found.len() == wanted {
                        return Some(found);
                    }
                }
            }
            if candidates.len() < most {
                return Some(found);
            }
        }
        None
    }

    /// The first services that satisfy the conditions, of candidates in their order.
    fn first_of<I: Iterator<Item = Slot>>(
        &self,
        candidates: impl Fn() -> I,
        count: usize,
        stretch: &Stretch,
        wanted: usize,
    ) -> Vec<Slot> {
        if self.is_worth_a_walk(self.at_most(), wanted, count) {
            let satisfies = |slot: Slot| self.satisfies(slot);
            if let Some(found) = walk(candidates(), wanted, PATIENCE, satisfies) {
                return found;
            }
        }
        let found = self.found();
        if self.is_worth_a_walk(found.len(), wanted, count) {
            let steps = usize::try_from(found.len()).unwrap_or(usize::MAX);
            if let Some(found) = walk(candidates(), wanted, steps, |slot| found.contains(slot)) {
                return found;
            }
        }
        self.least(found, stretch, wanted)
    }

    /// The label before which no service can match, because a service must have one of some names: in orders by name, many that
    /// share a name stand far behind all others.
    pub(crate) fn first_named(&self, order: RangeOrder) -> Label {
        let (RangeOrder::Name(direction), [sole]) = (order, self.alternatives.as_slice()) else { return 0 };
        let first = sole.iter().find_map(|test| test.first_named(self.index, direction));
        first.map_or(0, |slot| self.index.orders().get(order).label(slot))
    }

    /// Whether one comes past as many matches as are wanted sooner by testing candidates in their order than by looking at all
    /// the matches, of which there are so many: if they are spread evenly, at least.
    fn is_worth_a_walk(&self, matches: u64, wanted: usize, candidates: usize) -> bool {
        let steps = (wanted as u64).saturating_mul(candidates as u64);
        matches.saturating_mul(matches) >= steps
    }

    /// The first services of a set in a stretch: looks at each of them, sorts no more than are wanted.
    fn least(&self, set: &RoaringBitmap, stretch: &Stretch, wanted: usize) -> Vec<Slot> {
        let labels = self.index.orders().get(stretch.order);
        let mut least: Vec<(Label, Slot)> = Vec::new();
        let mut end = Label::MAX;
        for slot in set {
            let label = labels.label(slot);
            if label < stretch.bound || label >= end {
                continue;
            }
            if stretch.is_active.is_some_and(|is_active| self.index.active().contains(slot) != is_active) {
                continue;
            }
            least.push((label, slot));
            if least.len() == wanted.saturating_mul(2) {
                let (_, (last, _), _) = least.select_nth_unstable(wanted - 1);
                end = *last;
                least.truncate(wanted);
            }
        }
        least.sort_unstable();
        least.truncate(wanted);
        least.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Whether a service that has the rarest of the required terms satisfies the others, and the other conditions.
    fn satisfies(&self, slot: Slot) -> bool {
        self.required.iter().skip(1).all(|(_, postings)| postings.contains(slot))
            && !self.excluded.iter().any(|postings| postings.contains(slot))
            && (self.alternatives.is_empty()
                || self
                    .alternatives
                    .iter()
                    .any(|tests| tests.iter().all(|test| test.holds(self.index, slot))))
    }

    /// How many services satisfy the conditions at most.
    fn at_most(&self) -> u64 {
        let all = self.index.all().count();
        let others = self.excluded.iter().map(|postings| all.saturating_sub(postings.count()));
        let required = self.required.iter().map(|(_, postings)| postings.count()).chain(others).min();
        let required = required.unwrap_or(all);
        if self.alternatives.is_empty() {
            return required;
        }
        let counts = self
            .alternatives
            .iter()
            .map(|tests| tests.first().and_then(|test| test.count(self.index)).unwrap_or(all));
        counts.fold(0_u64, u64::saturating_add).min(required)
    }

    /// All services that satisfy the conditions.
    fn found(&self) -> &RoaringBitmap {
        self.found.get_or_init(|| {
            let mut base = self.within.clone();
            for (_, postings) in &self.required {
                base = Some(match base {
                    Some(base) => base & &*postings.set(),
                    None => postings.set().into_owned(),
                });
            }
            let mut base = base.map_or_else(|| self.index.all().set(), Cow::Owned);
            for postings in &self.excluded {
                base = Cow::Owned(&*base - &*postings.set());
            }
            if self.alternatives.is_empty() {
                return base.into_owned();
            }
            let mut unions = Unions::new();
            let found: Vec<RoaringBitmap> =
                self.alternatives.iter().map(|tests| self.matching(tests, &base, &mut unions)).collect();
            found.union()
        })
    }

    /// Those of a set that pass all tests.
    fn matching<'s>(
        &self,
        tests: &'s [Test],
        base: &RoaringBitmap,
        unions: &mut Unions<'s>,
    ) -> RoaringBitmap {
        let mut found = Cow::Borrowed(base);
        for test in tests {
            if found.is_empty() {
                break;
            }
            found = Cow::Owned(test.among(self.index, &found, unions));
        }
        found.into_owned()
    }
}

/// What each condition amounts to.
fn conditions<'c, T>(
    index: &'c Index<T>,
    conjunction: &'c Conjunction,
) -> impl Iterator<Item = Resolved> + 'c {
    conjunction.iter().map(|(attribute, set)| resolve(index, attribute, set))
}

/// What is left to be tested of conditions that must all hold; `None` if one of them never does.
fn open(conditions: impl Iterator<Item = Resolved>) -> Option<Vec<Test>> {
    let mut tests = Vec::new();
    for condition in conditions {
        match condition {
            Resolved::Never => return None,
            Resolved::Always => {}
            Resolved::Open(test) => tests.push(test),
        }
    }
    Some(tests)
}

/// The matches among candidates, in their order: as many as wanted, if there are so many; `None` if too many were tested before.
fn walk(
    mut candidates: impl Iterator<Item = Slot>,
    wanted: usize,
    steps: usize,
    matches: impl Fn(Slot) -> bool,
) -> Option<Vec<Slot>> {
    let mut found = Vec::with_capacity(wanted.min(PATIENCE));
    for _ in 0..steps {
        let Some(slot) = candidates.next() else { return Some(found) };
        if matches(slot) {
            found.push(slot);
            if found.len() == wanted {
                return Some(found);
            }
        }
    }
    None
}
