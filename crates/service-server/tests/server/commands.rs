//! The commands beside `serve` and `demo`.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::process::{AGENT, Outcome, Place, SECRET, Server, command, run, token};

#[test]
fn migrate_creates_a_store_and_changes_nothing_the_second_time() {
    let place = Place::new();
    for _ in 0..2 {
        run(&mut command(&["migrate", "--store", &place.store()])).succeeded();
        assert_eq!(place.files(), ["registry.sqlite"], "nothing is left beside the file");
    }
}

#[tokio::test]
async fn a_store_newer_than_the_program_is_refused_by_every_command() {
    let place = Place::new();
    run(&mut command(&["migrate", "--store", &place.store()])).succeeded();
    let mut database = sqlx::SqliteConnection::connect(&place.store()).await.expect("the file opens");
    sqlx::query("INSERT INTO migrations (version, sql) VALUES (1000000, '')")
        .execute(&mut database)
        .await
        .expect("a later version's step");
    database.close().await.expect("closed");

    let catalog = place.catalog();
    let store = place.store();
    for arguments in [
        &["serve", "--store", &store, "--listen", "127.0.0.1:0", "--log", "off"] as &[_],
        &["migrate", "--store", &store],
        &["catalog", "apply", &catalog, "--store", &store],
        &["api-key", "create", "--org", "acme", "--store", &store],
        &["maintenance", "on", "--store", &store],
    ] {
        let line = run(command(arguments).env("SERVICE_JWT_SECRET", SECRET)).failed(1);
        assert!(line.contains("newer") && line.contains("1000000"), "{arguments:?}: {line}");
    }
}

#[test]
fn a_file_that_is_no_store_is_refused_and_kept() {
    let place = Place::new();
    let content = "not a database, but long enough to be mistaken for one: ".repeat(20);
    let path = place.write("registry.sqlite", &content);
    run(&mut command(&["migrate", "--store", &place.store()])).failed(1);
    assert_eq!(std::fs::read_to_string(path).expect("the file"), content);
}

#[test]
fn applying_a_catalog_prints_what_changed_and_applying_it_again_nothing() {
    let place = Place::new();
    let apply = |file: &str| run(&mut command(&["catalog", "apply", file, "--store", &place.store()]));
    let catalog = place.catalog();
    let added = apply(&catalog).succeeded();
    for change in ["added organization acme", &format!("acme: added agent {AGENT}"), "acme: added role admin"]
    {
        assert!(added.lines().any(|line| line == change), "{added}");
    }
    assert_eq!(apply(&catalog).succeeded(), "nothing changed\n");

    let agent = |version: u32| {
        json!({"llms": [{"name": "new"}], "organizations": [
            {"id": "acme", "agents": [{"id": AGENT, "name": "Coach", "latest_version": version}]}
        ]})
    };
    let line = apply(&place.write("older.json", &agent(2).to_string())).failed(1);
    assert!(line.contains("older.json") && line.contains("from 3 to 2"), "{line}");
    let changed = apply(&place.write("newer.json", &agent(4).to_string())).succeeded();
    assert_eq!(
        changed,
        format!("added llm new\nacme: changed agent {AGENT}\n"),
        "the refused file left nothing"
    );
}

#[tokio::test]
async fn an_api_key_signs_in_and_its_secret_is_kept_nowhere() {
    let place = Place::new();
    place.apply_catalog();
    let create = |organization: &str| {
        run(&mut command(&["api-key", "create", "--store", &place.store(), "--org", organization]))
    };
    let line = create("unknown").failed(1);
    assert!(line.contains("`unknown`"), "{line}");
    let printed = create("acme").succeeded();
    let key: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(printed.lines().count(), 1);
    let (id, secret) = (key["api_key_id"].as_str().expect("an id"), key["api_key"].as_str().expect("a key"));
    assert!(secret.len() >= 43, "256 bits");
    let file = std::fs::read(place.path("registry.sqlite")).expect("the store");
    assert!(!file.windows(secret.len()).any(|window| window == secret.as_bytes()));

    let server = Server::start(&["--store", &place.store(), "--rate-limits", "off"]);
    let sign_in = async |secret: &str, user: &str| {
        let url = format!("{}/v1/acme/user/signin_with_api_key", server.url);
        let request = reqwest::Client::new().post(url).header("x-api-key-id", id).header("x-user-id", user);
        request.header("x-api-key", secret).send().await.expect("an answer")
    };
    assert_eq!(sign_in(&secret.replace(|_| true, "0"), "alice").await.status(), 401);
    assert_eq!(sign_in(secret, "mallory").await.status(), 401);
    let answer = sign_in(secret, "alice").await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.expect("JSON");
    let token = answer["id_token"].as_str().expect("a token");
    let url = format!("{}/v1/acme/service/", server.url);
    let listed = reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("an answer");
    assert_eq!(listed.status(), 200);
    server.stop();
}

#[test]
fn a_result_that_cannot_be_written_is_said() {
    let place = Place::new();
    place.apply_catalog();
    let store = place.store();
    let full =
        || OpenOptions::new().write(true).open("/dev/full").expect("a device on which nothing has room");
    let create = ["api-key", "create", "--org", "acme", "--store", &store];
    let line = run_into(&create, full().into()).failed(1);
    assert!(line.starts_with("cannot write the result: "), "{line}");
    let id = line.split('`').nth(1).expect("the id of the key that nobody has");
    let file = std::fs::read(place.path("registry.sqlite")).expect("the store");
    assert!(file.windows(id.len()).any(|window| window == id.as_bytes()), "{line}");
    for arguments in [&["openapi"] as &[_], &["migrate", "--store", &store], &["--help"]] {
        let line = run_into(arguments, full().into()).failed(1);
        assert!(line.starts_with("cannot write the result: "), "{arguments:?}: {line}");
    }
}

