//! Damaged input: what is valid with some of it flipped, removed, doubled, moved or cut, and texts that are meant to do harm.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// Texts that are meant to be taken for something else: for SQL, patterns, paths, headers, log lines, markup, JSON, or the end of a text.
pub const INJECTIONS: &[&str] = &[
    "' OR '1'='1",
    "'; DROP TABLE services; --",
    "\" OR 1=1 --",
    "1; SELECT pg_sleep(10)",
    "' UNION SELECT hash FROM api_keys --",
    "$$ || version() || $$",
    "%",
    "_%",
    "\\",
    "\\'",
    "[a-z]*",
    "../../../../etc/passwd",
    "..\\..\\windows",
    "/etc/passwd",
    "file:///etc/passwd",
    "a\r\nx-org-id: rival",
    "a\r\n\r\nHTTP/1.1 200 OK",
    "a\n{\"level\":\"ERROR\",\"message\":\"forged\"}",
    "\u{1b}[2J\u{1b}[31mred",
    "\u{7}\u{8}\u{9b}",
    "a\0b",
    "%00",
    "%2e%2e%2f",
    "%0d%0a",
    "\"},{\"id\":\"x",
    "{\"$gt\": \"\"}",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}",
    "$(reboot)",
    "`reboot`",
    "<script>alert(1)</script>",
    "\u{202e}gnp.exe",
    "\u{feff}",
    "\u{2028}\u{2029}",
    "\u{fffd}\u{ffff}",
    "null",
    "undefined",
    "-1",
    "9223372036854775808",
    "1e999",
    "NaN",
];

/// One of [`INJECTIONS`], now and then in the midst of other text.
pub fn injection() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(INJECTIONS).prop_map(str::to_owned),
        1 => ("[a ]{0,3}", select(INJECTIONS), "[b ]{0,3}").prop_map(|(before, text, after)| before + text + &after),
    ]
}

/// One way to damage bytes.
#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Double(Index, usize),
    Move(Index, usize, Index),
    Cut(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let place = any::<Index>;
    let special = select(b"{}[]\",:\\/'0123456789.eE-+*%;=&?# \t\r\n\0\x1b\x7f\x80\xc3\xed\xff".to_vec());
    let bytes = prop_oneof![
        3 => vec(special, 1..4),
        1 => vec(any::<u8>(), 1..4),
        1 => injection().prop_map(String::into_bytes),
    ];
    prop_oneof![
        3 => (place(), 0..8_u8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        3 => (place(), bytes).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        3 => (place(), 1..20_usize).prop_map(|(at, length)| Edit::Remove(at, length)),
        2 => (place(), 1..40_usize).prop_map(|(at, length)| Edit::Double(at, length)),
        2 => (place(), 1..40_usize, place()).prop_map(|(at, length, to)| Edit::Move(at, length, to)),
        1 => place().prop_map(Edit::Cut),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: Edit) {
    let range = |bytes: &[u8], at: Index, length: usize| {
        let at = at.index(bytes.len() + 1);
        at..(at + length).min(bytes.len())
    };
    match edit {
        Edit::Flip(at, bit) => {
            let at = at.index(bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        Edit::Insert(at, inserted) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, inserted).for_each(drop);
        }
        Edit::Remove(at, length) => drop(bytes.drain(range(bytes, at, length))),
        Edit::Double(at, length) => {
            let range = range(bytes, at, length);
            let copied = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, copied).for_each(drop);
        }
        Edit::Move(at, length, to) => {
            let moved: Vec<u8> = bytes.drain(range(bytes, at, length)).collect();
            let to = to.index(bytes.len() + 1);
            bytes.splice(to..to, moved).for_each(drop);
        }
        Edit::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
    }
}

/// Bytes with one to six edits.
pub fn damaged(valid: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (valid, vec(edit(), 1..=6)).prop_map(|(mut bytes, edits)| {
        edits.into_iter().for_each(|edit| apply(&mut bytes, edit));
        bytes
    })
}

/// A text with one to six edits; what is no text any more is made one.
pub fn damaged_text(valid: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    damaged(valid.prop_map(String::into_bytes)).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Any text: of any characters, hostile, or long.
pub fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<String>(),
        3 => injection(),
        3 => r"[\w\s]{0,8}",
        2 => "[ a-zA-Z0-9_:*+-]{0,12}",
        1 => (any::<char>(), 1..5000_usize).prop_map(|(letter, times)| letter.to_string().repeat(times)),
    ]
}

