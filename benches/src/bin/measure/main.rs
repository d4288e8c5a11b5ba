//! Measures the stores through their traits, beside what a user would write instead, and reports.
//!
//! One store at a time, all sizes of it at once: each round does everything once, in another order, so that whatever slows the
//! machine down for a while slows everything. What is reported are medians, and ratios of medians of one run.

mod by_hand;
mod depth;
mod facets;
mod listings;
mod options;
mod rounds;
mod soak;
mod stage;
mod writer;
mod writes;

use std::process::ExitCode;

use clap::Parser;
use service_registry_benches::Error;

use crate::options::Options;
use crate::stage::Stage;

#[tokio::main]
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
    let mut stage = Stage::new()?;
    for &kind in &options.stores {
        let mut subjects = Vec::new();
        for &size in &options.services {
            eprintln!("{kind}: loading {size} services");
            let subject = stage.subject(kind, size).await?;
            eprintln!("{kind}: {:.1} s, {} kB", subject.loaded.as_secs_f64(), subject.grown);
            subjects.push(subject);
        }
        let mut turns = Vec::new();
        for subject in &subjects {
            turns.extend(listings::turns(subject).await?);
            turns.extend(by_hand::turns(subject).await?);
            turns.extend(depth::turns(&mut stage, subject).await?);
        }
        eprintln!("{kind}: {} listings a round", turns.len());
        let samples = rounds::run(&turns, options).await?;
        for row in &samples.0 {
            println!("{kind} {}: {:.3} ms, {} rows", row.label, row.median() * 1e3, row.rows);
        }
        let soak = soak::run(turns, subjects.last().map_or(0, |s| s.size), 3).await?;
        println!("{soak:?}");
        println!("{:?}", facets::measure(&subjects).await?);
        println!("{:?}", writes::measure(&subjects).await?);
    }
    Ok(())
}
