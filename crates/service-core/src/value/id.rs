use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text::text_value;
use super::{Timestamp, ValueError, serde_as_object, serde_as_string};

/// Defines an identifier of 12 bytes, written as 24 lower-case hexadecimal digits.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 12 bytes, written as 24 lower-case hexadecimal digits. The first four are big-endian Unix seconds, so
        /// ids sort roughly by creation.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 12]);

        impl $name {
            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 12]) -> Self {
                Self(bytes)
            }

            /// The id's bytes.
            pub const fn as_bytes(&self) -> &[u8; 12] {
                &self.0
            }

            /// The id as text, in `digits`.
            pub(crate) fn write_in<'a>(&self, digits: &'a mut HexDigits) -> &'a str {
                write_hex(&self.0, digits)
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                parse_hex(text).map(Self).ok_or(ValueError::new($what, "must be 24 lower-case hexadecimal digits"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.write_in(&mut [0; 24]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        serde_as_string!($name);
    };
}

/// Room for the text of an id of 12 bytes.
pub(crate) type HexDigits = [u8; 24];

fn write_hex<'a>(bytes: &[u8; 12], digits: &'a mut HexDigits) -> &'a str {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
    // Digits are UTF-8.
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Eight digits at a time, each in its byte of a word: filters and grants name ids by the thousand.
fn parse_hex(text: &str) -> Option<[u8; 12]> {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let digits: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 12];
    for (bytes, digits) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(digits.as_chunks::<8>().0) {
        let digits = u64::from_le_bytes(*digits);
        // `0` to `9` are 0x30 to 0x39, `a` to `f` 0x61 to 0x66.
        let values = ((digits & each(0xf)) + 9 * (digits >> 6 & each(1))) & each(0xf);
        let is_letter = (values + each(6)) >> 4 & each(1);
        // Anything else is not what its value is written as.
        if values + each(b'0') + is_letter * u64::from(b'a' - b'0' - 10) != digits {
            return None;
        }
        let [first, _, second, _, third, _, fourth, _] = (values << 4 | values >> 8).to_le_bytes();
        *bytes = [first, second, third, fourth];
    }
    Some(bytes)
}

hex_id!(
    /// Identifies a service within its organization.
    ServiceId,
    "service id"
);
hex_id!(
    /// Identifies an agent within its organization.
    AgentId,
    "agent id"
);
hex_id!(
    /// Identifies a state machine within its organization.
    StateMachineId,
    "state machine id"
);
hex_id!(
    /// Identifies a simulation unit test within its organization.
    SimulationUnitTestId,
    "simulation unit test id"
);

impl ServiceId {
    /// The id of a service created at `time`, told apart from others of that second by `entropy`.
    pub fn created_at(time: Timestamp, entropy: [u8; 8]) -> Self {
        // Ids order by creation from 1970 to 2106; outside of that they stay unique and lose only the order.
        let seconds = u32::try_from(time.as_microseconds().div_euclid(1_000_000)).unwrap_or(0);
        let mut bytes = [0; 12];
        let (time_part, random_part) = bytes.split_at_mut(4);
        time_part.copy_from_slice(&seconds.to_be_bytes());
        random_part.copy_from_slice(&entropy);
        Self(bytes)
    }
}

text_value!(
    /// Identifies an organization: 1 to 64 of `A-Z a-z 0-9 _ -`.
    OrganizationId,
    "organization id",
    |text| super::text::slug(text, 64, "must be 1 to 64 of `A-Z a-z 0-9 _ -`")
);
text_value!(
    /// Identifies a user within the organization that issued the identity: 1 to 128 characters, none of them a
    /// control character.
    UserId,
    "user id",
    |text| super::text::plain(text, 128, "must have 1 to 128 characters", "must not contain control characters")
);

/// Who acts: a user, and the organization that issued the identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Principal {
    /// The organization that issued the identity.
    pub organization: OrganizationId,
    /// The user, as that organization names it.
    pub user: UserId,
}

serde_as_object!(Principal);

impl fmt::Display for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.organization, self.user)
    }
}
