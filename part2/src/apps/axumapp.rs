//! An application written with axum, which is made of tower services: its `Router` is one.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Form, Path};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{Router, get, post};
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;
use tokio::time::sleep;

use crate::Application;
use crate::tower::Tower;

/// The application, for a server to call.
pub fn app() -> impl Application {
    let router = Router::new()
        .route("/hello", get(hello))
        .route("/hello/{name}", get(hello_name))
        .route("/greet", post(greet))
        .route("/count", get(count))
        .route("/nap", get(nap));
    Tower::new(router)
}

async fn hello() -> &'static str {
    "Hello world from axum!\n"
}

async fn hello_name(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}

#[derive(Deserialize)]
struct Greeting {
    name: String,
}

async fn greet(Form(greeting): Form<Greeting>) -> String {
    format!("Hello, {}!\n", greeting.name)
}

async fn count() -> impl IntoResponse {
    let numbers = stream::iter(1..=3).then(|number| async move {
        if number > 1 {
            sleep(Duration::from_millis(200)).await;
        }
        Ok::<_, Infallible>(format!("{number}\n"))
    });
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(numbers))
}

async fn nap() -> &'static str {
    sleep(Duration::from_millis(50)).await;
    "Awake again!\n"
}
