//! An application written with warp, which is made of filters; `warp::service` makes a tower service of them.

use std::convert::Infallible;
use std::str::{FromStr, Utf8Error};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use tokio::time::sleep;
use warp::{Filter, Reply};

use crate::Application;
use crate::tower::Tower;

/// The application, for a server to call.
pub fn app() -> impl Application {
    let hello = warp::path!("hello").and(warp::get()).map(|| "Hello world from warp!\n");
    let hello_name = warp::path!("hello" / Name).and(warp::get()).map(|Name(name)| format!("Hello, {name}!\n"));
    let greet = warp::path!("greet").and(warp::post()).and(warp::body::form()).map(greet);
    let count = warp::path!("count").and(warp::get()).map(count);
    let nap = warp::path!("nap").and(warp::get()).then(nap);
    Tower::new(warp::service(hello.or(hello_name).or(greet).or(count).or(nap)))
}

/// A segment of the path, decoded, which warp leaves to its users.
struct Name(String);

impl FromStr for Name {
    type Err = Utf8Error;

    fn from_str(segment: &str) -> Result<Name, Utf8Error> {
        Ok(Name(percent_decode_str(segment).decode_utf8()?.into_owned()))
    }
}

#[derive(Deserialize)]
struct Greeting {
    name: String,
}

fn greet(greeting: Greeting) -> String {
    format!("Hello, {}!\n", greeting.name)
}

fn count() -> impl Reply {
    let numbers = stream::iter(1..=3).then(|number| async move {
        if number > 1 {
            sleep(Duration::from_millis(200)).await;
        }
        Ok::<_, Infallible>(format!("{number}\n"))
    });
    warp::reply::with_header(warp::reply::stream(numbers), "content-type", "text/plain; charset=utf-8")
}

async fn nap() -> &'static str {
    sleep(Duration::from_millis(50)).await;
    "Awake again!\n"
}
