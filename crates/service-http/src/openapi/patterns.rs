//! Patterns of texts, as exact as a pattern can be: they say what is white space and what is a control character, which programs
//! understand differently under `\s`. `\w` is what letters, marks, digits and connectors are to Unicode.
//!
//! White space around most texts is not part of them. The lengths that schemas name count it all the same.

/// What stripping removes: Unicode's White_Space, as the inside of a class.
const SPACE: &str = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// White space that is no control character.
const PLAIN_SPACE: &str = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// Control characters, as the inside of a class.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

/// A name: something to see, and no control characters.
pub(super) fn name() -> String {
    stripped(&format!("[^{SPACE}{CONTROL}](?:[^{CONTROL}]*[^{SPACE}{CONTROL}])?"))
}

/// A description: as a name, and tabs and newlines in it.
pub(super) fn description() -> String {
    stripped(&format!(
        r"[^{SPACE}{CONTROL}](?:[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*[^{SPACE}{CONTROL}])?"
    ))
}

/// The key of a tag, or its value.
pub(super) fn tag_part() -> String {
    stripped(&words())
}

/// A tag filter: `key:value`, `key:*` or `key:`.
pub(super) fn tag_filter() -> String {
    let words = words();
    format!(r"^[{SPACE}]*{words}[{SPACE}]*:[{SPACE}]*(?:\*|{words})?[{SPACE}]*$")
}

/// A keyterm.
pub(super) fn keyterm() -> String {
    stripped("[a-z-]+(?: [a-z-]+){0,2}")
}

/// The name of a version set.
pub(super) fn version_set_name() -> String {
    stripped("[A-Za-z0-9_-]{1,40}")
}

/// A name in which white space counts: of an LLM, or of an interaction.
pub(super) fn plain() -> String {
    format!("^[^{CONTROL}]+$")
}

fn words() -> String {
    format!(r"\w(?:[\w{PLAIN_SPACE}]*\w)?")
}

fn stripped(text: &str) -> String {
    format!("^[{SPACE}]*{text}[{SPACE}]*$")
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;
    use regex::Regex;
    use service_core::{
        Description, InteractionName, Keyterm, LlmName, ServiceName, TagFilter, TagKey, TagValue,
        VersionSetName,
    };

    use super::*;

    /// Whether a pattern says of a text what the core says of it.
    fn agrees<T: FromStr>(pattern: String, text: &str) -> bool {
        Regex::new(&pattern).unwrap().is_match(text) == text.parse::<T>().is_ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn patterns_match_just_the_texts_that_are_well_formed(
            text in "[a-zé½_*:\u{300} \t\n\u{1c}\u{85}\u{a0}\u{2028}\u{3000}\u{feff}\u{0}\u{7f}-]{0,6}",
        ) {
            prop_assert!(agrees::<ServiceName>(name(), &text), "name {text:?}");
            prop_assert!(agrees::<Description>(description(), &text), "description {text:?}");
            prop_assert!(agrees::<TagKey>(tag_part(), &text), "tag key {text:?}");
            prop_assert!(agrees::<TagValue>(tag_part(), &text), "tag value {text:?}");
            prop_assert!(agrees::<TagFilter>(tag_filter(), &text), "tag filter {text:?}");
            prop_assert!(agrees::<Keyterm>(keyterm(), &text), "keyterm {text:?}");
            prop_assert!(agrees::<VersionSetName>(version_set_name(), &text), "version set {text:?}");
            prop_assert!(agrees::<LlmName>(plain(), &text), "llm {text:?}");
            prop_assert!(agrees::<InteractionName>(plain(), &text), "interaction {text:?}");
        }
    }
}
