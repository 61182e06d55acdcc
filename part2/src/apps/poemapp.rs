//! An application written with poem, which is made of endpoints. They are not tower services, but very nearly.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use poem::http::uri::Scheme;
use poem::web::{Form, LocalAddr, Path, RemoteAddr};
use poem::{Body, Endpoint, Request, RequestParts, Response, Route, get, handler, post};
use serde::Deserialize;
use tokio::time::sleep;
use tower::{Service, service_fn};

use crate::Application;
use crate::tower::{RequestBody, Tower};

/// The application, for a server to call.
pub fn app() -> impl Application {
    let route = Route::new()
        .at("/hello", get(hello))
        .at("/hello/:name", get(hello_name))
        .at("/greet", post(greet))
        .at("/count", get(count))
        .at("/nap", get(nap));
    Tower::new(service(route))
}

/// A response as the http crate has it, with the one type of body that poem has.
type HttpResponse = http::Response<BoxBody<Bytes, io::Error>>;

/// Makes a tower service of an endpoint. poem's requests and responses are made of the same parts as those of the http
/// crate; only the body of a request has to be boxed.
fn service(
    endpoint: impl Endpoint + 'static,
) -> impl Service<http::Request<RequestBody>, Response = HttpResponse, Error = Infallible> + Clone {
    let endpoint = Arc::new(endpoint);
    service_fn(move |request: http::Request<RequestBody>| {
        let endpoint = endpoint.clone();
        async move {
            let (head, body) = request.into_parts();
            let head = RequestParts::from((head, LocalAddr::default(), RemoteAddr::default(), Scheme::HTTP));
            let request = Request::from_parts(head, body.boxed().into());
            Ok(endpoint.get_response(request).await.into())
        }
    })
}

#[handler]
fn hello() -> &'static str {
    "Hello world from poem!\n"
}

#[handler]
fn hello_name(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}

#[derive(Deserialize)]
struct Greeting {
    name: String,
}

#[handler]
fn greet(Form(greeting): Form<Greeting>) -> String {
    format!("Hello, {}!\n", greeting.name)
}

#[handler]
fn count() -> Response {
    let numbers = stream::iter(1..=3).then(|number| async move {
        if number > 1 {
            sleep(Duration::from_millis(200)).await;
        }
        Ok::<_, io::Error>(format!("{number}\n"))
    });
    Response::builder().content_type("text/plain; charset=utf-8").body(Body::from_bytes_stream(numbers))
}

#[handler]
async fn nap() -> &'static str {
    sleep(Duration::from_millis(50)).await;
    "Awake again!\n"
}
