//! Asks a server for more than it can do, and draws what it makes of it.
//!
//! The server has one processor to itself and whoever asks another, so that neither takes from the other. First it is asked for one thing at
//! a time, which tells how long an answer takes; then by many at once, which tells how much it can carry; then at rates from a quarter of
//! that to four times as much, whether it keeps up or not; then by far too many who do not give up; and at last, without a pause, at half of
//! it again. Everything is on loopback and ends by itself.

mod load;
mod report;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use service_registry_benches::{DataSet, Error, count, fill, processor};
use store_sqlite::SqliteStore;

use crate::load::{Load, Observed, Work};
use crate::report::{Curve, Step};
use crate::server::{Server, pin};

/// How much is asked for, in multiples of what the server can carry.
const LOADS: [f64; 9] = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0];
/// How many ask at once, and again even if they are refused.
const CROWD: usize = 500;
/// How much is asked for right after that.
const AFTERWARDS: f64 = 0.5;
/// How many ask at once where it is to be found out how much the server can carry.
const MANY: usize = 32;

/// Measures a server under more load than it can carry.
#[derive(Debug, Parser)]
#[command(args_override_self = true)]
struct Options {
    /// The program.
    #[arg(long, default_value = "target/release/service-server")]
    server: PathBuf,
    /// How many services there are: a number, with k for thousands or m for millions.
    #[arg(long, value_parser = count, default_value = "10k")]
    services: u64,
    /// How long each load lasts, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The command that the report says it was made by.
    #[arg(long, default_value = "cargo run --release -p service-registry-benches --bin overload")]
    command: String,
    /// The directory to write to; without it the tables go to standard output.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Error> {
    let machine = processor()?;
    let directory = tempfile::Builder::new().prefix("overload-").tempdir()?;
    let mut curves = Vec::new();
    for work in [Work::List, Work::Create] {
        let store = directory.path().join(format!("{work:?}.sqlite"));
        prepare(&store, options.services).await?;
        curves.push(measure(work, &store, options).await?);
    }
    match &options.out {
        Some(directory) => report::write(directory, &curves, &machine, &options.command),
        None => {
            print!("{}", report::markdown(&curves, &machine, &options.command));
            Ok(())
        }
    }
}

async fn prepare(file: &std::path::Path, services: u64) -> Result<(), Error> {
    use service_core::Operations as _;
    let store = SqliteStore::open(file).await?;
    store.migrate().await?;
    fill(&store, &DataSet::realistic(services)?).await?;
    store.close().await;
    Ok(())
}

/// Draws the curve of one kind of request.
async fn measure(work: Work, store: &std::path::Path, options: &Options) -> Result<Curve, Error> {
    let server = Server::start(&options.server, store)?;
    pin()?;
    let mut load = Load::new(work, &server, options.services)?;
    let lasts = Duration::from_secs(options.seconds);
    let say = |what: &str| eprintln!("{work}: {what}");

    say("warming up");
    load.closed(MANY, lasts / 4).await?;
    say("one at a time");
    let unloaded = load.closed(1, lasts / 2).await?;
    say("as many as it can");
    let most = load.closed(MANY, lasts).await?.accepted_per_second();
    let before = server.resident()?;
    let mut steps = Vec::new();
    for times in LOADS {
        say(&format!("{times} times what it can carry"));
        let observed = load.open(most * times, lasts).await?;
        steps.push(Step { times, observed, resident: server.resident()? });
    }
    say("far too many, who do not give up");
    let crowd = load.closed(CROWD, lasts).await?;
    say("half of what it can carry again");
    let recovery = load.open(most * AFTERWARDS, lasts).await?;
    let unloaded_after = load.closed(1, lasts / 2).await?;
    let median = Observed::median(&unloaded.latencies());
    Ok(Curve {
        work,
        services: options.services,
        median,
        most,
        before,
        steps,
        crowd,
        recovery,
        unloaded_after,
    })
}