/// A value that does not belong where it is put.
pub fn odd_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        select(vec![-1, 0, 1, 2, 3, 4, i64::from(i32::MAX), 1 << 31, 1 << 53, i64::MAX, i64::MIN])
            .prop_map(|number| json!(number)),
        Just(json!(u64::MAX)),
        select(vec![0.5, -0.0, 1.0, 1e308, 5e-324]).prop_map(|number| json!(number)),
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number,
        any_text().prop_map(Value::String),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null])),
        Just(json!({"": {"": []}})),
        Just(json!({"edge": {}})),
        (0..200_usize).prop_map(|depth| (0..depth).fold(json!(1), |inner, _| json!([inner]))),
    ]
}

/// One way to damage a JSON value.
#[derive(Debug, Clone)]
enum Change {
    Replace(Index, Value),
    Copy(Index, Index),
    Remove(Index),
    Add(Index, String, Value),
    Text(Index, Vec<Edit>),
}

/// A value with one to three changes inside of it: another value in a place, that of one place in another, a member that is gone or
/// new, a text that is damaged.
pub fn damaged_json(valid: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let place = any::<Index>;
    let change = prop_oneof![
        3 => (place(), odd_value()).prop_map(|(at, value)| Change::Replace(at, value)),
        3 => (place(), place()).prop_map(|(from, to)| Change::Copy(from, to)),
        2 => place().prop_map(Change::Remove),
        1 => (place(), any_text(), odd_value()).prop_map(|(at, key, value)| Change::Add(at, key, value)),
        3 => (place(), vec(edit(), 1..3)).prop_map(|(at, edits)| Change::Text(at, edits)),
    ];
    (valid, vec(change, 1..=3)).prop_map(|(mut value, changes)| {
        changes.into_iter().for_each(|change| apply_change(&mut value, change));
        value
    })
}

fn apply_change(value: &mut Value, change: Change) {
    let chosen = |value: &Value, at: Index| {
        let pointers = pointers(value);
        (!pointers.is_empty()).then(|| at.get(&pointers).clone())
    };
    match change {
        Change::Replace(at, new) => {
            if let Some(place) = chosen(value, at).and_then(|pointer| value.pointer_mut(&pointer)) {
                *place = new;
            }
        }
        Change::Copy(from, to) => {
            let copied = chosen(value, from).and_then(|pointer| value.pointer(&pointer).cloned());
            let place = chosen(value, to).and_then(|pointer| value.pointer_mut(&pointer));
            if let (Some(copied), Some(place)) = (copied, place) {
                *place = copied;
            }
        }
        Change::Remove(at) => {
            let Some(pointer) = chosen(value, at) else { return };
            let Some((parent, name)) = pointer.rsplit_once('/') else { return };
            match value.pointer_mut(parent) {
                Some(Value::Object(members)) => {
                    members.remove(&name.replace("~1", "/").replace("~0", "~"));
                }
                Some(Value::Array(items)) => {
                    if let Ok(index) = name.parse() {
                        items.remove(index);
                    }
                }
                _ => {}
            }
        }
        Change::Add(at, key, new) => {
            match chosen(value, at).and_then(|pointer| value.pointer_mut(&pointer)) {
                Some(Value::Object(members)) => drop(members.insert(key, new)),
                Some(Value::Array(items)) => items.push(new),
                _ => {}
            }
        }
        Change::Text(at, edits) => {
            if let Some(Value::String(text)) =
                chosen(value, at).and_then(|pointer| value.pointer_mut(&pointer))
            {
                let mut bytes = std::mem::take(text).into_bytes();
                edits.into_iter().for_each(|edit| apply(&mut bytes, edit));
                *text = String::from_utf8_lossy(&bytes).into_owned();
            }
        }
    }
}

/// The pointers to everything inside of a value.
fn pointers(value: &Value) -> Vec<String> {
    fn gather(value: &Value, here: &str, pointers: &mut Vec<String>) {
        let mut below = |name: &str, value: &Value| {
            let pointer = format!("{here}/{name}");
            gather(value, &pointer, pointers);
            pointers.push(pointer);
        };
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    below(&name.replace('~', "~0").replace('/', "~1"), value);
                }
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value));
            }
            _ => {}
        }
    }
    let mut pointers_found = Vec::new();
    gather(value, "", &mut pointers_found);
    pointers_found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_inside_of_a_value_has_a_pointer() {
        let value = json!({"a/b": [1, {"~": null}]});
        let found = pointers(&value);
        assert_eq!(found, ["/a~1b/0", "/a~1b/1/~0", "/a~1b/1", "/a~1b"]);
        assert!(found.iter().all(|pointer| value.pointer(pointer).is_some()));
    }

    proptest! {
        #[test]
        fn a_damaged_value_is_a_value(value in damaged_json(Just(json!({"a": ["b", {"c": 1}], "d": null})))) {
            prop_assert!(value.is_object());
        }
    }
}
