//! What the server logs: for whom, and what never.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use test_postgres::Database;

use crate::process::{AGENT, PATIENCE, Place, SECRET, STATE_MACHINE, Server, body, command, run, token};

/// Starts a server on the store of a place, and logs what passes a filter.
fn server(place: &Place, log: &[&str]) -> Server {
    Server::start(&[&["--store", &place.store()], log].concat())
}

/// What a server has logged since it said where it listens, once it has ended.
fn lines(mut server: Server) -> Vec<String> {
    server.signal("TERM");
    let mut lines = Vec::new();
    while let Ok(line) = server.lines.recv_timeout(PATIENCE) {
        lines.push(line);
    }
    assert_eq!(server.ended().code(), Some(0));
    lines
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

/// Creates a service of this name, in a request of this id.
async fn create(server: &Server, name: &str, id: &str) {
    let request = server.request(Method::POST, "").json(&body(name)).header("x-request-id", id);
    request.send().await.expect("an answer");
}

/// Asserts that statements of each call of the store are among the lines, within what the create of this id does.
#[track_caller]
fn statements_are_within(lines: &[Value], id: &str) {
    let expected = json!({
        "request_id": id, "method": "POST", "route": "/v1/{organization}/service", "operation": "create",
        "store": "sqlite", "cluster": "default"
    });
    let expected = expected.as_object().expect("an object");
    let within = |line: &&Value| expected.iter().all(|(name, value)| line[name] == *value);
    let statements = lines.iter().filter(|line| line["target"] == "sqlx::query").filter(within);
    let of_calls: Vec<_> = statements.map(|line| (line["call"].as_str(), line["summary"].as_str())).collect();
    for call in ["maintenance", "standing", "facts", "commit"] {
        assert!(of_calls.iter().any(|(of, _)| *of == Some(call)), "{call}: {of_calls:?}");
    }
    for statement in ["BEGIN IMMEDIATE", "COMMIT"] {
        assert!(of_calls.contains(&(Some("commit"), Some(statement))), "{statement}: {of_calls:?}");
    }
}

#[tokio::test]
async fn every_line_of_a_request_says_which_down_to_the_statements() {
    let place = Place::new();
    place.apply_catalog();
    let all = server(&place, &["--log", "debug"]);
    create(&all, "First", "create-1").await;
    let lines_of_all = parsed(&lines(all));
    statements_are_within(&lines_of_all, "create-1");
    let place_of =
        |message: &str| lines_of_all.iter().position(|line| line["message"] == message).expect("a line");
    let ours = |line: &&Value| {
        let target = line["target"].as_str().unwrap_or_default();
        target == "sqlx::query" || target.starts_with("service_http")
    };
    for line in lines_of_all[place_of("serving")..place_of("shutting down")].iter().filter(ours) {
        assert_eq!(line["request_id"], "create-1", "{line}");
    }
    // Also where nothing else is logged.
    let statements = server(&place, &["--log", "sqlx::query=debug"]);
    create(&statements, "Second", "create-2").await;
    let lines_of_statements = parsed(&lines(statements));
    statements_are_within(&lines_of_statements, "create-2");
    assert!(lines_of_statements.iter().all(|line| line["target"] == "sqlx::query"));
}

#[tokio::test]
async fn an_answer_is_a_line_that_says_what_came_of_it() {
    let place = Place::new();
    place.apply_catalog();
    let server = server(&place, &[]);
    create(&server, "Night line", "created").await;
    create(&server, "Night line", "taken").await;
    let lines = parsed(&lines(server));
    let answered = |id: &str| {
        let mut of = lines.iter().filter(|line| line["message"] == "answered" && line["request_id"] == id);
        of.next().unwrap_or_else(|| panic!("{id}: {lines:#?}")).clone()
    };
    let (mut created, mut taken) = (answered("created"), answered("taken"));
    for line in [&mut created, &mut taken] {
        let line = line.as_object_mut().expect("an object");
        assert!(line.remove("microseconds").is_some_and(|time| time.as_u64().is_some_and(|time| time > 0)));
        assert!(
            line.remove("timestamp")
                .is_some_and(|time| time.as_str().is_some_and(|time| time.ends_with('Z')))
        );
    }
    let expected = |id: &str, status: u16, outcome: &str| {
        json!({
            "level": "INFO", "target": "service_http::observe", "message": "answered", "status": status,
            "request_id": id, "method": "POST", "route": "/v1/{organization}/service", "organization": "acme",
            "operation": "create", "outcome": outcome
        })
    };
    assert_eq!(created, expected("created", 201, "ok"));
    let mut refused = expected("taken", 409, "active_name_taken");
    refused["error_code"] = json!("active_name_taken");
    assert_eq!(taken, refused);
}

#[tokio::test]
async fn nothing_of_persons_and_no_secret_is_logged_however_much_is_on_sqlite() {
    let place = Place::new();
    says_nothing_of_persons(&place, &place.store()).await;
}

#[tokio::test]
async fn nothing_of_persons_and_no_secret_is_logged_however_much_is_on_postgresql() {
    let database = Database::empty().await;
    run(&mut command(&["migrate", "--store", database.url()])).succeeded();
    says_nothing_of_persons(&Place::new(), database.url()).await;
}

async fn says_nothing_of_persons(place: &Place, store: &str) {
    let catalog = place.catalog();
    let organization = place.write("organization.json", r#"{"organizations": [{"id": "acme"}]}"#);
    run(&mut command(&["catalog", "apply", &organization, "--store", store])).succeeded();
    let key = run(&mut command(&["api-key", "create", "--org", "acme", "--store", store])).succeeded();
    let key: Value = serde_json::from_str(&key).expect("JSON");
    let (key_id, key) = (key["api_key_id"].as_str().expect("an id"), key["api_key"].as_str().expect("a key"));

    // That the catalog brings users is logged too.
    let server = Server::start(&["--store", store, "--log", "trace", "--catalog", &catalog]);
    let send =
        async |request: reqwest::RequestBuilder| request.send().await.expect("an answer").status().as_u16();
    let service = json!({
        "name": "Helpline", "description": "Confides.", "is_active": true, "agent_id": AGENT,
        "service_hierarchical_state_machine_id": STATE_MACHINE, "tags": {"caretaker": "mallory"}, "keyterms": ["insulin"]
    });
    let answer = server.request(Method::POST, "").json(&service).send().await.expect("an answer");
    let id = answer.json::<Value>().await.expect("JSON")["id"].as_str().expect("an id").to_owned();
    let set = json!({"version_set": {}});
    assert_eq!(
        send(server.request(Method::PUT, &format!("{id}/version_sets/trial-of-bob/")).json(&set)).await,
        204
    );
    assert_eq!(send(server.request(Method::DELETE, &format!("{id}/version_sets/trial-of-bob/"))).await, 204);
    let renamed = json!({"name": "Hearing", "tags": {"caretaker": "trudy"}});
    assert_eq!(send(server.request(Method::POST, &format!("{id}/")).json(&renamed)).await, 200);
    assert_eq!(send(server.request(Method::GET, "?tags=caretaker:trudy&sort_by=%2Bname")).await, 200);
    assert_eq!(send(server.request(Method::GET, "?tags=%22peggy")).await, 422);
    assert_eq!(send(server.request(Method::POST, "").body("{\"name\": \"walter\"")).await, 422);
    let client = reqwest::Client::new();
    let sign_in = || {
        client.post(format!("{}/v1/acme/user/signin_with_api_key", server.url)).header("x-user-id", "alice")
    };
    assert_eq!(send(sign_in().header("x-api-key-id", key_id).header("x-api-key", key)).await, 200);
    assert_eq!(
        send(sign_in().header("x-api-key-id", key_id).header("x-api-key", "no-key-at-all")).await,
        401
    );
    let forged = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJldmUifQ.c2lnbmF0dXJl";
    assert_eq!(send(client.get(format!("{}/v1/acme/service/", server.url)).bearer_auth(forged)).await, 401);

    let lines = lines(server);
    assert!(lines.iter().filter(|line| line.contains("sqlx::query")).count() > 10, "{lines:#?}");
    let token = token();
    let parts: Vec<&str> = token.split('.').chain(forged.split('.')).collect();
    let never = [
        "alice",
        "Helpline",
        "Confides",
        "caretaker",
        "mallory",
        "insulin",
        "trial-of-bob",
        "Hearing",
        "trudy",
        "peggy",
        "walter",
        "no-key-at-all",
        SECRET,
        key,
        &id,
        key_id,
    ];
    // All tokens here have one head, the payload and the signature are what tells.
    for personal in never.iter().chain(&parts[1..3]).chain(&parts[4..]) {
        let found: Vec<_> = lines.iter().filter(|line| line.contains(*personal)).collect();
        assert!(found.is_empty(), "{personal}: {found:#?}");
    }
}

#[tokio::test]
async fn a_reader_gets_lines_that_no_request_can_forge() {
    let place = Place::new();
    place.apply_catalog();
    let mut human = command(&["serve", "--listen", "127.0.0.1:0", "--store", &place.store()]);
    let human: &mut Command = human.env("SERVICE_LOG_FORMAT", "human").env("SERVICE_JWT_SECRET", SECRET);
    let server = Server::spawn(human);
    let forged = "7\"status=200\\u{1b}[31m";
    create(&server, "Night line", forged).await;
    let lines = lines(server);
    assert!(lines.iter().all(|line| !line.contains('\u{1b}')), "no terminal, no colours: {lines:#?}");
    let answered: Vec<_> = lines.iter().filter(|line| line.contains(" answered ")).collect();
    let [line] = answered.as_slice() else { panic!("{lines:#?}") };
    let (time, rest) = line.split_once(' ').expect("a time");
    assert!(time.ends_with('Z') && time.starts_with("20"), "{line}");
    assert!(rest.starts_with(" INFO service_http::observe answered status=201 microseconds="), "{line}");
    assert!(line.contains(&format!(" request_id={forged:?} method=POST ")), "{line}");
}
