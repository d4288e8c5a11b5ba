//! What clients were told, compared with what a store holds.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use crate::clients::{Attempt, Change, Outcome};
use crate::process::{AGENT, STATE_MACHINE};
use crate::world::{Listing, Target, expected, export, fold, history, listed, text};

/// All that was ever tried, and the history as it was last seen.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    attempts: HashMap<String, Attempt>,
    history: Vec<Value>,
    /// The attempts that the history shows, and at which revision.
    happened: BTreeMap<(usize, usize), u64>,
}

impl Ledger {
    /// Takes down what was tried.
    pub(crate) fn add(&mut self, attempts: Vec<Attempt>) {
        for attempt in attempts {
            let other = self.attempts.insert(trace(&attempt.change), attempt);
            assert!(other.is_none(), "two attempts leave the same trace: {other:?}");
        }
    }

    /// How many attempts were acknowledged, and of how many the outcome was not known; and how many of those happened.
    pub(crate) fn numbers(&self) -> (usize, usize, usize) {
        let of = |wanted: fn(&Outcome) -> bool| {
            self.attempts.values().filter(move |attempt| wanted(&attempt.outcome))
        };
        let unknown = || of(|outcome| *outcome == Outcome::Unknown);
        let acknowledged = of(|outcome| matches!(outcome, Outcome::Acknowledged(_))).count();
        let happened = unknown().filter(|attempt| self.happened.contains_key(&attempt.by)).count();
        (acknowledged, unknown().count(), happened)
    }

    /// The history of a store, compared with what clients know: what was acknowledged is there, what was in flight happened whole
    /// or not at all, and nothing else did.
    pub(crate) fn compare(&mut self, store: &str) {
        let rows = history(&export(store));
        assert!(rows.len() >= self.history.len(), "rows of history are lost");
        let mut services: BTreeMap<&str, &Value> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            let before = services.insert(text(&row["id"]), row);
            match self.history.get(index) {
                Some(known) => assert_eq!(row, known, "rows of history never change"),
                None => {
                    let attempt = explain(&self.attempts, before, row);
                    let other = self.happened.insert(attempt.by, row["revision"].as_u64().expect("a number"));
                    assert_eq!(other, None, "it happened twice: {attempt:?}");
                }
            }
        }
        fold(&rows);
        for attempt in self.attempts.values() {
            if let Outcome::Acknowledged(_) = attempt.outcome {
                assert!(
                    self.happened.contains_key(&attempt.by),
                    "it was acknowledged and is lost: {attempt:?}"
                );
            }
        }
        // A client sends the next write after it has heard of the last.
        let mut last = HashMap::new();
        for ((client, _), revision) in &self.happened {
            let before = last.insert(client, revision);
            assert!(before.is_none_or(|before| before < revision), "client {client} was overtaken by itself");
        }
        self.history = rows;
    }

    /// The same, and the listings of a server: exactly what the history amounts to.
    pub(crate) async fn compare_with(&mut self, server: &Target, store: &str) {
        // What the server before was killed over may still be committed by a database that lives on: then both are looked at again.
        for _ in 0..10 {
            self.compare(store);
            let before = self.history.len();
            let mut pairs: Vec<(Listing, Listing)> = Vec::new();
            for tag in [None, Some(("team", "team 2"))] {
                pairs.push((listed(server, tag).await, expected(&self.history, tag)));
            }
            self.compare(store);
            if self.history.len() == before {
                for (listed, expected) in pairs {
                    assert_eq!(listed, expected);
                }
                return;
            }
        }
        panic!("somebody writes");
    }
}

/// What an attempt leaves in the history, if it happens.
fn trace(change: &Change) -> String {
    match change {
        Change::Create { body } | Change::Update { body, .. } => text(&body["description"]).to_owned(),
        Change::Upsert { body, .. } => preference(body).to_owned(),
        Change::Delete { id, set } => format!("{id} {set}"),
    }
}

/// The one interaction that a version set of these tests names.
fn preference(set: &Value) -> &str {
    set["llm_model_preferences"].as_object().and_then(|set| set.keys().next()).expect("a preference")
}

/// The attempt that a row of history comes from, once it is clear that it is all there.
fn explain<'a>(attempts: &'a HashMap<String, Attempt>, before: Option<&Value>, row: &Value) -> &'a Attempt {
    let found = found_trace(before, row);
    let attempt = attempts.get(&found).unwrap_or_else(|| panic!("nobody wrote this: {row}"));
    assert_ne!(attempt.outcome, Outcome::Nothing, "nothing should have changed: {attempt:?} {row}");
    if let Outcome::Acknowledged(Some(id)) = &attempt.outcome {
        assert_eq!(row["id"], id.as_str());
    }
    let mut wanted = before.cloned().unwrap_or_else(|| new_service(row));
    match &attempt.change {
        Change::Create { body } | Change::Update { body, .. } => {
            for field in ["name", "description", "is_active", "tags"] {
                if !body[field].is_null() {
                    wanted[field] = body[field].clone();
                }
            }
        }
        Change::Upsert { set, body, .. } => {
            let preference = preference(body);
            wanted["version_sets"][set] = version_set(json!({preference: {
                "llm_name": body["llm_model_preferences"][preference]["llm_name"],
                "params": {}
            }}));
        }
        Change::Delete { set, .. } => {
            wanted["version_sets"].as_object_mut().expect("version sets").remove(set);
        }
    }
    for field in ["revision", "updated_at"] {
        wanted[field] = row[field].clone();
    }
    if let Change::Update { id, .. } | Change::Upsert { id, .. } | Change::Delete { id, .. } = &attempt.change
    {
        assert_eq!(wanted["id"], id.as_str());
    }
    assert_eq!(*row, wanted, "half a write, or one on a state that never was: {attempt:?}");
    attempt
}

/// What tells the attempt that made one service of another.
fn found_trace(before: Option<&Value>, row: &Value) -> String {
    let Some(before) = before else { return text(&row["description"]).to_owned() };
    if before["description"] != row["description"] {
        return text(&row["description"]).to_owned();
    }
    let sets = |service: &Value| service["version_sets"].as_object().expect("version sets").clone();
    let (old, new) = (sets(before), sets(row));
    let names: HashSet<&String> = new.keys().collect();
    match old.keys().find(|name| !names.contains(name)) {
        Some(deleted) => format!("{} {deleted}", text(&row["id"])),
        None => {
            let changed = new.iter().find(|(name, set)| old.get(*name) != Some(*set));
            changed.map(|(_, set)| preference(set).to_owned()).expect("each write changes something")
        }
    }
}

/// What a create begins with. The id and the time are the server's to choose.
fn new_service(row: &Value) -> Value {
    let alice = json!({"organization": "acme", "user": "alice"});
    json!({
        "id": row["id"], "organization": "acme", "agent_id": AGENT, "state_machine_id": STATE_MACHINE,
        "keyterms": [], "version_sets": {"edge": version_set(json!({})), "release": version_set(json!({}))},
        "creator": alice, "updated_by": alice, "created_at": row["created_at"]
    })
}

fn version_set(preferences: Value) -> Value {
    json!({
        "agent_version_number": null, "service_hierarchical_state_machine_version_number": null,
        "llm_model_preferences": preferences
    })
}
