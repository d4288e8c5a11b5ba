use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use service_core::{Direction, SortField};

use super::*;
use crate::invalid::LocSegment;

fn listing(query: &str) -> ListServices {
    decode_listing(Some(query)).unwrap()
}

/// The faults: where, joined by slashes, and of what type.
fn faults(query: &str) -> Vec<(String, &'static str)> {
    let segment = |segment: &LocSegment| match segment {
        LocSegment::Name(name) => name.clone(),
        LocSegment::Index(index) => index.to_string(),
    };
    let invalid = decode_listing(Some(query)).unwrap_err();
    let loc = |loc: &[LocSegment]| loc.iter().map(segment).collect::<Vec<_>>().join("/");
    invalid.faults().iter().map(|fault| (loc(&fault.loc), fault.kind)).collect()
}

fn at(loc: &str, kind: &'static str) -> Vec<(String, &'static str)> {
    vec![(format!("query/{loc}"), kind)]
}

fn tags(query: &str) -> Vec<String> {
    listing(query).filter.tags().iter().map(ToString::to_string).collect()
}

fn sort(query: &str) -> Vec<(SortField, Direction)> {
    listing(query).sort.keys().iter().map(|key| (key.field, key.direction)).collect()
}

const ID: &str = "65a0c3f1e4b0a1b2c3d4e5f6";

#[test]
fn without_a_query_everything_is_listed_from_the_start_ten_at_a_time() {
    for query in [None, Some(""), Some("&"), Some("&&unknown=1&")] {
        let listing = decode_listing(query).unwrap();
        assert_eq!(listing, ListServices::default());
        assert_eq!((listing.limit.get(), listing.token), (10, ContinuationToken::START));
    }
}

#[test]
fn unknown_parameters_are_ignored_whatever_they_hold() {
    let query = "unknown=%ff&unknown=2&%ff=1&Limit=0&limit%00=0&=5&id[]=x&sort_by[]=y&%ED%A0%80";
    assert_eq!(listing(query), ListServices::default());
}

#[test]
fn ids_are_repeated_and_duplicates_count_once() {
    let other = "65a0c3f1e4b0a1b2c3d4e5f7";
    let ids = listing(&format!("id={ID}&id={other}&id={ID}")).filter.ids().clone();
    assert_eq!(ids, [ID, other].map(|id| id.parse().unwrap()).into());
}

#[test]
fn each_ill_formed_id_is_named_with_its_place() {
    let query = format!("id={ID}&id=&id=65A0C3F1E4B0A1B2C3D4E5F6&id={ID},{ID}&id={ID}%00");
    let expected = [1, 2, 3, 4].map(|index| (format!("query/id/{index}"), "value_error"));
    assert_eq!(faults(&query), expected);
}

#[test]
fn there_are_at_most_a_thousand_different_ids() {
    let ids = |count: usize| (0..count).map(|n| format!("id={n:024x}&id={n:024x}&")).collect::<String>();
    assert_eq!(listing(&ids(1000)).filter.ids().len(), 1000);
    assert_eq!(faults(&ids(1001)), at("id", "too_long"));
}

#[test]
fn activeness_is_one_of_four_words_in_any_case() {
    for (word, expected) in [("true", true), ("TRUE", true), ("tRuE", true), ("1", true)] {
        assert_eq!(listing(&format!("is_active={word}")).filter.is_active(), Some(expected));
    }
    for (word, expected) in [("false", false), ("False", false), ("0", false), ("%66alse", false)] {
        assert_eq!(listing(&format!("is_active={word}")).filter.is_active(), Some(expected));
    }
    for word in ["", "yes", "on", "t", "2", "01", "null", "None", "true+", "%20true", "tru%C3%A9"] {
        assert_eq!(faults(&format!("is_active={word}")), at("is_active", "boolean_type"), "{word}");
    }
}

