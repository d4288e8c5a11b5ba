//! What PostgreSQL's failures mean for the caller.

use service_core::{StoreError, StoreErrorKind};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// An error as the server sent it: its SQLSTATE, and whether the server ended the session with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer<'e> {
    state: &'e str,
    ends_session: bool,
}

impl<'e> Answer<'e> {
    fn of(error: &'e sqlx::Error) -> Option<Self> {
        let answer = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
        let ends_session = matches!(answer.severity(), PgSeverity::Fatal | PgSeverity::Panic);
        Some(Self { state: answer.code(), ends_session })
    }

    /// What it means if it did not come from a commit: the server rolls back whatever was begun, so nothing happened.
    fn kind(self) -> StoreErrorKind {
        match self.state {
            // A serialization failure, a deadlock, a lock that was waited for too long, a statement that took too long.
            "40001" | "40P01" | "55P03" | "57014" => StoreErrorKind::Unavailable,
            // A server that only reads: the standby of another, or what was the primary until a moment ago.
            "25006" => StoreErrorKind::Unavailable,
            // A full disk is the one want of resources that does not pass by itself.
            "53100" => StoreErrorKind::Internal,
            "42P01" | "42703" | "3F000" => StoreErrorKind::Schema,
            "XX001" | "XX002" => StoreErrorKind::Corrupt,
            state => match state.get(..2) {
                // The connection, the server's resources (connections, memory), an operator's intervention.
                Some("08" | "53" | "57") => StoreErrorKind::Unavailable,
                // The values given are well-formed, so data that cannot be worked with is what is stored: text that should be
                // JSON and is not.
                Some("22") => StoreErrorKind::Corrupt,
                // A session that has ended is replaced by another.
                _ if self.ends_session && !self.is_about_login() => StoreErrorKind::Unavailable,
                // A constraint that a correct program never meets, a right that is missing, a wrong password.
                _ => StoreErrorKind::Internal,
            },
        }
    }

    /// Whether it says for certain that a commit did not happen.
    fn refuses_commit(self) -> bool {
        !self.ends_session && self.state != "40003" && !self.is_about_connection()
    }

    fn is_about_connection(self) -> bool {
        self.state.starts_with("08") || self.state.starts_with("57P")
    }

    /// A wrong user or password, or a database that is not there: trying again does not help.
    fn is_about_login(self) -> bool {
        self.state.starts_with("28") || self.state.starts_with("3D")
    }
}

/// The failure of anything but a commit: nothing happened.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    let kind = store_sql::error::kind(&error).unwrap_or_else(|| match Answer::of(&error) {
        Some(answer) => answer.kind(),
        None if is_lost(&error) => StoreErrorKind::Unavailable,
        None => StoreErrorKind::Internal,
    });
    StoreError::new(kind, error)
}

/// The failure of a `COMMIT`, or of a statement that is a transaction by itself.
///
/// The server refuses a commit with an error that leaves the session as it is: then the transaction is rolled back. Anything
/// else, such as a connection that broke, a session that an operator ended, or an answer that cannot be understood, may come
/// after the server made the transaction durable.
pub(crate) fn commit_error(error: sqlx::Error) -> StoreError {
    if Answer::of(&error).is_some_and(Answer::refuses_commit) {
        store_error(error)
    } else {
        StoreError::new(StoreErrorKind::OutcomeUnknown, error)
    }
}

/// Whether the connection is gone, or of no use any more: after something that is no answer, none can be told from another. That
/// happens where a server, or what stands before it, ends in the middle of one.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        error => Answer::of(error).is_some_and(|answer| answer.ends_session || answer.is_about_connection()),
    }
}

/// Whether the server has as many connections as it takes.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    Answer::of(error).is_some_and(|answer| answer.state == "53300")
}

