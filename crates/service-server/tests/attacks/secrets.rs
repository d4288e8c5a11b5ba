//! Secrets: none is in the database, in a log line at any level, or in an answer; nor is what only operators are to know.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::process::{SECRET, command, run};
use crate::world::{KINDS, Kind, World, service, token};

/// What a session has seen and must not have shown.
#[derive(Default)]
struct Session {
    secrets: BTreeMap<&'static str, String>,
    answers: Vec<(String, String)>,
}

impl Session {
    async fn send(&mut self, request: reqwest::RequestBuilder) -> u16 {
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let shown = format!("{:?}", answer.headers());
        let text = answer.text().await.expect("text");
        self.answers.push((format!("{status} {shown} {text}"), text));
        status
    }

    fn is_hidden_from(&self, what: &str, bytes: &[u8]) {
        for (name, secret) in &self.secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name} is in {what}");
        }
    }
}

#[test]
#[should_panic(expected = "the password is in a text")]
fn a_secret_that_shows_is_found() {
    let secrets = BTreeMap::from([("the password", "hunter2".to_owned())]);
    Session { secrets, answers: Vec::new() }.is_hidden_from("a text", b"it is hunter2!");
}

/// All columns of all tables as text.
async fn dump(database: &mut PgConnection) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'service_registry'",
    )
    .fetch_all(&mut *database)
    .await
    .expect("tables");
    assert!(tables.len() > 5, "{tables:?}");
    let mut dump = String::new();
    for table in tables {
        let statement = format!("SELECT r::text FROM service_registry.{table} AS r");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(statement)).fetch_all(&mut *database).await.expect("rows");
        dump.push_str(&rows.join("\n"));
    }
    dump
}

