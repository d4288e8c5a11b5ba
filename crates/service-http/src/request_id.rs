//! The id that each answer carries.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use service_core::Environment;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_BYTES: usize = 128;

/// The client's id for its request, if it is one that can be repeated and logged safely; else a new one.
pub(crate) fn request_id(headers: &HeaderMap, environment: &dyn Environment) -> HeaderValue {
    of_client(headers).cloned().unwrap_or_else(|| new(environment))
}

fn of_client(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut values = headers.get_all(X_REQUEST_ID).iter();
    let (Some(id), None) = (values.next(), values.next()) else { return None };
    let visible = id.as_bytes().iter().all(u8::is_ascii_graphic);
    ((1..=MAX_BYTES).contains(&id.len()) && visible).then_some(id)
}

fn new(environment: &dyn Environment) -> HeaderValue {
    let mut bytes = [0; 16];
    let (first, second) = bytes.split_at_mut(8);
    first.copy_from_slice(&environment.entropy());
    second.copy_from_slice(&environment.entropy());
    let id = format!("{:032x}", u128::from_be_bytes(bytes));
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unknown"))
}
