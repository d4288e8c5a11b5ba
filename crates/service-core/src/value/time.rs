use std::fmt;
use std::str::FromStr;

use super::{ValueError, serde_as_string};

/// A point in time, to the microsecond, in the years -9999 to 9999; written in RFC 3339, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The beginning of 1970.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// The time this many microseconds after the Unix epoch.
    ///
    /// # Errors
    /// When the year would be outside of -9999 to 9999.
    pub fn from_microseconds(microseconds: i64) -> Result<Self, ValueError> {
        jiff::Timestamp::from_microsecond(microseconds)
            .map(Self)
            .map_err(|_| ValueError::new("timestamp", "must be in the years -9999 to 9999"))
    }

    /// Microseconds since the Unix epoch.
    pub fn as_microseconds(self) -> i64 {
        self.0.as_microsecond()
    }
}

impl FromStr for Timestamp {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let time: jiff::Timestamp =
            text.parse().map_err(|_| ValueError::new("timestamp", "must be a time as RFC 3339 writes it"))?;
        Self::from_microseconds(time.as_microsecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

serde_as_string!(Timestamp);
