//! The way into a store: the archive that an export would give, made while it is imported.

use std::io;

use async_trait::async_trait;
use service_core::{ArchiveSink, ArchiveSource, ArchiveSummary, ExportError, ImportError, Operations};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::{DataSet, Error};

/// How many pieces of 64 KiB are made ahead of the import.
const AHEAD: usize = 16;

/// Puts data into an empty store, by the store's bulk path. However many they are, little of them is in memory at once.
///
/// # Errors
/// When the store fails, or refuses the data.
pub async fn fill(store: &dyn Operations, data: &DataSet) -> Result<ArchiveSummary, Error> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let data = data.clone();
    let writing = tokio::spawn(async move { data.write(&mut Pieces(sender)).await });
    let mut archive = Archive(receiver);
    let imported = store.import(&mut archive).await;
    drop(archive);
    match (imported, writing.await?) {
        // An archive that breaks off is refused for that; why it broke off is the better answer.
        (Err(ImportError::Refused(_)), Err(error)) if !is_unwanted(&error) => Err(error),
        (imported, _) => Ok(imported?),
    }
}

/// Whether the archive broke off because the import had ended before.
fn is_unwanted(error: &Error) -> bool {
    let sink = error.downcast_ref().and_then(|error| match error {
        ExportError::Sink(error) => Some(error.kind()),
        ExportError::Store(_) => None,
    });
    sink == Some(io::ErrorKind::BrokenPipe)
}

struct Pieces(Sender<Vec<u8>>);

#[async_trait]
impl ArchiveSink for Pieces {
    async fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.0.send(lines.to_vec()).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

struct Archive(Receiver<Vec<u8>>);

#[async_trait]
impl ArchiveSource for Archive {
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.recv().await.unwrap_or_default())
    }
}
