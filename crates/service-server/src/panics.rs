//! Panics as log lines. By itself a panic would write lines of its own among the logs, and, with `RUST_BACKTRACE` set, its stack.

use std::panic::{PanicHookInfo, set_hook};

/// From now on, a panic is one line of the log: what it says and where it happened.
pub(crate) fn log_panics() {
    set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("not a text");
    let location = panic.location().map(tracing::field::display);
    tracing::error!(panic = message, location, "panicked");
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::panic::{catch_unwind, take_hook};
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_one_line_without_a_stack() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        log_panics();
        let panicked = tracing::subscriber::with_default(subscriber, || {
            catch_unwind(|| panic!("of {} lines\nand a half", 1)).is_err()
        });
        drop(take_hook());
        assert!(panicked);
        let text = String::from_utf8(written.0.lock().expect("not poisoned").clone()).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            (&line["level"], &line["panic"]),
            (&"ERROR".into(), &"of 1 lines\nand a half".into()),
            "{line}"
        );
        assert!(line["location"].as_str().is_some_and(|place| place.contains("panics.rs")), "{line}");
    }
}
