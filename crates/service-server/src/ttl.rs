//! How long a token is valid: `90s`, `15m`, `1h`, `7d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest time a token can be valid.
const MAX_DAYS: u64 = 3650;

/// A length of time: a whole number, and `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ttl(Duration);

impl Ttl {
    /// The time.
    pub(crate) fn get(self) -> Duration {
        self.0
    }
}

/// A text that is no length of time, or none that a token can have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidTtl;

impl fmt::Display for InvalidTtl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "must be a number and `s`, `m`, `h` or `d`, such as `15m`, and from `1s` to `{MAX_DAYS}d`"
        )
    }
}

impl std::error::Error for InvalidTtl {}

impl FromStr for Ttl {
    type Err = InvalidTtl;

    fn from_str(text: &str) -> Result<Self, InvalidTtl> {
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(InvalidTtl)?;
        let seconds_each: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return Err(InvalidTtl),
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidTtl);
        }
        let number: u64 = number.parse().map_err(|_| InvalidTtl)?;
        let seconds = number.checked_mul(seconds_each).ok_or(InvalidTtl)?;
        if seconds == 0 || seconds > MAX_DAYS * 24 * 60 * 60 {
            return Err(InvalidTtl);
        }
        Ok(Self(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_counts() {
        for (text, seconds) in
            [("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800), ("3650d", 315_360_000)]
        {
            assert_eq!(text.parse(), Ok(Ttl(Duration::from_secs(seconds))), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "1",
            "h",
            "0s",
            "-1h",
            "+1h",
            "1.5h",
            "1w",
            "1 h",
            "1H",
            "3651d",
            "99999999999999999999d",
            "١h",
            "1é",
        ] {
            assert_eq!(text.parse::<Ttl>(), Err(InvalidTtl), "{text}");
        }
    }
}
