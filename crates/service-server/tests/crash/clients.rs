//! Clients that write, and remember what they were told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::dice::Dice;
use crate::process::{PATIENCE, body};
use crate::world::{LLM, Target};

/// Few names for many services, so that they collide.
const NAMES: u64 = 12;
/// How many clients write at the same time.
const CLIENTS: usize = 6;
/// How long a request may take at most: the server's own limit, and some time for the way there and back.
const DEADLINE: Duration = Duration::from_secs(32);

/// What somebody tried to write. No two attempts leave the same trace in the history.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// Which client it was, and which of its attempts.
    pub(crate) by: (usize, usize),
    pub(crate) change: Change,
    pub(crate) outcome: Outcome,
}

/// What was to become of which service.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Create { body: Value },
    Update { id: String, body: Value },
    Upsert { id: String, set: String, body: Value },
    Delete { id: String, set: String },
}

/// What whoever tried knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was acknowledged; a create with the id.
    Acknowledged(Option<String>),
    /// The answer says that nothing has changed.
    Nothing,
    /// There was no answer, or one that says that the outcome is unknown.
    Unknown,
}

/// What was answered, how often, and how long the slowest took.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answers(pub(crate) BTreeMap<(u16, String), (usize, Duration)>);

impl Answers {
    fn note(&mut self, status: u16, detail: &str, took: Duration) {
        // Ids and names differ; what is said of them does not.
        let detail = detail.split('`').step_by(2).collect::<Vec<_>>().join("…");
        let (count, slowest) = self.0.entry((status, detail)).or_default();
        *count += 1;
        *slowest = took.max(*slowest);
    }

    /// How many answers had this status and a detail with these words.
    pub(crate) fn count(&self, status: u16, words: &str) -> usize {
        let such = self.0.iter().filter(|((found, detail), _)| *found == status && detail.contains(words));
        such.map(|(_, (count, _))| count).sum()
    }

    fn add(&mut self, others: &Self) {
        for (answer, (count, slowest)) in &others.0 {
            let entry = self.0.entry(answer.clone()).or_default();
            entry.0 += count;
            entry.1 = entry.1.max(*slowest);
        }
    }
}

/// All clients. They write while [`write_until`](Self::write_until) runs, and keep what they know from one time to the next.
#[derive(Debug)]
pub(crate) struct Clients {
    clients: Vec<Client>,
    /// The services that are known to be there.
    services: Arc<Mutex<Vec<String>>>,
}

/// What came of some time of writing.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) answers: Answers,
}

/// When clients stop at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// When they are told to, or the server is gone.
    WithServer,
    /// When they are told to.
    WhenTold,
}

impl Clients {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let client = |number| Client { number, dice: dice.fork(), tried: 0, sets: Vec::new() };
        Self { clients: (0..CLIENTS).map(client).collect(), services: Arc::default() }
    }

    /// Writes until something has happened, which is told what clients see as they see it.
    pub(crate) async fn write_until<Happened>(
        &mut self,
        server: &Target,
        ending: Ending,
        something: impl AsyncFnOnce(watch::Receiver<Seen>) -> Happened,
    ) -> (Written, Happened) {
        let (seen, seeing) = watch::channel(Seen::default());
        let (stop, stopped) = watch::channel(false);
        let mut writing = Vec::new();
        for mut client in self.clients.drain(..) {
            let (server, services) = (server.clone(), Arc::clone(&self.services));
            let (seen, stopped) = (seen.clone(), stopped.clone());
            writing.push(tokio::spawn(async move {
                let mut written = Written::default();
                while !*stopped.borrow() {
                    let goes_on = client.write(&server, &services, &mut written).await;
                    seen.send_modify(|seen| seen.add(written.attempts.last(), goes_on));
                    if !goes_on && ending == Ending::WithServer {
                        break;
                    }
                    // One that is refused at once must not keep all others from their turn.
                    tokio::task::yield_now().await;
                }
                (client, written)
            }));
        }
        let happened = something(seeing).await;
        stop.send_replace(true);
        let mut all = Written::default();
        for client in writing {
            let (client, written) = client.await.expect("a client goes on");
            self.clients.push(client);
            all.attempts.extend(written.attempts);
            all.answers.add(&written.answers);
        }
        (all, happened)
    }
}

/// How many attempts ended how.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    /// All.
    pub(crate) attempts: usize,
    /// Those that were acknowledged.
    pub(crate) acknowledged: usize,
    /// Those that were answered that nothing has changed, or that the outcome is unknown: refusals by rules too.
    pub(crate) refused: usize,
}

impl Seen {
    fn add(&mut self, last: Option<&Attempt>, was_answered: bool) {
        self.attempts += 1;
        let is_acknowledged = last.is_some_and(|last| matches!(last.outcome, Outcome::Acknowledged(_)));
        self.acknowledged += usize::from(is_acknowledged);
        self.refused += usize::from(was_answered && !is_acknowledged);
    }
}

/// Waits until clients have seen enough.
pub(crate) async fn until(seeing: &mut watch::Receiver<Seen>, enough: impl FnMut(&Seen) -> bool) {
    let seen = tokio::time::timeout(PATIENCE, seeing.wait_for(enough)).await;
    seen.expect("the server answers").expect("somebody writes");
}

#[derive(Debug)]
struct Client {
    number: usize,
    dice: Dice,
    tried: usize,
    /// The version sets of its own that are there: of which service, and their names.
    sets: Vec<(String, String)>,
}

