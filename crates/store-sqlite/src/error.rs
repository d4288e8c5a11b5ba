//! What SQLite's failures mean for the caller.

use service_core::{StoreError, StoreErrorKind};

// SQLite's primary result codes; the extended ones carry them in their lowest byte.
const ERROR: i32 = 1;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const IO_ERROR: i32 = 10;
const CORRUPT: i32 = 11;
const CANNOT_OPEN: i32 = 14;
const PROTOCOL: i32 = 15;
const NOT_A_DATABASE: i32 = 26;

/// The failure of anything but a commit: whatever was begun is rolled back, so nothing happened.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    let kind = store_sql::error::kind(&error).unwrap_or_else(|| match (primary_code(&error), &error) {
        // The protocol that SQLite speaks of is the one of its locks: too many began to read or write at once.
        (Some(BUSY | LOCKED | CANNOT_OPEN | PROTOCOL), _) => StoreErrorKind::Unavailable,
        (Some(CORRUPT | NOT_A_DATABASE), _) => StoreErrorKind::Corrupt,
        (Some(ERROR), sqlx::Error::Database(fault)) if is_about_schema(fault.message()) => {
            StoreErrorKind::Schema
        }
        // A full disk, a file that may not be written, an I/O error, a constraint that a correct program never meets.
        _ => StoreErrorKind::Internal,
    });
    StoreError::new(kind, error)
}

/// The failure of a `COMMIT`.
///
/// SQLite makes a transaction durable by writing its last page with a commit mark to the write-ahead log and flushing it. If
/// the disk is full or the lock is lost, that mark was not written: nothing happened, and SQLite says so. An I/O error may
/// come from the flush, after the mark: this process goes on without the transaction, but if the machine or the process
/// dies before the log is written again, recovery finds the mark and the transaction has happened. The same holds if the
/// connection's thread died without an answer. In these two cases alone the outcome is unknown.
pub(crate) fn commit_error(error: sqlx::Error) -> StoreError {
    let unknown = matches!(error, sqlx::Error::WorkerCrashed) || primary_code(&error) == Some(IO_ERROR);
    if unknown { StoreError::new(StoreErrorKind::OutcomeUnknown, error) } else { store_error(error) }
}

/// Whether another connection holds a lock that was needed.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(BUSY)
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// SQLite has no code of its own for a schema that lacks what a statement names.
fn is_about_schema(message: &str) -> bool {
    ["no such table", "no such column", "no such index"].iter().any(|start| message.starts_with(start))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::error::Error;
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    /// What SQLite answers with this extended code and message.
    #[derive(Debug)]
    struct Answer(i32, &'static str);

    impl fmt::Display for Answer {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.1)
        }
    }

    impl Error for Answer {}

    impl DatabaseError for Answer {
        fn message(&self) -> &str {
            self.1
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.to_string().into())
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    const FLUSH_FAILED: i32 = 10 | 4 << 8;
    const SNAPSHOT_BUSY: i32 = 5 | 2 << 8;
    const FULL: i32 = 13;

    fn answer(code: i32) -> sqlx::Error {
        sqlx::Error::Database(Box::new(Answer(code, "what SQLite says")))
    }

    #[test]
    fn only_a_commit_that_may_have_reached_the_disk_has_an_unknown_outcome() {
        assert_eq!(commit_error(answer(FLUSH_FAILED)).kind(), StoreErrorKind::OutcomeUnknown);
        assert_eq!(commit_error(sqlx::Error::WorkerCrashed).kind(), StoreErrorKind::OutcomeUnknown);
        assert_eq!(commit_error(answer(FULL)).kind(), StoreErrorKind::Internal);
        assert_eq!(commit_error(answer(SNAPSHOT_BUSY)).kind(), StoreErrorKind::Unavailable);
        assert_eq!(store_error(answer(FLUSH_FAILED)).kind(), StoreErrorKind::Internal);
        assert_eq!(store_error(sqlx::Error::WorkerCrashed).kind(), StoreErrorKind::Unavailable);
    }

    #[test]
    fn locks_that_others_hold_make_the_store_unavailable() {
        for code in [BUSY, SNAPSHOT_BUSY, LOCKED, PROTOCOL] {
            assert_eq!(store_error(answer(code)).kind(), StoreErrorKind::Unavailable);
            assert_eq!(commit_error(answer(code)).kind(), StoreErrorKind::Unavailable);
        }
    }

    #[test]
    fn a_failure_keeps_its_cause_for_the_operator() {
        let error = store_error(answer(FULL));
        let cause = error.source().map(ToString::to_string);
        assert!(cause.is_some_and(|cause| cause.contains("what SQLite says")));
    }
}
