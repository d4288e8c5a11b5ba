//! Panics as log lines. By itself a panic would write lines of its own among the logs, and, with `RUST_BACKTRACE` set, its stack.

use std::panic::{PanicHookInfo, set_hook};

/// From now on, a panic is one line of the log: what it says and where it happened.
pub(super) fn log_panics() {
    set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("not a text");
    let location = panic.location().map(tracing::field::display);
    tracing::error!(panic = message, location, "panicked");
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, take_hook};
    use std::process::Command;
    use std::sync::mpsc::sync_channel;

    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::event::Events;
    use super::super::form::Form;
    use super::super::{Log, LogFormat, start};
    use super::*;

    /// Set for the process that panics.
    const PANICS: &str = "TEST_THAT_PANICS";

    #[test]
    fn a_program_that_logs_says_so_even_if_stacks_are_asked_for() {
        let name = "logs::panics::tests::a_program_that_logs_says_so_even_if_stacks_are_asked_for";
        if std::env::var_os(PANICS).is_some() {
            let logs = start(&Log { log: None, log_format: LogFormat::Json }, "info").expect("logs");
            logs.let_through();
            drop(catch_unwind(|| panic!("of one line")));
            drop(logs);
            return;
        }
        let mut again = Command::new(std::env::current_exe().expect("this program"));
        again.args(["--exact", name, "--nocapture"]).env(PANICS, "").env("RUST_BACKTRACE", "full");
        let output = again.output().expect("it runs");
        let stderr = String::from_utf8(output.stderr).expect("text");
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.is_empty()).collect();
        let [line] = lines.as_slice() else { panic!("{stderr}") };
        assert!(line.starts_with('{') && line.contains("\"panic\":\"of one line\""), "{line}");
        assert!(output.status.success(), "{}", output.status);
    }

    #[test]
    fn a_panic_is_one_line_without_a_stack() {
        let (sender, lines) = sync_channel(10);
        let subscriber = tracing_subscriber::registry().with(Events::new(Form::Json, sender));
        log_panics();
        let panicked = tracing::subscriber::with_default(subscriber, || {
            catch_unwind(|| panic!("of {} lines\nand a half", 1)).is_err()
        });
        drop(take_hook());
        assert!(panicked);
        let lines: Vec<Vec<u8>> = lines.try_iter().collect();
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(
            line.iter().filter(|byte| **byte == b'\n').count(),
            1,
            "{}",
            String::from_utf8_lossy(line)
        );
        let line: Value = serde_json::from_slice(line).expect("JSON");
        assert_eq!(
            (&line["level"], &line["panic"]),
            (&"ERROR".into(), &"of 1 lines\nand a half".into()),
            "{line}"
        );
        assert!(line["location"].as_str().is_some_and(|place| place.contains("panics.rs")), "{line}");
    }
}
