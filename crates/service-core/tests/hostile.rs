//! Every parser of the core, given anything: it takes what the rules of the design take, names a rule where it does not, and what it took
//! prints as something that it takes again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use service_core::*;
use store_conformance::generate::damage::{any_text, damaged, damaged_json, damaged_text};
use store_conformance::generate::{catalog, grants, listing, service, text};
use store_conformance::reference::ModelStore;
use store_conformance::world::block_on;

/// The rules of the design, written down again, as regular expressions of what is stripped and of what is left.
mod rule {
    use super::*;

    pub(crate) fn regex(pattern: &'static str) -> Regex {
        Regex::new(pattern).unwrap()
    }

    pub(crate) fn stripped(text: &str) -> String {
        static EDGES: LazyLock<Regex> = LazyLock::new(|| regex(r"^\p{White_Space}+|\p{White_Space}+$"));
        EDGES.replace_all(text, "").into_owned()
    }

    fn fits(text: &str, pattern: &Regex, most: usize) -> bool {
        (1..=most).contains(&text.chars().count()) && pattern.is_match(text)
    }

    pub(crate) fn plain(text: &str, most: usize) -> bool {
        static PLAIN: LazyLock<Regex> = LazyLock::new(|| regex(r"^\P{Cc}*$"));
        fits(text, &PLAIN, most)
    }

    pub(crate) fn description(text: &str) -> bool {
        static LINES: LazyLock<Regex> = LazyLock::new(|| regex(r"^[\P{Cc}\t\n]*$"));
        fits(text, &LINES, 4096)
    }

    pub(crate) fn slug(text: &str, most: usize) -> bool {
        static SLUG: LazyLock<Regex> = LazyLock::new(|| regex("^[A-Za-z0-9_-]+$"));
        fits(text, &SLUG, most)
    }

    pub(crate) fn tag(text: &str) -> bool {
        static WORDS: LazyLock<Regex> = LazyLock::new(|| regex(r"^[\w\s]+$"));
        fits(text, &WORDS, 128) && plain(text, 128)
    }

    pub(crate) fn keyterm(text: &str) -> bool {
        static TERM: LazyLock<Regex> = LazyLock::new(|| regex("^[a-z-]+( [a-z-]+){0,2}$"));
        fits(text, &TERM, 100)
    }

    pub(crate) fn id(text: &str) -> bool {
        static ID: LazyLock<Regex> = LazyLock::new(|| regex(r"\A[0-9a-f]{24}\z"));
        ID.is_match(text)
    }
}

/// Parses a text, and compares with what the rules say of it: `None`, or the text that is kept.
fn obeys<T>(text: &str, kept: Option<&str>) -> Result<(), TestCaseError>
where
    T: FromStr<Err = ValueError> + Display + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let json = serde_json::to_string(text).unwrap();
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            prop_assert_eq!(Some(printed.as_str()), kept);
            prop_assert_eq!(&printed.parse::<T>().unwrap(), &value);
            prop_assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), &value);
        }
        Err(error) => {
            prop_assert_eq!(None, kept, "{}", error);
            prop_assert!(!error.rule().is_empty() && !error.value().is_empty());
            prop_assert_eq!(error.to_string(), format!("{} {}", error.value(), error.rule()));
            prop_assert!(serde_json::from_str::<T>(&json).is_err());
        }
    }
    Ok(())
}

/// Texts whose length is next to a bound.
fn near_a_bound() -> impl Strategy<Value = String> {
    let bound = proptest::sample::select(vec![1_usize, 24, 40, 64, 100, 128, 256, 4096]);
    let letter = proptest::sample::select(vec!["a", "\u{e9}", "\u{1f600}", "-", "0"]);
    let edge = proptest::sample::select(vec!["", " ", "\t\n", "\u{2003}", "\u{85}", "\0"]);
    (bound, 0..3_usize, letter, edge.clone(), edge).prop_map(|(bound, near, letter, before, after)| {
        format!("{before}{}{after}", letter.repeat(bound + near - 1))
    })
}