async fn keeps_secrets(kind: Kind) {
    let world = World::with(kind, &["--log", "trace"]).await;
    let mut session = Session::default();
    let alice = token("acme", "alice");
    session.secrets.insert("the secret of tokens", SECRET.to_owned());
    session
        .secrets
        .insert("the signature of a token", alice.rsplit('.').next().expect("a signature").to_owned());
    session.secrets.insert("the claims of a token", alice.split('.').nth(1).expect("claims").to_owned());
    if let Some(database) = &world.database {
        let (credentials, _) = database.url().rsplit_once('@').expect("credentials");
        let (_, password) = credentials.rsplit_once(':').expect("a password");
        assert!(password.len() > 3, "a password that can be told from other text");
        session.secrets.insert("the password of the database", password.to_owned());
    }
    let list = |path: &str| world.request(Method::GET, &format!("/v1/acme/service/{path}"));
    let create = |name: &str| {
        world.request(Method::POST, "/v1/acme/service/").bearer_auth(&alice).json(&service(name))
    };
    assert_eq!(session.send(create("Kept")).await, 201);
    assert_eq!(session.send(list("").bearer_auth(&alice)).await, 200);
    // Tokens where they do not belong, and tokens that are no more.
    assert_eq!(session.send(list(&format!("?access_token={alice}")).bearer_auth(&alice)).await, 200);
    assert_eq!(session.send(list(&format!("?limit={alice}")).bearer_auth(&alice)).await, 422);
    assert_eq!(session.send(list(&format!("?continuation_token={SECRET}")).bearer_auth(&alice)).await, 422);
    assert_eq!(session.send(list("").bearer_auth(format!("{alice}x"))).await, 401);
    assert_eq!(session.send(list("").header("authorization", format!("Basic {alice}"))).await, 401);
    assert_eq!(session.send(list("").header("authorization", &alice)).await, 401);
    assert_eq!(session.send(list("").bearer_auth(&alice).header("x-org-id", &alice)).await, 401);
    assert_eq!(session.send(list("").bearer_auth(&alice).header("x-mongo-cluster-name", &alice)).await, 422);
    assert_eq!(session.send(world.request(Method::GET, &format!("/{alice}"))).await, 404);
    assert_eq!(
        session
            .send(
                world
                    .request(Method::DELETE, &format!("/v1/acme/service/{alice}/version_sets/x/"))
                    .bearer_auth(&alice)
            )
            .await,
        422
    );

    if kind != Kind::Memory {
        let printed =
            run(&mut command(&["api-key", "create", "--store", &world.store, "--org", "acme"])).succeeded();
        let key: Value = serde_json::from_str(&printed).expect("JSON");
        let (id, secret) =
            (key["api_key_id"].as_str().expect("an id"), key["api_key"].as_str().expect("a key"));
        session.secrets.insert("an API key", secret.to_owned());
        let sign_in = |id: &str, key: &str, user: &str| {
            let request = world.request(Method::POST, "/v1/acme/user/signin_with_api_key");
            request.header("x-api-key-id", id).header("x-api-key", key).header("x-user-id", user)
        };
        // The answer to this one is the one that has a secret in it, which is what it is for.
        assert_eq!(session.send(sign_in(id, secret, "alice")).await, 200);
        let signed = session.answers.pop().expect("an answer");
        let issued: Value = serde_json::from_str(&signed.1).expect("JSON");
        let issued = issued["id_token"].as_str().expect("a token").to_owned();
        assert!(!signed.0.contains(secret));
        session.secrets.insert("a token that was issued", issued.clone());
        assert_eq!(session.send(list("").bearer_auth(&issued)).await, 200);
        for (id, key, user) in [
            (id, "wrong", "alice"),
            (id, secret, "nobody"),
            ("other", secret, "alice"),
            (secret, secret, "alice"),
            (id, secret, secret),
            ("a b", secret, "alice"),
        ] {
            let status = session.send(sign_in(id, key, user)).await;
            assert!(matches!(status, 401 | 422), "{status}");
        }
        assert_eq!(session.send(sign_in(id, secret, "alice").header("x-api-key", secret)).await, 422);
        let wrong = run(&mut command(&["api-key", "create", "--store", &world.store, "--org", secret]));
        assert_ne!(wrong.code, Some(0));
    }

    // Files while the server runs, write-ahead log included, and tables.
    if kind == Kind::Sqlite {
        let files: Vec<String> =
            world.place.files().into_iter().filter(|file| file.starts_with("registry")).collect();
        assert!(files.len() >= 2, "the file and its log: {files:?}");
        for file in files {
            let bytes = std::fs::read(world.place.path(&file)).expect("a file");
            session.is_hidden_from(&file, &bytes);
        }
    }
    if let Some(database) = &world.database {
        let mut database = PgConnection::connect(database.url()).await.expect("connected");
        let dump = dump(&mut database).await;
        assert!(dump.contains("Kept") && dump.contains("alice"), "{dump}");
        session.is_hidden_from("the database", dump.as_bytes());
        let archive = run(&mut command(&["export", "--store", &world.store])).succeeded();
        session.is_hidden_from("an archive", archive.as_bytes());
    }

    // The store breaks: operators may read why, clients may not.
    let broken = match (&world.database, kind) {
        (Some(database), _) => {
            let mut database = PgConnection::connect(database.url()).await.expect("connected");
            database.execute("ALTER TABLE service_registry.history RENAME TO gone").await.expect("renamed");
            true
        }
        (None, Kind::Sqlite) => {
            let mut database = SqliteConnection::connect(&world.store).await.expect("connected");
            database.execute("ALTER TABLE history RENAME TO gone").await.expect("renamed");
            true
        }
        _ => false,
    };
    if broken {
        let listed = session.send(list("").bearer_auth(&alice)).await;
        let created = session.send(create("Lost")).await;
        assert!(listed >= 500 && created >= 500, "{listed} {created}");
        // Put back, so that the store can be checked.
        match &world.database {
            Some(database) => {
                let mut database = PgConnection::connect(database.url()).await.expect("connected");
                database
                    .execute("ALTER TABLE service_registry.gone RENAME TO history")
                    .await
                    .expect("renamed");
            }
            None => {
                let mut database = SqliteConnection::connect(&world.store).await.expect("connected");
                database.execute("ALTER TABLE gone RENAME TO history").await.expect("renamed");
            }
        }
    }
    let directory = world.place.path("");
    for (answer, _) in &session.answers {
        session.is_hidden_from("an answer", answer.as_bytes());
        let lower = answer.to_ascii_lowercase();
        for inner in [
            "select ",
            "insert ",
            "sqlx",
            "sqlite",
            "postgres",
            "panicked",
            "backtrace",
            ".rs:",
            "no such table",
            "relation",
        ] {
            assert!(!lower.contains(inner), "{inner:?} in {answer}");
        }
        assert!(!answer.contains(&directory), "{answer}");
    }
    let metrics = world.server.get("/metrics").await.text().await.expect("text");
    session.is_hidden_from("metrics", metrics.as_bytes());
    let lines = world.end();
    assert!(lines.len() > 10, "{lines:?}");
    for line in &lines {
        session.is_hidden_from("a log line", line.as_bytes());
        assert!(!line.contains("stack backtrace") && !line.contains("panicked at"), "{line}");
    }
    // A log that is silent would keep secrets too.
    assert!(!broken || lines.iter().any(|line| line.contains("\"ERROR\"")), "{lines:?}");
}

#[tokio::test]
async fn secrets_are_kept_in_memory() {
    keeps_secrets(KINDS[0]).await;
}

#[tokio::test]
async fn secrets_are_kept_on_sqlite() {
    keeps_secrets(KINDS[1]).await;
}

#[tokio::test]
async fn secrets_are_kept_on_postgresql() {
    keeps_secrets(KINDS[2]).await;
}
