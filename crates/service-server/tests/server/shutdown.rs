//! How the server ends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::process::{PATIENCE, Place, Server, body, token};

#[tokio::test]
async fn what_is_in_flight_is_answered_before_the_end() {
    let place = Place::new();
    place.apply_catalog();
    let mut server = Server::start(&["--store", &place.store()]);
    let body = body("In flight").to_string();
    let (first, second) = body.split_at(10);
    let mut connection = TcpStream::connect(server.address()).expect("connected");
    connection.set_read_timeout(Some(PATIENCE)).expect("set");
    let token = token();
    let head = format!(
        "POST /v1/acme/service/ HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).expect("sent");
    // The server asks for the body: the request has reached it and is in flight.
    let mut answer = [0; 25];
    connection.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer[..12], b"HTTP/1.1 100");
    connection.write_all(first.as_bytes()).expect("sent");

    server.signal("TERM");
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(server.address()).is_ok() {
        assert!(Instant::now() < deadline, "the server accepts no more");
    }
    connection.write_all(second.as_bytes()).expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.ended().code(), Some(0));

    let server = Server::start(&["--store", &place.store()]);
    assert_eq!(server.names().await, ["In flight"]);
    server.stop();
}

#[tokio::test]
async fn connections_on_which_nothing_happens_do_not_hold_up_the_end() {
    let mut server = Server::start(&["--store", "memory:"]);
    let silent = TcpStream::connect(server.address()).expect("connected");
    let mut half = TcpStream::connect(server.address()).expect("connected");
    half.write_all(b"GET /healthz HTTP/1.1\r\nhos").expect("sent");
    let mut idle = TcpStream::connect(server.address()).expect("connected");
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    idle.read_exact(&mut [0; 12]).expect("an answer");
    let begun = Instant::now();
    server.signal("INT");
    assert_eq!(server.ended().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    drop((silent, half, idle));
}