fn some_text() -> impl Strategy<Value = String> {
    let valid = prop_oneof![
        text::service_name().prop_map(|name| name.to_string()),
        text::description().prop_map(|description| description.to_string()),
        text::tag_key().prop_map(|key| key.to_string()),
        text::version_set_name().prop_map(|name| name.to_string()),
        service::service_id().prop_map(|id| id.to_string()),
        "[a-z-]{1,40}( [a-z-]{1,40}){0,3}",
        "[A-Za-z0-9_-]{1,70}",
        (1..400_usize, "[a\u{e9}\u{1f600} ]").prop_map(|(times, letter)| letter.repeat(times)),
    ];
    let description = text::description().prop_map(|text| text.to_string());
    prop_oneof![
        2 => any_text(),
        2 => near_a_bound(),
        1 => valid.boxed(),
        2 => damaged_text(description),
        1 => damaged_text("[0-9a-f]{24}"),
        1 => damaged_text("[a-z-]{1,9}( [a-z-]{1,9}){0,2}"),
    ]
}

proptest! {
    #[test]
    fn values_take_what_the_rules_take(text in some_text()) {
        let text = text.as_str();
        let stripped = rule::stripped(text);
        let stripped = stripped.as_str();
        let raw = |obeys: bool| obeys.then_some(text);
        let strip = |obeys: bool| obeys.then_some(stripped);
        obeys::<ServiceId>(text, raw(rule::id(text)))?;
        obeys::<AgentId>(text, raw(rule::id(text)))?;
        obeys::<StateMachineId>(text, raw(rule::id(text)))?;
        obeys::<SimulationUnitTestId>(text, raw(rule::id(text)))?;
        obeys::<OrganizationId>(text, raw(rule::slug(text, 64)))?;
        obeys::<ApiKeyId>(text, raw(rule::slug(text, 64)))?;
        obeys::<UserId>(text, raw(rule::plain(text, 128)))?;
        obeys::<LlmName>(text, raw(rule::plain(text, 128)))?;
        obeys::<InteractionName>(text, raw(rule::plain(text, 128)))?;
        obeys::<RoleName>(text, raw(rule::plain(text, 128)))?;
        obeys::<CatalogName>(text, raw(text.is_empty() || rule::plain(text, 256)))?;
        obeys::<ServiceName>(text, strip(rule::plain(stripped, 256)))?;
        obeys::<Description>(text, strip(rule::description(stripped)))?;
        obeys::<VersionSetName>(text, strip(rule::slug(stripped, 40)))?;
        obeys::<TagKey>(text, strip(rule::tag(stripped)))?;
        obeys::<TagValue>(text, strip(rule::tag(stripped)))?;
        obeys::<Keyterm>(text, strip(rule::keyterm(stripped)))?;
    }

    #[test]
    fn times_are_read_or_refused(text in prop_oneof![
        any_text(),
        damaged_text(service::timestamp().prop_map(|time| time.to_string())),
        r"(-00)?[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,10})?(Z|[+-][0-2][0-9]:[0-5]0)",
    ]) {
        match text.parse::<Timestamp>() {
            Ok(time) => prop_assert_eq!(time.to_string().parse(), Ok(time)),
            Err(error) => prop_assert!(!error.rule().is_empty()),
        }
    }

    #[test]
    fn tag_filters_take_what_the_rules_take(text in prop_oneof![
        some_text(),
        (any_text(), any_text()).prop_map(|(key, value)| format!("{key}:{value}")),
        "[ \u{2003}\t]{0,2}[a%]{0,2}[ \t]{0,1}:[ \u{2003}\t]{0,2}[*b-]{0,2}[ \t:]{0,2}",
        damaged_text(listing::tag_filter().prop_map(|filter| filter.to_string())),
    ]) {
        let expected = text.split_once(':').and_then(|(key, value)| {
            let (key, value) = (rule::stripped(key), rule::stripped(value));
            let takes = rule::tag(&key) && (value.is_empty() || value == "*" || rule::tag(&value));
            takes.then(|| format!("{key}:{value}"))
        });
        match text.parse::<TagFilter>() {
            Ok(filter) => {
                prop_assert_eq!(Some(filter.to_string()), expected);
                prop_assert_eq!(filter.to_string().parse(), Ok(filter));
            }
            Err(error) => {
                prop_assert_eq!(None, expected);
                prop_assert!(!error.rule().is_empty());
            }
        }
    }

    #[test]
    fn sort_keys_are_six_texts(text in prop_oneof![
        some_text(), damaged_text(Just("+is_active".to_owned())), damaged_text(Just("-name".to_owned())), "[ \t\n\u{a0}+-]{0,2}(name|is_active)[ \t]{0,1}"
    ]) {
        let six = ["+name", " name", "-name", "+is_active", " is_active", "-is_active"];
        match text.parse::<SortKey>() {
            Ok(key) => {
                prop_assert!(six.contains(&text.as_str()), "{:?}", text);
                prop_assert_eq!(key.to_string(), text.replace(' ', "+"));
                prop_assert_eq!(key.to_string().parse(), Ok(key));
            }
            Err(error) => prop_assert!(!six.contains(&text.as_str()) && !error.rule().is_empty()),
        }
    }

    #[test]
    fn attributes_and_permissions_are_read_or_refused(text in prop_oneof![
        some_text(),
        any_text().prop_map(|key| format!("tags.{key}")),
        damaged_text(grants::grant().prop_map(|grant| grant.permission().to_string())),
    ]) {
        if let Ok(permission) = text.parse::<Permission>() {
            prop_assert_eq!(permission.to_string(), text.as_str());
        }
        match text.parse::<Attribute>() {
            Ok(attribute) => prop_assert_eq!(attribute.to_string().parse(), Ok(attribute)),
            Err(error) => prop_assert!(!error.rule().is_empty()),
        }
    }

    #[test]
    fn numbers_take_their_ranges(number: i64, near in -2..3_i64, edge in 0..4_usize) {
        let edges = [0, i64::from(i32::MAX), i64::MAX, 20];
        for number in [number, edges[edge].saturating_add(near)] {
            prop_assert_eq!(VersionNumber::new(number).is_ok(), (1..=i64::from(i32::MAX)).contains(&number));
            prop_assert_eq!(Revision::new(number).is_ok(), number >= 0);
            prop_assert_eq!(CatalogRevision::new(number).is_ok(), number >= 0);
            let token = ContinuationToken::new(number);
            prop_assert_eq!(token.get(), number);
            match token.position() {
                Ok(None) => prop_assert_eq!(number, 0),
                Ok(Some(revision)) => prop_assert_eq!(ContinuationToken::after(revision), token),
                Err(error) => prop_assert!(number < 0 && !error.rule().is_empty()),
            }
            let limit = usize::try_from(number).unwrap_or(0);
            prop_assert_eq!(Limit::new(limit).is_ok(), (1..=20).contains(&number));
        }
    }
}

