//! Every value type: what is printed parses to what was printed, and serde says the same.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use service_core::*;
use store_conformance::generate::{catalog, grants, listing, request, service, text};

fn prints_and_parses<T>(value: &T) -> Result<(), TestCaseError>
where
    T: Display + FromStr<Err = ValueError> + PartialEq + Debug,
{
    let printed = value.to_string();
    prop_assert_eq!(&printed.parse::<T>().map_err(|error| TestCaseError::fail(error.to_string()))?, value);
    Ok(())
}

fn survives_serde<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    value: &T,
) -> Result<(), TestCaseError> {
    let json = serde_json::to_string(value).unwrap();
    let back: T =
        serde_json::from_str(&json).map_err(|error| TestCaseError::fail(format!("{json}: {error}")))?;
    prop_assert_eq!(&back, value);
    prop_assert_eq!(serde_json::to_string(&back).unwrap(), json.clone(), "printing is stable");
    let through_value: T = serde_json::from_value(serde_json::from_str(&json).unwrap()).unwrap();
    prop_assert_eq!(&through_value, value);
    Ok(())
}

/// A value as JSON in several ways: each time, one of the values in it is what `spoil` makes of it.
fn spoiled(value: &Value, spoil: &dyn Fn(&Value) -> Vec<String>) -> Vec<String> {
    let (open, parts, close): (_, Vec<(String, &Value)>, _) = match value {
        Value::Object(entries) => {
            let parts = entries.iter().map(|(key, value)| (format!("{}:", Value::from(key.as_str())), value));
            ("{", parts.collect(), "}")
        }
        Value::Array(items) => ("[", items.iter().map(|item| (String::new(), item)).collect(), "]"),
        _ => return spoil(value),
    };
    let texts: Vec<String> = parts.iter().map(|(key, value)| format!("{key}{value}")).collect();
    let mut all = spoil(value);
    for (index, (key, child)) in parts.iter().enumerate() {
        for inner in spoiled(child, spoil) {
            let mut texts = texts.clone();
            texts[index] = format!("{key}{inner}");
            all.push(format!("{open}{}{close}", texts.join(",")));
        }
    }
    all
}

/// An object with each of its keys twice, one after the other.
fn with_a_key_twice(value: &Value) -> Vec<String> {
    let Value::Object(entries) = value else { return Vec::new() };
    let texts: Vec<String> =
        entries.iter().map(|(key, value)| format!("{}:{value}", Value::from(key.as_str()))).collect();
    texts.iter().map(|text| format!("{{{},{text}}}", texts.join(","))).collect()
}

/// A text with a NUL, and an object with one in each of its keys.
fn with_a_nul(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![Value::from(format!("{text}\0")).to_string()],
        Value::Object(entries) => {
            let with_nul = |spoiled: &String| {
                let name = |key: &String| if key == spoiled { format!("{key}\0") } else { key.clone() };
                let entries = entries.iter().map(|(key, value)| (name(key), value.clone()));
                Value::Object(entries.collect()).to_string()
            };
            entries.keys().map(with_nul).collect()
        }
        _ => Vec::new(),
    }
}

fn round_trips<T>(value: &T) -> Result<(), TestCaseError>
where
    T: Display + FromStr<Err = ValueError> + Serialize + DeserializeOwned + PartialEq + Debug,
{
    prints_and_parses(value)?;
    survives_serde(value)?;
    prop_assert_eq!(serde_json::to_value(value).unwrap(), serde_json::json!(value.to_string()));
    Ok(())
}

