//! The first few of many services, without sorting the rest.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::service::Service;
use crate::sort::{Sort, compare, rank};

/// Where a service is in an order: mostly told by a number, without looking at the service.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    rank: u128,
    service: &'a Service,
}

impl<'a> Place<'a> {
    /// The place of a service. `name` is the service's, looked up before.
    pub(crate) fn of(service: &'a Service, name: &str, sort: &Sort) -> Self {
        Self { rank: rank(sort, service, name), service }
    }

    pub(crate) fn compare(&self, other: &Self, sort: &Sort) -> Ordering {
        self.rank.cmp(&other.rank).then_with(|| compare(sort, self.service, other.service))
    }
}

/// The first `count` of the services that are pushed.
pub(crate) struct Selection<'a> {
    sort: &'a Sort,
    count: usize,
    gathered: Vec<(Place<'a>, &'a Arc<Service>)>,
    /// The last of `count` that were first at some time: what comes after it is not wanted any more.
    bound: Option<Place<'a>>,
}

impl<'a> Selection<'a> {
    /// Of nothing yet. `count` is at least 1.
    pub(crate) fn new(sort: &'a Sort, count: usize) -> Self {
        Self { sort, count, gathered: Vec::new(), bound: None }
    }

    /// Whether a service may be among the first.
    pub(crate) fn wants(&self, place: &Place<'_>) -> bool {
        self.bound.as_ref().is_none_or(|bound| place.compare(bound, self.sort).is_lt())
    }

    pub(crate) fn push(&mut self, place: Place<'a>, service: &'a Arc<Service>) {
        self.gathered.push((place, service));
        // Let services gather to twice what is wanted, then keep the better half: linear in all, however many are wanted.
        if self.gathered.len() >= self.count.saturating_mul(2) {
            let sort = self.sort;
            let last = self.count.saturating_sub(1);
            self.gathered.select_nth_unstable_by(last, |(left, _), (right, _)| left.compare(right, sort));
            self.gathered.truncate(self.count);
            self.bound = self.gathered.last().map(|(place, _)| *place);
        }
    }

    /// The first ones, in order.
    pub(crate) fn into_sorted(mut self) -> impl Iterator<Item = &'a Arc<Service>> {
        self.gathered.sort_unstable_by(|(left, _), (right, _)| left.compare(right, self.sort));
        self.gathered.into_iter().take(self.count).map(|(_, service)| service)
    }
}
