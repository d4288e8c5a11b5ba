//! Requests that servers read differently: whatever is hidden in one must not become another.

use crate::process::Server;
use crate::wire::{Answer, exchange, exchange_half, statuses};
use crate::world::{Kind, World, service, token};

/// What is smuggled: it would create a service.
fn smuggled(bearer: &str) -> String {
    create(bearer, "Smuggled", "")
}

/// A create; `extra` are more lines of its head.
fn create(bearer: &str, name: &str, extra: &str) -> String {
    let body = service(name).to_string();
    format!("{}content-length: {}\r\n{extra}\r\n{body}", head(bearer), body.len())
}

/// The head of a create, without what says how long its body is.
fn head(bearer: &str) -> String {
    format!(
        "POST /v1/acme/service/ HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {bearer}\r\ncontent-type: application/json\r\n"
    )
}

const LAST: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

struct Attack {
    world: World,
    bearer: String,
}

impl Attack {
    async fn new() -> Self {
        let world = World::with(Kind::Memory, &[]).await;
        Self { world, bearer: token("acme", "alice") }
    }

    fn server(&self) -> &Server {
        &self.world.server
    }

    /// Sends bytes, the smuggled request and a last one, and checks what is answered.
    #[track_caller]
    fn answered(&self, why: &str, bytes: &str, expected: &[u16]) -> Vec<Answer> {
        let answers = exchange(self.server().address(), format!("{bytes}{LAST}").as_bytes());
        assert_eq!(statuses(&answers), expected, "{why}: {answers:?}");
        for answer in &answers {
            assert!(answer.header("x-request-id").is_some(), "{why}: {answer:?}");
            if answer.status >= 400 {
                answer.error_code();
            }
        }
        answers
    }

    /// The names of the services there are.
    async fn names(&self) -> Vec<String> {
        let services = self.world.services("acme").await;
        let services = services["services"].as_array().expect("services");
        services.iter().map(|service| service["name"].as_str().expect("a name").to_owned()).collect()
    }
}

#[tokio::test]
async fn requests_that_say_how_long_they_are_follow_each_other() {
    let attack = Attack::new().await;
    let (bearer, body) = (&attack.bearer, service("Chunked").to_string());
    let plain = create(bearer, "Plain", "");
    attack.answered("a length", &plain, &[201, 200]);
    let with_chunks = format!("{}transfer-encoding: chunked\r\n\r\n{}", head(bearer), chunked(&body));
    attack.answered("chunks", &with_chunks, &[201, 200]);
    let three = [create(bearer, "1", ""), create(bearer, "2", ""), create(bearer, "3", "")].concat();
    attack.answered("one after another", &three, &[201, 201, 201, 200]);
    let twice =
        create(bearer, "Twice", &format!("content-length: {}\r\n", service("Twice").to_string().len()));
    attack.answered("one length, twice", &twice, &[201, 200]);
    let extended = format!(
        "{}transfer-encoding: chunked\r\n\r\n{:x};a=b\r\n{body}\r\n0\r\n\r\n",
        head(bearer),
        body.len()
    );
    attack.answered("an extension of a chunk", &extended, &[201, 200]);
    assert_eq!(attack.names().await.len(), 7);
    attack.world.end();
}

