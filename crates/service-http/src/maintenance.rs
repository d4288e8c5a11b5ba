//! Whether a cluster is in maintenance, asked about once a second.

use std::sync::{Arc, Mutex, PoisonError};

use service_core::{Operations, Timestamp};

/// How long an answer is relied on, in microseconds. Maintenance is in force on every replica within five seconds; one leaves
/// room for a store that answers slowly.
const RELIED_ON: i64 = 1_000_000;

/// Asks a store whether it is in maintenance, and remembers the answer for a second.
#[derive(Debug)]
pub(crate) struct Maintenance {
    operations: Option<Arc<dyn Operations>>,
    last: Mutex<Last>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Last {
    /// What the store last said; `None` before its first answer.
    answer: Option<bool>,
    /// When it was last asked.
    asked_at: Option<Timestamp>,
}

impl Maintenance {
    /// Without operations there is no maintenance.
    pub(crate) fn new(operations: Option<Arc<dyn Operations>>) -> Self {
        Self { operations, last: Mutex::default() }
    }

    /// Whether the cluster is in maintenance. While the store cannot say, its last answer holds.
    pub(crate) async fn is_on(&self, now: Timestamp) -> bool {
        let Some(operations) = &self.operations else { return false };
        if let Some(answer) = self.recent(now) {
            return answer;
        }
        match operations.maintenance().await {
            Ok(answer) => {
                self.last.lock().unwrap_or_else(PoisonError::into_inner).answer = Some(answer);
                answer
            }
            Err(error) => {
                tracing::warn!(
                    error = crate::error::chain(&error),
                    "the store does not say whether it is in maintenance"
                );
                self.last.lock().unwrap_or_else(PoisonError::into_inner).answer.unwrap_or(false)
            }
        }
    }

    /// The last answer, unless it is for this caller to ask again: others rely on it meanwhile.
    fn recent(&self, now: Timestamp) -> Option<bool> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = last.answer?;
        let age =
            last.asked_at.map(|asked_at| now.as_microseconds().saturating_sub(asked_at.as_microseconds()));
        if age.is_some_and(|age| (0..RELIED_ON).contains(&age)) {
            return Some(answer);
        }
        last.asked_at = Some(now);
        None
    }
}
