//! Reads of PromQL what the tests want to know: which metrics an expression names, which of their labels, and which values of these.

/// The metrics and the labels that an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) metrics: Vec<String>,
    pub(crate) labels: Vec<String>,
    /// What labels are compared with: each of the alternatives of a pattern.
    pub(crate) values: Vec<String>,
}

/// What joins expressions or says how.
const KEYWORDS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];
/// What a list of labels in parentheses follows.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Reads an expression, or what a dashboard asks for the values of a variable.
pub(crate) fn named(expression: &str) -> Named {
    let mut named = Named::default();
    if let Some(arguments) = expression.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'))
    {
        let (metric, label) = arguments.rsplit_once(',').expect("a metric and a label");
        named.metrics.push(metric.trim().to_owned());
        named.labels.push(label.trim().to_owned());
        return named;
    }
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        match first {
            '"' | '\'' => rest = after_string(rest),
            '[' => rest = rest.split_once(']').expect("a range ends").1,
            '{' => rest = matchers(rest.get(1..).unwrap_or_default(), &mut named),
            _ if is_word(first) => {
                let (word, after) = word(rest);
                let after = after.trim_start();
                rest = after;
                if first.is_ascii_digit() || KEYWORDS.contains(&word) {
                    continue;
                }
                if BEFORE_LABELS.contains(&word) {
                    if let Some((list, after)) = after.strip_prefix('(').and_then(|list| list.split_once(')'))
                    {
                        let labels = list.split(',').map(str::trim).filter(|label| !label.is_empty());
                        named.labels.extend(labels.map(str::to_owned));
                        rest = after;
                    }
                } else if !is_function(after) {
                    named.metrics.push(word.to_owned());
                }
            }
            _ => rest = rest.get(first.len_utf8()..).unwrap_or_default(),
        }
    }
    named
}

/// Whether what comes after a word makes it a function: its arguments, or first the labels that it keeps.
fn is_function(after: &str) -> bool {
    let (next, after) = word(after);
    after.trim_start().starts_with('(') && (next.is_empty() || ["by", "without"].contains(&next))
}

/// Reads `name="value", …}` and gives what comes after it.
fn matchers<'a>(mut rest: &'a str, named: &mut Named) -> &'a str {
    loop {
        rest = rest.trim_start_matches([',', ' ', '\n']);
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        let (label, after) = word(rest);
        assert!(!label.is_empty(), "a label: {rest}");
        named.labels.push(label.to_owned());
        let value = after.trim_start_matches(['=', '!', '~', ' ']);
        rest = after_string(value);
        let value = &value[1..value.len() - rest.len() - 1];
        named.values.extend(value.split('|').map(str::to_owned));
    }
}

/// What comes after a string.
fn after_string(text: &str) -> &str {
    let quote = text.chars().next().filter(|quote| ['"', '\''].contains(quote)).expect("a string");
    let mut escaped = false;
    for (place, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return &text[place + 1..],
            _ => {}
        }
    }
    panic!("a string does not end: {text}")
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|character| !is_word(character)).unwrap_or(text.len()))
}

/// A dot is of a number, a dollar of a variable of the dashboard.
fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | ':' | '.' | '$')
}

#[test]
fn metrics_are_told_from_everything_around_them() {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let of = |metrics: &[&str], labels: &[&str]| Named {
        metrics: owned(metrics),
        labels: owned(labels),
        values: Vec::new(),
    };
    for (expression, expected) in [
        ("up", of(&["up"], &[])),
        (
            "sum by (job) (rate(a_total{b=~\"c|d}\", e!='f'}[5m])) > 0.01",
            Named { values: owned(&["c", "d}", "f"]), ..of(&["a_total"], &["job", "b", "e"]) },
        ),
        ("sum(a) by (job, b) / on (job) group_left b_max", of(&["a", "b_max"], &["job", "b", "job"])),
        (
            "histogram_quantile(0.99, sum by (le) (rate(a_bucket[$__rate_interval])))",
            of(&["a_bucket"], &["le"]),
        ),
        ("a unless a offset 10m or absent(b{}) == bool 1e3", of(&["a", "a", "b"], &[])),
        ("label_values(a_total, instance)", of(&["a_total"], &["instance"])),
    ] {
        let mut actual = named(expression);
        actual.labels.sort();
        let mut expected = expected;
        expected.labels.sort();
        assert_eq!(actual, expected, "{expression}");
    }
}
