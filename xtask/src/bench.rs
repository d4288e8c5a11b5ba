//! `cargo xtask bench`

use crate::process;

/// Where the tables and charts go that the docs show.
const DOCS: &str = "docs/performance";
/// Where those of a quick run go, which are good for a look and no more.
const SCRATCH: &str = "target/performance";

/// Runs the benchmarks of the pure functions, then measures the stores; further arguments go to the latter.
///
/// # Errors
/// When they do not succeed.
pub fn run(arguments: &[&str]) -> Result<(), String> {
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
    let words = ["cargo xtask bench"].iter().chain(quick.then_some(&"--quick")).chain(further);
    let command = words.copied().collect::<Vec<_>>().join(" ");
    // What comes twice counts as it came last: whoever gives an argument has their way.
    let out = ["--out", if quick { SCRATCH } else { DOCS }, "--command", &command];
    process::run(process::cargo().args(measure).args(size).args(out).args(further))
}
