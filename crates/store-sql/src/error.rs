//! What sqlx's own failures mean for the caller, whichever database it speaks to.

use service_core::StoreErrorKind;

/// The kind of a failure that is sqlx's own; `None` if the database answered with it, or if it means nothing in particular.
pub fn kind(error: &sqlx::Error) -> Option<StoreErrorKind> {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            Some(StoreErrorKind::Unavailable)
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Some(StoreErrorKind::Corrupt),
        _ => None,
    }
}
