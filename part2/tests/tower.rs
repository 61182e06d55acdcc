//! What a tower service may do beside answering well: the adapter makes of it what the gateway does with any
//! application.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use client::probe::Probe;
use client::server::PATIENCE;
use client::wait;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use part2::make_server;
use part2::tower::{RequestBody, Tower};
use tower::{BoxError, service_fn};

/// A body of these frames, and the count of those that have been dropped.
struct Frames(Vec<Result<Frame<Bytes>, io::Error>>, Arc<AtomicU32>);

impl Drop for Frames {
    fn drop(&mut self) {
        // What cleans up may need the runtime: this panics outside of one.
        drop(tokio::spawn(async {}));
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(if self.0.is_empty() { None } else { Some(self.0.remove(0)) })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}

fn data(text: &'static str) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

/// Does what the path says.
async fn service(request: Request<RequestBody>, dropped: Arc<AtomicU32>) -> Result<Response<Frames>, BoxError> {
    let path = request.uri().path().to_owned();
    let mut response = Response::builder();
    let mut frames = vec![data("fine")];
    match path.as_str() {
        "/fails" => return Err("on purpose".into()),
        "/panics" => panic!("on purpose"),
        "/spawns" => frames = vec![data(tokio::task::spawn_blocking(|| "from a thread").await?)],
        "/breaks-off" => frames.push(Err(io::Error::other("on purpose"))),
        "/fails-at-once" => frames = vec![Err(io::Error::other("on purpose"))],
        "/trailers" => frames = vec![data(""), data("fine"), Ok(Frame::trailers(http::HeaderMap::new()))],
        "/hop-by-hop" => response = response.header("Connection", "keep-alive").header("Transfer-Encoding", "chunked"),
        "/cookies" => response = response.header("Set-Cookie", "a=1").header("Set-Cookie", "b=2"),
        "/unheard-of" => response = response.status(299),
        "/length" => response = response.header("Content-Length", "2"),
        "/early" => response = response.status(103),
        "/reads" => {
            let mut body = pin!(request.into_body());
            let mut length = 0;
            while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
                length += frame?.into_data().map_or(0, |data| data.len());
            }
            assert!(body.is_end_stream());
            response = response.header("X-Length", length);
        }
        "/large" => frames = (0..2000).map(|_| Ok(Frame::data(Bytes::from(vec![b'x'; 50_000])))).collect(),
        _ => {}
    }
    Ok(response.body(Frames(frames, dropped))?)
}

/// The port of a server in a thread of this test, which lasts as long as the test does.
fn start() -> u16 {
    start_counting(&Arc::default())
}

/// The same, which counts the bodies that have been dropped.
fn start_counting(dropped: &Arc<AtomicU32>) -> u16 {
    let (send_port, port) = mpsc::channel();
    let dropped = Arc::clone(dropped);
    thread::spawn(move || {
        let service = service_fn(|request| service(request, Arc::clone(&dropped)));
        let server = make_server(("127.0.0.1", 0), Tower::new(service)).unwrap();
        send_port.send(server.gateway.port()).unwrap();
        server.serve_forever()
    });
    port.recv().unwrap()
}

/// What the server answers.
fn ask(port: u16, request: &str) -> String {
    let mut client = Probe::connect(port).unwrap();
    client.send(request.as_bytes()).unwrap();
    if request.ends_with("cut off") {
        client.finish_sending().unwrap();
    }
    String::from_utf8(client.read_to_end().unwrap().to_vec()).unwrap()
}

fn get(port: u16, path: &str) -> String {
    ask(port, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
}

#[test]
fn a_service_that_fails_costs_its_client_a_500_and_nobody_else_anything() {
    let port = start();
    for path in ["/fails", "/panics", "/fails-at-once", "/early"] {
        let answer = get(port, path);
        assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{path}: {answer}");
        assert!(!answer.contains("on purpose"), "{path}: {answer}");
        assert!(get(port, "/").ends_with("4\r\nfine\r\n0\r\n\r\n"));
    }
}

#[test]
fn a_service_may_use_the_runtime() {
    assert!(get(start(), "/spawns").contains("\r\nfrom a thread\r\n"));
}

#[test]
fn a_body_that_fails_is_cut_off() {
    let answer = get(start(), "/breaks-off");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n4\r\nfine\r\n"), "{answer}");
}

#[test]
fn frames_that_hold_no_data_are_left_out() {
    let answer = get(start(), "/trailers");
    assert!(answer.ends_with("\r\n\r\n4\r\nfine\r\n0\r\n\r\n"), "{answer}");
}

#[test]
fn what_a_service_says_about_the_connection_is_left_out() {
    let answer = get(start(), "/hop-by-hop").to_lowercase();
    assert!(answer.starts_with("http/1.1 200 ok\r\n") && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(!answer.contains("keep-alive") && answer.matches("transfer-encoding").count() == 1, "{answer}");
}

#[test]
fn headers_and_statuses_are_kept_as_they_are() {
    let port = start();
    let answer = get(port, "/cookies").to_lowercase();
    assert!(answer.contains("\r\nset-cookie: a=1\r\n") && answer.contains("\r\nset-cookie: b=2\r\n"), "{answer}");
    assert!(get(port, "/unheard-of").starts_with("HTTP/1.1 299 "));
    assert!(get(port, "/length").ends_with("\r\n\r\nfi"), "no more is sent than Content-Length says");
}

#[test]
fn a_service_reads_the_body_to_its_end_and_no_further() {
    let port = start();
    let long = "x".repeat(100_000);
    for (fields, length) in [
        ("\r\n", 0),
        ("Content-Length: 3\r\n\r\nabc", 3),
        (&*format!("Content-Length: 100000\r\n\r\n{long}"), 100_000),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 3),
    ] {
        let answer = ask(port, &format!("POST /reads HTTP/1.1\r\nHost: a\r\n{fields}"));
        assert!(answer.contains(&format!("\r\nx-length: {length}\r\n")), "{answer}");
    }
    let answer = ask(port, "POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\ncut off");
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
}

#[test]
fn a_target_that_the_http_crate_cannot_express_is_a_bad_request() {
    let answer = get(start(), "/a<b");
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("invalid uri character"), "{answer}");
}

#[test]
fn a_body_is_dropped_inside_the_runtime_whatever_happens() {
    let dropped = Arc::new(AtomicU32::new(0));
    let port = start_counting(&dropped);
    let come_to = |count: u32| wait::until(PATIENCE, || (dropped.load(Ordering::SeqCst) == count).then_some(()));
    for (path, count) in ["/", "/breaks-off", "/fails-at-once", "/early"].iter().zip(1..) {
        get(port, path);
        assert!(come_to(count).is_some(), "{path}");
    }
    let mut client = Probe::connect(port).unwrap();
    client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(!client.is_silent_for(Duration::from_secs(10)).unwrap());
    drop(client);
    assert!(come_to(5).is_some(), "a client that goes away");
    assert!(get(port, "/").starts_with("HTTP/1.1 200 OK\r\n"));
}