/// Whether the server asks to have the transaction repeated: a deadlock or a serialization failure.
pub(crate) fn is_contended(error: &sqlx::Error) -> bool {
    Answer::of(error).is_some_and(|answer| matches!(answer.state, "40001" | "40P01"))
}

/// Whether the server refuses what it would do in a session with other settings: one that only reads, or that is isolated more.
pub(crate) fn depends_on_session(error: &sqlx::Error) -> bool {
    Answer::of(error)
        .is_some_and(|answer| matches!(answer.state, "25006" | "40001") && answer.refuses_commit())
}

/// Whether a statement would have given two active services one name.
pub(crate) fn is_name_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|answer| {
        answer.is_unique_violation() && answer.constraint() == Some("services_active_name")
    })
}

/// What sqlx said, if it is the cause of a failure.
pub(crate) fn cause(error: &StoreError) -> Option<&sqlx::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn kind(state: &str) -> StoreErrorKind {
        Answer { state, ends_session: false }.kind()
    }

    fn refuses_commit(state: &str) -> bool {
        Answer { state, ends_session: false }.refuses_commit()
    }

    #[test]
    fn what_may_pass_makes_the_store_unavailable() {
        let passing = [
            "40001", "40P01", "55P03", "57014", "25006", "53200", "53300", "57P01", "57P02", "57P03",
            "08000", "08006", "08P01",
        ];
        for state in passing {
            assert_eq!(kind(state), StoreErrorKind::Unavailable, "{state}");
        }
        assert_eq!(Answer { state: "25P03", ends_session: true }.kind(), StoreErrorKind::Unavailable);
        assert_eq!(Answer { state: "XX000", ends_session: true }.kind(), StoreErrorKind::Unavailable);
        let broken = sqlx::Error::Io(io::ErrorKind::ConnectionReset.into());
        let garbled = sqlx::Error::Protocol("unknown message type: '\\0'".to_owned());
        for error in [broken, garbled, sqlx::Error::PoolTimedOut] {
            assert_eq!(store_error(error).kind(), StoreErrorKind::Unavailable);
        }
    }

    #[test]
    fn what_does_not_pass_is_told_apart() {
        for state in ["42P01", "42703", "3F000"] {
            assert_eq!(kind(state), StoreErrorKind::Schema, "{state}");
        }
        for state in ["22P02", "22023", "XX001", "XX002"] {
            assert_eq!(kind(state), StoreErrorKind::Corrupt, "{state}");
        }
        for state in ["53100", "42501", "42601", "23514", "23505", "28P01", ""] {
            assert_eq!(kind(state), StoreErrorKind::Internal, "{state}");
        }
        assert_eq!(Answer { state: "28P01", ends_session: true }.kind(), StoreErrorKind::Internal);
        assert_eq!(Answer { state: "3D000", ends_session: true }.kind(), StoreErrorKind::Internal);
    }

    #[test]
    fn only_a_definite_refusal_of_a_commit_has_a_known_outcome() {
        for state in ["40001", "40P01", "23503", "53100", "57014"] {
            assert!(refuses_commit(state), "{state}");
        }
        for state in ["40003", "08006", "08007", "08P01", "57P01", "57P02", "57P03"] {
            assert!(!refuses_commit(state), "{state}");
        }
        assert!(!Answer { state: "40001", ends_session: true }.refuses_commit());
        for error in [
            sqlx::Error::Io(io::ErrorKind::UnexpectedEof.into()),
            sqlx::Error::Protocol("what is this".to_owned()),
            sqlx::Error::WorkerCrashed,
        ] {
            assert_eq!(commit_error(error).kind(), StoreErrorKind::OutcomeUnknown);
        }
    }

    #[test]
    fn a_failure_keeps_its_cause() {
        let error = store_error(sqlx::Error::Io(io::ErrorKind::ConnectionReset.into()));
        assert!(cause(&error).is_some_and(is_lost));
        assert!(cause(&StoreError::corrupt("a row", "it is not well-formed")).is_none());
    }
}
