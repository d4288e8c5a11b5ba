//! The examples of the document: asked of the router, one for each answer it can give.
//!
//! `RECORD_EXAMPLES=1 cargo nextest run -p service-http -E 'test(examples)'` writes `openapi/examples.json` anew; without the
//! variable the same test compares. So an example that the router would not answer is found, and so is an answer that is described and
//! has no example, or the other way round.

mod alike;
mod bodies;
mod operators;
mod rules;
mod stage;
mod successes;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use self::alike::{alike, signing_in_refused};
use self::operators::operators;
use self::rules::refusals;
use self::stage::Stage;
use self::successes::{parameters, successes};
use super::document::{operations_at, own_headers};
use super::support::*;
use crate::openapi::{self, ELSEWHERE};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/openapi/examples.json");

/// Examples as they come, and the headers that came with each status of each operation.
#[derive(Debug, Default)]
struct Recorded {
    answers: BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>,
    requests: BTreeMap<String, BTreeMap<String, Value>>,
    headers: BTreeMap<String, Value>,
    sent: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Recorded {
    /// An answer under a name of its own, or under its error code.
    fn note(&mut self, operation: &str, name: Option<&str>, answer: &Answer) {
        let status = answer.status.as_str().to_owned();
        let body = if answer.header("content-type") == Some("application/json") {
            answer.json()
        } else {
            String::from_utf8(answer.body.to_vec()).unwrap().into()
        };
        let sent = self.sent.entry((operation.to_owned(), status.clone())).or_default();
        for header in own_headers(answer) {
            let value = || shown(&header, answer);
            self.headers.entry(header.clone()).or_insert_with(value);
            sent.insert(header);
        }
        if answer.body.is_empty() {
            return;
        }
        let name = name.unwrap_or_else(|| body["error_code"].as_str().unwrap()).to_owned();
        let of_status = self.answers.entry(operation.to_owned()).or_default().entry(status).or_default();
        assert!(of_status.insert(name, json!({"value": body})).is_none(), "{operation} {answer:?}, twice");
    }

    fn request(&mut self, operation: &str, name: &str, summary: &str, body: &Value) {
        let example = json!({"summary": summary, "value": body});
        let replaced =
            self.requests.entry(operation.to_owned()).or_default().insert(name.to_owned(), example);
        assert_eq!(replaced, None);
    }
}

/// What a header says: a number where it is one.
fn shown(header: &str, answer: &Answer) -> Value {
    if header == "x-request-id" {
        return answer.header(header).into();
    }
    answer.header(header).unwrap().parse::<u64>().map_or(answer.header(header).into(), Value::from)
}

#[tokio::test]
async fn the_examples_are_what_the_router_answers() {
    let mut stage = Stage::new().await;
    let id = successes(&mut stage).await;
    refusals(&mut stage, &id).await;
    alike(&mut stage, &id).await;
    signing_in_refused(&mut stage).await;
    operators(&mut stage).await;

    let recorded = &stage.recorded;
    let examples = json!({
        "answers": recorded.answers,
        "headers": recorded.headers,
        "parameters": parameters(&id),
        "requests": recorded.requests,
    });
    if std::env::var_os("RECORD_EXAMPLES").is_some() {
        std::fs::write(RECORDED, format!("{examples:#}\n")).unwrap();
        panic!("the examples are recorded: run this again without RECORD_EXAMPLES");
    }
    let written: Value = serde_json::from_str(&std::fs::read_to_string(RECORDED).unwrap()).unwrap();
    for (section, expected) in examples.as_object().unwrap() {
        for (name, expected) in expected.as_object().unwrap() {
            assert_eq!(written[section][name], *expected, "{section} {name}");
        }
    }
    assert_eq!(written, examples);
    all_have_examples(recorded);
}

/// Everything that the document describes was answered, with the headers that it describes.
fn all_have_examples(recorded: &Recorded) {
    let document = openapi::document();
    let mut described = BTreeMap::new();
    for path in document["paths"].as_object().unwrap().keys() {
        let operations = operations_at(path).unwrap();
        for operation in operations.values() {
            let id = operation["operationId"].as_str().unwrap();
            for (status, answer) in operation["responses"].as_object().unwrap() {
                described.insert((id.to_owned(), status.clone()), answer);
            }
        }
    }
    let elsewhere = document["components"]["responses"].as_object().unwrap();
    assert_eq!(elsewhere.len(), ELSEWHERE.len());
    for (name, status, _) in ELSEWHERE {
        described.insert((name.to_owned(), status.to_owned()), &elsewhere[name]);
    }
    let sent: Vec<_> = recorded.sent.keys().collect();
    assert_eq!(described.keys().collect::<Vec<_>>(), sent);
    for (key, answer) in described {
        let headers = answer["headers"].as_object().unwrap().keys().map(|name| name.to_lowercase());
        assert_eq!(headers.collect::<BTreeSet<_>>(), recorded.sent[&key], "{key:?}");
        let json = &answer["content"]["application/json"];
        let codes = &json["schema"]["allOf"][1]["properties"]["error_code"]["enum"];
        let examples = json["examples"].as_object();
        if let Some(codes) = codes.as_array() {
            let codes: BTreeSet<&str> = codes.iter().map(|code| code.as_str().unwrap()).collect();
            let shown: BTreeSet<&str> = examples.unwrap().keys().map(String::as_str).collect();
            assert_eq!(codes, shown, "{key:?}");
        } else if answer["content"].is_object() {
            assert!(
                answer["content"].as_object().unwrap().values().all(|content| {
                    content["examples"].as_object().is_some_and(|examples| !examples.is_empty())
                }),
                "{key:?}"
            );
        }
    }
}
