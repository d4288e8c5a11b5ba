//! Services that were shown lately.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use service_core::Service;

/// How many bytes of JSON the services that are kept were read from, at most. Most take less than twice as much memory.
const MOST_BYTES: usize = 32 << 20;

/// Services that pages were made of lately, as indexes led to them: by the number of the index, and the revision. Rows of history never
/// change, so as long as an index is of the history that its database has, these are what the database would give.
#[derive(Debug)]
pub(super) struct Recent {
    kept: Mutex<Kept>,
    most_bytes: usize,
}

/// What was used since the generations last changed is in the young one. When that is full it becomes the old one, and what was not used
/// in the meantime is forgotten. So to find what is young changes nothing: no list of uses is written to with each.
#[derive(Debug, Default)]
struct Kept {
    young: Generation,
    old: Generation,
    /// From how many bytes the young ones were read.
    bytes: usize,
    /// What is to be taken apart, once nobody waits for it.
    forgotten: Vec<Generation>,
}

/// Each with the number of bytes that it was read from.
type Generation = HashMap<(u64, i64), (Arc<Service>, usize)>;

impl Default for Recent {
    fn default() -> Self {
        Self::with_room_for(MOST_BYTES)
    }
}

impl Recent {
    fn with_room_for(most_bytes: usize) -> Self {
        Self { kept: Mutex::default(), most_bytes }
    }

    /// The service of a revision, if it is kept.
    pub(super) fn get(&self, index: u64, revision: i64) -> Option<Arc<Service>> {
        self.of(index, &[revision]).0.pop()
    }

    /// Those of some revisions that are kept, and the revisions of the others.
    pub(super) fn of(&self, index: u64, revisions: &[i64]) -> (Vec<Arc<Service>>, Vec<i64>) {
        let (mut services, mut others) = (Vec::with_capacity(revisions.len()), Vec::new());
        if revisions.is_empty() {
            return (services, others);
        }
        self.change(|kept, room| {
            for revision in revisions {
                match kept.get((index, *revision), room) {
                    Some(service) => services.push(service),
                    None => others.push(*revision),
                }
            }
        });
        (services, others)
    }

    /// Keeps services, each of which was read from so many bytes.
    pub(super) fn keep(&self, index: u64, services: impl IntoIterator<Item = (Arc<Service>, usize)>) {
        self.change(|kept, room| {
            for (service, bytes) in services {
                kept.insert((index, service.revision.get()), service, bytes, room);
            }
        });
    }

    /// Changes what is kept, of which each generation has room for so many bytes.
    fn change(&self, change: impl FnOnce(&mut Kept, usize)) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut kept, self.most_bytes / 2);
        let forgotten = mem::take(&mut kept.forgotten);
        drop(kept);
        if !forgotten.is_empty() {
            // Thousands of services take a while to take apart.
            tokio::task::spawn_blocking(move || drop(forgotten));
        }
    }
}

impl Kept {
    fn get(&mut self, key: (u64, i64), room: usize) -> Option<Arc<Service>> {
        if let Some((service, _)) = self.young.get(&key) {
            return Some(Arc::clone(service));
        }
        let (service, bytes) = self.old.remove(&key)?;
        self.insert(key, Arc::clone(&service), bytes, room);
        Some(service)
    }

    fn insert(&mut self, key: (u64, i64), service: Arc<Service>, bytes: usize, room: usize) {
        if self.bytes + bytes > room {
            self.bytes = 0;
            let young = mem::take(&mut self.young);
            let old = mem::replace(&mut self.old, young);
            self.forgotten.extend(Some(old).filter(|old| !old.is_empty()));
        }
        self.bytes += bytes;
        if let Some((_, before)) = self.young.insert(key, (service, bytes)) {
            self.bytes -= before;
        }
    }
}

#[cfg(test)]
mod tests {
    use store_conformance::generate::{Draws, service};

    use super::*;

    #[tokio::test]
    async fn what_was_not_used_for_long_is_forgotten_and_there_is_never_too_much() {
        let template = Draws::seeded(1).draw(&service::service());
        let service = |revision: i64| {
            let mut service = Service::clone(&template);
            service.revision = serde_json::from_value(revision.into()).unwrap();
            (Arc::new(service), 100)
        };
        let recent = Recent::with_room_for(1000);
        for revision in 1..=100 {
            recent.keep(0, [service(revision)]);
            // Used all the time, and of another index by the same revision not kept.
            assert_eq!(recent.get(0, 1).map(|service| service.revision.get()), Some(1));
            assert_eq!(recent.get(1, 1), None);
            let kept = recent.kept.lock().unwrap();
            assert!(kept.young.len() + kept.old.len() <= 10);
            assert_eq!(kept.bytes, 100 * kept.young.len());
        }
        let (services, others) = recent.of(0, &[100, 50, 99]);
        assert_eq!(services.iter().map(|service| service.revision.get()).collect::<Vec<_>>(), [100, 99]);
        assert_eq!(others, [50]);
        // The same once more takes no more room.
        (0..100).for_each(|_| recent.keep(0, [service(100)]));
        assert!(recent.get(0, 1).is_some());
        // However many come at once.
        recent.keep(0, (1..=100).map(service));
        let kept = recent.kept.lock().unwrap();
        assert!((5..=10).contains(&(kept.young.len() + kept.old.len())) && kept.forgotten.is_empty());
        assert!(kept.young.contains_key(&(0, 100)));
    }
}
