//! Two servers on one PostgreSQL: whatever races through both, the rules hold.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use test_postgres::Database;
use tokio::task::{JoinSet, LocalSet};

use crate::process::{AGENT, Place, Server, body, command, run};

/// What a server says that has more to do than it can, and how often it may.
const TURNED_AWAY: &str = "too many requests at once; nothing has changed";
const ATTEMPTS: usize = 1000;

type Task = Pin<Box<dyn Future<Output = ()>>>;

struct Replicas {
    servers: [Server; 2],
    place: Place,
    database: Database,
}

impl Replicas {
    /// Two servers that start at once on a database with nothing in it.
    async fn start() -> Rc<Self> {
        let database = Database::empty().await;
        let place = Place::new();
        let catalog = place.catalog();
        let start = |_| {
            let arguments = ["--store", database.url(), "--rate-limits", "off", "--catalog", &catalog];
            let arguments = arguments.map(str::to_owned);
            std::thread::spawn(move || Server::start(&arguments.each_ref().map(String::as_str)))
        };
        let starting = [0, 1].map(start);
        let servers = starting.map(|server| server.join().expect("a server that comes up"));
        Rc::new(Self { servers, place, database })
    }

    /// One of the two, in turn.
    fn server(&self, number: usize) -> &Server {
        &self.servers[number % 2]
    }

    /// What comes of a request, which is sent again where the server had no time for it, and says that nothing has changed: what races
    /// here is to race on a busy machine, too.
    async fn send(
        &self,
        number: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        for _ in 0..ATTEMPTS {
            let mut request = self.server(number).request(method.clone(), path);
            if let Some(body) = &body {
                request = request.json(body);
            }
            let answer = request.send().await.expect("an answer");
            let (status, answer) = (answer.status(), answer.json().await.unwrap_or(Value::Null));
            if status != 503 || answer["detail"] != TURNED_AWAY {
                return (status, answer);
            }
        }
        panic!("a server has no time for anything")
    }

    /// The services, from one of the servers, a page from each in turn.
    async fn walk(&self, query: &str) -> Vec<Value> {
        let mut services = Vec::new();
        let mut token = 0;
        for number in 0.. {
            let (status, page) =
                self.send(number, Method::GET, &format!("?{query}&continuation_token={token}"), None).await;
            assert_eq!(status, 200, "{page}");
            services.extend(page["services"].as_array().expect("services").iter().cloned());
            match page["continuation_token"].as_i64() {
                Some(next) => token = next,
                None => break,
            }
        }
        services
    }

    /// Ends the servers in good order and has the store checked.
    fn end(self: Rc<Self>) {
        let Self { servers, database, .. } = Rc::into_inner(self).expect("nobody else");
        servers.into_iter().for_each(Server::stop);
        run(&mut command(&["check", "--store", database.url()])).succeeded();
    }
}

/// Runs tasks at once, whose requests the servers answer at once, and gives what they return, in any order.
async fn all<T: 'static>(tasks: impl IntoIterator<Item = impl Future<Output = T> + 'static>) -> Vec<T> {
    let running = async {
        let mut running = JoinSet::new();
        for task in tasks {
            running.spawn_local(task);
        }
        running.join_all().await
    };
    LocalSet::new().run_until(running).await
}

#[tokio::test]
async fn creators_of_one_name_leave_one_active() {
    let replicas = Replicas::start().await;
    for round in 0..4 {
        let creators = (0..8).map(|number| {
            let replicas = Rc::clone(&replicas);
            async move {
                let body = body(&format!("contended {round}"));
                replicas.send(number, Method::POST, "", Some(body)).await
            }
        });
        let answers = all(creators).await;
        let created = answers.iter().filter(|(status, _)| *status == 201).count();
        assert_eq!(created, 1, "{answers:?}");
        assert!(
            answers
                .iter()
                .all(|(status, answer)| *status == 201 || answer["error_code"] == "active_name_taken"),
            "{answers:?}"
        );
    }
    assert_eq!(replicas.walk("limit=2").await.len(), 4);
    replicas.end();
}

#[tokio::test]
async fn upserts_and_deletes_of_a_version_set_never_mix() {
    let replicas = Replicas::start().await;
    let id = replicas.server(0).create("s").await;
    let writers = (0..6).map(|number: usize| {
        let (replicas, path) = (Rc::clone(&replicas), format!("{id}/version_sets/preview/"));
        async move {
            for _ in 0..5 {
                let (status, answer) = if number.is_multiple_of(3) {
                    replicas.send(number, Method::DELETE, &path, None).await
                } else {
                    let pin = 1 + number % 2;
                    let set = json!({"version_set": {
                        "agent_version_number": pin, "service_hierarchical_state_machine_version_number": pin
                    }});
                    replicas.send(number, Method::PUT, &path, Some(set)).await
                };
                assert!([204, 404].contains(&status.as_u16()), "{status} {answer}");
            }
        }
    });
    all(writers).await;
    let set = &replicas.walk("limit=20").await[0]["version_sets"]["preview"];
    let machine = "service_hierarchical_state_machine_version_number";
    assert!(set.is_null() || set["agent_version_number"] == set[machine], "{set}");
    replicas.end();
}

