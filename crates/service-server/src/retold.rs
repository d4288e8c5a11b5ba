//! A stream on which hyper's own words are said as the API says everything.
//!
//! What hyper cannot read as a request never reaches the router: hyper answers by itself, a status without a body, and closes the
//! connection. It has no hook for that answer. But it writes the answer alone, and none of the API's answers looks like it: those all
//! carry `x-request-id`. So it is recognized as it is written, and the API's answer of that status is sent instead.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::HttpBody as _;
use axum::http::{HeaderMap, StatusCode};
use service_http::{Unreadable, unreadable};
use system_environment::SystemEnvironment;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that sends the API's words for hyper's.
#[derive(Debug)]
pub(crate) struct Retold<S> {
    stream: S,
    /// What is sent instead, and how much of it has been.
    telling: Option<(Vec<u8>, usize)>,
}

impl<S> Retold<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, telling: None }
    }
}

/// The status of an answer that is hyper's own: a head without a request id, and nothing after it.
fn own_status(written: &[u8]) -> Option<StatusCode> {
    let head = std::str::from_utf8(written.strip_suffix(b"\r\n\r\n")?).ok()?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let is_own = head.contains("\r\ncontent-length: 0") && !head.contains("\r\nx-request-id: ");
    let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
    (is_own && status.is_client_error() && !head.contains("\r\n\r\n")).then_some(status)
}

/// The API's answer of a status, as it goes over the wire.
fn told(status: StatusCode, context: &mut Context<'_>) -> Vec<u8> {
    let answer = unreadable(Unreadable::of_status(status), &HeaderMap::new(), &SystemEnvironment);
    let (parts, mut body) = answer.into_parts();
    let mut content = Vec::new();
    // The body is whole: it never waits.
    while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(context) {
        content.extend(frame.into_data().unwrap_or_default());
    }
    let mut bytes =
        format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", parts.status, content.len()).into_bytes();
    for (name, value) in &parts.headers {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes.extend(content);
    bytes
}

impl<S: AsyncRead + Unpin> AsyncRead for Retold<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> Retold<S> {
    /// Sends the rest of what is sent instead of `bytes`; `None` if these are to be sent themselves.
    fn poll_tell(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.telling.is_none() {
            self.telling = own_status(bytes).map(|status| (told(status, context), 0));
        }
        let (text, sent) = self.telling.as_mut()?;
        while let Some(rest) = text.get(*sent..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(more)) => *sent += more,
                unfinished => return Some(unfinished),
            }
        }
        self.telling = None;
        Some(Poll::Ready(Ok(bytes.len())))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Retold<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.poll_tell(context, bytes) {
            Some(told) => told,
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = slices.iter().filter(|slice| !slice.is_empty());
        if let (Some(only), None) = (filled.next(), filled.next())
            && let Some(told) = self.poll_tell(context, only)
        {
            return told;
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const OWN: &str = "HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\
                       date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n";

    /// What a client reads where `written` is written, `room` bytes at a time.
    async fn reads(written: &str, room: usize) -> String {
        let (server, mut client) = duplex(room);
        let writes = async {
            let mut stream = Retold::new(server);
            stream.write_all(written.as_bytes()).await.expect("written");
            stream.shutdown().await.expect("shut down");
        };
        let mut read = String::new();
        let (_, outcome) = tokio::join!(writes, client.read_to_string(&mut read));
        outcome.expect("text");
        read
    }

    #[tokio::test]
    async fn hypers_own_words_become_an_answer_of_the_api() {
        for room in [7, 10_000] {
            let read = reads(OWN, room).await;
            let (head, body) = read.split_once("\r\n\r\n").expect("a head");
            assert!(head.starts_with("HTTP/1.1 414 URI Too Long\r\n"), "{head}");
            for line in ["connection: close", "content-type: application/json", "x-request-id: "] {
                assert!(head.contains(&format!("\r\n{line}")), "{head}");
            }
            assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
            let body: Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(body["error_code"], "target_too_long");
        }
    }

    #[tokio::test]
    async fn whatever_else_is_written_stays_as_it_is() {
        let ours = OWN.replace("date", "x-request-id: 7\r\ndate");
        let longer = format!("{OWN}{OWN}");
        let done = OWN.replace("414 URI Too Long", "200 OK");
        for written in
            [ours.as_str(), &longer, &done, "HTTP/1.1 100 Continue\r\n\r\n", "{\"a\": 1}", "\r\n\r\n"]
        {
            for room in [7, 10_000] {
                assert_eq!(reads(written, room).await, written);
            }
        }
    }
}