proptest! {
    #[test]
    fn ids_round_trip(bytes: [u8; 12]) {
        round_trips(&ServiceId::from_bytes(bytes))?;
        round_trips(&AgentId::from_bytes(bytes))?;
        round_trips(&StateMachineId::from_bytes(bytes))?;
        round_trips(&SimulationUnitTestId::from_bytes(bytes))?;
        prop_assert_eq!(*ServiceId::from_bytes(bytes).as_bytes(), bytes);
    }

    #[test]
    fn llm_params_are_equal_when_their_objects_are(left in service::llm_params(), right in service::llm_params()) {
        let object = |params: &LlmParams| Value::Object(params.clone().into());
        for other in [&left, &right] {
            prop_assert_eq!(left == *other, json_equal(&object(&left), &object(other)));
        }
        let mut fewer = serde_json::Map::from(left.clone());
        if let Some(name) = fewer.keys().next_back().cloned() {
            fewer.remove(&name);
            let fewer = LlmParams::new(fewer).unwrap();
            prop_assert_ne!(&left, &fewer);
            prop_assert_ne!(&fewer, &left);
        }
    }

    #[test]
    fn ids_order_like_their_text(left: [u8; 12], right: [u8; 12]) {
        let (left, right) = (ServiceId::from_bytes(left), ServiceId::from_bytes(right));
        prop_assert_eq!(left.cmp(&right), left.to_string().cmp(&right.to_string()));
    }

    #[test]
    fn texts_round_trip(
        name in text::service_name(),
        description in text::description(),
        key in text::tag_key(),
        value in text::tag_value(),
        set in text::version_set_name(),
        user in text::user_id(),
        organization in text::organization_id(),
        interaction in text::interaction_name(),
        llm in text::llm_name(),
    ) {
        round_trips(&name)?;
        round_trips(&description)?;
        round_trips(&key)?;
        round_trips(&value)?;
        round_trips(&set)?;
        round_trips(&user)?;
        round_trips(&organization)?;
        round_trips(&interaction)?;
        round_trips(&llm)?;
        round_trips(&user.as_str().parse::<RoleName>().unwrap())?;
        round_trips(&name.as_str().parse::<CatalogName>().unwrap())?;
        round_trips(&organization.as_str().parse::<ApiKeyId>().unwrap())?;
    }

    #[test]
    fn any_text_is_refused_or_kept_stripped(text in prop_oneof![any::<String>(), r"[\w\s]{1,8}", "[a-z -]{1,8}"]) {
        // Whatever is taken obeys the rule as the design states it, and whatever obeys it is taken.
        let stripped = text.trim_matches(char::is_whitespace);
        let length = stripped.chars().count();
        let clean = !stripped.chars().any(char::is_control);
        let name = text.parse::<ServiceName>();
        prop_assert_eq!(name.is_ok(), (1..=256).contains(&length) && clean);
        prop_assert!(name.is_ok_and(|name| name.as_str() == stripped) || !(clean && (1..=256).contains(&length)));
        let words = regex::Regex::new(r"^[\w\s]+$").unwrap();
        let is_tag = (1..=128).contains(&length) && clean && words.is_match(stripped);
        prop_assert_eq!(text.parse::<TagKey>().is_ok(), is_tag);
        prop_assert_eq!(text.parse::<TagValue>().is_ok(), is_tag);
        let terms = regex::Regex::new("^[a-z-]+( [a-z-]+){0,2}$").unwrap();
        prop_assert_eq!(text.parse::<Keyterm>().is_ok(), length <= 100 && terms.is_match(stripped));
    }

    #[test]
    fn names_compare_by_code_point(left in text::service_name(), right in text::service_name()) {
        let points = |name: &ServiceName| name.as_str().chars().map(u32::from).collect::<Vec<_>>();
        prop_assert_eq!(left.cmp(&right), points(&left).cmp(&points(&right)));
    }

    #[test]
    fn times_round_trip(time in service::timestamp()) {
        round_trips(&time)?;
        prop_assert_eq!(Timestamp::from_microseconds(time.as_microseconds()), Ok(time));
    }

    #[test]
    fn numbers_round_trip(number in 0..=i64::MAX, version in service::version_number()) {
        survives_serde(&Revision::new(number).unwrap())?;
        survives_serde(&CatalogRevision::new(number).unwrap())?;
        survives_serde(&version)?;
        prop_assert_eq!(VersionNumber::new(version.get().into()), Ok(version));
        let token = ContinuationToken::after(Revision::new(number).unwrap());
        prop_assert_eq!(ContinuationToken::new(token.get()), token);
    }

    #[test]
    fn collections_round_trip(
        tags in service::tags(),
        keyterms in text::keyterms(),
        set in service::version_set(),
        sets in service::version_sets(),
    ) {
        survives_serde(&tags)?;
        survives_serde(&keyterms)?;
        survives_serde(&set)?;
        survives_serde(&sets)?;
    }

    #[test]
    fn json_round_trips_and_equals_itself(value in service::json_value(6)) {
        let read = parse_json(value.to_string().as_bytes()).unwrap();
        prop_assert!(json_equal(&read, &value), "{} as {}", value, read);
        prop_assert_eq!(read.to_string(), value.to_string(), "printing is stable");
    }

    #[test]
    fn equality_of_numbers_is_equality_of_values(left: i64, right in any::<f64>(), near in -4..4_i64) {
        // An exact comparison by another way: through the double's own integer, where it has one.
        let double = if near == 0 { right } else { (left.wrapping_add(near)) as f64 };
        prop_assume!(double.is_finite());
        let exact = double.fract() == 0.0 && double.abs() < 1e30 && double as i128 == i128::from(left);
        let pair = (serde_json::json!(left), serde_json::json!(double));
        prop_assert_eq!(json_equal(&pair.0, &pair.1), exact);
        prop_assert_eq!(json_equal(&pair.1, &pair.0), exact);
    }

    #[test]
    fn services_round_trip(service in service::service()) {
        survives_serde(&service)?;
        prop_assert_eq!(service.json_bytes(), serde_json::to_vec(&service).unwrap().len());
    }

    #[test]
    fn a_service_has_no_key_twice_and_no_nul(service in service::service()) {
        let json = serde_json::to_value(&service).unwrap();
        for text in spoiled(&json, &with_a_key_twice) {
            let fault = serde_json::from_str::<Service>(&text).unwrap_err().to_string();
            let expected = ["duplicate field", "twice", "each key once"];
            prop_assert!(expected.iter().any(|part| fault.contains(part)), "{}: {}", text, fault);
        }
        for text in spoiled(&json, &with_a_nul) {
            prop_assert!(serde_json::from_str::<Service>(&text).is_err(), "{}", text);
        }
    }

    #[test]
    fn grants_round_trip(grant in grants::grant(), caller in grants::caller()) {
        survives_serde(&grant)?;
        for (attribute, condition) in grant.conditions() {
            prints_and_parses(attribute)?;
            survives_serde(condition)?;
        }
        prints_and_parses(&grant.permission())?;
        let json = serde_json::to_string(&caller.grants).unwrap();
        prop_assert_eq!(serde_json::from_str::<Grants>(&json).unwrap(), caller.grants);
        survives_serde(&caller.principal)?;
    }

    #[test]
    fn filters_and_sorts_round_trip(filter in listing::tag_filter(), sort in listing::sort()) {
        prints_and_parses(&filter)?;
        sort.keys().iter().try_for_each(prints_and_parses)?;
    }

    #[test]
    fn catalog_documents_round_trip(recipe in catalog::recipe(), id in service::service_id()) {
        let document = recipe.document(&catalog::organization(0), &[id]);
        survives_serde(&document)?;
        let json = serde_json::to_vec(&document).unwrap();
        match CatalogDocument::parse(&json) {
            Ok(parsed) => prop_assert_eq!(parsed, document),
            Err(error) => prop_assert!(error.to_string().contains("comes twice"), "{}", error),
        }
    }

    #[test]
    fn requests_hold_only_what_could_be_stored(request in request::create()) {
        survives_serde(&request.tags)?;
        survives_serde(&request.release.unwrap_or_default())?;
    }
}

