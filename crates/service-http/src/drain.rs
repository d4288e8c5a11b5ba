//! Takes in what a handler leaves of a body.
//!
//! Many requests are answered before their body was read to its end: one too many, of nobody known, too large. A server that
//! closes a connection with bytes still coming resets it, and clients that are busy sending see the reset, not the answer. So
//! the rest is read and thrown away before the answer is sent, as far as that is bearable.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// How much is thrown away. Who sends more than that may be cut off.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// How long the rest may take to come.
const MOST_TIME: Duration = Duration::from_secs(5);

/// The place to which a body returns when its handler drops it.
#[derive(Debug, Default)]
pub(crate) struct Rest(Arc<Mutex<Option<Body>>>);

impl Rest {
    /// Has the body of a request returned here.
    pub(crate) fn of(request: &mut Request) -> Self {
        let rest = Self::default();
        // A client that waits to be asked for its body sends none when it is not.
        if !request.body().is_end_stream() && !request.headers().contains_key(EXPECT) {
            let body = std::mem::take(request.body_mut());
            *request.body_mut() = Body::new(Lent { body, back: Arc::clone(&rest.0) });
        }
        rest
    }

    /// Throws away what has not been read.
    pub(crate) async fn discard(self) {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = rest.filter(|body| body.size_hint().lower() <= MOST_BYTES) else { return };
        let to_the_end = async {
            let mut discarded = 0;
            while discarded <= MOST_BYTES
                && let Some(Ok(frame)) = body.frame().await
            {
                discarded += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
        };
        // Whether all of it came or not, the answer is the same.
        let _ = tokio::time::timeout(MOST_TIME, to_the_end).await;
    }
}

/// A body that goes back when it is dropped.
struct Lent {
    body: Body,
    back: Arc<Mutex<Option<Body>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            let body = std::mem::take(&mut self.body);
            *self.back.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