impl Client {
    /// Tries one write. False if the server is not there.
    async fn write(&mut self, server: &Target, services: &Mutex<Vec<String>>, written: &mut Written) -> bool {
        let change = self.choose(&services.lock().expect("nobody panicked"));
        self.tried += 1;
        let begun = Instant::now();
        let sent = request(server, &change).timeout(DEADLINE).send().await;
        let (outcome, is_there) = match sent {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let has_retry_after = answer.headers().contains_key(RETRY_AFTER);
                match answer.text().await {
                    Ok(text) => {
                        let detail = detail(&text);
                        written.answers.note(status, &detail, begun.elapsed());
                        (judge(status, has_retry_after, &text, &detail), true)
                    }
                    Err(_) => (Outcome::Unknown, false),
                }
            }
            Err(error) => {
                assert!(!error.is_timeout(), "a request hangs: {change:?}");
                (if error.is_connect() { Outcome::Nothing } else { Outcome::Unknown }, false)
            }
        };
        match (&change, &outcome) {
            (Change::Create { .. }, Outcome::Acknowledged(Some(id))) => {
                services.lock().expect("nobody panicked").push(id.clone());
            }
            (Change::Upsert { id, set, .. }, Outcome::Acknowledged(_)) => {
                let mine = (id.clone(), set.clone());
                if !self.sets.contains(&mine) {
                    self.sets.push(mine);
                }
            }
            _ => {}
        }
        written.attempts.push(Attempt { by: (self.number, self.tried), change, outcome });
        is_there
    }

    fn choose(&mut self, services: &[String]) -> Change {
        let mark = format!("{}-{}", self.number, self.tried);
        if services.is_empty() || self.dice.once_in(4) {
            let mut body = body(&self.name());
            body["description"] = json!(mark);
            body["is_active"] = json!(self.dice.once_in(2));
            body["tags"] = self.tags();
            return Change::Create { body };
        }
        let id = self.dice.pick(services).clone();
        match self.dice.below(10) {
            0..5 => {
                let mut body = json!({"description": mark});
                if self.dice.once_in(2) {
                    body["name"] = json!(self.name());
                }
                if self.dice.once_in(2) {
                    body["is_active"] = json!(self.dice.once_in(2));
                }
                if self.dice.once_in(2) {
                    body["tags"] = self.tags();
                }
                Change::Update { id, body }
            }
            5..8 => {
                // Most are new, some replace one of its own.
                let (id, set) = match self.sets.last() {
                    Some(mine) if self.dice.once_in(3) => mine.clone(),
                    _ => (id, format!("set-{mark}")),
                };
                let body = json!({"llm_model_preferences": {mark: {"llm_name": LLM}}});
                Change::Upsert { id, set, body }
            }
            // Each is deleted once, whatever comes of it, so that the history tells who deleted it.
            _ => match self.sets.pop() {
                Some((id, set)) => Change::Delete { id, set },
                None => Change::Update { id, body: json!({"description": mark}) },
            },
        }
    }

    fn name(&mut self) -> String {
        format!("name {}", self.dice.below(NAMES))
    }

    fn tags(&mut self) -> Value {
        let mut tags = json!({});
        for key in ["team", "region", "pilot"] {
            match self.dice.below(4) {
                0 => {}
                1 => tags[key] = Value::Null,
                value => tags[key] = json!(format!("{key} {value}")),
            }
        }
        tags
    }
}

fn request(server: &Target, change: &Change) -> RequestBuilder {
    match change {
        Change::Create { body } => server.request(Method::POST, "").json(body),
        Change::Update { id, body } => server.request(Method::POST, &format!("{id}/")).json(body),
        Change::Upsert { id, set, body } => {
            let path = format!("{id}/version_sets/{set}/");
            server.request(Method::PUT, &path).json(&json!({"version_set": body}))
        }
        Change::Delete { id, set } => server.request(Method::DELETE, &format!("{id}/version_sets/{set}/")),
    }
}

fn detail(text: &str) -> String {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    answer["detail"].as_str().unwrap_or_default().to_owned()
}

/// What an answer tells whoever asked.
fn judge(status: u16, has_retry_after: bool, text: &str, detail: &str) -> Outcome {
    if status >= 500 {
        shows_nothing_inside(text);
    }
    match status {
        201 => {
            let answer: Value = serde_json::from_str(text).expect("JSON");
            Outcome::Acknowledged(Some(answer["id"].as_str().expect("an id").to_owned()))
        }
        200 | 204 => Outcome::Acknowledged(None),
        // A service may be too full, a name taken, a version set not there; and a failure that is no 503 changed nothing.
        400 | 404 | 409 | 500 => Outcome::Nothing,
        503 => {
            assert!(has_retry_after, "{text}");
            match (detail.contains("nothing has changed"), detail.contains("unknown")) {
                (true, false) => Outcome::Nothing,
                (false, true) => Outcome::Unknown,
                _ => panic!("it does not say what happened: {text}"),
            }
        }
        _ => panic!("{status}: {text}"),
    }
}

/// No answer shows paths, SQL, or what the database said.
pub(crate) fn shows_nothing_inside(text: &str) {
    for word in ["/", "SELECT", "INSERT", "sql", "SQL", "disk", "database", "pool", "connection"] {
        assert!(!text.contains(word), "an answer shows what is inside: {text}");
    }
}