#[tokio::test]
async fn a_body_is_never_a_request() {
    let attack = Attack::new().await;
    let smuggled = smuggled(&attack.bearer);
    let list =
        format!("GET /v1/acme/service/ HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n", attack.bearer);
    let length = format!("content-length: {}\r\n\r\n{smuggled}", smuggled.len());
    attack.answered("of a listing", &format!("{list}{length}"), &[200, 200]);
    let chunks = format!("transfer-encoding: chunked\r\n\r\n{}", chunked(&smuggled));
    attack.answered("of a listing, in chunks", &format!("{list}{chunks}"), &[200, 200]);
    let nobody = format!("POST /v1/acme/service/ HTTP/1.1\r\nhost: x\r\n{length}");
    attack.answered("of a request that is refused", &nobody, &[401, 200]);
    let nowhere = format!("POST /nowhere HTTP/1.1\r\nhost: x\r\n{length}");
    attack.answered("of a request to nowhere", &nowhere, &[404, 200]);
    let large = format!(
        "{}content-length: 2000000\r\n\r\n{}",
        head(&attack.bearer),
        " ".repeat(2_000_000 - smuggled.len())
    );
    attack.answered("of a request that is too large", &format!("{large}{smuggled}"), &[413, 200]);
    assert_eq!(attack.names().await, [""; 0]);
    attack.world.end();
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused_or_ends_the_connection() {
    let attack = Attack::new().await;
    let (bearer, smuggled) = (attack.bearer.as_str(), smuggled(&attack.bearer));
    let body = service("Read").to_string();
    let length = body.len();
    let chunks = chunked(&body);
    let post = |extra: &str, body: &str| format!("{}{extra}\r\n{body}{smuggled}", head(bearer));

    // A length beside chunks: the chunks count, and nothing after them.
    for extra in [
        "content-length: 6\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 6\r\n",
    ] {
        let answers = attack.answered(extra, &post(extra, &chunks), &[201]);
        assert_eq!(answers[0].header("connection"), Some("close"), "{answers:?}");
    }

    let lengths = [
        format!("content-length: {length}\r\ncontent-length: 5\r\n"),
        format!("content-length: {length}, 5\r\n"),
        format!("content-length: {length}, {length}\r\n"),
        format!("content-length: +{length}\r\n"),
        format!("content-length: -{length}\r\n"),
        format!("content-length: 0x{length:x}\r\n"),
        format!("content-length: {length} 0\r\n"),
        format!("content-length : {length}\r\n"),
        format!("content-length: \r\n {length}\r\n"),
        "content-length: \r\n".to_owned(),
        "content-length: 1e2\r\n".to_owned(),
        "content-length: 99999999999999999999999\r\n".to_owned(),
    ];
    for extra in &lengths {
        attack.answered(extra, &post(extra, &body), &[400]);
    }
    let codings = [
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: identity, chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked;q=1\r\n",
        "transfer-encoding: \"chunked\"\r\n",
        "transfer-encoding: \x0bchunked\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding:\r\n chunked\r\n",
        "transfer-encoding: \r\n",
        " transfer-encoding: chunked\r\n",
    ];
    for extra in codings {
        attack.answered(extra, &post(extra, &chunks), &[400]);
    }
    let names = attack.names().await;
    assert!(names == ["Read", "Read"], "{names:?}");
    attack.world.end();
}

#[tokio::test]
async fn chunks_that_are_ill_formed_are_refused_and_nothing_after_them_is_read() {
    let attack = Attack::new().await;
    let (bearer, smuggled) = (attack.bearer.as_str(), smuggled(&attack.bearer));
    let body = service("Chunked").to_string();
    let length = body.len();
    let ill_formed = [
        format!("0x{length:x}\r\n{body}\r\n0\r\n\r\n"),
        format!("-{length:x}\r\n{body}\r\n0\r\n\r\n"),
        format!("+{length:x}\r\n{body}\r\n0\r\n\r\n"),
        format!("{length:x}\n{body}\n0\n\n"),
        format!("{length:x}\r\n{body}XX0\r\n\r\n"),
        format!("{:x}\r\n{body}\r\n0\r\n\r\n", length - 1),
        format!("{:x}\r\n{body}\r\n0\r\n\r\n", length + 1),
        format!("fffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
        format!("{length:x};{}\r\n{body}\r\n0\r\n\r\n", "e".repeat(100_000)),
        format!("\r\n{body}\r\n0\r\n\r\n"),
        format!("g\r\n{body}\r\n0\r\n\r\n"),
    ];
    for chunks in &ill_formed {
        let bytes = format!("{}transfer-encoding: chunked\r\n\r\n{chunks}{smuggled}", head(bearer));
        let shown = &chunks[..chunks.len().min(40)];
        let answers = attack.answered(shown, &bytes, &[422]);
        assert_eq!(answers[0].json()["detail"][0]["loc"][0], "body", "{answers:?}");
    }
    for cut in [
        format!("{}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{}", head(bearer), &body[..9]),
        format!("{}content-length: {}\r\n\r\n{body}", head(bearer), length + 1),
    ] {
        let answers = exchange_half(attack.server().address(), cut.as_bytes());
        assert_eq!(statuses(&answers), [422], "{answers:?}");
    }
    let trailers = format!(
        "{}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\nauthorization: Bearer x\r\nx-org-id: rival\r\n\r\n",
        head(bearer)
    );
    attack.answered("trailers are no headers", &trailers, &[201, 200]);
    assert_eq!(attack.names().await, ["Chunked"]);
    attack.world.end();
}

#[tokio::test]
async fn what_is_no_request_of_http_1_is_refused_as_everything_is() {
    let attack = Attack::new().await;
    let authorization = format!("authorization: Bearer {}\r\n", attack.bearer);
    let get = |line: &str, headers: &str| format!("{line}\r\n{headers}{authorization}\r\n");
    let list = "GET /v1/acme/service/ HTTP/1.1";
    let many: String = (0..120).map(|number| format!("x-{number}: y\r\n")).collect();
    let refused = [
        (get(list, ""), 400),
        (get(list, "host: x\r\nhost: x\r\n"), 400),
        (get(list, "host: x\r\nhost: y\r\n"), 400),
        (get(list, "host: x\r\nx-a: b\r\n c\r\n"), 400),
        (get(list, "host: x\r\nx-a: b\rx-org-id: rival\r\n"), 400),
        (get(list, "host: x\r\nx-a: b\0c\r\n"), 400),
        (get(list, "host: x\r\n: b\r\n"), 400),
        (get(list, "host: x\r\nno colon\r\n"), 400),
        (get(list, "host: x\r\nx org: b\r\n"), 400),
        (get("GET /v1/acme/service/ HTTP/2.0", "host: x\r\n"), 400),
        (get("GET /v1/acme/service/ HTTP/1.2", "host: x\r\n"), 400),
        (get("GET /v1/acme/service/", "host: x\r\n"), 400),
        (get("GET\t/v1/acme/service/\tHTTP/1.1", "host: x\r\n"), 400),
        (get("GET /v1/a b/service/ HTTP/1.1", "host: x\r\n"), 400),
        (get("GET /v1/a\0b/service/ HTTP/1.1", "host: x\r\n"), 400),
        (get("GET /v1/\u{e9}\u{7f}/service/ HTTP/1.1", "host: x\r\n"), 400),
        (get("G@T /v1/acme/service/ HTTP/1.1", "host: x\r\n"), 400),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n".to_owned(), 400),
        (get(&format!("GET /{} HTTP/1.1", "a".repeat(70_000)), "host: x\r\n"), 414),
        (get(list, &format!("host: x\r\n{many}")), 431),
        (get(list, &format!("host: x\r\nx-a: {}\r\n", "a".repeat(1_000_000))), 431),
    ];
    for (bytes, status) in &refused {
        let shown: String = bytes.chars().take(60).collect();
        let answers = attack.answered(&shown, bytes, &[*status]);
        assert_eq!(answers[0].header("connection"), Some("close"), "{shown}");
    }
    let preface = exchange(attack.server().address(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(preface.iter().all(|answer| answer.status == 400), "{preface:?}");
    for (line, status) in [
        ("GET /v1/acme/service/../../../etc/passwd HTTP/1.1", 404),
        ("GET /docs/..%2f..%2fetc%2fpasswd HTTP/1.1", 404),
        ("GET http://rival.example/v1/acme/service/ HTTP/1.1", 200),
        ("CONNECT rival.example:443 HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
    ] {
        attack.answered(line, &get(line, "host: x\r\n"), &[status, 200]);
    }
    attack.world.end();
}
