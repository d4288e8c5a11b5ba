use std::fmt;

use serde::{Deserialize, Serialize};

use super::ValueError;

/// Defines a counter that starts at zero and fits the integers of every database.
macro_rules! counter {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// Before the first change.
            pub const ZERO: Self = Self(0);

            /// The greatest value, which no counter reaches.
            pub const MAX: Self = Self(i64::MAX);

            /// The counter with this value.
            ///
            /// # Errors
            /// When it is negative.
            pub fn new(value: i64) -> Result<Self, ValueError> {
                if value < 0 { Err(ValueError::new($what, "must not be negative")) } else { Ok(Self(value)) }
            }

            /// The counter's value.
            pub const fn get(self) -> i64 {
                self.0
            }

            /// The value after the next change.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl TryFrom<i64> for $name {
            type Error = ValueError;

            fn try_from(value: i64) -> Result<Self, ValueError> {
                Self::new(value)
            }
        }

        impl From<$name> for i64 {
            fn from(counter: $name) -> Self {
                counter.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

counter!(
    /// The number of a write in its organization: 1, 2, 3, … in commit order, without gaps. A service bears the
    /// revision of the last write that changed it.
    Revision,
    "revision"
);
counter!(
    /// The number of changes an organization's catalog has seen.
    CatalogRevision,
    "catalog revision"
);
