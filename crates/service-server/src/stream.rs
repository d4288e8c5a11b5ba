//! A stream to a client, which fails once the client has taken nothing for too long.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::busy::{Busy, Claim};

/// How long a client may take nothing of what is sent to it.
const STALL_TIME: Duration = Duration::from_secs(30);

/// A stream whose writes fail after [`STALL_TIME`] without progress.
#[derive(Debug)]
pub(crate) struct Stream<S> {
    stream: S,
    busy: Busy,
    /// What is there while a write waits for the client: its time, which runs, and the claim of the client.
    stalled: Option<(Pin<Box<Sleep>>, Claim)>,
}

impl<S> Stream<S> {
    /// A stream that claims to be busy while a write waits for the client.
    pub(crate) fn new(stream: S, busy: Busy) -> Self {
        Self { stream, busy, stalled: None }
    }

    /// Lets through what a write came to, and fails one that has waited for too long.
    fn bounded<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let (time, _) = self.stalled.get_or_insert_with(|| (Box::pin(sleep(STALL_TIME)), self.busy.claim()));
        ready!(time.as_mut().poll(context));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bounded(context, shut_down)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails_in_time() {
        let (server, client) = duplex(8);
        let begun = Instant::now();
        let written = Stream::new(server, Busy::default()).write_all(b"more than there is room for").await;
        assert_eq!(written.expect_err("nobody reads").kind(), ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), STALL_TIME.as_secs());
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_a_little_now_and_then_gets_everything() {
        let (server, mut client) = duplex(8);
        let sent = [7; 64];
        let writes = async {
            let mut stream = Stream::new(server, Busy::default());
            stream.write_all(&sent).await.expect("written");
        };
        let reads = async {
            let mut received = Vec::new();
            while received.len() < sent.len() {
                sleep(STALL_TIME - Duration::from_secs(1)).await;
                received.push(client.read_u8().await.expect("a byte"));
            }
            received
        };
        assert_eq!(tokio::join!(writes, reads).1, sent);
    }
}