#[test]
fn catalog_documents_are_read_strictly() {
    for (json, said) in [
        (r#"{"llm":[]}"#, "unknown field"),
        (r#"{"llms":[{"name":"a","depreciated":true}]}"#, "unknown field"),
        (r#"{"llms":[],"llms":[]}"#, "duplicate field"),
        (r#"{"llms":[{"name":"a","name":"b"}]}"#, "duplicate field"),
        (r#"{"organizations":[{"id":"a b"}]}"#, "organization id must be"),
        (r#"{"organizations":[{"id":"a","agents":[{"id":"1"}]}]}"#, "agent id must be"),
        (
            r#"{"organizations":[{"id":"a","roles":[{"name":"r","grants":[{"permission_name":"Service:Fly"}]}]}]}"#,
            "permission name",
        ),
        (
            r#"{"organizations":[{"id":"a","roles":[{"name":"r","grants":[{"permission_name":"Service:GetService",
               "conditions":{"is_active":{"type":"Equals","value":"true"}}}]}]}]}"#,
            "is_active with booleans",
        ),
        (
            r#"{"organizations":[{"id":"a","roles":[{"name":"r","grants":[{"permission_name":"Service:GetService",
               "conditions":{"tags.a":{"type":"Equals","value":"x"},"tags. a":{"type":"Equals","value":"x"}}}]}]}]}"#,
            "two conditions on `tags.a`",
        ),
        ("{} {}", "trailing"),
    ] {
        let error = CatalogDocument::parse(json.as_bytes()).expect_err(json).to_string();
        assert!(error.contains(said), "{json}: {error}");
    }
}

