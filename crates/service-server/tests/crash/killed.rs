//! The server is killed, over and over.

use std::time::Duration;

use test_postgres::Database;

use crate::clients::{Clients, Ending, until};
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::process::{Place, SECRET, command};
use crate::world::{Target, is_sound, prepare, serve};

/// How often the server is killed while it is written to.
const KILLS: usize = 30;
/// After how many answers it is killed at most.
const ANSWERS: u64 = 60;
/// How many microseconds after such an answer: some commits take so long.
const MOMENT: u64 = 4_000;
/// How many microseconds after its start a server is killed that may not have begun to listen.
const START: u64 = 60_000;

/// Writes to a server and kills it, again and again, and compares what it holds with what it said.
async fn kill_and_compare(name: &str, place: &Place, store: &str) {
    let mut dice = Dice::of_test(name);
    prepare(place, store);
    let (mut clients, mut ledger) = (Clients::new(&mut dice), Ledger::default());
    for _ in 0..KILLS {
        if dice.once_in(3) {
            kill_at_start(store, Duration::from_micros(dice.below(START))).await;
        }
        let server = serve(store);
        let target = Target::of(&server);
        ledger.compare_with(&target, store).await;
        is_sound(store);
        let count = usize::try_from(dice.below(ANSWERS)).expect("it is small");
        let moment = Duration::from_micros(dice.below(MOMENT));
        let killing = async |mut seeing| {
            until(&mut seeing, |seen| seen.attempts >= count).await;
            tokio::time::sleep(moment).await;
            server.signal("KILL");
        };
        let (written, ()) = clients.write_until(&target, Ending::WithServer, killing).await;
        assert_eq!(written.answers.count(500, "") + written.answers.count(503, ""), 0, "{written:?}");
        ledger.add(written.attempts);
    }
    let server = serve(store);
    ledger.compare_with(&Target::of(&server), store).await;
    server.stop();
    is_sound(store);
    let (acknowledged, unknown, happened) = ledger.numbers();
    println!("{name}: {acknowledged} acknowledged; in flight {unknown}, of which {happened} happened");
    assert!(acknowledged > KILLS && unknown > 0, "too little was written to prove anything");
}

/// Kills a server while it starts.
async fn kill_at_start(store: &str, after: Duration) {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--store", store];
    let mut server = command(&arguments).env("SERVICE_JWT_SECRET", SECRET).spawn().expect("the binary runs");
    tokio::time::sleep(after).await;
    server.kill().expect("it is killed");
    server.wait().expect("a status");
}

#[tokio::test]
async fn a_server_on_sqlite_that_is_killed_has_kept_what_it_acknowledged() {
    let place = Place::new();
    let store = place.store();
    kill_and_compare("sqlite", &place, &store).await;
}

#[tokio::test]
async fn a_server_on_postgresql_that_is_killed_has_kept_what_it_acknowledged() {
    let database = Database::empty().await;
    kill_and_compare("postgresql", &Place::new(), database.url()).await;
}
