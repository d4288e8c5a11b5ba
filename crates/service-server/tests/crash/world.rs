//! A store to break, and what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::process::{PATIENCE, Place, Server, command, run, token};

/// The one LLM that the catalog knows.
pub(crate) const LLM: &str = "llm";

/// The catalog of the tests of the server, with an LLM.
pub(crate) fn catalog(place: &Place) -> String {
    let path = place.catalog();
    let mut catalog: Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("a catalog")).expect("JSON");
    catalog["llms"] = json!([{"name": LLM}]);
    place.write("catalog.json", &catalog.to_string())
}

/// Makes a store with that catalog.
pub(crate) fn prepare(place: &Place, store: &str) {
    run(&mut command(&["migrate", "--store", store])).succeeded();
    run(&mut command(&["catalog", "apply", &catalog(place), "--store", store])).succeeded();
}

/// Starts a server on a store.
pub(crate) fn serve(store: &str) -> Server {
    // Nobody is turned away here, however slow the machine is.
    Server::start(&["--store", store, "--rate-limits", "off", "--max-requests", "64"])
}

/// Where a server answers, for any number of clients.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    url: String,
    client: Client,
}

impl Target {
    pub(crate) fn of(server: &Server) -> Self {
        Self { url: server.url.clone(), client: Client::new() }
    }

    /// A request of `alice` to the organization `acme`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        static TOKEN: LazyLock<String> = LazyLock::new(token);
        let url = format!("{}/v1/acme/service/{path}", self.url);
        self.client.request(method, url).bearer_auth(&*TOKEN).timeout(PATIENCE)
    }
}

/// All that a store holds, as it exports it.
pub(crate) fn export(store: &str) -> String {
    run(&mut command(&["export", "--store", store])).succeeded()
}

/// Succeeds if a store says that nothing is wrong with it.
#[track_caller]
pub(crate) fn is_sound(store: &str) {
    let checked = run(&mut command(&["check", "--store", store])).succeeded();
    assert!(checked.ends_with("is sound\n"), "{checked}");
}

/// The history of the organization in an archive, oldest first: revisions without a gap.
pub(crate) fn history(archive: &str) -> Vec<Value> {
    let lines = archive.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let (mut rows, mut last) = (Vec::new(), None);
    for mut line in lines {
        let line: &mut Value = &mut line;
        if let Some(organization) = line.get("organization") {
            last = organization["revision"].as_u64();
        }
        if let Some(service) = line.get_mut("service") {
            rows.push(service.take());
        }
    }
    for (row, revision) in rows.iter().zip(1_u64..) {
        assert_eq!(row["revision"], revision, "revisions have no gap");
    }
    assert_eq!(last, u64::try_from(rows.len()).ok(), "the organization counts its revisions");
    rows
}

/// The services that a history amounts to, by id.
pub(crate) fn fold(history: &[Value]) -> BTreeMap<&str, &Value> {
    let mut services = BTreeMap::new();
    let mut holders: BTreeMap<&str, &str> = BTreeMap::new();
    for row in history {
        let (id, name) = (text(&row["id"]), text(&row["name"]));
        if let Some(before) = services.insert(id, row).filter(|before| before["is_active"] == true) {
            holders.remove(text(&before["name"]));
        }
        if row["is_active"] == true {
            assert_eq!(holders.insert(name, id), None, "two active services have the name `{name}`");
        }
    }
    services
}

/// What tests look at of a listing.
#[derive(Debug, PartialEq)]
pub(crate) struct Listing {
    /// Each service's id, name, activeness, tags, names of version sets, and revision, in the order of the pages.
    services: Vec<Value>,
    filter_values: Vec<String>,
}

/// What a listing of all services by name must be.
pub(crate) fn expected(history: &[Value], tag: Option<(&str, &str)>) -> Listing {
    let services = fold(history);
    let mut facets: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
    for service in services.values() {
        let tags = service["tags"].as_object().expect("tags");
        facets.extend(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    }
    let mut listed: Vec<&&Value> = services
        .values()
        .filter(|service| tag.is_none_or(|(key, value)| service["tags"][key] == value))
        .collect();
    listed.sort_by_key(|service| (text(&service["name"]), text(&service["id"])));
    Listing {
        services: listed.into_iter().map(|service| summary(service, service["tags"].clone())).collect(),
        filter_values: facets.iter().map(|(key, value)| format!("{key}:{}", value.unwrap_or(""))).collect(),
    }
}

/// The listing that a server gives, page by page.
pub(crate) async fn listed(server: &Target, tag: Option<(&str, &str)>) -> Listing {
    let tag = tag.map(|(key, value)| format!("&tag={key}:{value}")).unwrap_or_default();
    let (mut services, mut filter_values, mut token) = (Vec::new(), Vec::new(), Value::from(0));
    while !token.is_null() {
        let path = format!("?limit=20&sort_by=%2Bname&continuation_token={token}{tag}");
        let answer = server.request(Method::GET, &path).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let page: Value = answer.json().await.expect("JSON");
        if token == 0 {
            let tags = page["filter_values"]["tags"].as_array().expect("tags");
            filter_values = tags.iter().map(|tag| text(tag).to_owned()).collect();
        }
        for service in page["services"].as_array().expect("services") {
            let tags = service["tags"].as_array().expect("tags");
            let tags = tags.iter().map(|tag| (text(&tag["key"]).to_owned(), tag["value"].clone()));
            services.push(summary(service, tags.collect::<serde_json::Map<_, _>>().into()));
        }
        token = page["continuation_token"].clone();
    }
    Listing { services, filter_values }
}

fn summary(service: &Value, tags: Value) -> Value {
    let sets: Vec<&String> = service["version_sets"].as_object().expect("version sets").keys().collect();
    json!([service["id"], service["name"], service["is_active"], tags, sets, service["revision"]])
}

/// A JSON string.
#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// Asks until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
