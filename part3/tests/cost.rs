//! What `cargo bench -p part3` measures with. It takes all children of this process for the server's, so there is just
//! one test here.

mod common;

use client::cost::{Cost, Load, adopt_orphans, measure};
use client::probe::REQUEST;
use client::server::port_in;
use common::{RESPONSE, command, sleep};

fn cost(stage: &str, load: &Load) -> std::io::Result<Cost> {
    let options = [&["--backlog", "1024"][..], &sleep(stage, "0")].concat();
    measure(&mut command(stage, &options), port_in, load)
}

#[test]
fn children_are_counted_also_those_that_nobody_waits_for_and_a_wrong_answer_is_an_error() {
    adopt_orphans().unwrap();
    let load = Load { requests: 200, clients: 4, request: REQUEST, ending: RESPONSE };
    let [alone, forks, reaps] = ["webserver3a", "webserver3c", "webserver3g"].map(|stage| {
        let cost = cost(stage, &load).unwrap();
        assert_eq!(cost.requests, 200);
        cost.microseconds_per_request()
    });
    // A child costs several times as much as an answer, and whether it is waited for makes next to no difference.
    assert!(alone > 0.0 && forks > 2.0 * alone && reaps > 2.0 * alone, "{alone} {forks} {reaps}");
    if cfg!(target_os = "linux") {
        assert!(forks > 0.6 * reaps, "{alone} {forks} {reaps}");
    }

    let other = Load { ending: b"Hello, Moon!\n", ..load };
    assert!(cost("webserver3a", &other).unwrap_err().to_string().contains("Hello, World!"));
}
