//! Failures of a store, told apart by what they mean for the caller.

use std::error::Error;
use std::fmt;

/// A store could not do what it was asked. Refusals and absent things are answers, not errors.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached, is overloaded or lost a race it may win next time. Nothing happened.
    Unavailable,
    /// The answer to a commit was lost: it happened whole or not at all, and the store does not know which.
    OutcomeUnknown,
    /// Something that is stored is not well-formed. Not the caller's fault; an operator must look.
    Corrupt,
    /// The store's schema is not the one this program works with: older, newer, or not there.
    Schema,
    /// Anything else: a full disk, a programming error.
    Internal,
}

impl StoreError {
    /// A failure of this kind, with its cause.
    pub fn new(kind: StoreErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: source.into() }
    }

    /// A value that is stored but is not well-formed: where it stands, and what is wrong with it.
    pub fn corrupt(place: impl fmt::Display, fault: impl fmt::Display) -> Self {
        Self::new(StoreErrorKind::Corrupt, format!("{place} is corrupt: {fault}"))
    }

    /// What the failure means.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later. An unknown outcome is not: whether it happened must be found out first.
    pub fn is_retryable(&self) -> bool {
        self.kind == StoreErrorKind::Unavailable
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.kind {
            StoreErrorKind::Unavailable => "the store is unavailable",
            StoreErrorKind::OutcomeUnknown => "whether the write happened is unknown",
            StoreErrorKind::Corrupt => "the store holds corrupt data",
            StoreErrorKind::Schema => "the store has another schema",
            StoreErrorKind::Internal => "the store failed",
        })
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
