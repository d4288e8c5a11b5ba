//! Fills a store with the data that measurements are made with, for whoever wants to look at them.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use service_core::Operations;
use service_registry_benches::{DataSet, Error, fill};
use store_postgres::PostgresStore;
use store_sqlite::SqliteStore;

/// Fills an empty store: one organization, `acme`, beside 99 small ones. User `alice` may do everything in each.
#[derive(Debug, Parser)]
struct Options {
    /// How many services `acme` has: a number, with k for thousands or m for millions.
    #[arg(long, value_parser = service_registry_benches::count, default_value = "10k")]
    services: u64,
    /// `sqlite:PATH` or `postgres://…`.
    #[arg(long)]
    store: String,
    /// Adversarial services instead of realistic ones, with a history of many changes.
    #[arg(long)]
    adversarial: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Error> {
    let store: Arc<dyn Operations> = if let Some(path) = options.store.strip_prefix("sqlite:") {
        Arc::new(SqliteStore::open(path).await?)
    } else if options.store.starts_with("postgres") {
        Arc::new(PostgresStore::open(&options.store).await?)
    } else {
        return Err("the store is to be `sqlite:PATH` or `postgres://…`".into());
    };
    store.migrate().await?;
    let make = if options.adversarial { DataSet::adversarial } else { DataSet::realistic };
    let data = make(options.services)?;
    let start = Instant::now();
    let summary = fill(&*store, &data).await?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} organizations, {} services, {} rows of history in {seconds:.1} s: {:.0} rows/s",
        summary.organizations,
        data.services(),
        summary.revisions,
        f64::from(u32::try_from(summary.revisions)?) / seconds,
    );
    Ok(())
}
