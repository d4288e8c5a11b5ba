//! Texts that stores get wrong: those that databases fold, collate, normalize, escape or cut.

use proptest::prelude::*;
use proptest::sample::select;
use service_core::{
    Description, InteractionName, Keyterm, Keyterms, LlmName, OrganizationId, ServiceName, TagKey, TagValue,
    UserId, VersionSetName,
};

/// Texts without control characters. Many differ only in case, accent, normal form, width or white space, and some sort
/// differently by UTF-16 unit than by code point.
pub const NASTY: &[&str] = &[
    "a",
    "A",
    "b",
    "B",
    "z",
    "Z",
    "aa",
    "a a",
    "a  a",
    "a\u{a0}a",
    "10",
    "9",
    "010",
    "_",
    "%",
    "a%",
    "a_",
    "*",
    "?",
    "[a]",
    ":",
    "'",
    "''",
    "\"",
    "\\",
    "\\0",
    "$1",
    "?1",
    "null",
    "--",
    "; DROP TABLE services",
    "é",
    "e\u{301}",
    "e",
    "E\u{301}",
    "ñ",
    "n\u{303}",
    "ä",
    "ß",
    "SS",
    "ss",
    "i",
    "I",
    "İ",
    "ı",
    "Ω",
    "Ω",
    "ａ",
    "\u{301}",
    "\u{feff}a",
    "a\u{200b}",
    "a\u{200d}b",
    "שלום",
    "\u{202e}abc",
    "مرحبا",
    "中文",
    "가",
    "\u{1100}\u{1161}",
    "👩‍👩‍👧",
    "😀",
    // By UTF-16 unit these four sort as 3, 4, 1, 2; by code point as they stand.
    "\u{e000}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "\u{fffd}",
    "\u{d7ff}",
    "ẞ",
    "i\u{307}",
    "ſ",
    "\u{212a}",
    "Σ",
    "σ",
    "ς",
    "ǅ",
    "ﬁ",
    "fi",
    "a\u{300}\u{301}",
    "a\u{301}\u{300}",
    "a\u{327}\u{301}",
    "a\u{301}\u{327}",
    "👍🏽",
    "👍",
    "🇩🇪",
    "𝒜",
    "\u{10400}",
    "\u{10428}",
    // What looks like white space, and is not stripped.
    "\u{200b}a",
    "\u{2060}a\u{2060}",
    "\u{180e}a",
    "a\u{2800}",
    "\u{3164}",
    "a\u{ad}b",
    "\u{200e}a",
    "\u{34f}",
];

/// The texts among them, and some more, that may be tag keys and values: letters, marks, digits, underscores and spaces.
pub const NASTY_TAGS: &[&str] = &[
    "a",
    "A",
    "b",
    "aa",
    "a a",
    "a  a",
    "a\u{a0}a",
    "a\u{2003}a",
    "10",
    "9",
    "_",
    "__",
    "null",
    "é",
    "e\u{301}",
    "e",
    "ß",
    "SS",
    "i",
    "İ",
    "ı",
    "Ω",
    "Ω",
    "ａ",
    "שלום",
    "مرحبا",
    "中文",
    "가",
    "\u{1100}\u{1161}",
    "٣",
    "a\u{200d}b",
    // U+FF5A sorts before U+10400 by code point, and after it by UTF-16 unit.
    "\u{ff5a}",
    "\u{10400}",
    "\u{10428}",
    "\u{2ebe0}",
    "\u{d7fb}",
    "\u{f900}",
    "𝒜",
    "ẞ",
    "i\u{307}",
    "ſ",
    "\u{212a}",
    "Σ",
    "ς",
    "ǅ",
    "ﬁ",
    "a\u{327}\u{301}",
    "a\u{301}\u{327}",
    "a\u{1680}a",
    "a\u{200c}",
    "\u{200d}a",
];

/// Texts from the pool, texts of few letters that meet each other often, and texts of any characters.
fn nasty_text(most: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(NASTY).prop_map(str::to_owned),
        4 => "[abAB]",
        1 => proptest::collection::vec(any::<char>(), 1..=most.min(12)).prop_map(String::from_iter),
        1 => (select(NASTY), 1..=most).prop_map(move |(text, times)| {
            text.repeat(times).chars().take(most).collect()
        }),
    ]
}

fn well_formed<T: std::str::FromStr + std::fmt::Debug>(
    rule: &'static str,
    text: impl Strategy<Value = String>,
) -> impl Strategy<Value = T> {
    text.prop_filter_map(rule, |text| text.parse().ok())
}

/// Names of services.
pub fn service_name() -> impl Strategy<Value = ServiceName> {
    well_formed("a service name", nasty_text(256))
}

/// Descriptions, tabs and newlines among them.
pub fn description() -> impl Strategy<Value = Description> {
    let lines = proptest::collection::vec(nasty_text(40), 1..4).prop_map(|lines| lines.join("\n\t"));
    well_formed("a description", lines)
}

fn tag_text() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => select(&NASTY_TAGS[..6]).prop_map(str::to_owned),
        3 => select(NASTY_TAGS).prop_map(str::to_owned),
        1 => r"[\w ]{1,128}",
    ]
}

/// Keys of tags, half of them from a handful.
pub fn tag_key() -> impl Strategy<Value = TagKey> {
    well_formed("a tag key", tag_text())
}

/// Values of tags, half of them from a handful.
pub fn tag_value() -> impl Strategy<Value = TagValue> {
    well_formed("a tag value", tag_text())
}

/// Names of version sets, most from a handful, `edge` and `release` among them.
pub fn version_set_name() -> impl Strategy<Value = VersionSetName> {
    let names = prop_oneof![
        2 => select(&["edge", "release", "Preview", "test-1"][..]).prop_map(str::to_owned),
        4 => Just("preview".to_owned()),
        1 => "[A-Za-z0-9_-]{1,40}",
    ];
    well_formed("a version set name", names)
}

/// Keyterms of a service.
pub fn keyterms() -> impl Strategy<Value = Keyterms> {
    let keyterm = well_formed::<Keyterm>("a keyterm", "[a-z-]{1,8}( [a-z-]{1,8}){0,2}");
    proptest::collection::vec(keyterm, 0..=20)
        .prop_filter_map("keyterms", |keyterms| Keyterms::new(keyterms).ok())
}

/// Names of interactions.
pub fn interaction_name() -> impl Strategy<Value = InteractionName> {
    well_formed("an interaction name", nasty_text(128))
}

/// Names of LLMs that no catalog of ours knows.
pub fn llm_name() -> impl Strategy<Value = LlmName> {
    well_formed("an llm name", nasty_text(128))
}

/// Users.
pub fn user_id() -> impl Strategy<Value = UserId> {
    well_formed("a user id", nasty_text(128))
}

/// Organizations.
pub fn organization_id() -> impl Strategy<Value = OrganizationId> {
    well_formed("an organization id", "[A-Za-z0-9_-]{1,64}")
}
