//! Measures the stores through their traits, beside what a user would write instead, and reports.
//!
//! One store at a time, all sizes of it at once: each round does everything once, in another order, so that whatever slows the
//! machine down for a while slows everything. What is reported are medians, and ratios of medians of one run.

mod by_hand;
mod depth;
mod facets;
mod listings;
mod machine;
mod options;
mod report;
mod rounds;
mod soak;
mod stage;
mod targets;
mod writer;
mod writes;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use service_registry_benches::Error;

use crate::options::{Kind, Options};
use crate::report::{Loaded, Run};
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
    let mut runs = Vec::new();
    for &kind in &options.stores {
        runs.push(measure(&mut stage, kind, options).await?);
        // What there is so far, in case the next store does not come to its end.
        let machine = machine::describe(&stage).await?;
        if let Some(directory) = &options.out {
            report::write(directory, &runs, &machine, &options.command)?;
        }
    }
    if options.out.is_none() {
        print!("{}", report::markdown(&runs, &machine::describe(&stage).await?, &options.command));
    }
    Ok(())
}

/// Measures one store in all sizes.
async fn measure(stage: &mut Stage, kind: Kind, options: &Options) -> Result<Run, Error> {
    let start = Instant::now();
    let say = |what: &str| eprintln!("{kind}, {:.0} s: {what}", start.elapsed().as_secs_f64());
    let (mut subjects, mut loaded) = (Vec::new(), Vec::new());
    for &size in &options.services {
        say(&format!("loading {}", targets::named(size)));
        let subject = stage.subject(kind, size).await?;
        loaded.push(Loaded {
            size,
            services: subject.data.services(),
            seconds: subject.loaded.as_secs_f64(),
            kilobytes: subject.grown,
        });
        subjects.push(subject);
    }
    say("preparing listings, and peers");
    let mut turns = Vec::new();
    for subject in &subjects {
        turns.extend(listings::turns(subject).await?);
        turns.extend(by_hand::turns(subject).await?);
        turns.extend(depth::turns(stage, subject).await?);
    }
    say(&format!("{} listings in rounds", turns.len()));
    let measured = rounds::run(&turns, options).await?;
    say("listing for a while");
    let largest = options.services.iter().copied().max().unwrap_or_default();
    let soak = Some(soak::run(turns, largest, options.soak).await?);
    say("facets");
    let facets = facets::measure(&subjects).await?;
    say("writing");
    let writes = writes::measure(&subjects, options.batches).await?;
    say("done");
    Ok(Run { kind, loaded, measured, facets, writes, soak })
}