#[test]
fn sorts_and_limits_name_the_rule_they_break() {
    for (key, said) in
        [("name", "must start with"), ("", "must start with"), ("+id", "must name"), ("+ name", "must name")]
    {
        let error = key.parse::<SortKey>().expect_err(key).to_string();
        assert!(error.contains(said), "{key}: {error}");
    }
    assert_eq!(" name".parse::<SortKey>(), "+name".parse());
    assert!(Sort::new(vec!["+name".parse().unwrap(), "-name".parse().unwrap()]).is_err());
    for limit in [0, 21, usize::MAX] {
        assert!(Limit::new(limit).is_err());
    }
    assert_eq!(Limit::default().get(), 10);
    assert_eq!(Limit::with_maximum(500, 1000).map(Limit::get), Ok(500));
    assert!(Limit::with_maximum(1001, 1000).is_err());
    assert_eq!(listing::all_sorts().len(), 13);
}

#[test]
fn tag_filters_split_at_the_first_colon_and_are_stripped() {
    let parsed = |text: &str| text.parse::<TagFilter>().map(|filter| filter.to_string());
    assert_eq!(parsed(" team : red "), Ok("team:red".to_owned()));
    assert_eq!(parsed("team:"), Ok("team:".to_owned()));
    assert_eq!(parsed("team: "), Ok("team:".to_owned()));
    assert_eq!(parsed("team: * "), Ok("team:*".to_owned()));
    for text in ["team", "", ":", ":red", "team:a:b", "te-am:*", "team:**", "team:r*"] {
        assert!(parsed(text).is_err(), "{text}");
    }
}

#[test]
fn an_api_key_is_known_by_its_hash_alone_and_shows_nothing() {
    let hash = ApiKeyHash::of("secret");
    assert!(hash.verifies("secret"));
    for other in ["", "Secret", "secret ", "secre"] {
        assert!(!hash.verifies(other), "{other:?}");
    }
    assert!(ApiKeyHash::from_bytes(*hash.as_bytes()).verifies("secret"));
    assert_eq!(hash.as_bytes()[..4], [0x2b, 0xb8, 0x0d, 0x53], "SHA-256");
    assert_eq!(format!("{hash:?}"), "ApiKeyHash(…)");
}