#[test]
fn limits_are_integers_from_1_to_20() {
    for limit in [1, 10, 20] {
        assert_eq!(listing(&format!("limit={limit}")).limit.get(), limit);
    }
    assert_eq!(listing("limit=05").limit.get(), 5);
    for limit in ["0", "21", "-1", "1000", "9223372036854775808", "-99999999999999999999", "4294967301"] {
        assert_eq!(faults(&format!("limit={limit}")), at("limit", "value_error"), "{limit}");
    }
    let no_integers = [
        "", "ten", "1.0", "1e1", "+5", "%2B5", "%205", "5%20", "5,6", "0x5", "--5", "-", "%D9%A5", "5%00",
        "5_0", "true",
    ];
    for limit in no_integers {
        assert_eq!(faults(&format!("limit={limit}")), at("limit", "integer_type"), "{limit}");
    }
    assert_eq!(faults("limit"), at("limit", "integer_type"));
}

#[test]
fn a_continuation_token_is_any_integer() {
    let token = |text: &str| listing(&format!("continuation_token={text}")).token.get();
    assert_eq!(token("0"), 0);
    assert_eq!(token("17"), 17);
    assert_eq!(token("-3"), -3);
    assert_eq!(token("9223372036854775807"), i64::MAX);
    assert_eq!(token("9223372036854775808"), i64::MAX);
    assert_eq!(token(&"9".repeat(5000)), i64::MAX);
    assert_eq!(token("-9223372036854775809"), i64::MIN);
    for text in ["", "x", "1.5", "1e3", "%2B1", "+1", "0x1", "null", "-"] {
        let query = format!("continuation_token={text}");
        assert_eq!(faults(&query), at("continuation_token", "integer_type"), "{text}");
    }
}

#[test]
fn what_may_stand_once_may_not_stand_twice_even_with_the_same_value() {
    for (name, value) in [("limit", "5"), ("is_active", "true"), ("continuation_token", "0")] {
        assert_eq!(faults(&format!("{name}={value}&{name}={value}")), at(name, "repeated"));
        assert_eq!(faults(&format!("{name}={value}&{name}=&{name}=%ff")), at(name, "repeated"));
    }
    assert_eq!(faults("limit=5&l%69mit=5"), at("limit", "repeated"));
}

#[test]
fn sort_keys_are_signed_fields_each_at_most_once() {
    use Direction::{Ascending, Descending};
    use SortField::{IsActive, Name};
    assert_eq!(sort("sort_by=%2Bname"), [(Name, Ascending)]);
    assert_eq!(sort("sort_by=+name"), [(Name, Ascending)]);
    assert_eq!(sort("sort_by=%20name"), [(Name, Ascending)]);
    assert_eq!(sort("sort_by=-is_active&sort_by=%2Bname"), [(IsActive, Descending), (Name, Ascending)]);
    for key in ["name", "", "%2B", "-", "-Name", "-created_at", "--name", "-name%20", "-name,%2Bis_active"] {
        assert_eq!(faults(&format!("sort_by={key}")), at("sort_by/0", "value_error"), "{key}");
    }
    let twice = "sort_by=-name&sort_by=-is_active&sort_by=%2Bname&sort_by=-name";
    let expected = [2, 3].map(|index| (format!("query/sort_by/{index}"), "value_error"));
    assert_eq!(faults(twice), expected);
}

#[test]
fn tag_filters_have_two_spellings_that_count_together() {
    assert_eq!(tags("tags=team:care&tag=beta:*&tags=beta:"), ["beta:*", "beta:", "team:care"]);
    assert_eq!(tags("tags=%20team%20:+full+care+"), ["team:full care"]);
    assert_eq!(tags("tag=team%3Acare"), ["team:care"]);
    // All white space is stripped, as it is from tags in bodies: also the white space that is a control character.
    assert_eq!(tags("tags=team%09:care%0A"), ["team:care"]);
    let many = |tags: usize, tag: usize| {
        let spelled =
            |name: &str, count: usize| (0..count).map(|n| format!("{name}={name}{n}:*&")).collect::<String>();
        spelled("tags", tags) + &spelled("tag", tag)
    };
    assert_eq!(tags(&many(10, 10)).len(), 20);
    assert_eq!(tags(&many(0, 20)).len(), 20);
    assert_eq!(faults(&many(21, 0)), at("tags", "too_long"));
    assert_eq!(faults(&many(11, 10)), at("tag", "too_long"));
    assert_eq!(faults(&"tag=same:*&".repeat(21)), at("tag", "too_long"));
}

