//! webserver3d: a concurrent server whose parent closes nothing and waits for nobody
//!
//! Wrong on purpose: the parent keeps its copy of every connection, and leaves every ended child a zombie.
//! Run: `cargo run -p part3 --bin webserver3d`, and in a second terminal `curl http://localhost:8888/hello`
//! See: curl has its answer and hangs; the count of kept connections grows; `ps -A | grep webserver3d` shows a zombie.
//! See: after `ulimit -n 256`, accept fails with EMFILE under `cargo run -p client -- --max-clients 300`.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::unistd::{ForkResult, fork};
use part3::child;
use part3::print;
use part3::{Defaults, Failure, Options, RESPONSE, accept, listen, print_request, read_request, run, stage, write_all};

fn main() -> ExitCode {
    run(stage!(), Defaults { backlog: 1024, sleep: None }, serve_forever)
}

fn serve_forever(options: &Options) -> Result<Infallible, Failure> {
    let listener = listen(options)?;
    let mut clients = Vec::new();

    loop {
        let connection = accept(&listener).map_err(Failure::of("accept"))?;
        // SAFETY: fork copies only the thread that calls it, and this program starts no other.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => child(|| {
                drop(listener); // the child's copy
                handle_request(&connection, options)
            }),
            Ok(ForkResult::Parent { .. }) => clients.push(connection), // dropped, it would be closed
            Err(errno) => return Err(Failure::call("fork", errno)),
        }
        print(clients.len());
    }
}

fn handle_request(connection: &OwnedFd, options: &Options) -> Result<(), Failure> {
    let request = read_request(connection, options)?;
    print_request(&request);
    write_all(connection, RESPONSE).map_err(Failure::of("write"))?;
    Ok(())
}
