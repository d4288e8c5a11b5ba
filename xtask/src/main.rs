//! One entry for every habit. `cargo xtask help` says which.

mod bench;
mod ci;
mod deny;
mod packages;
mod process;
mod python;
mod schemathesis;
mod sdk;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test [--sdk] [--schemathesis]
                every test of the workspace; with --sdk also the official Python clients against the server, with
                --schemathesis also Schemathesis, which asks the server what its OpenAPI document allows and what it does
                not; both in virtual environments under target/. PostgreSQL is the one at DATABASE_URL, else a private one
                of what is installed; root on Debian has postgresql, pgbouncer and chromium installed if they are missing
  ci            what must hold before a change is taken: formatting, lints, docs, the purity of the core, tidy,
                deny, and every test, --sdk, --schemathesis and those of the server's optional features included
  deny [--advisories]
                licences, sources and duplicates of what we depend on, by deny.toml, with a cargo-deny that is built under target/
                once; with --advisories also known vulnerabilities, whose database is fetched from GitHub
  bench [--quick | --overload] [ARG]…
                the benchmarks of the pure functions, then the stores: one organization of ten thousand, a hundred thousand
                and a million services, beside naive implementations; half an hour, 10 GB of disk. Tables and charts go to
                docs/performance. With --quick ten thousand services alone, a few minutes, to target/performance. Further
                arguments go to the program that measures (`--services 10k,1m`, `--stores memory`, `--help`). With --overload
                an optimized server instead, under up to four times the load that it can carry, four minutes
  tidy          compares the docs with the tree: crates, paths, commands
  help          this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test", flags @ ..] if flags.iter().all(|flag| test::FLAGS.contains(flag)) => test::run(flags),
        ["ci"] => ci::run(),
        ["deny"] => deny::run(false),
        ["deny", "--advisories"] => deny::run(true),
        ["bench", rest @ ..] => bench::run(rest),
        ["tidy"] => tidy::run(),
        ["help" | "--help" | "-h"] | [_, "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