#[test]
fn each_ill_formed_tag_filter_is_named_with_its_spelling_and_place() {
    let query = "tags=fine:x&tags=no_colon&tags=:value&tag=&tag=a:b:c&tags=a%00:b&tag=fine:";
    let expected = [
        ("query/tag/0".to_owned(), "value_error"),
        ("query/tag/1".to_owned(), "value_error"),
        ("query/tags/1".to_owned(), "value_error"),
        ("query/tags/2".to_owned(), "value_error"),
        ("query/tags/3".to_owned(), "value_error"),
    ];
    assert_eq!(faults(query), expected);
}

#[test]
fn what_is_no_utf_8_is_a_fault_of_its_parameter() {
    for name in ["limit", "is_active", "continuation_token"] {
        assert_eq!(faults(&format!("{name}=%ff")), at(name, "encoding_invalid"));
    }
    for name in ["id", "sort_by", "tags", "tag"] {
        assert_eq!(faults(&format!("{name}=%C3%28")), at(&format!("{name}/0"), "encoding_invalid"));
        assert_eq!(faults(&format!("{name}=%ED%A0%80")), at(&format!("{name}/0"), "encoding_invalid"));
    }
}

#[test]
fn a_percent_sign_that_starts_no_sequence_stands_for_itself() {
    for value in ["%", "%4", "%zz", "100%25", "%+1"] {
        assert_eq!(faults(&format!("limit={value}")), at("limit", "integer_type"), "{value}");
    }
    // `%` is no character of a tag; what matters is that it has become nothing else.
    assert_eq!(faults("tags=a:%zz"), at("tags/0", "value_error"));
    assert_eq!(tags("tags=a:%7A%7A"), ["a:zz"]);
}

#[test]
fn all_faults_come_together() {
    let query = "limit=0&is_active=maybe&continuation_token=x&id=y&sort_by=name&tags=t&tag=u:-&limit2=0";
    let expected = [
        ("query/continuation_token".to_owned(), "integer_type"),
        ("query/id/0".to_owned(), "value_error"),
        ("query/is_active".to_owned(), "boolean_type"),
        ("query/limit".to_owned(), "value_error"),
        ("query/sort_by/0".to_owned(), "value_error"),
        ("query/tag/0".to_owned(), "value_error"),
        ("query/tags/0".to_owned(), "value_error"),
    ];
    assert_eq!(faults(query), expected);
}

/// A query made of what could trip its reader up.
fn odd_query() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec![
        "id",
        "is_active",
        "sort_by",
        "tag",
        "tags",
        "limit",
        "continuation_token",
        "other",
        "",
    ]);
    let value = prop_oneof![
        "[-+ %=&:*,0-9a-fA-F_]{0,12}",
        "\\PC{0,8}",
        any::<i128>().prop_map(|number| number.to_string()),
        vec(any::<u8>(), 0..6).prop_map(|bytes| bytes.iter().map(|byte| format!("%{byte:02x}")).collect()),
        Just("65a0c3f1e4b0a1b2c3d4e5f6".to_owned()),
        Just("+name".to_owned()),
        Just("a:b".to_owned()),
    ];
    vec((name, value, any::<bool>()), 0..8).prop_map(|pairs| {
        let pair = |(name, value, equals): (&str, String, bool)| {
            format!("{name}{}{value}", if equals { "=" } else { "" })
        };
        pairs.into_iter().map(pair).collect::<Vec<_>>().join("&")
    })
}

