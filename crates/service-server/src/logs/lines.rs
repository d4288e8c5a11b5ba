//! Lines on their way to standard error.

use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;

/// How many lines wait for a slow reader before further ones are dropped.
const WAITING_LINES: usize = 4096;

/// How long lines are held back at most, so that what the program itself says at its start comes before them.
const HOLD_TIME: Duration = Duration::from_secs(5);

/// How long the end of the program waits for lines to be written.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// Lines, and the thread that writes them: whoever logs never waits for whoever reads. Dropping it waits, for a while, until all are
/// written.
#[derive(Debug)]
pub(super) struct Lines {
    lines: SyncSender<Vec<u8>>,
    gate: SyncSender<()>,
    flushed: Receiver<()>,
}

impl Lines {
    /// Starts the thread, which writes nothing until [`let_through`](Self::let_through).
    ///
    /// # Errors
    /// When the operating system does not let it.
    pub(super) fn start() -> Result<Self, Failure> {
        let (lines, waiting) = sync_channel(WAITING_LINES);
        let (gate, opened) = sync_channel(1);
        let (done, flushed) = sync_channel(1);
        let writer = thread::Builder::new().name("logs".into()).spawn(move || {
            let _: Result<(), RecvTimeoutError> = opened.recv_timeout(HOLD_TIME);
            write_all(&waiting);
            let _ = done.send(());
        });
        writer.map_err(|error| Failure::failed("cannot start a thread for logs", &error))?;
        Ok(Self { lines, gate, flushed })
    }

    /// Where lines go in.
    pub(super) fn sender(&self) -> SyncSender<Vec<u8>> {
        self.lines.clone()
    }

    pub(super) fn let_through(&self) {
        let _ = self.gate.try_send(());
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.let_through();
        // An empty line is the end: the subscriber is global and keeps its sender for ever. If no place is free for it,
        // nobody reads, and nobody waits.
        if self.lines.try_send(Vec::new()).is_ok() {
            let _: Result<(), RecvTimeoutError> = self.flushed.recv_timeout(FLUSH_TIME);
        }
    }
}

/// Writes lines until an empty one comes.
fn write_all(waiting: &Receiver<Vec<u8>>) {
    while let Ok(line) = waiting.recv() {
        if line.is_empty() {
            break;
        }
        let _ = io::stderr().lock().write_all(&line);
    }
}
