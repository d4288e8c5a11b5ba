//! Wrong configuration: one line, exit code 2, nothing written.

use std::net::TcpListener;

use crate::process::{Place, SECRET, Server, command, run};

/// Runs a command in an empty directory and checks that it fails with this code, says this and leaves nothing.
#[track_caller]
fn refused(arguments: &[&str], environment: &[(&str, &str)], code: i32, fragment: &str) {
    let place = Place::new();
    let mut command = command(arguments);
    command.current_dir(place.directory.path()).envs(environment.iter().copied());
    let line = run(&mut command).failed(code);
    assert!(line.contains(fragment), "{arguments:?} {environment:?}: {line}");
    assert_eq!(place.files(), [""; 0], "{arguments:?}");
}

const STORE: &str = "sqlite:registry.sqlite";

#[test]
fn wrong_usage_is_one_line_and_exit_code_two() {
    refused(&[], &[], 2, "command");
    refused(&["fly"], &[], 2, "fly");
    refused(&["serve"], &[], 2, "--store");
    refused(&["serve", "--store", STORE, "--fast"], &[], 2, "--fast");
    refused(&["serve", "--store", STORE, "--rate-limits", "perhaps"], &[], 2, "perhaps");
    refused(&["serve", "--store", STORE, "--listen", "here"], &[], 2, "`here`");
    refused(&["serve", "--store", STORE, "--max-connections", "0"], &[], 2, "`0`");
    refused(&["catalog"], &[], 2, "command");
    refused(&["catalog", "apply", "--store", STORE], &[], 2, "FILE");
    refused(&["catalog", "apply", "nothing.json", "--store", STORE], &[], 2, "`nothing.json`");
    refused(&["api-key", "create", "--store", STORE], &[], 2, "--org");
    refused(&["api-key", "create", "--store", STORE, "--org", "a b"], &[], 2, "`a b`");
    refused(&["maintenance", "--store", STORE], &[], 2, "SWITCH");
    refused(&["token", "--org", "acme", "--user", "alice", "--ttl", "1"], &[], 2, "`1`");
    refused(&["demo", "--listen", "nowhere"], &[], 2, "`nowhere`");
    refused(&["import", "--store", STORE], &[], 2, "FILE");
    refused(&["import", "nothing.jsonl", "--store", STORE], &[], 2, "`nothing.jsonl`");
    for command in ["export", "check"] {
        refused(&[command, "--store", "memory:"], &[], 2, "memory");
        refused(&[command, "--store", STORE], &[], 1, "no store");
    }
}