/// How many arrays and objects stand one in another, and whether a string holds NUL.
fn depth_and_nul(value: &Value) -> (usize, bool) {
    let all = |inner: &mut dyn Iterator<Item = &Value>| {
        inner.map(depth_and_nul).fold((0, false), |(depth, nul), (inner, has)| (depth.max(inner), nul || has))
    };
    match value {
        Value::Array(items) => {
            let (depth, nul) = all(&mut items.iter());
            (depth + 1, nul)
        }
        Value::Object(members) => {
            let (depth, nul) = all(&mut members.values());
            (depth + 1, nul || members.keys().any(|key| key.contains('\0')))
        }
        Value::String(text) => (0, text.contains('\0')),
        _ => (0, false),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let services = service::service().prop_map(|service| serde_json::to_value(&service).unwrap());
    let with_nul = (service::json_value(4), "[a\0]{1,3}")
        .prop_map(|(value, text)| serde_json::json!({"value": value, "text": [text]}));
    let nul_in_key = "[a\0]{1,3}".prop_map(|key| serde_json::json!([{ key: 1 }]));
    prop_oneof![4 => service::json_value(8), 4 => damaged_json(services), 1 => with_nul, 1 => nul_in_key]
}

proptest! {
    #[test]
    fn json_is_taken_unless_a_rule_forbids_it(value in any_json()) {
        let text = value.to_string();
        let (depth, nul) = depth_and_nul(&value);
        match parse_json(text.as_bytes()) {
            Ok(parsed) => {
                prop_assert!(depth <= MAX_JSON_DEPTH && !nul, "{}", text);
                prop_assert_eq!(parsed, value);
            }
            Err(error) => prop_assert!(depth > MAX_JSON_DEPTH || nul, "{}: {}", text, error),
        }
    }

    #[test]
    fn json_that_is_taken_is_json(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        damaged(any_json().prop_map(|value| value.to_string().into_bytes())),
    ]) {
        if let Ok(parsed) = parse_json(&bytes) {
            prop_assert_eq!(&serde_json::from_slice::<Value>(&bytes).unwrap(), &parsed);
            prop_assert_eq!(parse_json(parsed.to_string().as_bytes()).unwrap(), parsed);
        }
    }

    #[test]
    fn a_damaged_service_is_refused_or_is_a_service(value in damaged_json(
        service::service().prop_map(|service| serde_json::to_value(&service).unwrap())
    )) {
        if let Ok(service) = serde_json::from_value::<Service>(value) {
            let json = serde_json::to_string(&service).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Service>(&json).unwrap(), &service);
            prop_assert_eq!(service.json_bytes(), json.len());
        }
    }

    #[test]
    fn a_damaged_grant_is_refused_or_is_a_grant(value in damaged_json(
        grants::grant().prop_map(|grant| serde_json::to_value(&grant).unwrap())
    )) {
        if let Ok(grant) = serde_json::from_value::<Grant>(value) {
            let json = serde_json::to_string(&grant).unwrap();
            prop_assert_eq!(serde_json::from_str::<Grant>(&json).unwrap(), grant);
        }
    }
}

