//! `serve`: what it keeps, what it bounds, what it says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use reqwest::Method;
use serde_json::Value;

use crate::process::{PATIENCE, Place, SECRET, Server, body, command, run};

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let place = Place::new();
    let catalog = place.catalog();
    let arguments = ["--store", &place.store(), "--catalog", &catalog];
    let server = Server::start(&arguments);
    server.create("Kept").await;
    server.stop();
    assert_eq!(place.files(), ["catalog.json", "registry.sqlite"], "nothing is left beside the file");
    let server = Server::start(&arguments);
    assert_eq!(server.names().await, ["Kept"]);
    server.stop();
}

#[tokio::test]
async fn what_was_acknowledged_survives_being_killed() {
    let place = Place::new();
    place.apply_catalog();
    let store = place.store();
    let arguments = ["--store", store.as_str(), "--rate-limits", "off"];
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let mut server = Server::start(&arguments);
        for number in 0..4 {
            let name = format!("Service {round} {number}");
            server.create(&name).await;
            acknowledged.push(name);
        }
        // One more is on its way, and may or may not happen.
        let request = server.request(Method::POST, "").json(&body(&format!("Unanswered {round}")));
        let unanswered = tokio::spawn(request.send());
        server.signal("KILL");
        server.ended();
        let _ = unanswered.await;
        let server = Server::start(&arguments);
        let names = server.names().await;
        let kept: Vec<&String> = names.iter().filter(|name| name.starts_with("Service")).collect();
        assert_eq!(kept, acknowledged.iter().collect::<Vec<_>>());
        server.stop();
    }
}

#[tokio::test]
async fn limits_are_told_where_there_are_any() {
    let place = Place::new();
    let catalog = place.catalog();
    let arguments = ["--store", "memory:", "--catalog", &catalog];
    let server = Server::start(&arguments);
    for remaining in (0..50).rev() {
        let answer = server.request(Method::GET, "").send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["x-ratelimit-limit"], "50");
        assert_eq!(answer.headers()["x-ratelimit-remaining"], remaining.to_string().as_str());
    }
    let refused = server.request(Method::GET, "").send().await.expect("an answer");
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    server.stop();

    let server = Server::start(&[&arguments as &[_], &["--rate-limits", "off"]].concat());
    for _ in 0..55 {
        let answer = server.request(Method::GET, "").send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("x-ratelimit")));
    }
    server.stop();
}

