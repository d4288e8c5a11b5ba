//! PostgreSQL crashes and comes back while the server runs.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::RETRY_AFTER;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use test_postgres::{Cluster, Crash, Durability};

use crate::clients::{Clients, Ending, shows_nothing_inside, until};
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::process::{PATIENCE, Place, Server};
use crate::world::{Target, eventually, is_sound, prepare, serve, text};

/// How often the database crashes.
const CRASHES: usize = 20;
/// After how many attempts at most.
const ATTEMPTS: u64 = 60;
/// How many microseconds after such an attempt.
const MOMENT: u64 = 4_000;

/// A database on a server of its own, which keeps what it has committed.
fn cluster() -> Cluster {
    Cluster::start(Durability::Kept).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn crash(cluster: &mut Cluster, how: Crash) {
    cluster.crash(how).unwrap_or_else(|error| panic!("{error}"));
}

#[track_caller]
fn restart(cluster: &mut Cluster) {
    cluster.restart().unwrap_or_else(|error| panic!("{error}"));
}

/// The status of a plain request.
async fn status(server: &Server, path: &str) -> u16 {
    server.get(path).await.status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_requests_are_refused_and_what_it_acknowledged_is_there_afterwards() {
    let mut dice = Dice::of_test("postgresql crashes");
    let (place, mut cluster) = (Place::new(), cluster());
    let store = cluster.url().to_owned();
    prepare(&place, &store);
    let server = serve(&store);
    let target = Target::of(&server);
    let (mut clients, mut ledger) = (Clients::new(&mut dice), Ledger::default());
    let mut unknown = 0;
    for _ in 0..CRASHES {
        let count = usize::try_from(dice.below(ATTEMPTS)).expect("it is small");
        let moment = Duration::from_micros(dice.below(MOMENT));
        let how = *dice.pick(&[Crash::Immediate, Crash::Killed]);
        let crashing = async |mut seeing| {
            until(&mut seeing, |seen| seen.attempts >= count).await;
            tokio::time::sleep(moment).await;
            tokio::task::block_in_place(|| crash(&mut cluster, how));
            // From now on all are refused.
            let crashed = *seeing.borrow_and_update();
            until(&mut seeing, |seen| seen.refused >= crashed.refused + 8).await;
            let request = target.request(Method::GET, "").send();
            let (ready, alive, answer) =
                tokio::join!(status(&server, "/readyz"), status(&server, "/healthz"), request);
            assert_eq!((ready, alive), (503, 200));
            let answer = answer.expect("an answer");
            assert_eq!(answer.status(), 503);
            assert!(answer.headers().contains_key(RETRY_AFTER));
            shows_nothing_inside(&answer.text().await.expect("text"));
            tokio::task::block_in_place(|| restart(&mut cluster));
            let restarted = *seeing.borrow_and_update();
            until(&mut seeing, |seen| seen.acknowledged >= restarted.acknowledged + 6).await;
        };
        let (written, ()) = clients.write_until(&target, Ending::WhenTold, crashing).await;
        let answers = &written.answers;
        println!("{how:?}: {answers:?}");
        let failures =
            || server.lines.try_iter().filter(|line| line.contains("\"ERROR\"")).collect::<Vec<_>>();
        assert!(answers.count(503, "nothing has changed") > 0, "{answers:?}");
        assert_eq!(answers.count(500, ""), 0, "{answers:?} {:#?}", failures());
        // The server is there, so every outcome that is not known was said to be.
        unknown += answers.count(503, "unknown");
        ledger.add(written.attempts);
        assert_eq!(ledger.numbers().1, unknown);
        ledger.compare_with(&target, &store).await;
        is_sound(&store);
        assert_eq!(status(&server, "/readyz").await, 200);
    }
    server.stop();
    let (acknowledged, unknown, happened) = ledger.numbers();
    println!("{acknowledged} acknowledged; unknown {unknown}, of which {happened} happened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_the_database_does_not_survive_has_an_outcome_that_is_said_to_be_unknown() {
    let (place, mut cluster) = (Place::new(), cluster());
    let store = cluster.url().to_owned();
    prepare(&place, &store);
    let server = serve(&store);
    for (how, name) in [(Crash::Immediate, "told to end"), (Crash::Killed, "killed")] {
        // A commit is on disk, and not yet acknowledged, while it waits for a replica that there is not.
        configure(&store, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
        let mut operator = PgConnection::connect(&store).await.expect("a connection");
        let request = server.request(Method::POST, "").json(&crate::process::body(name));
        let creating = tokio::spawn(request.send());
        eventually("the commit waits", async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut operator).await.expect("an answer");
            waiting == 1
        })
        .await;
        tokio::task::block_in_place(|| crash(&mut cluster, how));
        let answer = tokio::time::timeout(PATIENCE, creating).await;
        let answer = answer.expect("it does not hang").expect("it ends").expect("an answer");
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key(RETRY_AFTER));
        let problem: Value = answer.json().await.expect("JSON");
        let said = text(&problem["detail"]);
        let id = said.split('`').nth(1).expect("the id of the service").to_owned();
        assert_eq!(said, format!("the outcome is unknown: service `{id}` was created if it is there"));

        tokio::task::block_in_place(|| restart(&mut cluster));
        configure(&store, "ALTER SYSTEM RESET synchronous_standby_names").await;
        let answer = server.request(Method::GET, &format!("?id={id}")).send().await;
        let page: Value = answer.expect("an answer").json().await.expect("JSON");
        assert_eq!(page["services"][0]["name"], name, "{page}");
    }
    assert_eq!(server.names().await, ["killed", "told to end"]);
    server.stop();
    is_sound(&store);
}

/// Changes the configuration of a database's server.
async fn configure(store: &str, change: &'static str) {
    let mut operator = PgConnection::connect(store).await.expect("a connection");
    sqlx::query(change).execute(&mut operator).await.expect("it is changed");
    sqlx::query("SELECT pg_reload_conf()").execute(&mut operator).await.expect("it is in force soon");
    let (_, setting) = change.rsplit_once(' ').expect("a word");
    let wanted = if change.contains("RESET") { "" } else { setting.trim_matches('\'') };
    eventually("the change is in force", async || {
        // A session hears of it between two statements.
        let setting: String = sqlx::query_scalar("SHOW synchronous_standby_names")
            .fetch_one(&mut operator)
            .await
            .expect("an answer");
        setting == wanted
    })
    .await;
}
