//! What `/metrics` exports, and that the dashboard, the alerts and the manual speak of that and of nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use reqwest::Method;
use serde_json::{Value, json};
use service_http::instruments::{self, Instrument, Kind};
use sqlx::Connection as _;

use crate::process::{PATIENCE, Place, Server};
use crate::promql::named;

const DASHBOARD: &str = include_str!("../../../../docs/operations/grafana.json");
const ALERTS: &str = include_str!("../../../../docs/operations/alerts.yml");
const MANUAL: &str = include_str!("../../../../docs/operations.md");
/// The labels that Prometheus adds, and the one of the bounds of a histogram.
const NOT_OURS: [&str; 3] = ["instance", "job", "le"];

/// The names under which a metric's numbers are exported.
fn series(instrument: &Instrument) -> Vec<String> {
    let suffixes: &[&str] = match instrument.kind {
        Kind::Histogram(_) => &["_bucket", "_sum", "_count"],
        Kind::Counter | Kind::Gauge => &[""],
    };
    suffixes.iter().map(|suffix| format!("{}{suffix}", instrument.name)).collect()
}

/// The metric whose numbers have this name.
fn instrument(series_name: &str) -> Option<&'static Instrument> {
    instruments::ALL.into_iter().find(|instrument| series(instrument).iter().any(|name| name == series_name))
}

/// A text in Prometheus' format: the kind of each metric, which ones are explained, and the labels of each name.
#[derive(Debug, Default)]
struct Exported {
    kinds: BTreeMap<String, String>,
    explained: BTreeSet<String>,
    labels: BTreeMap<String, BTreeSet<String>>,
}

impl Exported {
    fn parse(text: &str) -> Self {
        let mut exported = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                exported.kinds.insert(name.to_owned(), kind.to_owned());
            } else if let Some((name, _)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '))
            {
                exported.explained.insert(name.to_owned());
            } else {
                let (sample, value) = line.rsplit_once(' ').expect("a value");
                value.parse::<f64>().expect("a number");
                let mut named = named(sample);
                let name = named.metrics.pop().expect("a name");
                exported.labels.entry(name).or_default().extend(named.labels);
            }
        }
        exported
    }
}

/// Has a server do everything that it measures: also turn away, refuse and fail.
async fn exercise(place: &Place, server: &Server) {
    assert_eq!(server.get("/readyz").await.status(), 200);
    server.create("Kept").await;
    for _ in 0..20 {
        let refused = server.request(Method::POST, "").json(&json!({})).send().await.expect("an answer");
        assert!([422, 429].contains(&refused.status().as_u16()));
    }
    let mut file = sqlx::SqliteConnection::connect(&place.store()).await.expect("the file opens");
    sqlx::query("UPDATE history SET body = '{'").execute(&mut file).await.expect("damaged");
    file.close().await.expect("closed");
    assert_eq!(server.request(Method::GET, "").send().await.expect("an answer").status(), 500);
    // One connection is the client's, for as long as it is kept; this is one too many.
    let mut connections = Vec::new();
    loop {
        let mut connection = TcpStream::connect(server.address()).expect("a connection");
        connection.set_read_timeout(Some(PATIENCE)).expect("a bound");
        connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).expect("an answer");
        connections.push(connection);
        if answer.ends_with(b"503") {
            break;
        }
        assert!(connections.len() < 10, "connections are bounded");
    }
}

#[tokio::test]
async fn what_is_exported_is_what_is_listed_and_all_of_it() {
    let place = Place::new();
    place.apply_catalog();
    let there = Place::new();
    let (store, cluster) = (place.store(), format!("eu-1={}", there.store()));
    let server = Server::start(&["--store", &store, "--cluster", &cluster, "--max-connections", "3"]);
    exercise(&place, &server).await;
    let text = server.get("/metrics").await.text().await.expect("text");
    let exported = Exported::parse(&text);

    let listed: BTreeMap<String, String> = instruments::ALL
        .into_iter()
        .map(|instrument| {
            let kind = match instrument.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            (instrument.name.to_owned(), kind.to_owned())
        })
        .collect();
    assert_eq!(exported.kinds, listed, "{text}");
    assert_eq!(exported.explained, listed.into_keys().collect(), "{text}");
    for (name, labels) in &exported.labels {
        let instrument = instrument(name).unwrap_or_else(|| panic!("{name} is not listed"));
        let mut known: BTreeSet<String> = instrument.labels.iter().map(|&label| label.to_owned()).collect();
        if name.ends_with("_bucket") {
            known.insert("le".to_owned());
        }
        assert_eq!(*labels, known, "{name}");
    }
    for line in [
        r#"service_registry_store_connections_max{store="sqlite",cluster="default",pool="reads"} 8"#,
        r#"service_registry_store_connections_max{store="sqlite",cluster="eu-1",pool="writes"} 1"#,
        r#"service_registry_store_duration_seconds_bucket{store="sqlite",cluster="eu-1",call="ready",le="30"} 1"#,
        r#"service_registry_store_failures_total{store="sqlite",cluster="default",call="list",outcome="corrupt"} 1"#,
        r#"service_registry_shed_total{reason="too_many_connections"} 1"#,
        r#"service_registry_refusals_total{error_code="unavailable"} 1"#,
    ] {
        assert!(text.lines().any(|present| present == line), "{line}\n{text}");
    }
    server.stop();
}