#[tokio::test]
async fn a_refused_catalog_stops_the_start_and_is_not_applied() {
    let place = Place::new();
    let catalog = place.write(
        "refused.json",
        r#"{"llms": [{"name": "new"}], "organizations": [{"id": "acme", "users": [{"id": "a", "roles": ["none"]}]}]}"#,
    );
    let arguments = [
        "serve",
        "--store",
        &place.store(),
        "--listen",
        "127.0.0.1:0",
        "--catalog",
        &catalog,
        "--log",
        "off",
    ];
    let apply = ["catalog", "apply", &catalog, "--store", &place.store()];
    let is_refused = || {
        for arguments in [&arguments as &[_], &apply] {
            let line = run(command(arguments).env("SERVICE_JWT_SECRET", SECRET)).failed(1);
            assert!(line.contains("refused.json") && line.contains("`none`"), "{line}");
        }
    };
    is_refused();
    assert_eq!(place.files(), ["refused.json"], "no store is created for it");
    run(&mut command(&["migrate", "--store", &place.store()])).succeeded();
    is_refused();
    let file = place.write("llm.json", r#"{"llms": [{"name": "new"}]}"#);
    let printed = run(&mut command(&["catalog", "apply", &file, "--store", &place.store()])).succeeded();
    assert_eq!(printed, "added llm new\n");
}

#[tokio::test]
async fn each_cluster_is_a_store_of_its_own() {
    let (here, there) = (Place::new(), Place::new());
    here.apply_catalog();
    there.apply_catalog();
    let cluster = format!("eu-1={}", there.store());
    let server = Server::start(&["--store", &here.store(), "--cluster", &cluster]);
    server.create("Here").await;
    let there = |request: reqwest::RequestBuilder| request.header("x-mongo-cluster-name", "eu-1");
    let created =
        there(server.request(Method::POST, "")).json(&body("There")).send().await.expect("an answer");
    assert_eq!(created.status(), 201);
    let page: Value =
        there(server.request(Method::GET, "")).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(page["services"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["services"][0]["name"], "There");
    assert_eq!(server.names().await, ["Here"]);
    let elsewhere = server.request(Method::GET, "").header("x-mongo-cluster-name", "eu-2");
    let elsewhere = elsewhere.send().await.expect("an answer");
    assert_eq!(elsewhere.status(), 422);
    assert_eq!(elsewhere.json::<Value>().await.expect("JSON")["error_code"], "unknown_cluster");
    server.stop();
}

#[tokio::test]
async fn commas_separate_clusters_in_the_variable_alone() {
    let place = Place::new();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--store", "memory:"];
    let of_flags = ["a,b", "c"].map(|name| format!("{}=sqlite:{}", &name[..1], place.path(name)));
    let flags = of_flags.iter().flat_map(|cluster| ["--cluster", cluster]).collect::<Vec<_>>();
    let flags = [&arguments, flags.as_slice()].concat();
    Server::spawn(command(&flags).env("SERVICE_JWT_SECRET", SECRET)).stop();
    assert_eq!(place.files(), ["a,b", "c"]);

    let place = Place::new();
    let variable = ["a", "b"].map(|name| format!("{name}=sqlite:{}", place.path(name))).join(",");
    let mut command = command(&arguments);
    Server::spawn(command.env("SERVICE_JWT_SECRET", SECRET).env("SERVICE_CLUSTER", variable)).stop();
    assert_eq!(place.files(), ["a", "b"]);
}

#[tokio::test]
async fn operators_can_look_in() {
    let server = Server::start(&["--store", "memory:"]);
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs", "/metrics"] {
        assert_eq!(server.get(path).await.status(), 200, "{path}");
    }
    let metrics = server.get("/metrics").await.text().await.expect("text");
    assert!(
        metrics.lines().any(|line| line.starts_with("# TYPE ") && line.ends_with(" histogram")),
        "{metrics}"
    );
    server.stop();
}

#[tokio::test]
async fn logs_are_json_lines_that_name_the_request() {
    let server = Server::start(&["--store", "memory:", "--log", "debug"]);
    let answer = server.get("/v1/acme/service/").await;
    let id = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
    server.signal("TERM");
    let mut lines = Vec::new();
    while let Ok(line) = server.lines.recv_timeout(PATIENCE) {
        lines.push(line);
    }
    let about = |line: &&String| {
        serde_json::from_str::<Value>(line).expect("each line is JSON");
        line.contains(&id)
    };
    assert!(lines.iter().filter(about).count() > 0, "{lines:?}");
}

#[tokio::test]
async fn whoever_stops_reading_the_logs_holds_nobody_up() {
    let mut command = command(&["serve", "--listen", "127.0.0.1:0", "--store", "memory:", "--log", "trace"]);
    let mut child = command.env("SERVICE_JWT_SECRET", SECRET).spawn().expect("the binary runs");
    // From here on, nobody reads: a pipe holds a fraction of what will be logged.
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("text");
    let url = line.strip_prefix("listening on ").expect("the address comes first").trim_end();
    let answered = async {
        for _ in 0..1000 {
            let answer = reqwest::get(format!("{url}/healthz")).await.expect("an answer");
            assert_eq!(answer.status(), 200);
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, answered).await;
    child.kill().expect("killed");
    child.wait().expect("a status");
    in_time.expect("answers");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away() {
    let server = Server::start(&["--store", "memory:", "--max-connections", "1"]);
    let mut first = TcpStream::connect(server.address()).expect("connected");
    let mut answer = [0; 12];
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    first.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");

    let refused = server.get("/healthz").await;
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(!refused.headers()["x-request-id"].is_empty());
    assert_eq!(refused.json::<Value>().await.expect("JSON")["error_code"], "unavailable");
    let named = reqwest::Client::new().head(format!("{}/healthz", server.url)).header("x-request-id", "mine");
    let named = named.send().await.expect("an answer");
    assert_eq!(
        (named.status().as_u16(), &named.headers()["x-request-id"]),
        (503, &"mine".parse().expect("text"))
    );

    drop(first);
    let again = async { while server.get("/healthz").await.status() != 200 {} };
    tokio::time::timeout(PATIENCE, again).await.expect("the place is free again");
    server.stop();
}
