//! The parts of a request: path segments, headers, body; and their faults, gathered.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use service_core::{ServiceId, ValueError, VersionSetName};

use crate::error::Failure;
use crate::invalid::{Invalid, kind};

/// The largest body.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A segment of a path, counted from 0 and decoded; `None` if it is no UTF-8.
///
/// Wherever the router is nested, it sees the path without the prefix.
fn segment(path: &str, index: usize) -> Option<String> {
    let segment = path.split('/').nth(index + 1).unwrap_or_default();
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}

/// The organization in `/v1/{organization}/…`; what is no UTF-8 is shown as well as can be.
pub(crate) fn organization_segment(path: &str) -> String {
    let segment = path.split('/').nth(2).unwrap_or_default();
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

/// The service in `/v1/{organization}/service/{service_id}/…`.
pub(crate) fn service_id(path: &str) -> Result<ServiceId, Invalid> {
    parsed(segment(path, 3), "service_id")
}

/// The version set in `/v1/{organization}/service/{service_id}/version_sets/{version_set_name}/`, stripped.
pub(crate) fn version_set_name(path: &str) -> Result<VersionSetName, Invalid> {
    parsed(segment(path, 5), "version_set_name")
}

fn parsed<T: std::str::FromStr<Err = ValueError>>(segment: Option<String>, name: &str) -> Result<T, Invalid> {
    let at_fault = |message: &str, kind| Invalid::at(["path", name], message, kind);
    let segment = segment.ok_or_else(|| at_fault("must be percent-encoded UTF-8", kind::ENCODING_INVALID))?;
    segment.parse().map_err(|error: ValueError| at_fault(error.rule(), kind::VALUE_ERROR))
}

/// A body and the headers that describe it, decoded.
///
/// The outer error is of a body that cannot be looked at; the inner one is for [`Invalid::both`].
pub(crate) async fn decoded<T>(
    headers: &HeaderMap,
    body: Body,
    decode: impl FnOnce(&[u8]) -> Result<T, Invalid>,
) -> Result<Result<T, Invalid>, Failure> {
    let bytes = read(headers, body).await?;
    Ok(is_json(headers).and(bytes).and_then(|bytes| decode(&bytes)))
}

/// Older clients send no content type; one that says something other than JSON is a mistake.
fn is_json(headers: &HeaderMap) -> Result<(), Invalid> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let json = match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) => value.to_str().is_ok_and(names_json),
        (Some(_), Some(_)) => false,
    };
    let message = "must be `application/json`";
    if json { Ok(()) } else { Err(Invalid::at(["header", "content-type"], message, kind::VALUE_ERROR)) }
}

fn names_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// The whole body; never holds more of it than a body can have.
async fn read(headers: &HeaderMap, body: Body) -> Result<Result<Bytes, Invalid>, Failure> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(Failure::PayloadTooLarge);
    }
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(Ok(collected.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::PayloadTooLarge),
        Err(_) => Ok(Err(Invalid::at(["body"], "could not be read to its end", kind::ENCODING_INVALID))),
    }
}
