//! Reads spans off the wire: OTLP's `ExportTraceServiceRequest`, in protobuf. The numbers of fields are those of its definition.

/// A span, as far as the tests look at it.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty where there is none.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    pub(crate) events: usize,
    attributes: Vec<(String, String)>,
}

impl Span {
    /// The value of an attribute, as text.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The spans of some requests, in the order in which they began.
pub(crate) fn spans(requests: &[Vec<u8>]) -> Vec<Span> {
    let mut spans = Vec::new();
    for request in requests {
        for resource_spans in messages(request, 1) {
            for scope_spans in messages(resource_spans, 2) {
                spans.extend(messages(scope_spans, 2).map(span));
            }
        }
    }
    spans.sort_by_key(|span: &Span| span.begun);
    spans
}

fn span(bytes: &[u8]) -> Span {
    let one = |number| messages(bytes, number).next().unwrap_or_default();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let time =
        |number| fields(bytes).find(|(field, _)| *field == number).map_or(0, |(_, value)| value.number());
    Span {
        trace: hex(one(1)),
        id: hex(one(2)),
        parent: hex(one(4)),
        name: text(one(5)),
        begun: time(7),
        ended: time(8),
        attributes: messages(bytes, 9).map(attribute).collect(),
        events: messages(bytes, 11).count(),
    }
}

/// A key, and a value that is a string, a truth or an integer.
fn attribute(bytes: &[u8]) -> (String, String) {
    let key = messages(bytes, 1).next().map(text).expect("a key");
    let value = messages(bytes, 2).next().expect("a value");
    let value = fields(value).next().map(|(_, value)| match value {
        Value::Bytes(bytes) => text(bytes),
        Value::Number(number) => number.to_string(),
    });
    (key, value.unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl Value<'_> {
    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(bytes) => panic!("{bytes:?} is no number"),
        }
    }
}

/// The parts of a message that are messages, strings or bytes, under one number.
fn messages(bytes: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(bytes).filter_map(move |(field, value)| match value {
        Value::Bytes(bytes) if field == number => Some(bytes),
        _ => None,
    })
}

/// The fields of a message: their numbers and values.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut bytes)),
            1 => Value::Number(u64::from_le_bytes(split(&mut bytes, 8).try_into().expect("eight bytes"))),
            2 => {
                let length = varint(&mut bytes);
                Value::Bytes(split(&mut bytes, usize::try_from(length).expect("a length")))
            }
            5 => {
                Value::Number(u32::from_le_bytes(split(&mut bytes, 4).try_into().expect("four bytes")).into())
            }
            other => panic!("no wire type: {other}"),
        };
        Some((tag >> 3, value))
    })
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = split(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
    }
    panic!("a number has no end")
}

fn split<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (first, rest) = bytes.split_at(length);
    *bytes = rest;
    first
}
