//! `export`, `import` and `check`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use reqwest::Method;
use serde_json::Value;
use sqlx::Connection as _;
use test_postgres::Database;

use crate::process::{PATIENCE, Place, SECRET, Server, command, run};

/// A place with a store that has a catalog and some history, and a token of its second page.
async fn filled() -> (Place, i64) {
    let place = Place::new();
    place.apply_catalog();
    let server = Server::start(&["--store", &place.store(), "--rate-limits", "off"]);
    for number in 0..5 {
        server.create(&format!("service {number}")).await;
    }
    let page = page(&server, 0).await;
    server.stop();
    (place, page["continuation_token"].as_i64().expect("a token"))
}

async fn page(server: &Server, token: i64) -> Value {
    let request = server.request(Method::GET, &format!("?limit=2&sort_by=-name&continuation_token={token}"));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("JSON")
}

fn export(store: &str) -> String {
    run(&mut command(&["export", "--store", store])).succeeded()
}

#[tokio::test]
async fn what_goes_from_sqlite_to_postgresql_and_back_is_the_same() {
    let (place, token) = filled().await;
    let archive = export(&place.store());
    let file = place.write("archive.jsonl", &archive);
    let database = Database::empty().await;
    let imported = run(&mut command(&["import", &file, "--store", database.url()])).succeeded();
    assert_eq!(imported, "imported 1 organization and 5 rows of history\n");
    assert_eq!(export(database.url()), archive);

    let back = format!("sqlite:{}", place.path("back.sqlite"));
    let mut import = command(&["import", "-", "--store", &back]);
    let copy = std::fs::File::open(&file).expect("the archive");
    run(import.stdin(Stdio::from(copy))).succeeded();
    assert_eq!(export(&back), archive);

    let mut pages = Vec::new();
    for store in [place.store(), database.url().to_owned(), back] {
        let checked = run(&mut command(&["check", "--store", &store])).succeeded();
        assert!(checked.ends_with("is sound\n") && !checked.contains('@'), "{checked}");
        let server = Server::start(&["--store", &store, "--rate-limits", "off"]);
        pages.push(page(&server, token).await);
        server.stop();
    }
    assert_eq!(pages[0]["services"][0]["name"], "service 2");
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
}

#[tokio::test]
async fn an_import_that_is_refused_leaves_nothing_behind() {
    let (place, _) = filled().await;
    let archive = export(&place.store());
    let line = run(&mut command(&["import", &place.path("absent"), "--store", &place.store()])).failed(2);
    assert!(line.contains("absent"), "{line}");
    let whole = place.write("whole.jsonl", &archive);
    let line = run(&mut command(&["import", &whole, "--store", &place.store()])).failed(1);
    assert!(line.contains("not empty"), "{line}");
    assert_eq!(export(&place.store()), archive, "what was there is there");
    let line = run(&mut command(&["import", &whole, "--store", "memory:"])).failed(2);
    assert!(line.contains("memory"), "{line}");

    let half = &archive[..archive.len() / 2];
    for (name, content, said) in [
        ("half.jsonl", half.to_owned(), "truncated"),
        ("renamed.jsonl", archive.replace("service 3", "service X"), "checksum"),
        ("empty.jsonl", String::new(), "truncated"),
        ("other.jsonl", "{\"a\":1}\n".to_owned(), "line 1"),
    ] {
        let file = place.write(name, &content);
        let before = place.files();
        let new = format!("sqlite:{}", place.path("new.sqlite"));
        let line = run(&mut command(&["import", &file, "--store", &new])).failed(1);
        assert!(line.contains(name) && line.contains(said), "{line}");
        assert_eq!(place.files(), before, "no store was made");
    }
    let database = Database::empty().await;
    let half = place.path("half.jsonl");
    run(&mut command(&["import", &half, "--store", database.url()])).failed(1);
    run(&mut command(&["import", &whole, "--store", database.url()])).succeeded();
    assert_eq!(export(database.url()), archive, "the half that was refused left nothing");
}

