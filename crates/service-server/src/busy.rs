//! Whether a connection owes its client anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is owed on a connection. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Busy(Arc<AtomicUsize>);

impl Busy {
    /// One thing more is owed, until the result is dropped.
    pub(crate) fn claim(&self) -> Claim {
        self.0.fetch_add(1, Ordering::Relaxed);
        Claim(self.clone())
    }

    /// Whether anything is owed.
    pub(crate) fn is_claimed(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// One thing that is owed.
#[derive(Debug)]
pub(crate) struct Claim(Busy);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
