//! What is ill-formed, and the rule that says so; what JSON is, and when two pieces of it are equal.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::*;

/// Texts that are well-formed, each with the text it is kept as, and texts that are not, each with the rule it breaks.
fn check<T>(value: &str, kept: &[(&str, &str)], broken: &[(&str, &str)])
where
    T: FromStr<Err = ValueError> + Display + Debug + PartialEq + DeserializeOwned,
{
    for (text, kept) in kept {
        let parsed: T = text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(parsed.to_string(), *kept);
        assert_eq!(serde_json::from_value::<T>(json!(text)).unwrap(), parsed);
    }
    for (text, rule) in broken {
        let error = text.parse::<T>().expect_err(text);
        assert_eq!(error.value(), value, "{text:?}");
        assert!(error.rule().contains(rule), "{text:?}: {error}");
        let said = serde_json::from_value::<T>(json!(text)).expect_err(text).to_string();
        assert!(said.contains(&error.to_string()), "serde goes through parsing: {said}");
    }
}

#[test]
fn ids_are_24_lower_case_hex_digits() {
    let rule = "24 lower-case hexadecimal digits";
    let good = "0123456789abcdef01234567";
    let broken = [
        "",
        "0123456789abcdef0123456",
        "0123456789abcdef012345678",
        "0123456789ABCDEF01234567",
        "0123456789abcdeg01234567",
        " 123456789abcdef01234567",
        "+123456789abcdef01234567",
        "0123456789abcdef0123456é",
        "0123456789abcdef01234é7",
    ]
    .map(|text| (text, rule));
    check::<ServiceId>("service id", &[(good, good)], &broken);
    check::<AgentId>("agent id", &[(good, good)], &broken);
    check::<StateMachineId>("state machine id", &[(good, good)], &broken);
    check::<SimulationUnitTestId>("simulation unit test id", &[(good, good)], &broken);
}

#[test]
fn each_digit_of_an_id_is_what_it_is_written_as() {
    let zeros = [b'0'; 24];
    for place in 0..24 {
        for byte in 0..=0x7f {
            let mut text = zeros;
            text[place] = byte;
            let parsed = std::str::from_utf8(&text).unwrap().parse::<ServiceId>().ok();
            let digit =
                matches!(byte, b'0'..=b'9' | b'a'..=b'f').then(|| (byte as char).to_digit(16).unwrap() as u8);
            let expected = digit.map(|digit| {
                let mut bytes = [0; 12];
                bytes[place / 2] = if place % 2 == 0 { digit << 4 } else { digit };
                ServiceId::from_bytes(bytes)
            });
            assert_eq!(parsed, expected, "{byte:#x} at {place}");
        }
    }
}