#[test]
fn wrong_configuration_of_serve_is_found_before_the_store_is_touched() {
    let secret = [("SERVICE_JWT_SECRET", SECRET)];
    let serve = ["serve", "--store", STORE];
    let with = |arguments: &[&'static str]| [&serve, arguments].concat();
    refused(&serve, &[], 2, "secret");
    refused(&serve, &[("SERVICE_JWT_SECRET", "short")], 2, "32 bytes");
    refused(&serve, &[("SERVICE_JWT_SECRET", SECRET), ("SERVICE_JWT_SECRET_FILE", "file")], 2, "both");
    refused(&serve, &[("SERVICE_JWT_SECRET_FILE", "no-file")], 2, "`no-file`");
    refused(&serve, &[("SERVICE_JWT_ALGORITHM", "none"), secret[0]], 2, "none");
    refused(&serve, &[("SERVICE_JWT_ALGORITHM", "RS256")], 2, "SERVICE_JWT_PUBLIC_KEY_FILE");
    refused(&with(&["--catalog", "no-catalog.json"]), &secret, 2, "`no-catalog.json`");
    refused(&with(&["--cluster", "eu"]), &secret, 2, "NAME=URL");
    refused(&with(&["--cluster", "eu=memory:", "--cluster", "eu=memory:"]), &secret, 2, "`eu`");
    refused(&with(&["--cluster", "default=memory:"]), &secret, 2, "`default`");
    refused(&serve, &[("SERVICE_CLUSTER", "eu=memory:,us"), secret[0]], 2, "NAME=URL");
    refused(&serve, &[("SERVICE_CLUSTER", "eu=memory:,eu=memory:"), secret[0]], 2, "`eu`");
    refused(&with(&["--cluster", "eu=sqlite:no/where"]), &secret, 2, "directory");
    refused(&["serve"], &[("SERVICE_STORE", "nonsense"), secret[0]], 2, "sqlite:PATH");
    refused(&["serve", "--store", "postgres://user:hidden@host:port/db"], &secret, 2, "PostgreSQL");
    refused(&["serve", "--store", "sqlite:no/where"], &secret, 2, "directory");
    refused(&["serve", "--store", "sqlite:."], &secret, 2, "directory");
}

#[test]
fn a_further_key_that_cannot_be_used_is_found_before_the_store_is_touched() {
    const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
    const ACCEPTED: &str = "SERVICE_JWT_ACCEPTED_SECRET";
    let serve = ["serve", "--store", STORE];
    let own = ("SERVICE_JWT_SECRET", SECRET);
    let other = "fedcba9876543210fedcba9876543210";
    let (public, private) = (format!("{KEYS}/ed25519.public.pem"), format!("{KEYS}/ed25519.pem"));
    let pair = [("SERVICE_JWT_ALGORITHM", "EdDSA"), ("SERVICE_JWT_PUBLIC_KEY_FILE", &public)];
    let accepted_key = |file| [pair[0], pair[1], ("SERVICE_JWT_ACCEPTED_PUBLIC_KEY_FILE", file)];
    refused(&serve, &[(ACCEPTED, other)], 2, "tokens have no secret; set SERVICE_JWT_SECRET or");
    refused(
        &serve,
        &[own, (ACCEPTED, "short")],
        2,
        "SERVICE_JWT_ACCEPTED_SECRET cannot be used: the token secret must",
    );
    refused(&serve, &[own, (ACCEPTED, SECRET)], 2, "the key is accepted already");
    refused(&serve, &[own, (ACCEPTED, &format!("{SECRET}\n"))], 2, "the key is accepted already");
    let both = [own, (ACCEPTED, other), ("SERVICE_JWT_ACCEPTED_SECRET_FILE", "file")];
    refused(&serve, &both, 2, "--jwt-accepted-secret-file) are both set");
    refused(&serve, &[own, ("SERVICE_JWT_ACCEPTED_SECRET_FILE", "no-file")], 2, "`no-file`");
    refused(&serve, &[own, ("SERVICE_JWT_ACCEPTED_PUBLIC_KEY_FILE", &public)], 2, "SERVICE_JWT_ALGORITHM");
    refused(&serve, &[pair[0], pair[1], (ACCEPTED, other)], 2, "set SERVICE_JWT_ACCEPTED_PUBLIC_KEY_FILE");
    refused(
        &serve,
        &[pair[0], accepted_key(&public)[2]],
        2,
        "no public key; set SERVICE_JWT_PUBLIC_KEY_FILE",
    );
    refused(&serve, &accepted_key(&public), 2, "the key is accepted already");
    refused(&serve, &accepted_key(&private), 2, "the public key is not a PEM key");
    refused(&serve, &accepted_key("no-file"), 2, "`no-file`");
}

#[test]
fn a_wrong_log_filter_is_found_by_every_command() {
    for arguments in [
        &["serve", "--store", STORE] as &[_],
        &["demo"],
        &["migrate", "--store", STORE],
        &["catalog", "apply", "catalog.json", "--store", STORE],
        &["api-key", "create", "--org", "acme", "--store", STORE],
        &["token", "--org", "acme", "--user", "alice"],
        &["maintenance", "on", "--store", STORE],
        &["openapi"],
    ] {
        let secret = ("SERVICE_JWT_SECRET", SECRET);
        refused(&[arguments, &["--log", "=="]].concat(), &[secret], 2, "the value `==` of `--log <FILTER>`");
        refused(&[&["--log", "=="], arguments].concat(), &[secret], 2, "the value `==` of `--log <FILTER>`");
        refused(arguments, &[secret, ("SERVICE_LOG", "==")], 2, "the value `==` of `--log <FILTER>`");
    }
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    // A port that is none, and one that nobody listens on.
    for (place, code) in [("127.0.0.1:port", 2), ("127.0.0.1:1", 1)] {
        let store = format!("postgres://user:hidden@{place}/db");
        let line = run(&mut command(&["migrate", "--store", &store])).failed(code);
        assert!(!line.contains("hidden"), "{line}");
    }
}

#[test]
fn a_catalog_file_that_does_not_parse_is_found_before_the_store_is_touched() {
    let place = Place::new();
    for json in [
        "{",
        r#"{"llms": [], "llms": []}"#,
        r#"{"llms": [{"name": "a"}, {"name": "a"}]}"#,
        r#"{"organizations": [{"id": "acme"}, {"id": "acme"}]}"#,
        r#"{"lms": []}"#,
        r#"{"organizations": [{"id": "a b"}]}"#,
    ] {
        let file = place.write("catalog.json", json);
        let arguments = ["serve", "--store", &place.store(), "--catalog", &file];
        let line = run(command(&arguments).env("SERVICE_JWT_SECRET", SECRET)).failed(2);
        assert!(line.contains(&file), "{line}");
        let line = run(&mut command(&["catalog", "apply", &file, "--store", &place.store()])).failed(1);
        assert!(line.contains(&file), "{line}");
        assert_eq!(place.files(), ["catalog.json"]);
    }
}

#[test]
fn an_address_that_is_taken_is_said_before_the_store_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let secret = [("SERVICE_JWT_SECRET", SECRET)];
    refused(&["serve", "--store", STORE, "--listen", &address], &secret, 1, &address);
    refused(&["demo", "--listen", &address], &[], 1, &address);
}

