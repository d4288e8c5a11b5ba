//! The indexes of organizations that are kept in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use service_core::OrganizationId;

use super::index::OrganizationIndex;

/// How many services are indexed at most, all organizations together: a few hundred bytes each. One organization may have more
/// by itself.
const MOST_SERVICES: usize = 2_000_000;

/// Of each organization that was listed by tags or through grants with conditions, the index, exact at some revision. What was
/// not used for the longest time goes first.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    kept: Mutex<Kept>,
    /// As how many services all of them count.
    services: Arc<AtomicUsize>,
    /// How many were built, so that each has a number of its own.
    builds: Arc<AtomicU64>,
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
                let index =
                    Arc::new(OrganizationIndex::new(Arc::clone(&self.services), Arc::clone(&self.builds)));
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

    /// The index of an organization, if it is kept and built. That is no use of it which it would be kept for.
    pub(super) fn built(&self, organization: &OrganizationId) -> Option<Arc<OrganizationIndex>> {
        let index = self.kept().organizations.get(organization).map(|(index, _)| Arc::clone(index))?;
        index.is_built().then_some(index)
    }

    /// Forgets an index, unless another one has taken its place.
    pub(super) fn forget(&self, organization: &OrganizationId, index: &Arc<OrganizationIndex>) {
        let mut kept = self.kept();
        if kept.organizations.get(organization).is_some_and(|(kept, _)| Arc::ptr_eq(kept, index)) {
            kept.organizations.remove(organization);
        }
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