#[test]
fn a_service_id_begins_with_the_second_of_its_creation() {
    let at = |seconds: i64| Timestamp::from_microseconds(seconds * 1_000_000 + 999_999).unwrap();
    let id = ServiceId::created_at(at(0x6592_0080), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(id.to_string(), "659200800102030405060708");
    assert!(ServiceId::created_at(at(5), [0xff; 8]) < ServiceId::created_at(at(6), [0; 8]));
    assert_eq!(ServiceId::created_at(at(-1), [9; 8]).as_bytes()[..4], [0; 4], "before 1970");
}

#[test]
fn organizations_and_version_sets_are_slugs() {
    let long = "x".repeat(64);
    let too_long = "x".repeat(65);
    let rule = "1 to 64 of `A-Z a-z 0-9 _ -`";
    let broken = ["", " a", "a ", "a.b", "ä", "a/b", "a\0", &too_long].map(|text| (text, rule));
    check::<OrganizationId>("organization id", &[("Az09_-", "Az09_-"), (&long, &long)], &broken);
    check::<ApiKeyId>("api key id", &[("Az09_-", "Az09_-")], &broken);

    let long = "x".repeat(40);
    let too_long = "x".repeat(41);
    let rule = "1 to 40 of `A-Z a-z 0-9 _ -`";
    let broken = ["", " ", "a b", "a.b", "é", &too_long].map(|text| (text, rule));
    let kept = [(" edge\u{2003}", "edge"), ("Edge", "Edge"), (&*long, &*long)];
    check::<VersionSetName>("version set name", &kept, &broken);
}

#[test]
fn names_are_stripped_and_counted_in_characters() {
    let long = "😀".repeat(256);
    let padded = format!("\u{3000}{long}\n");
    let too_long = "😀".repeat(257);
    let far_too_long = "x".repeat(1 << 20);
    let length = "1 to 256 characters";
    let control = "must not contain control characters";
    check::<ServiceName>(
        "service name",
        &[
            ("a", "a"),
            ("\t a  b\u{a0}", "a  b"),
            ("\u{200b}", "\u{200b}"),
            ("e\u{301}", "e\u{301}"),
            ("\u{202e}", "\u{202e}"),
            (&padded, &long),
        ],
        &[
            ("", length),
            ("\u{2028}\u{85}\t", length),
            (&too_long, length),
            (&far_too_long, length),
            ("a\0", control),
            ("a\tb", control),
            ("a\u{85}b", control),
            ("\u{7f}", control),
        ],
    );
}

#[test]
fn users_llms_roles_and_interactions_are_kept_as_they_are() {
    let too_long = "é".repeat(129);
    let kept = [(" a ", " a "), ("a@b", "a@b"), (" ", " ")];
    let broken = [("", "1 to 128"), (&*too_long, "1 to 128"), ("a\nb", "control characters")];
    check::<UserId>("user id", &kept, &broken);
    check::<LlmName>("llm name", &kept, &broken);
    check::<RoleName>("role name", &kept, &broken);
    check::<InteractionName>("interaction name", &kept, &broken);
    let too_long = "é".repeat(257);
    let broken = [(&*too_long, "at most 256"), ("\0", "control characters")];
    check::<CatalogName>("catalog name", &[("", ""), (" a", " a")], &broken);
}

#[test]
fn descriptions_may_have_tabs_and_newlines() {
    let long = "é".repeat(4096);
    let too_long = "é".repeat(4097);
    let control = "control characters other than tab and newline";
    check::<Description>(
        "description",
        &[("\na\tb\nc\n", "a\tb\nc"), (&long, &long)],
        &[("", "1 to 4096"), (&too_long, "1 to 4096"), ("a\rb", control), ("a\0b", control)],
    );
}

#[test]
fn tags_are_words_and_spaces() {
    let long = "字".repeat(128);
    let too_long = "字".repeat(129);
    let [plain, too_plain] = [128, 129].map(|length| "a".repeat(length));
    let words = r"must match `^[\w\s]+$`";
    let kept = [
        (" a_B 9 ", "a_B 9"),
        ("a ", "a"),
        ("a\x0c", "a"),
        (&*plain, &*plain),
        ("a\u{2028}b", "a\u{2028}b"),
        ("e\u{301}٣", "e\u{301}٣"),
        ("\u{10400}", "\u{10400}"),
        (&*long, &*long),
    ];
    let broken = [
        ("", "1 to 128"),
        ("\u{3000}", "1 to 128"),
        (" ", "1 to 128"),
        ("a\x0bb", "control characters"),
        (&*too_long, "1 to 128"),
        (&*too_plain, "1 to 128"),
        ("a-b", words),
        ("a:b", words),
        ("*", words),
        ("😀", words),
        ("a\u{ffff}", words),
        ("a\u{202e}", words),
        // These are `\s`, but control characters too.
        ("a\tb", "control characters"),
        ("a\u{85}b", "control characters"),
    ];
    check::<TagKey>("tag key", &kept, &broken);
    check::<TagValue>("tag value", &kept, &broken);
}

#[test]
fn keyterms_are_one_to_three_lower_case_words() {
    let long = format!("{} b c", "a".repeat(96));
    let too_long = format!("{} b c", "a".repeat(97));
    let words = "one to three words";
    let broken = [
        ("", words),
        ("A", words),
        ("a  b", words),
        ("a b c d", words),
        ("a\tb", words),
        ("a1", words),
        ("é", words),
        (&*too_long, "at most 100 characters"),
    ];
    check::<Keyterm>("keyterm", &[(" a-b c - ", "a-b c -"), ("-", "-"), (&*long, &*long)], &broken);
    let twenty_one = vec![Keyterm::new("a").unwrap(); 21];
    assert!(Keyterms::new(twenty_one[..20].to_vec()).is_ok());
    assert_eq!(Keyterms::new(twenty_one).unwrap_err().rule(), "must be at most 20");
}

#[test]
fn a_service_has_at_most_20_tags_and_each_key_once() {
    let key = |number: usize| TagKey::new(&format!("k{number}")).unwrap();
    assert_eq!(Tags::new((0..20).map(|number| (key(number), None))).unwrap().len(), 20);
    assert_eq!(
        Tags::new((0..21).map(|number| (key(number), None))).unwrap_err().rule(),
        "must be at most 20"
    );
    let twice = [(" a", None), ("a ", Some(TagValue::new("b").unwrap()))]
        .map(|(key, value)| (TagKey::new(key).unwrap(), value));
    assert!(Tags::new(twice).unwrap_err().rule().contains("once"));
    for json in [r#"{"b":null,"a":null,"b":null}"#, r#"{"a":null,"b":null,"a":null}"#] {
        assert!(serde_json::from_str::<Tags>(json).unwrap_err().to_string().contains("once"));
    }
    for json in [r#"{"a":"b","a ":null}"#, r#"{"a":null,"a":null}"#, r#"{"a":1}"#, r#"["a"]"#] {
        assert!(serde_json::from_str::<Tags>(json).is_err(), "{json}");
    }
    assert!(serde_json::from_str::<Tags>(r#"{"a":""}"#).is_err(), "an empty value is not no value");
}

/// However they are kept: few in the service itself, more elsewhere; short ones with lengths of one byte, others of two.
#[test]
fn tags_of_every_length_are_what_they_were_made_of() {
    for letter in ["a", "é", "\u{10400}"] {
        for length in 1..=128 {
            let text = letter.repeat(length);
            let value = TagValue::new(&text).unwrap();
            let (long, short) = (TagKey::new(&text).unwrap(), TagKey::new("b").unwrap());
            let kept: [&[(&TagKey, Option<&TagValue>)]; 5] = [
                &[(&long, None)],
                &[(&long, Some(&value))],
                &[(&short, Some(&value))],
                &[(&short, None), (&long, None)],
                &[(&long, Some(&value)), (&short, Some(&value))],
            ];
            for pairs in kept {
                let mut pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| ((*key).clone(), value.cloned())).collect();
                let tags = Tags::new(pairs.clone()).unwrap();
                pairs.sort();
                assert_eq!(tags.len(), pairs.len());
                assert_eq!(tags.pairs().collect::<Vec<_>>(), pairs);
                for (key, value) in &pairs {
                    assert_eq!(tags.get(key.as_str()), Some(value.as_ref().map(TagValue::as_str)));
                }
                assert_eq!((tags.get("c"), tags.get(&format!("{text}c"))), (None, None));
                let json = serde_json::to_string(&tags).unwrap();
                assert_eq!(serde_json::from_str::<Tags>(&json).unwrap(), tags);
                let fewer = Tags::new(pairs.drain(1..)).unwrap();
                assert_ne!(fewer, tags);
            }
        }
    }
}

#[test]
fn version_numbers_are_positive_and_fit_31_bits() {
    for number in [1, 2, i64::from(i32::MAX)] {
        let version = VersionNumber::new(number).unwrap();
        assert_eq!(serde_json::to_value(version).unwrap(), json!(number));
        assert_eq!(serde_json::from_value::<VersionNumber>(json!(number)).unwrap(), version);
    }
    for number in [0, -1, 1 << 31, i64::MAX, i64::MIN] {
        assert_eq!(VersionNumber::new(number).unwrap_err().value(), "version number");
    }
    for value in [json!(1.0), json!("1"), json!(true), json!(u64::MAX), json!([1])] {
        assert!(serde_json::from_value::<VersionNumber>(value.clone()).is_err(), "{value}");
    }
}

#[test]
fn counters_are_not_negative() {
    assert_eq!(Revision::new(-1).unwrap_err().rule(), "must not be negative");
    assert_eq!(CatalogRevision::new(i64::MIN).unwrap_err().value(), "catalog revision");
    assert!(serde_json::from_str::<Revision>("-1").is_err());
    assert_eq!(Revision::ZERO.next().next().get(), 2);
}

#[test]
fn times_are_rfc_3339_in_utc() {
    let time: Timestamp = "2024-02-29T12:00:00.000001+02:00".parse().unwrap();
    assert_eq!(time.to_string(), "2024-02-29T10:00:00.000001Z");
    assert_eq!(time.as_microseconds(), 1_709_200_800_000_001);
    for text in ["", "yesterday", "2024-02-30T00:00:00Z", "2024-02-29T12:00:00", "1709200800"] {
        assert_eq!(text.parse::<Timestamp>().unwrap_err().value(), "timestamp", "{text}");
    }
    assert!(Timestamp::from_microseconds(i64::MAX).is_err());
}

fn params(json: Value) -> Result<LlmParams, ValueError> {
    let Value::Object(params) = json else { panic!("not an object") };
    LlmParams::new(params)
}

/// `{"a":{"a":…1…}}`, so many levels deep.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }))
}

#[test]
fn llm_params_are_at_most_4_kib_and_8_levels() {
    assert!(params(nested(1)).is_ok());
    assert!(params(nested(8)).is_ok());
    assert!(params(nested(9)).unwrap_err().rule().contains("8 levels"));
    let arrays = json!({ "a": [[[[[[[1]]]]]]] });
    assert!(params(arrays.clone()).is_ok());
    assert!(params(json!({ "a": [arrays] })).is_err());
    // `{"a":"…"}` is 8 bytes and the text.
    assert!(params(json!({ "a": "x".repeat(4088) })).is_ok());
    assert!(params(json!({ "a": "x".repeat(4089) })).unwrap_err().rule().contains("4096 bytes"));
    assert!(params(json!({ "a": "é".repeat(2045) })).is_err(), "bytes, not characters");
    for nul in [json!({ "a": "\0" }), json!({ "\0": 1 }), json!({ "a": [{ "b": "x\0" }] })] {
        assert_eq!(params(nul).unwrap_err().rule(), "must not contain NUL");
    }
    let read = |json: &Value| serde_json::from_str::<LlmParams>(&json.to_string());
    assert!(read(&nested(8)).is_ok());
    assert!(read(&json!({ "a": "x".repeat(4088) })).is_ok());
    let many =
        |count: usize| Value::Object((0..count).map(|number| (number.to_string(), json!(0))).collect());
    assert!(read(&many(500)).is_ok());
    let four_kib = "must be at most 4096 bytes";
    for (json, said) in [
        (nested(9).to_string(), "at most 8 levels"),
        (json!({ "a": "x".repeat(4089) }).to_string(), four_kib),
        (many(600).to_string(), four_kib),
        (format!("{{{}", "\"a\":0,".repeat(50_000)), four_kib),
        (r#"{"a":1,"b":2,"a":1}"#.to_owned(), "the key `a` twice in one object at line 1 column 19"),
        (r#"{"\u001b":1,"\u001b":1}"#.to_owned(), r"the key `\u{1b}` twice"),
        (r#"{"a":{"b":1,"b":2}}"#.to_owned(), "the key `b` twice"),
        (r#"{"a":"\u0000"}"#.to_owned(), "NUL"),
        (r#"{"\u0000":1}"#.to_owned(), "NUL"),
        ("[]".to_owned(), "expected an object of LLM parameters"),
        ("null".to_owned(), "expected an object of LLM parameters"),
    ] {
        let error = serde_json::from_str::<LlmParams>(&json).expect_err(&json).to_string();
        assert!(error.contains(said), "{json}: {error}");
    }
}

#[test]
fn llm_params_and_preferences_are_looked_up_and_changed() {
    let given = params(json!({ "top_k": 2, "a": [1] })).unwrap();
    assert_eq!((given.len(), given.is_empty()), (2, false));
    assert_eq!((given.get("top_k"), given.get("top_p")), (Some(&json!(2)), None));
    assert_eq!(given.iter().collect::<Vec<_>>(), [("a", &json!([1])), ("top_k", &json!(2))]);
    let mut changed = Map::from(given.clone());
    changed.insert("top_p".to_owned(), json!(1));
    assert_eq!(Value::Object(changed), json!({ "a": [1], "top_k": 2, "top_p": 1 }));

    let name = |name: &str| InteractionName::new(name).unwrap();
    let config = |llm: &str| LlmConfig { llm_name: LlmName::new(llm).unwrap(), params: LlmParams::default() };
    let by_name =
        BTreeMap::from([(name("b"), config("x")), (name("a"), config("y")), (name("c"), config("x"))]);
    let preferences = LlmPreferences::new(by_name.clone()).unwrap();
    assert_eq!((preferences.len(), preferences.is_empty()), (3, false));
    assert_eq!((preferences.get(&name("a")), preferences.get(&name("d"))), (Some(&config("y")), None));
    assert!(preferences.iter().eq(&by_name));
    assert_eq!(preferences.llm_names().map(LlmName::as_str).collect::<Vec<_>>(), ["y", "x", "x"]);
    assert_eq!(BTreeMap::from(preferences), by_name);
}

#[test]
fn a_version_set_prefers_at_most_100_llms() {
    let preferences = |count: usize| {
        let configs = (0..count).map(|number| (number.to_string(), json!({ "llm_name": "gpt" })));
        json!({ "llm_model_preferences": Map::from_iter(configs) })
    };
    assert!(serde_json::from_value::<VersionSet>(preferences(100)).is_ok());
    let error = serde_json::from_value::<VersionSet>(preferences(101)).unwrap_err().to_string();
    assert!(error.contains("must be at most 100"), "{error}");
    let wrong =
        serde_json::from_str::<VersionSet>(r#"{"llm_model_preferences":[]}"#).unwrap_err().to_string();
    assert!(wrong.contains("expected an object of LLM configurations"), "{wrong}");
    // What comes after the hundredth is not waited for.
    let unclosed: String = (0..100).map(|number| format!(r#""{number}":{{"llm_name":"gpt"}},"#)).collect();
    let unclosed = format!(r#"{{{unclosed}"one-more":"#);
    let error = serde_json::from_str::<LlmPreferences>(&unclosed).unwrap_err().to_string();
    assert!(error.starts_with("llm model preferences must be at most 100"), "{error}");
}

#[test]
fn version_sets_always_hold_edge_and_release() {
    let set = |json: &str| serde_json::from_str::<VersionSets>(json);
    assert!(set(r#"{"edge":{},"release":{}}"#).is_ok());
    for (json, said) in [
        (r#"{"edge":{}}"#, "must contain `release`"),
        (r#"{"release":{}}"#, "must contain `edge`"),
        (r#"{"edge":{"agent_version_number":1},"release":{}}"#, "must contain `edge`"),
        (r#"{"edge":{},"release":{},"release":{}}"#, "twice"),
        (r#"{"edge":{},"release":{}," release":{}}"#, "twice"),
        (r#"{"edge":{},"release":{"agent":1}}"#, "unknown field"),
        ("[]", "expected an object of version sets"),
    ] {
        let error = set(json).expect_err(json).to_string();
        assert!(error.contains(said), "{json}: {error}");
    }
    let sets = VersionSets::with_release(VersionSet::default());
    let pinned =
        VersionSet { agent_version_number: Some(VersionNumber::new(1).unwrap()), ..Default::default() };
    assert!(sets.with(VersionSetName::edge(), pinned.clone()).is_err());
    assert!(sets.without(&VersionSetName::edge()).is_err());
    assert!(sets.without(&VersionSetName::release()).is_err());
    let full = (0..98).fold(sets, |sets, number| {
        sets.with(VersionSetName::new(&number.to_string()).unwrap(), pinned.clone()).unwrap()
    });
    assert_eq!(full.len(), 100);
    assert_eq!(set(&serde_json::to_string(&full).unwrap()).unwrap(), full);
    // What comes after the hundredth is not waited for.
    let unclosed: String = full.iter().map(|(name, _)| format!(r#""{name}":{{}},"#)).collect();
    let error = set(&format!(r#"{{{unclosed}"one-more":"#)).unwrap_err().to_string();
    assert!(error.starts_with("version sets must be at most 100"), "{error}");
    assert!(full.with(VersionSetName::new("one-more").unwrap(), pinned).is_err());
}

#[test]
fn json_is_read_strictly() {
    for (json, said) in [
        (r#"{"a":1,"a":1}"#, "twice"),
        (r#"[{"a":{"b":1,"\u0062":2}}]"#, "the key `b` twice"),
        (r#""\u0000""#, "NUL"),
        (r#"{"\u0000":1}"#, "NUL"),
        ("1e400", "number out of range"),
        ("[1] 2", "trailing characters"),
        ("", "EOF"),
        ("{a:1}", "key must be a string"),
        ("NaN", "expected"),
        (r#""\ud800""#, ""),
    ] {
        let error = parse_json(json.as_bytes()).expect_err(json).to_string();
        assert!(error.contains(said), "{json}: {error}");
    }
    assert!(parse_json(b"\"\xff\"").is_err(), "not UTF-8");
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse_json(deep(MAX_JSON_DEPTH).as_bytes()).is_ok());
    let error = parse_json(deep(MAX_JSON_DEPTH + 1).as_bytes()).unwrap_err().to_string();
    assert!(error.contains("64 levels"), "{error}");
    assert!(parse_json("[".repeat(1 << 20).as_bytes()).is_err(), "deep input is an error, not a deep stack");
}

#[test]
fn an_integer_beyond_64_bits_becomes_a_double() {
    let read = |text: &str| parse_json(text.as_bytes()).unwrap();
    assert_eq!(read("18446744073709551615"), json!(u64::MAX));
    assert_eq!(read("-9223372036854775808"), json!(i64::MIN));
    assert_eq!(read("18446744073709551616"), json!(18_446_744_073_709_551_616.0));
    assert_eq!(read("-9223372036854775809"), json!(-9_223_372_036_854_775_808.0));
}

#[test]
fn numbers_are_equal_by_value() {
    let read = |text: &str| parse_json(text.as_bytes()).unwrap();
    for (left, right) in [
        ("1", "1.0"),
        ("1", "1e0"),
        ("0", "-0"),
        ("0", "-0.0"),
        ("9007199254740992", "9007199254740992.0"),
        ("18446744073709551616", "1.8446744073709551616e19"),
        ("-9223372036854775808", "-9223372036854775808.0"),
        ("9223372036854775808", "9223372036854775808.0"),
        (r#"{"a":[1,{"b":2.0}],"c":3}"#, r#"{"c":3.0,"a":[1.0,{"b":2}]}"#),
    ] {
        assert!(json_equal(&read(left), &read(right)), "{left} = {right}");
        assert!(json_equal(&read(right), &read(left)), "{right} = {left}");
    }
    for (left, right) in [
        ("1", "1.5"),
        ("1", "-1"),
        ("1", "\"1\""),
        ("1", "true"),
        ("0", "null"),
        // 2⁵³ + 1 is no double: the nearest one is 2⁵³.
        ("9007199254740993", "9007199254740992.0"),
        ("9007199254740993", "9007199254740993.0"),
        ("18446744073709551615", "18446744073709551615.0"),
        ("9223372036854775807", "9223372036854775807.0"),
        ("18446744073709551615", "-1"),
        ("1", "1e300"),
        ("[1]", "[1,1]"),
        (r#"{"a":1}"#, r#"{"a":1,"b":null}"#),
        (r#"{"a":1}"#, r#"{"b":1}"#),
    ] {
        assert!(!json_equal(&read(left), &read(right)), "{left} ≠ {right}");
        assert!(!json_equal(&read(right), &read(left)), "{right} ≠ {left}");
    }
}
