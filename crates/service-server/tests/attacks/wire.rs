//! Bytes on a connection, and the answers that come back: what no client library would send.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;

use crate::process::PATIENCE;

/// An answer, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body, which must be JSON and say so.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of an error that has all that an error has.
    #[track_caller]
    pub(crate) fn error_code(&self) -> String {
        assert!(self.header("x-request-id").is_some_and(|id| !id.is_empty()), "{self:?}");
        let body = self.json();
        assert!(body["detail"].is_string() || body["detail"].is_array(), "{self:?}");
        body["error_code"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

/// Sends bytes on a connection of their own and reads to its end. The server is to end it: the last request says `connection: close`, or
/// is one that nothing can follow.
pub(crate) fn exchange(address: &str, bytes: &[u8]) -> Vec<Answer> {
    let mut connection = connect(address);
    // A server that has refused may have closed by now.
    let _ = connection.write_all(bytes);
    answers(connection)
}

/// Like [`exchange`], but nothing more can come after the bytes.
pub(crate) fn exchange_half(address: &str, bytes: &[u8]) -> Vec<Answer> {
    let mut connection = connect(address);
    connection.write_all(bytes).expect("sent");
    connection.shutdown(Shutdown::Write).expect("shut down");
    answers(connection)
}

fn connect(address: &str) -> TcpStream {
    let connection = TcpStream::connect(address).expect("connected");
    connection.set_read_timeout(Some(PATIENCE)).expect("set");
    connection.set_write_timeout(Some(PATIENCE)).expect("set");
    connection
}

fn answers(mut connection: TcpStream) -> Vec<Answer> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 64 * 1024];
    loop {
        match connection.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
            // It closed with something unread, which is what it is to do with what it does not understand.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
    let mut rest = bytes.as_slice();
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(rest)));
        let head = std::str::from_utf8(&rest[..end]).expect("a head in ASCII");
        rest = &rest[end + 4..];
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok());
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?} in {head}"));
            (name.to_ascii_lowercase(), value.to_owned())
        });
        let mut answer =
            Answer { status: status.expect("a status"), headers: headers.collect(), body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        answer.body = rest[..length].to_vec();
        rest = &rest[length..];
        if answer.status != 100 {
            answers.push(answer);
        }
    }
    answers
}

/// The statuses of answers.
pub(crate) fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}