/// An import that has read half of its archive from standard input, and waits for the rest.
fn half_way(place: &Place, archive: &str, store: &str) -> (Child, ChildStdin) {
    let mut import = command(&["import", "-", "--store", store]);
    let mut import = import.stdin(Stdio::piped()).spawn().expect("the binary runs");
    let mut stdin = import.stdin.take().expect("a pipe");
    stdin.write_all(&archive.as_bytes()[..archive.len() / 2]).expect("half of it is written");
    let deadline = Instant::now() + PATIENCE;
    while !place.files().iter().any(|name| name.starts_with(".import-")) {
        assert!(Instant::now() < deadline, "the import does not begin");
        std::thread::yield_now();
    }
    (import, stdin)
}

#[tokio::test]
async fn an_import_never_takes_the_place_of_a_store_that_came_meanwhile() {
    let (place, _) = filled().await;
    let archive = export(&place.store());
    let new = format!("sqlite:{}", place.path("new.sqlite"));
    let (import, mut stdin) = half_way(&place, &archive, &new);
    run(&mut command(&["catalog", "apply", &place.catalog(), "--store", &new])).succeeded();
    let precious = export(&new);
    stdin.write_all(&archive.as_bytes()[archive.len() / 2..]).expect("the rest is written");
    drop(stdin);
    let output = import.wait_with_output().expect("an end");
    let line = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.starts_with("error: cannot create "), "{line}");
    assert_eq!(export(&new), precious);
    assert!(!place.files().iter().any(|name| name.starts_with(".import-")), "{:?}", place.files());
}

#[tokio::test]
async fn an_import_that_is_interrupted_leaves_nothing_behind() {
    let (place, _) = filled().await;
    let archive = export(&place.store());
    let before = place.files();
    let new = format!("sqlite:{}", place.path("new.sqlite"));
    let (import, stdin) = half_way(&place, &archive, &new);
    let id = import.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
    let output = import.wait_with_output().expect("an end");
    let line = String::from_utf8(output.stderr).expect("text");
    assert_eq!(
        (output.status.code(), line.as_str()),
        (Some(1), "error: interrupted: nothing was imported\n")
    );
    assert_eq!(place.files(), before);
    drop(stdin);
}

#[tokio::test]
async fn check_says_what_is_wrong_and_where() {
    let (place, _) = filled().await;
    let store = place.store();
    let check = || run(&mut command(&["check", "--store", &store]));
    assert_eq!(check().succeeded(), format!("`{store}` is sound\n"));
    let mut database = sqlx::SqliteConnection::connect(&store).await.expect("the file opens");
    sqlx::query("UPDATE services SET name = 'another' WHERE revision = 2")
        .execute(&mut database)
        .await
        .expect("a row is damaged");
    database.close().await.expect("closed");
    let outcome = check();
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("not sound"), "{outcome:?}");
    assert!(outcome.stdout.lines().all(|line| line.contains("organization `acme`")), "{outcome:?}");
    let line = run(&mut command(&["check", "--store", "sqlite:/nowhere/registry.sqlite"])).failed(2);
    assert!(line.contains("directory"), "{line}");
}

#[test]
fn an_archive_that_cannot_be_written_is_said() {
    let place = Place::new();
    place.apply_catalog();
    let full = std::fs::OpenOptions::new().write(true).open(Path::new("/dev/full")).expect("a full device");
    let child =
        command(&["export", "--store", &place.store()]).stdout(full).spawn().expect("the binary runs");
    let output = child.wait_with_output().expect("an end");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(
        (output.status.code(), stderr.starts_with("error: cannot write the archive: ")),
        (Some(1), true)
    );
}

#[tokio::test]
async fn the_demo_fills_an_empty_database_and_no_other() {
    let database = Database::empty().await;
    run(&mut command(&["migrate", "--store", database.url()])).succeeded();
    let place = Place::new();
    run(&mut command(&["catalog", "apply", &place.catalog(), "--store", database.url()])).succeeded();
    let before = export(database.url());
    let demo = ["demo", "--listen", "127.0.0.1:0", "--store", database.url()];
    let line = run(command(&demo).env("SERVICE_JWT_SECRET", SECRET)).failed(1);
    assert!(line.contains("not empty") && !line.contains('@'), "{line}");
    assert_eq!(export(database.url()), before);
}
