//! One entry for every habit. `cargo xtask help` says which.

mod bench;
mod ci;
mod process;
mod sdk;
mod test;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test [--sdk]  every test of the workspace; with --sdk also the official Python clients against the server,
                in virtual environments under target/. PostgreSQL is the one at DATABASE_URL, else a private one of
                what is installed; root on Debian has postgresql and pgbouncer installed if they are missing
  ci            what must hold before a change is taken: formatting, lints, docs, the purity of the core, tidy,
                and every test, --sdk and those of the server's optional features included
  bench [--quick] [ARG]…
                the benchmarks of the pure functions, then the stores: one organization of ten thousand, a hundred thousand
                and a million services, beside naive implementations; half an hour, 10 GB of disk. Tables and charts go to
                docs/performance. With --quick ten thousand services alone, a few minutes, to target/performance. Further
                arguments go to the program that measures (`--services 10k,1m`, `--stores memory`, `--help`)
  tidy          compares the docs with the tree: crates, paths, commands
  help          this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["test"] => test::run(false),
        ["test", "--sdk"] => test::run(true),
        ["ci"] => ci::run(),
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