proptest! {
    #[test]
    fn any_query_is_read_or_refused_with_a_reason(query in prop_oneof![odd_query(), "\\PC{0,60}", any::<String>()]) {
        if let Err(invalid) = decode_listing(Some(&query)) {
            prop_assert!(!invalid.faults().is_empty());
            prop_assert!(invalid.faults().iter().all(|fault| fault.loc.len() >= 2 && fault.loc[0] == "query".into()));
        }
    }

    #[test]
    fn a_query_that_says_a_listing_is_read_as_that_listing(
        ids in vec(any::<[u8; 12]>().prop_map(ServiceId::from_bytes), 0..5),
        is_active in any::<Option<bool>>(),
        tags in vec(("[a-zäß_]([a-zäß ]{0,5}[a-z])?", prop_oneof![Just("*"), Just(""), Just("v w"), Just("日本")]), 0..6),
        keys in proptest::sample::select(vec![vec![], vec!["-name"], vec!["+is_active", "-name"], vec!["+name", "+is_active"]]),
        limit in prop::option::of(1..=20_usize),
        token in prop::option::of(any::<i64>()),
    ) {
        let tags: Vec<String> = tags.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
        let mut pairs: Vec<(&str, String)> = Vec::new();
        pairs.extend(ids.iter().map(|id| ("id", id.to_string())));
        pairs.extend(tags.iter().enumerate().map(|(n, tag)| (if n % 2 == 0 { "tags" } else { "tag" }, tag.clone())));
        pairs.extend(keys.iter().map(|key| ("sort_by", (*key).to_owned())));
        pairs.extend(is_active.map(|is_active| ("is_active", is_active.to_string())));
        pairs.extend(limit.map(|limit| ("limit", limit.to_string())));
        pairs.extend(token.map(|token| ("continuation_token", token.to_string())));
        let encode = |(name, value): &(&str, String)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        let query = pairs.iter().map(encode).collect::<Vec<_>>().join("&");
        let expected = ListServices {
            filter: ServiceFilter::new(ids, is_active, tags.iter().map(|tag| tag.parse().unwrap())).unwrap(),
            sort: Sort::new(keys.iter().map(|key| key.parse().unwrap()).collect()).unwrap(),
            limit: limit.map(|limit| Limit::new(limit).unwrap()).unwrap_or_default(),
            token: token.map(ContinuationToken::new).unwrap_or_default(),
        };
        prop_assert_eq!(decode_listing(Some(&query)), Ok(expected));
    }
}

/// Whether a query is one of a listing: the rules of the design, once more, over the parameters as they were before they were encoded.
fn is_listing(pairs: &[(&str, String)]) -> bool {
    let values = |name: &str| {
        pairs.iter().filter(|pair| pair.0 == name).map(|pair| pair.1.clone()).collect::<Vec<_>>()
    };
    let single = |name: &str, is_right: &dyn Fn(&str) -> bool| match values(name).as_slice() {
        [] => true,
        [one] => is_right(one),
        _ => false,
    };
    let is_integer = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit())
    };
    let is_limit =
        |text: &str| is_integer(text) && text.parse::<i128>().is_ok_and(|limit| (1..=20).contains(&limit));
    let is_id =
        |text: &String| text.len() == 24 && text.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f'));
    let words = ["true", "false", "1", "0"];
    let is_boolean = |text: &str| words.contains(&text.to_ascii_lowercase().as_str());
    let fields: Vec<Option<&str>> =
        ["+name", "-name", "+is_active", "-is_active"].into_iter().map(Some).collect();
    let sorts: Vec<String> = values("sort_by").into_iter().map(|key| key.replacen(' ', "+", 1)).collect();
    let field = |key: &String| fields.contains(&Some(key)).then(|| key[1..].to_owned());
    let sorts: Option<Vec<String>> = sorts.iter().map(field).collect();
    let is_sort = sorts
        .is_some_and(|fields| fields.iter().collect::<std::collections::BTreeSet<_>>().len() == fields.len());
    let tags = [values("tags"), values("tag")].concat();
    single("limit", &is_limit)
        && single("continuation_token", &is_integer)
        && single("is_active", &is_boolean)
        && values("id").iter().all(is_id)
        && is_sort
        && tags.len() <= 20
        && tags.iter().all(|tag| tag.parse::<TagFilter>().is_ok())
}