#[test]
fn whoever_stops_reading_the_result_is_told_nothing() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let outcome = run_into(&["openapi"], writer.into());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
}

/// Runs a command whose output goes elsewhere.
fn run_into(arguments: &[&str], output: Stdio) -> Outcome {
    let mut child = command(arguments);
    let child = child.stdout(output).spawn().expect("the binary runs");
    let output = child.wait_with_output().expect("an end");
    let stderr = String::from_utf8(output.stderr).expect("text");
    Outcome { code: output.status.code(), stdout: String::new(), stderr }
}

#[test]
fn a_token_lives_as_long_as_asked_and_is_all_that_is_printed() {
    let arguments = ["token", "--org", "acme", "--user", "alice", "--ttl", "90s"];
    let printed = run(command(&arguments).env("SERVICE_JWT_SECRET", SECRET)).succeeded();
    assert_eq!(printed.lines().count(), 1);
    assert_eq!(printed.trim_end().split('.').count(), 3);
    let ill_formed = ["token", "--org", "acme", "--user", "a\nb"];
    run(command(&ill_formed).env("SERVICE_JWT_SECRET", SECRET)).failed(2);
}

#[tokio::test]
async fn tokens_of_a_key_pair_are_signed_by_one_half_and_verified_by_the_other() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
    let (public, private) = (format!("{keys}/ed25519.public.pem"), format!("{keys}/ed25519.pem"));
    let configured = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.env("SERVICE_JWT_ALGORITHM", "EdDSA").env("SERVICE_JWT_PUBLIC_KEY_FILE", &public);
        command
    };
    let arguments = ["token", "--org", "acme", "--user", "alice"];
    let line = run(&mut configured(&arguments)).failed(2);
    assert!(line.contains("SERVICE_JWT_PRIVATE_KEY_FILE"), "{line}");
    let signed = run(configured(&arguments).env("SERVICE_JWT_PRIVATE_KEY_FILE", &private)).succeeded();

    let place = Place::new();
    let catalog = place.catalog();
    let serve = ["serve", "--store", "memory:", "--listen", "127.0.0.1:0", "--catalog", &catalog];
    let server = Server::spawn(&mut configured(&serve));
    let list = async |token: &str| {
        let url = format!("{}/v1/acme/service/", server.url);
        let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await;
        answer.expect("an answer").status()
    };
    assert_eq!(list(signed.trim_end()).await, 200);
    assert_eq!(list(&token()).await, 401, "the algorithm is not the token's to choose");
    let sign_in = format!("{}/v1/acme/user/signin_with_api_key", server.url);
    let answer = reqwest::Client::new().post(sign_in).send().await.expect("an answer");
    assert_eq!(answer.status(), 404, "who cannot sign does not offer to");
    server.stop();
}

#[test]
fn openapi_prints_the_document() {
    let document: Value = serde_json::from_str(&run(&mut command(&["openapi"])).succeeded()).expect("JSON");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    assert!(document["paths"]["/v1/{organization}/service/"]["get"].is_object());
}

#[test]
fn completions_and_the_manual_page_are_printed() {
    assert!(
        run(&mut command(&["completions", "bash"]))
            .succeeded()
            .contains("complete -F _service__subcmd__server ")
    );
    assert!(run(&mut command(&["man"])).succeeded().contains("\n.TH service-server 1 "));
    assert!(run(&mut command(&["completions", "dos"])).failed(2).contains("dos"));
}

#[tokio::test]
async fn health_is_what_the_server_answers() {
    let place = Place::new();
    place.apply_catalog();
    let server = Server::start(&["--store", &place.store()]);
    let address = server.address().to_owned();
    let port = address.split(':').next_back().expect("a port");
    // In a container the server listens everywhere, and both are told so by the same variable.
    let health = || run(command(&["health"]).env("SERVICE_LISTEN", format!("0.0.0.0:{port}")));
    assert_eq!(health().succeeded(), format!("http://{address} answers\n"));
    run(&mut command(&["maintenance", "on", "--store", &place.store()])).succeeded();
    health().succeeded();
    server.stop();
    assert!(health().failed(1).starts_with(&format!("no health at http://{address}: ")));
    assert!(run(&mut command(&["health", "--listen", "127.0.0.1:0"])).failed(2).contains("port 0"));

    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    let busy = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().expect("a connection");
        let mut request = [0; 16];
        stream.read_exact(&mut request).expect("a request");
        stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").expect("an answer");
        request
    });
    let line = run(&mut command(&["health", "--listen", &address])).failed(1);
    assert!(line.ends_with("the answer begins with `HTTP/1.1 404 Not Found`"), "{line}");
    assert_eq!(&busy.join().expect("an answer"), b"GET /healthz HTT");
}

#[tokio::test]
async fn maintenance_is_in_force_within_five_seconds_and_survives_a_restart() {
    let place = Place::new();
    place.apply_catalog();
    let arguments = ["--store", &place.store(), "--rate-limits", "off"];
    let switch =
        |word: &str| run(&mut command(&["maintenance", word, "--store", &place.store()])).succeeded();
    let server = Server::start(&arguments);
    let becomes = async |server: &Server, status: u16| {
        let answered = async {
            while server.request(Method::GET, "").send().await.expect("an answer").status() != status {}
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), answered).await.expect("in force within 5 s");
    };
    becomes(&server, 200).await;
    switch("on");
    becomes(&server, 503).await;
    assert_eq!(server.get("/readyz").await.status(), 503);
    assert_eq!(server.get("/healthz").await.status(), 200);
    server.stop();
    let server = Server::start(&arguments);
    becomes(&server, 503).await;
    switch("off");
    becomes(&server, 200).await;
    server.stop();
}
