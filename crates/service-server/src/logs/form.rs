//! How lines look. Whatever is in a value, a line is one line, and nothing in it can be taken for another, for a field, or for an order
//! to a terminal.

use std::fmt::{self, Write as _};

use serde_json::Value;
use tracing::Level;

use super::event::Line;

/// The keys of an object that are those of the line itself.
const RESERVED: [&str; 4] = ["timestamp", "level", "target", "message"];

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `{"timestamp": …, "level": …, "target": …, "message": …, …}`
    Json,
    /// `TIME LEVEL TARGET MESSAGE name=value …`
    Human {
        /// Whether the level shows by its colour too.
        coloured: bool,
    },
}

impl Form {
    /// A line in this form, its end included.
    pub(super) fn line(self, line: &Line<'_>) -> Vec<u8> {
        let mut text = String::new();
        let written = match self {
            Self::Json => json(line, &mut text),
            Self::Human { coloured } => human(line, coloured, &mut text),
        };
        // Strings take all that is written to them.
        debug_assert!(written.is_ok(), "{text}");
        text.push('\n');
        text.into_bytes()
    }
}

fn json(line: &Line<'_>, text: &mut String) -> fmt::Result {
    write!(text, r#"{{"timestamp":"{}","level":"{}""#, line.time, line.level)?;
    write!(text, r#","target":{}"#, Value::from(line.target))?;
    if let Some(message) = line.message {
        write!(text, r#","message":{}"#, Value::from(message))?;
    }
    for (name, value) in line.fields.iter().filter(|(name, _)| !RESERVED.contains(name)) {
        write!(text, ",{}:{value}", Value::from(*name))?;
    }
    text.write_char('}')
}

fn human(line: &Line<'_>, coloured: bool, text: &mut String) -> fmt::Result {
    let (colour, plain) = if coloured { (colour(line.level), "\u{1b}[0m") } else { ("", "") };
    write!(text, "{} {colour}{:>5}{plain} ", line.time, line.level.as_str())?;
    printable(line.target, text)?;
    if let Some(message) = line.message {
        text.write_char(' ')?;
        printable(message, text)?;
    }
    for (name, value) in &line.fields {
        write!(text, " {name}=")?;
        match value {
            Value::String(value) if is_plain(value) => text.write_str(value)?,
            Value::String(value) => write!(text, "{value:?}")?,
            value => write!(text, "{value}")?,
        }
    }
    Ok(())
}

/// Whether a value can be told from what stands around it without quotes.
fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value.chars().all(|character| character.is_ascii_graphic() && !matches!(character, '"' | '='))
}

/// Words, with everything escaped that does not print.
fn printable(words: &str, text: &mut String) -> fmt::Result {
    for character in words.chars() {
        match character {
            '"' | '\'' => text.write_char(character)?,
            _ => write!(text, "{}", character.escape_debug())?,
        }
    }
    Ok(())
}

/// What makes a terminal show a level in its colour.
fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use service_core::Timestamp;

    use super::*;

    /// What someone would write who wants to be taken for the program.
    const FORGED: &str =
        "x\n1970-01-01T00:00:00Z ERROR stolen\r\n\u{1b}[2J\u{85}\u{2028}\u{202e}\" level=\"ERROR";

    fn line(form: Form, message: &str, fields: &[(&'static str, Value)]) -> String {
        let line = Line {
            time: Timestamp::UNIX_EPOCH,
            level: Level::INFO,
            target: "service_http::observe",
            message: Some(message),
            fields: fields.iter().map(|(name, value)| (*name, value)).collect(),
        };
        String::from_utf8(form.line(&line)).unwrap()
    }

    fn human(message: &str, fields: &[(&'static str, Value)]) -> String {
        line(Form::Human { coloured: false }, message, fields)
    }

    #[test]
    fn a_reader_sees_when_how_grave_where_and_what() {
        let fields = [("status", json!(200)), ("request_id", json!("a-1")), ("error", json!("disk full"))];
        assert_eq!(
            human("answered", &fields),
            "1970-01-01T00:00:00Z  INFO service_http::observe answered status=200 request_id=a-1 error=\"disk full\"\n"
        );
        let coloured = line(Form::Human { coloured: true }, "it's \"on\"", &[]);
        assert_eq!(
            coloured,
            "1970-01-01T00:00:00Z \u{1b}[32m INFO\u{1b}[0m service_http::observe it's \"on\"\n"
        );
    }

    #[test]
    fn no_value_forges_a_line_a_field_or_an_order_to_a_terminal() {
        let clean = |text: &str| {
            let body = text.strip_suffix('\n').expect("a line ends");
            assert!(!body.chars().any(char::is_control), "{body:?}");
            assert!(!body.contains(['\u{2028}', '\u{202e}']), "{body:?}");
            body.to_owned()
        };
        clean(&human(FORGED, &[]));
        let shown = clean(&human("answered", &[("request_id", json!(FORGED)), ("status", json!(200))]));
        assert!(shown.ends_with("\\\" level=\\\"ERROR\" status=200"), "{shown}");
        for forged in ["", "a b", "a=b", "\"", "é"] {
            let shown = human("answered", &[("request_id", json!(forged))]);
            assert_eq!(shown.matches('=').count() - forged.matches('=').count(), 1, "{shown}");
            assert!(shown.contains("request_id=\""), "{shown}");
        }
    }

    #[test]
    fn json_holds_every_value_as_it_is_and_the_line_its_own() {
        let fields = [("request_id", json!(FORGED)), ("level", json!("ERROR")), ("took", json!(0.5))];
        let text = line(Form::Json, FORGED, &fields);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let expected = json!({
            "timestamp": "1970-01-01T00:00:00Z", "level": "INFO", "target": "service_http::observe",
            "message": FORGED, "request_id": FORGED, "took": 0.5,
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        assert_eq!(text.matches("\"level\"").count(), 1, "{text}");
    }
}