/// Parameters whose values are right, nearly right, or anything.
fn any_pairs() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    use store_conformance::generate::damage::{any_text, damaged_text};
    let of = |names: Vec<&'static str>, right: Vec<&'static str>| {
        let right = proptest::sample::select(right).prop_map(str::to_owned);
        let value = prop_oneof![6 => right.clone(), 1 => damaged_text(right), 1 => any_text()];
        (proptest::sample::select(names), value)
    };
    let pair = prop_oneof![
        of(vec!["id"], vec!["65a0c3f1e4b0a1b2c3d4e5f6", "65a0c3f1e4b0a1b2c3d4e5f7"]),
        of(vec!["is_active"], vec!["true", "False", "1", "0"]),
        of(vec!["sort_by"], vec!["+name", "-name", " is_active", "-is_active"]),
        of(vec!["tag", "tags"], vec!["a:b", "a:*", "a:", " a : b ", "\u{65e5}\u{672c}:x"]),
        of(vec!["limit"], vec!["1", "20", "05", "10"]),
        of(vec!["continuation_token"], vec!["0", "7", "-1", "99999999999999999999"]),
        of(vec!["other", "Limit"], vec!["x"]),
    ];
    vec(pair, 0..4)
}

proptest! {
    #[test]
    fn a_query_is_taken_exactly_if_the_rules_take_it(pairs in any_pairs(), plus: bool) {
        let encode = |text: &str| {
            let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            if plus { encoded.replace("%20", "+") } else { encoded }
        };
        let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let outcome = decode_listing(Some(&query.join("&")));
        prop_assert_eq!(outcome.is_ok(), is_listing(&pairs), "{:?}: {:?}", pairs, outcome);
    }

    #[test]
    fn a_damaged_query_is_read_or_refused_with_a_reason(query in store_conformance::generate::damage::damaged_text(Just(
        "id=65a0c3f1e4b0a1b2c3d4e5f6&is_active=true&tags=a%3Ab&tag=a:*&sort_by=%2Bname&sort_by=-is_active&limit=3&continuation_token=0".to_owned()
    ))) {
        if let Err(invalid) = decode_listing(Some(&query)) {
            prop_assert!(!invalid.faults().is_empty());
            prop_assert!(invalid.faults().iter().all(|fault| fault.loc[0] == "query".into() && !fault.msg.is_empty()));
        }
    }
}

#[test]
fn too_many_ids_are_named_beside_whatever_else_is_wrong() {
    let ids: String = (0..1001).map(|number| format!("&id={number:024x}")).collect();
    let all = [("query/id", kind::TOO_LONG), ("query/is_active", kind::BOOLEAN_TYPE)]
        .map(|(at, kind)| (at.to_owned(), kind));
    assert_eq!(faults(&format!("is_active=maybe{ids}")), all);
    assert_eq!(listing(&ids[..ids.len() - 28]).filter.ids().len(), 1000);
}

#[test]
fn a_field_that_comes_twice_is_named_beside_an_unknown_one() {
    let places: Vec<String> =
        faults("sort_by=%2Bname&sort_by=q&sort_by=-name").into_iter().map(|fault| fault.0).collect();
    assert_eq!(places, ["query/sort_by/1", "query/sort_by/2"]);
}

#[test]
fn a_hostile_query_is_not_answered_with_a_fault_for_every_two_bytes() {
    assert_eq!(faults(&"id&".repeat(10_000)).len(), 100);
    assert_eq!(faults(&"tags&".repeat(10_000)), at("tags", kind::TOO_LONG));
    assert!(faults(&"sort_by=-name&".repeat(10_000)).len() <= 100);
}