fn export(store: &ModelStore) -> String {
    let mut archive = Vec::new();
    block_on(store.export(&mut archive)).unwrap();
    String::from_utf8(archive).unwrap()
}

/// Whether no two are the same.
fn is_once<Id: Ord>(ids: impl Iterator<Item = Id> + Clone) -> bool {
    ids.clone().collect::<BTreeSet<Id>>().len() == ids.count()
}

fn documents() -> impl Strategy<Value = CatalogDocument> {
    let start = Just(catalog::start([0, 1].map(catalog::organization)));
    let recipe = (catalog::recipe(), service::service_id())
        .prop_map(|(recipe, id)| recipe.document(&catalog::organization(0), &[id]));
    prop_oneof![1 => start, 3 => recipe]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_catalog_is_refused_whole_or_says_what_it_does(bytes in prop_oneof![
        damaged(documents().prop_map(|document| serde_json::to_vec(&document).unwrap())),
        damaged_json(documents().prop_map(|document| serde_json::to_value(&document).unwrap()))
            .prop_map(|value| value.to_string().into_bytes()),
    ]) {
        let Ok(document) = CatalogDocument::parse(&bytes) else { return Ok(()) };
        let json = serde_json::to_vec(&document).unwrap();
        prop_assert_eq!(&CatalogDocument::parse(&json).unwrap(), &document);
        prop_assert!(is_once(document.llms.iter().map(|llm| &llm.name)));
        prop_assert!(is_once(document.organizations.iter().map(|entry| &entry.id)));
        for entry in &document.organizations {
            prop_assert!(is_once(entry.agents.iter().map(|agent| agent.id)));
            prop_assert!(is_once(entry.roles.iter().map(|role| &role.name)));
            prop_assert!(is_once(entry.users.iter().map(|user| user.principal(&entry.id))));
        }

        let store = ModelStore::default();
        block_on(store.apply_catalog(&catalog::start([0, 1].map(catalog::organization)))).unwrap();
        let before = export(&store);
        match block_on(store.apply_catalog(&document)) {
            Ok(_) => {
                let again = block_on(store.apply_catalog(&document)).unwrap();
                prop_assert!(again.is_empty(), "{}", again);
            }
            Err(CatalogError::Refused(_)) => prop_assert_eq!(export(&store), before),
            Err(error) => panic!("{error:?}"),
        }
        prop_assert_eq!(block_on(store.check()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn any_bytes_are_no_catalog(bytes in proptest::collection::vec(any::<u8>(), 1..80)) {
        if let Ok(document) = CatalogDocument::parse(&bytes) {
            prop_assert_eq!(document, CatalogDocument::default());
        }
    }
}
