//! `cargo xtask bench`

use std::process::Command;

use crate::process;

/// Where the tables and charts go that the docs show.
const DOCS: &str = "docs/performance";
/// Where those of a quick run go, which are good for a look and no more.
const SCRATCH: &str = "target/performance";

/// Runs the benchmarks of the pure functions, then measures the stores; with `--overload`, measures a server under more load than it can
/// carry instead. Further arguments go to the program that measures.
///
/// # Errors
/// When they do not succeed.
pub fn run(arguments: &[&str]) -> Result<(), String> {
    if let ["--overload", further @ ..] = arguments {
        return overload(further);
    }
    let (quick, further) = match arguments {
        ["--quick", further @ ..] => (true, further),
        further => (false, further),
    };
    let pure = ["bench", "-p", "service-registry-benches", "--bench", "pure", "--", "--noplot"];
    process::run(process::cargo().args(pure).args(quick.then_some("--quick")))?;

    let measure = ["run", "--release", "-p", "service-registry-benches", "--bin", "measure", "--"];
    let size: &[&str] = if quick {
        &["--services", "10k", "--rounds", "40", "--seconds", "6", "--soak", "2", "--batches", "4"]
    } else {
        &[]
    };
    let command = command(quick.then_some("--quick"), further);
    // What comes twice counts as it came last: whoever gives an argument has their way.
    let out = ["--out", if quick { SCRATCH } else { DOCS }, "--command", &command];
    process::run(process::cargo().args(measure).args(size).args(out).args(further))
}

fn overload(further: &[&str]) -> Result<(), String> {
    // Both at once, so that what they share is built once.
    let build = ["build", "--release", "--bins", "-p", "service-server", "-p", "service-registry-benches"];
    process::run(process::cargo().args(build))?;
    let release = process::target_directory()?.join("release");
    let command = command(Some("--overload"), further);
    let mut measure = Command::new(release.join("overload"));
    measure.current_dir(process::root()).arg("--server").arg(release.join("service-server"));
    process::run(measure.args(["--out", DOCS, "--command", &command]).args(further))
}

/// What whoever calls has typed.
fn command(flag: Option<&str>, further: &[&str]) -> String {
    let words = ["cargo xtask bench"].into_iter().chain(flag).chain(further.iter().copied());
    words.collect::<Vec<_>>().join(" ")
}