#[test]
fn an_address_of_another_machine_is_wrong_configuration() {
    // Set aside for examples in manuals, so no machine has it.
    let listen = ["--listen", "192.0.2.1:0"];
    let secret = [("SERVICE_JWT_SECRET", SECRET)];
    refused(&[&["serve", "--store", STORE], &listen as &[_]].concat(), &secret, 2, "`192.0.2.1:0`");
    refused(&[&["demo"], &listen as &[_]].concat(), &[], 2, "`192.0.2.1:0`");
}

#[test]
fn commands_whose_effect_would_be_lost_refuse_a_store_in_memory() {
    refused(&["migrate", "--store", "memory:"], &[], 2, "memory");
    refused(&["catalog", "apply", "catalog.json", "--store", "memory:"], &[], 2, "memory");
    refused(&["api-key", "create", "--org", "acme", "--store", "memory:"], &[], 2, "memory");
    refused(&["maintenance", "on", "--store", "memory:"], &[], 2, "memory");
}

#[test]
fn commands_that_need_a_store_create_none() {
    for arguments in [&["api-key", "create", "--org", "acme"] as &[_], &["maintenance", "on"]] {
        let arguments = [arguments, &["--store", STORE]].concat();
        refused(&arguments, &[], 1, &format!("there is no store at `{STORE}`"));
        let place = Place::new();
        let file = place.write("registry.sqlite", "");
        let line = run(command(&arguments).current_dir(place.directory.path())).failed(1);
        assert!(line.contains("there is no store"), "{line}");
        assert_eq!(std::fs::read(file).expect("the file"), b"", "{arguments:?}");
        assert_eq!(place.files(), ["registry.sqlite"]);
    }
}

#[tokio::test]
async fn environment_variables_configure_and_flags_win() {
    let place = Place::new();
    let catalog = place.catalog();
    let mut command = command(&["serve", "--rate-limits", "off"]);
    command.env("SERVICE_STORE", "memory:").env("SERVICE_LISTEN", "127.0.0.1:0");
    command.env("SERVICE_CATALOG", &catalog).env("SERVICE_RATE_LIMITS", "on");
    command.env("SERVICE_JWT_SECRET_FILE", place.write("secret", &format!("{SECRET}\n")));
    let server = Server::spawn(&mut command);
    let answer = server.request(reqwest::Method::GET, "").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert!(!answer.headers().contains_key("x-ratelimit-limit"));
    server.stop();
}
