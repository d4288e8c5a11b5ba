//! A stream to a client, which fails once the client takes what is sent too slowly.
//!
//! A bound on the time without progress would not do: who takes a byte now and then could hold a connection, and an answer in memory,
//! for days.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::busy::{Busy, Claim};

/// How long a client may keep what is sent to it waiting, beside the time that its size gives it.
const STALL_TIME: Duration = Duration::from_secs(30);
/// How long a client may take for a byte, on the average: 16 KiB a second.
const TIME_FOR_A_BYTE: Duration = Duration::from_nanos(1_000_000_000 / (16 * 1024));

/// A stream whose writes fail when what is sent has waited for [`STALL_TIME`] longer than its size allows.
#[derive(Debug)]
pub(crate) struct Stream<S> {
    stream: S,
    busy: Busy,
    /// What is there from when a write waits for the client until everything is sent: when its time is over, and the claim of the client.
    stalled: Option<(Pin<Box<Sleep>>, Claim)>,
}

impl<S> Stream<S> {
    /// A stream that claims to be busy while what is sent waits for the client.
    pub(crate) fn new(stream: S, busy: Busy) -> Self {
        Self { stream, busy, stalled: None }
    }

    /// Lets through how much was written, and gives the client the time for that; fails a write whose time is over.
    fn wrote(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(bytes)), Some((time, _))) = (&written, &mut self.stalled) {
            let more = TIME_FOR_A_BYTE.saturating_mul(u32::try_from(*bytes).unwrap_or(u32::MAX));
            let deadline = time.deadline() + more;
            time.as_mut().reset(deadline);
        }
        self.bounded(context, written)
    }

    /// Lets through that everything was sent, and forgets that it waited.
    fn sent(&mut self, context: &mut Context<'_>, sent: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if sent.is_ready() {
            self.stalled = None;
        }
        self.bounded(context, sent)
    }

    /// Lets through what is done, and fails what waits when its time is over.
    fn bounded<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            return done;
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
        self.wrote(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.sent(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = Pin::new(&mut self.stream).poll_shutdown(context);
        self.sent(context, shut_down)
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

    /// What comes of sending something to a client that takes so many bytes each second, and how long it lasts.
    async fn taken_at(bytes: usize, sent: &[u8]) -> (io::Result<()>, u64) {
        let (server, mut client) = duplex(bytes);
        let begun = Instant::now();
        let writes = async {
            let mut stream = Stream::new(server, Busy::default());
            stream.write_all(sent).await?;
            stream.flush().await?;
            assert!(stream.stalled.is_none());
            Ok(())
        };
        let reads = async {
            let mut taken = vec![0; bytes];
            loop {
                sleep(Duration::from_secs(1)).await;
                client.read_exact(&mut taken).await.expect("more");
            }
        };
        let outcome = tokio::select! {
            outcome = writes => outcome,
            () = reads => unreachable!("it reads for ever"),
        };
        (outcome, begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_a_byte_now_and_then_is_cut_off() {
        let (outcome, seconds) = taken_at(1, &[7; 1000]).await;
        assert_eq!(outcome.expect_err("too slow").kind(), ErrorKind::TimedOut);
        assert!((STALL_TIME.as_secs()..STALL_TIME.as_secs() + 3).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_it_as_slowly_as_may_be_gets_everything() {
        let (outcome, seconds) = taken_at(16 * 1024, &[7; 5 << 20]).await;
        outcome.expect("sent");
        assert_eq!(seconds, (5 << 20) / (16 * 1024) - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_half_of_that_is_cut_off() {
        let (outcome, seconds) = taken_at(8 * 1024, &[7; 5 << 20]).await;
        assert_eq!(outcome.expect_err("too slow").kind(), ErrorKind::TimedOut);
        assert!((2 * STALL_TIME.as_secs() - 2..2 * STALL_TIME.as_secs() + 2).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_answer_has_its_own_time() {
        let (server, mut client) = duplex(8);
        let mut stream = Stream::new(server, Busy::default());
        for _ in 0..10 {
            let reads = async {
                sleep(STALL_TIME - Duration::from_secs(1)).await;
                client.read_exact(&mut [0; 16]).await.expect("an answer");
            };
            let writes = async {
                stream.write_all(&[7; 16]).await.expect("written");
                stream.flush().await.expect("sent");
            };
            tokio::join!(writes, reads);
        }
    }
}
