//! Backups made while clients write, as the manual says, and what is restored from them.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::Connection as _;
use test_postgres::Database;
use tokio::task::JoinHandle;

use crate::process::{PATIENCE, Place, Server, body, command, run, token};

/// A client that creates services, one after another, until it is told to stop.
struct Writer {
    acknowledged: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Writer {
    fn start(server: &Server) -> Self {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&acknowledged);
        let (url, token) = (format!("{}/v1/acme/service/", server.url), token());
        let task = tokio::spawn(async move {
            let client = reqwest::Client::new();
            for number in 0.. {
                let request = client.post(&url).bearer_auth(&token).json(&body(&format!("service {number}")));
                let answer = request.timeout(PATIENCE).send().await.expect("an answer");
                assert_eq!(answer.status(), 201);
                counted.store(number + 1, Ordering::SeqCst);
            }
        });
        Self { acknowledged, task }
    }

    /// How many services were acknowledged so far.
    fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until there are this many more.
    async fn more(&self, number: usize) {
        let wanted = self.acknowledged() + number;
        while self.acknowledged() < wanted {
            assert!(!self.task.is_finished(), "the writer failed");
            tokio::task::yield_now().await;
        }
    }
}

/// How many writes of services a store has seen, which is how many rows its history has.
fn writes(store: &str) -> usize {
    let archive = run(&mut command(&["export", "--store", store])).succeeded();
    archive.lines().filter(|line| line.starts_with(r#"{"service":"#)).count()
}

fn is_sound(store: &str) {
    let said = run(&mut command(&["check", "--store", store])).succeeded();
    assert!(said.ends_with("is sound\n"), "{said}");
}

/// Backs up a store while services are created in it. Whatever was acknowledged before the backup began is in it, whatever was asked for
/// after it ended is not, and a server on it goes on from there.
async fn backed_up_while_written(place: &Place, store: &str, backup: impl AsyncFnOnce() -> String) {
    let catalog = place.catalog();
    let server = Server::start(&["--store", store, "--rate-limits", "off", "--catalog", &catalog]);
    let writer = Writer::start(&server);
    writer.more(20).await;
    let before = writer.acknowledged();
    let restored = backup().await;
    let after = writer.acknowledged();
    writer.more(20).await;
    writer.task.abort();
    assert!(writer.task.await.expect_err("it was aborted").is_cancelled(), "no write failed");
    server.stop();

    is_sound(&restored);
    let kept = writes(&restored);
    // One more may have been on its way.
    assert!((before..=after + 1).contains(&kept), "{before} <= {kept} <= {after} + 1");
    let all = writes(store);
    assert!(all > kept, "the store went on: {all}");
    is_sound(store);
    let server = Server::start(&["--store", &restored, "--rate-limits", "off"]);
    server.create("after the restore").await;
    server.stop();
    is_sound(&restored);
    assert_eq!(writes(&restored), kept + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_sqlite_file_in_use_is_a_backup() {
    let place = Place::new();
    let store = place.store();
    backed_up_while_written(&place, &store, async || {
        let mut database = sqlx::SqliteConnection::connect(&store).await.expect("the file opens");
        let copy = place.path("backup.sqlite");
        // What the manual has sqlite3 do.
        sqlx::query("VACUUM INTO ?1").bind(&copy).execute(&mut database).await.expect("a copy");
        database.close().await.expect("closed");
        format!("sqlite:{copy}")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_a_store_in_use_is_a_backup() {
    let place = Place::new();
    let store = place.store();
    backed_up_while_written(&place, &store, async || {
        let archive = run(&mut command(&["export", "--store", &store])).succeeded();
        let archive = place.write("backup.jsonl", &archive);
        let restored = format!("sqlite:{}", place.path("restored.sqlite"));
        run(&mut command(&["import", &archive, "--store", &restored])).succeeded();
        restored
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_of_a_postgresql_database_in_use_is_a_backup() {
    let place = Place::new();
    let (database, restored) = (Database::empty().await, Database::empty().await);
    backed_up_while_written(&place, database.url(), async || {
        let dump = place.path("registry.dump");
        let url = database.url().to_owned();
        let to = restored.url().to_owned();
        let copied = tokio::task::spawn_blocking(move || {
            let format = ["--format=custom", "--schema=service_registry", "--no-owner"];
            postgresql(Command::new("pg_dump").args(format).args(["--file", &dump, &url]));
            let how = ["--exit-on-error", "--single-transaction", "--no-owner"];
            postgresql(Command::new("pg_restore").args(how).args(["--dbname", &to, &dump]));
            to
        });
        copied.await.expect("a copy")
    })
    .await;
}

/// Runs one of PostgreSQL's own programs for clients.
fn postgresql(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("cannot run {command:?}: {error}; install Debian's package `postgresql-client` or any other that has it")
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
