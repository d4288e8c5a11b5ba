//! Refuses requests that two servers may read differently: where one ends, and whom it is for.
//!
//! A proxy in front that reads such a request otherwise than this server does could be made to let through what it should not.
//! What hyper refuses by itself is not looked at again: lengths that differ, a coding that does not end in `chunked`, lines that are
//! folded. A length beside `chunked` does not count and ends the connection.

use axum::extract::Request;
use axum::http::header::{HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, Version};
use axum::middleware::Next;
use axum::response::Response;
use service_http::{Unreadable, unreadable};
use system_environment::SystemEnvironment;

/// Lets through a request that can be read in one way.
pub(crate) async fn unambiguous(request: Request, next: Next) -> Response {
    if is_unambiguous(request.version(), request.headers()) {
        next.run(request).await
    } else {
        unreadable(Unreadable::Malformed, request.headers(), &SystemEnvironment)
    }
}

fn is_unambiguous(version: Version, headers: &HeaderMap) -> bool {
    // RFC 9112, 3.2: exactly one, but for requests older than it.
    let hosts = headers.get_all(HOST).iter().count();
    let names_one_host = hosts == 1 || (hosts == 0 && version < Version::HTTP_11);
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_plain = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    names_one_host && is_plain
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn reads(version: Version, headers: &[(HeaderName, &'static str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        is_unambiguous(version, &map)
    }

    #[test]
    fn a_request_names_one_host() {
        assert!(reads(Version::HTTP_11, &[(HOST, "a")]));
        assert!(!reads(Version::HTTP_11, &[]));
        assert!(!reads(Version::HTTP_11, &[(HOST, "a"), (HOST, "a")]));
        assert!(reads(Version::HTTP_10, &[]));
        assert!(!reads(Version::HTTP_10, &[(HOST, "a"), (HOST, "b")]));
    }

    #[test]
    fn a_body_is_chunked_and_nothing_else() {
        let reads = |codings: &[&'static str]| {
            let codings = codings.iter().map(|coding| (TRANSFER_ENCODING, *coding));
            reads(Version::HTTP_11, &std::iter::once((HOST, "a")).chain(codings).collect::<Vec<_>>())
        };
        assert!(reads(&["chunked"]) && reads(&["Chunked "]));
        for codings in [&["gzip, chunked"] as &[_], &["chunked, chunked"], &["identity", "chunked"], &[""]] {
            assert!(!reads(codings), "{codings:?}");
        }
    }
}