#[tokio::test]
async fn activation_and_rename_never_share_a_name() {
    let replicas = Replicas::start().await;
    let mut contenders = Vec::new();
    for number in 0..3 {
        contenders.push((replicas.server(0).create(&format!("mover {number}")).await, true));
        let mut asleep = body("contended");
        asleep["is_active"] = false.into();
        let (_, created) = replicas.send(1, Method::POST, "", Some(asleep)).await;
        contenders.push((created["id"].as_str().expect("an id").to_owned(), false));
    }
    let writers = contenders.into_iter().enumerate().map(|(number, (id, moves))| {
        let replicas = Rc::clone(&replicas);
        async move {
            for round in 0..4 {
                let change = match (moves, round % 2) {
                    (true, 0) => json!({"name": "contended"}),
                    (true, _) => json!({"name": format!("mover {number}")}),
                    (false, 0) => json!({"is_active": true}),
                    (false, _) => json!({"is_active": false}),
                };
                let (status, answer) =
                    replicas.send(number, Method::POST, &format!("{id}/"), Some(change)).await;
                assert!([200, 409].contains(&status.as_u16()), "{status} {answer}");
                let active = replicas.walk("limit=20&is_active=true").await;
                let mut named: BTreeMap<String, usize> = BTreeMap::new();
                for service in active {
                    *named.entry(service["name"].to_string()).or_default() += 1;
                }
                assert!(named.values().all(|count| *count == 1), "{named:?}");
            }
        }
    });
    all(writers).await;
    replicas.end();
}

#[tokio::test]
async fn catalog_changes_and_writes_keep_the_invariants() {
    let replicas = Replicas::start().await;
    let id = replicas.server(0).create("tested").await;
    let test = |deleted: bool| {
        json!({"organizations": [{"id": "acme", "simulation_unit_tests": [{
            "id": "6630f0a0e1b2c3d4e5f60001", "service_id": id, "version_set_name": "preview", "deleted": deleted
        }]}]})
    };
    let files = [false, true]
        .map(|deleted| replicas.place.write(&format!("test-{deleted}.json"), &test(deleted).to_string()));
    let applier = {
        let store = replicas.database.url().to_owned();
        tokio::task::spawn_blocking(move || {
            for round in 0..6 {
                let file = &files[round % 2];
                let apply = ["catalog", "apply", file, "--store", &store];
                let outcome = run(&mut command(&apply));
                // Refused where the version set is just not there.
                assert!(outcome.code == Some(0) || outcome.stderr.contains("must name"), "{outcome:?}");
            }
        })
    };
    let writers = (0..4).map(|number: usize| {
        let (replicas, id) = (Rc::clone(&replicas), id.clone());
        async move {
            for round in 0..12 {
                let path = format!("{id}/version_sets/preview/");
                let (status, answer) = match (number + round) % 3 {
                    0 => replicas.send(number, Method::DELETE, &path, None).await,
                    1 => {
                        let set = json!({"version_set": {"agent_version_number": 1 + round % 3}});
                        replicas.send(number, Method::PUT, &path, Some(set)).await
                    }
                    _ => {
                        let change = json!({"is_active": round % 2 == 0, "agent_id": AGENT});
                        replicas.send(number, Method::POST, &format!("{id}/"), Some(change)).await
                    }
                };
                let is_refusal = answer["error_code"].is_string() && status.is_client_error();
                assert!(status.is_success() || is_refusal, "{status} {answer}");
            }
        }
    });
    all(writers).await;
    applier.await.expect("the catalog changes");
    // `check` finds a test without its version set, or of a service that is not active.
    replicas.end();
}

#[tokio::test]
async fn walks_through_both_meet_each_unchanged_service_once() {
    let replicas = Replicas::start().await;
    let mut still = Vec::new();
    let mut moving = Vec::new();
    for number in 0..24 {
        let id = replicas.server(number).create(&format!("name {number:02}")).await;
        if number % 3 == 0 { moving.push(id) } else { still.push(id) }
    }
    let writers = moving.into_iter().enumerate().map(|(number, id)| {
        let replicas = Rc::clone(&replicas);
        let writer = async move {
            for round in 0..8 {
                let change = json!({"name": format!("name {:02} {number}", (number * 7 + round * 5) % 24)});
                let (status, answer) =
                    replicas.send(number, Method::POST, &format!("{id}/"), Some(change)).await;
                assert_eq!(status, 200, "{answer}");
            }
        };
        Box::pin(writer) as Task
    });
    let walks = (0..6).map(|number: usize| {
        let (replicas, still) = (Rc::clone(&replicas), still.clone());
        let walk = async move {
            let sort = ["%2Bname", "-name", "-is_active"][number % 3];
            let walked = replicas.walk(&format!("limit=3&sort_by={sort}")).await;
            for id in still {
                let times = walked.iter().filter(|service| service["id"] == id.as_str()).count();
                assert_eq!(times, 1, "{id} by {sort}");
            }
        };
        Box::pin(walk) as Task
    });
    all(writers.chain(walks)).await;
    replicas.end();
}
