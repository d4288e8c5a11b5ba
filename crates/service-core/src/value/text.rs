use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize};
use smol_str::SmolStr;

use super::{ValueError, serde_as_string};

/// Defines a string that satisfies a check. The check gives the text to keep, which may be stripped, or the rule broken.
///
/// Values compare by Unicode code point (which is the byte order of UTF-8) and are cheap to clone. Where they are short and many,
/// as the parts of tags and the names of version sets are, a `SmolStr` holds up to 23 bytes in itself: nothing to follow, nothing
/// to allocate.
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        text_value!($(#[$doc])* $name in Arc<str>, $what, $check);
    };
    ($(#[$doc:meta])* $name:ident in $text:ty, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($text);

        impl $name {
            /// Parses the value.
            ///
            /// # Errors
            /// The rule that `text` breaks.
            pub fn new(text: &str) -> Result<Self, ValueError> {
                let check: fn(&str) -> Result<&str, &'static str> = $check;
                check(text).map(|kept| Self(kept.into())).map_err(|rule| ValueError::new($what, rule))
            }

            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, formatter)
            }
        }

        serde_as_string!($name);
    };
}
pub(crate) use text_value;

type Checked<'a> = Result<&'a str, &'static str>;

fn strip(text: &str) -> &str {
    text.trim_matches(char::is_whitespace)
}

fn has_length(text: &str, most: usize) -> bool {
    // A character is one to four bytes: only a text in between has to be counted.
    !text.is_empty() && (text.len() <= most || text.len() <= most * 4 && text.chars().count() <= most)
}

/// 1 to `most` characters, none of them a control character.
pub(super) fn plain<'a>(
    text: &'a str,
    most: usize,
    length: &'static str,
    control: &'static str,
) -> Checked<'a> {
    if !has_length(text, most) {
        Err(length)
    } else if text.chars().any(char::is_control) {
        Err(control)
    } else {
        Ok(text)
    }
}

/// 1 to `most` of `A-Z a-z 0-9 _ -`.
pub(super) fn slug<'a>(text: &'a str, most: usize, rule: &'static str) -> Checked<'a> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=most).contains(&text.len()) && text.bytes().all(allowed) { Ok(text) } else { Err(rule) }
}

fn description(text: &str) -> Checked<'_> {
    let text = strip(text);
    if !has_length(text, 4096) {
        Err("must have 1 to 4096 characters after stripping")
    } else if text.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n')) {
        Err("must not contain control characters other than tab and newline")
    } else {
        Ok(text)
    }
}

fn tag_part(text: &str) -> Checked<'_> {
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\w\s]+$").ok());
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b' ';
    // Most are just that: 128 bytes at most, and nothing to strip.
    if (1..=128).contains(&text.len()) && text.bytes().all(is_word) && text.trim_ascii().len() == text.len() {
        return Ok(text);
    }
    let text = plain(
        strip(text),
        128,
        "must have 1 to 128 characters after stripping",
        "must not contain control characters",
    )?;
    if text.bytes().all(is_word) || WORDS.as_ref().is_some_and(|words| words.is_match(text)) {
        Ok(text)
    } else {
        Err(r"must match `^[\w\s]+$`: letters, marks, digits, underscores and spaces")
    }
}

fn keyterm(text: &str) -> Checked<'_> {
    let text = strip(text);
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if text.len() > 100 {
        Err("must have at most 100 characters")
    } else if text.split(' ').count() <= 3 && text.split(' ').all(word) {
        Ok(text)
    } else {
        Err("must be one to three words of `a-z -`, each one space apart")
    }
}

text_value!(
    /// What a service is called: stripped, 1 to 256 characters, none of them a control character.
    ServiceName,
    "service name",
    |text| plain(
        strip(text),
        256,
        "must have 1 to 256 characters after stripping",
        "must not contain control characters"
    )
);
text_value!(
    /// What a service is for: stripped, 1 to 4,096 characters, no control characters but tab and newline.
    Description,
    "description",
    description
);
text_value!(
    /// Names a version set of a service: stripped, 1 to 40 of `A-Z a-z 0-9 _ -`.
    VersionSetName in SmolStr,
    "version set name",
    |text| slug(strip(text), 40, "must be 1 to 40 of `A-Z a-z 0-9 _ -` after stripping")
);
text_value!(
    /// The key of a tag: stripped, 1 to 128 word characters (`\w`) and spaces (`\s`), no control characters.
    TagKey in SmolStr,
    "tag key",
    tag_part
);
text_value!(
    /// The value of a tag, under the same rule as a [`TagKey`].
    TagValue in SmolStr,
    "tag value",
    tag_part
);
text_value!(
    /// A term that is easy to mishear: stripped, `^[a-z-]+( [a-z-]+){0,2}$`, at most 100 characters.
    Keyterm,
    "keyterm",
    keyterm
);
text_value!(
    /// The name of an LLM: 1 to 128 characters, none of them a control character.
    LlmName,
    "llm name",
    |text| plain(text, 128, "must have 1 to 128 characters", "must not contain control characters")
);
text_value!(
    /// The name of an interaction that a version set prefers an LLM for: 1 to 128 characters, none of them a control
    /// character.
    InteractionName,
    "interaction name",
    |text| plain(text, 128, "must have 1 to 128 characters", "must not contain control characters")
);
text_value!(
    /// The name of a role in the catalog: 1 to 128 characters, none of them a control character.
    RoleName,
    "role name",
    |text| plain(text, 128, "must have 1 to 128 characters", "must not contain control characters")
);
text_value!(
    /// What an agent or a state machine is called in the catalog: at most 256 characters, none of them a control
    /// character, and possibly none at all.
    CatalogName,
    "catalog name",
    |text| {
        let rules = ("must have at most 256 characters", "must not contain control characters");
        if text.is_empty() { Ok(text) } else { plain(text, 256, rules.0, rules.1) }
    }
);
text_value!(
    /// Identifies an API key within its organization: 1 to 64 of `A-Z a-z 0-9 _ -`.
    ApiKeyId,
    "api key id",
    |text| slug(text, 64, "must be 1 to 64 of `A-Z a-z 0-9 _ -`")
);

impl Default for CatalogName {
    fn default() -> Self {
        Self("".into())
    }
}

impl TagKey {
    /// A key that was one before.
    pub(super) fn kept(text: &str) -> Self {
        Self(text.into())
    }
}

impl TagValue {
    /// A value that was one before.
    pub(super) fn kept(text: &str) -> Self {
        Self(text.into())
    }
}

impl VersionSetName {
    /// `edge`, the version set that always follows the latest versions.
    pub fn edge() -> Self {
        Self("edge".into())
    }

    /// `release`, the version set that end users get.
    pub fn release() -> Self {
        Self("release".into())
    }
}

/// The most keyterms a service can have.
pub const MAX_KEYTERMS: usize = 20;

/// The keyterms of a service, in the order they were given: at most [`MAX_KEYTERMS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keyterms(Arc<[Keyterm]>);

impl Keyterms {
    /// Checks the number of keyterms.
    ///
    /// # Errors
    /// When there are more than [`MAX_KEYTERMS`].
    pub fn new(keyterms: Vec<Keyterm>) -> Result<Self, ValueError> {
        if keyterms.len() > MAX_KEYTERMS {
            return Err(ValueError::new("keyterms", "must be at most 20"));
        }
        Ok(Self(keyterms.into()))
    }
}

impl Default for Keyterms {
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl Deref for Keyterms {
    type Target = [Keyterm];

    fn deref(&self) -> &[Keyterm] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Keyterms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