/// Everything under a key, wherever it stands.
fn under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get(key));
            members.values().for_each(|member| under(member, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| under(item, key, found)),
        _ => {}
    }
}

/// An alert, as it stands in the rules.
#[derive(Debug, Default)]
struct Alert {
    name: String,
    keys: BTreeMap<String, String>,
}

/// Reads the rules: of YAML, what stands there. A value goes on for as long as lines are further in than its key.
fn alerts() -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    let (mut open, mut depth) = (String::new(), 0);
    for line in ALERTS.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let indent = line.len() - line.trim_start().len();
        let text = line.trim();
        if let Some(name) = text.strip_prefix("- alert: ") {
            alerts.push(Alert { name: name.to_owned(), ..Alert::default() });
            (open, depth) = (String::new(), indent + 2);
            continue;
        }
        let Some(alert) = alerts.last_mut() else { continue };
        if indent > depth && alert.keys.get(&open).is_some_and(|value| !value.is_empty() || open == "expr") {
            let value = alert.keys.entry(open.clone()).or_default();
            value.push(' ');
            value.push_str(text);
        } else {
            let (key, value) = text.split_once(':').unwrap_or_else(|| panic!("no key: {line}"));
            (open, depth) = (key.to_owned(), indent);
            let value = value.trim().trim_matches('\'');
            alert.keys.insert(key.to_owned(), if value == ">-" { String::new() } else { value.to_owned() });
        }
    }
    alerts
}

/// Asserts that what an expression names is exported, with these labels.
#[track_caller]
fn is_exported(expression: &str) {
    let named = named(expression);
    assert!(!named.metrics.is_empty(), "it asks for nothing: {expression}");
    let mut labels: BTreeSet<&str> = NOT_OURS.into();
    for name in &named.metrics {
        let instrument = instrument(name).unwrap_or_else(|| panic!("`{name}` is not exported: {expression}"));
        labels.extend(instrument.labels);
    }
    for label in &named.labels {
        assert!(labels.contains(label.as_str()), "nothing has the label `{label}`: {expression}");
    }
    for value in &named.values {
        // Bounds of histograms, variables of the dashboard and routes are nothing that a metric's row explains.
        let is_explained =
            value.parse::<f64>().is_ok() || value.starts_with('$') || value.starts_with("/v1/");
        assert!(
            is_explained || MANUAL.contains(&format!("`{value}`")),
            "the manual knows no value `{value}`: {expression}"
        );
    }
}

#[test]
fn the_dashboard_shows_what_is_exported_and_all_of_it() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let (mut expressions, mut queries) = (Vec::new(), Vec::new());
    under(&dashboard["panels"], "expr", &mut expressions);
    under(&dashboard["templating"], "definition", &mut queries);
    let mut shown = BTreeSet::new();
    for expression in expressions.iter().chain(&queries) {
        let expression = expression.as_str().expect("text");
        is_exported(expression);
        shown.extend(
            named(expression).metrics.iter().filter_map(|name| instrument(name)).map(|known| known.name),
        );
    }
    assert_eq!(shown, instruments::ALL.iter().map(|instrument| instrument.name).collect());

    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "ids are unique");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{panel}");
        assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{panel}");
    }
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    assert!(
        variables.iter().any(|variable| variable["name"] == "datasource" && variable["type"] == "datasource")
    );
}

#[test]
fn alerts_watch_what_is_exported_and_the_manual_says_what_to_do() {
    let alerts = alerts();
    assert!(alerts.len() > 5, "{alerts:#?}");
    for Alert { name, keys } in &alerts {
        let known: BTreeSet<&str> = keys.keys().map(String::as_str).collect();
        let expected = ["annotations", "expr", "for", "labels", "runbook_url", "severity", "summary"];
        assert_eq!(known, expected.into(), "{name}");
        is_exported(&keys["expr"]);
        assert!(["critical", "warning", "info"].contains(&keys["severity"].as_str()), "{name}");
        assert_eq!(keys["runbook_url"], format!("docs/operations.md#{}", name.to_lowercase()));
        assert!(MANUAL.contains(&format!("\n#### {name}\n")), "the manual has no heading `{name}`");
    }
    let headings = MANUAL.lines().filter_map(|line| line.strip_prefix("#### ServiceRegistry"));
    assert_eq!(headings.count(), alerts.len(), "the manual explains an alert that is not there");
}

#[test]
fn the_manual_lists_every_metric_with_its_labels() {
    for instrument in instruments::ALL {
        let row = format!("| `{}` |", instrument.name);
        let row =
            MANUAL.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        let named: Vec<&str> =
            row.split('|').nth(2).unwrap_or_default().split('`').skip(1).step_by(2).collect();
        assert_eq!(named, instrument.labels, "{row}");
    }
    let rows = MANUAL.lines().filter(|line| line.starts_with("| `service_registry_")).count();
    assert_eq!(rows, instruments::ALL.len());
}
