use std::cell::RefCell;

use super::*;

/// A server is any program that does not end by itself.
fn start(script: &str) -> Supervised {
    let directory = tempfile::tempdir().unwrap();
    Supervised::start(directory, None, "KILL", &["/bin/sh", "-c", script]).unwrap()
}

#[test]
fn a_server_that_ends_at_once_says_why() {
    let mut server = start("echo it is too late to start >&2; exit 1");
    let error = server.wait_until(|_| false).unwrap_err();
    assert_eq!(error, "it is too late to start\n");
    assert!(!server.directory().exists());
}

#[test]
fn a_server_ends_with_the_value_and_its_directory_goes() {
    let mut server = start("echo > ready; exec cat /dev/zero > /dev/null");
    server.wait_until(|directory| directory.join("ready").exists()).unwrap();
    let directory = server.directory().to_owned();
    drop(server);
    assert!(!directory.exists());
}

#[test]
fn another_port_is_tried_when_somebody_took_the_first() {
    let ports = RefCell::new(Vec::new());
    let outcome = on_free_port(|port| {
        ports.borrow_mut().push(port);
        if ports.borrow().len() < 3 {
            Err("could not bind: Address already in use".to_owned())
        } else {
            Ok(port)
        }
    });
    assert_eq!(outcome, Ok(ports.borrow()[2]));
    assert!(on_free_port(|_| Err::<(), _>("out of memory".to_owned())).is_err());
}
