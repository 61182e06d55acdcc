//! Each stage does what it teaches, the wrong ones included, and in exactly that way.

mod common;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

use client::check::{self, Subject};
use client::kernel::processes::{self, Children};
use client::probe::Probe;
use client::server::{Limit, PATIENCE, Server, limit, pid};
use client::wait;
use common::{
    DESCRIPTORS_AT_REST, FORKING, LASTING, NONE, RESPONSE, SIMPLE, STAGES, application, assert_answers,
    assert_leaves_nothing, binary, blocked, command, ending, ignored, sleep, start, stress, the_child_of,
};
use nix::sys::signal::{Signal, kill};

#[test]
fn every_stage_is_what_is_claimed_of_it() {
    thread::scope(|scope| {
        for stage in STAGES {
            scope.spawn(|| {
                let sleep = sleep(stage, "1");
                let mut words: Vec<OsString> = vec![binary(stage).into()];
                let options = [application(stage), &["--port", "{port}"], &sleep].concat();
                words.extend(options.into_iter().map(Into::into));
                let subject = Subject::started_by(words);
                let sleeps = !sleep.is_empty();
                check::assert_is(stage, &if sleeps { subject.that_sleeps(Duration::from_secs(1)) } else { subject });
            });
        }
    });
}

#[test]
fn every_stage_serves_and_says_so_first() {
    for stage in STAGES {
        let server = start(stage, &sleep(stage, "0"));
        let first = server.output().lines().next().unwrap_or_default().to_owned();
        let server_name = if SIMPLE.contains(&stage) { "" } else { "WSGIServer: " };
        assert_eq!(first, format!("{server_name}Serving HTTP on port {} ...", server.port()), "{stage}");
        assert_answers(&server);
    }
}

#[test]
fn every_simple_stage_gives_the_same_answer() {
    for stage in SIMPLE {
        let server = start(stage, &sleep(stage, "0"));
        let mut client = Probe::request(server.port()).unwrap();
        client.read_to(b"Hello, World!\n").unwrap();
        assert_eq!(client.received(), RESPONSE, "{stage}");
    }
}

#[test]
fn every_simple_stage_prints_the_request() {
    for stage in SIMPLE {
        let server = start(stage, &sleep(stage, "1"));
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n\x1b[2Jname=b").unwrap();
        client.read_to(RESPONSE).unwrap();
        let printed = "POST /form HTTP/1.1\nHost: a\nContent-Length: 10\n\n\\u{1b}[2Jname=b\n";
        assert!(server.says(printed), "{stage}: {}", server.output());
    }
}

// ---------------------------------------------------------------- 3a, 3b: iterative

#[test]
fn webserver3a_gets_through_with_many_clients_one_by_one() {
    let mut server = start("webserver3a", &["--backlog", "64"]);
    let client = stress(&server, &["--max-clients", "32"]);
    assert!(client.status.success(), "{client:?}");
    assert_eq!(server.children().unwrap(), NONE, "it should do everything itself");
    assert_eq!(server.all_output().matches("GET /hello HTTP/1.1\n").count(), 32);
}

#[test]
#[cfg(target_os = "linux")] // other systems count the queue in ways of their own
fn the_backlog_says_how_many_connections_may_wait() {
    // Linux lets one more wait than it was told.
    for (backlog, waiting) in [("1", 2), ("64", 3)] {
        let server = start("webserver3a", &["--backlog", backlog, "--timeout", "600"]);
        assert_eq!(server.connections_that_may_wait(3).unwrap(), waiting, "--backlog {backlog}");
    }
}

// ---------------------------------------------------------------- 3c: fork

#[test]
fn webserver3c_tells_who_is_whose_parent() {
    let server = start("webserver3c", &["--sleep", "600"]);
    assert!(server.says(&format!("Parent PID (PPID): {}\n", server.id())));
    for _ in 0..3 {
        assert_answers(&server);
    }
    let said = wait::until(PATIENCE, || Some(child_ids(&server)).filter(|ids| ids.len() == 3));
    let mut said = said.unwrap_or_else(|| panic!("not a child for each client: {}", server.output()));
    let mut children = processes::alive_children(server.id()).unwrap();
    said.sort_unstable();
    children.sort_unstable();
    assert_eq!(said, children);
}

// ---------------------------------------------------------------- 3d: copies stay open

#[test]
fn webserver3d_tells_how_many_connections_it_keeps_until_it_ends() {
    let server = start("webserver3d", &[]);
    let mut clients: Vec<Probe> = (0..3).map(|_| Probe::request(server.port()).unwrap()).collect();
    for client in &mut clients {
        client.read_to(RESPONSE).unwrap();
    }
    for count in 1..=3 {
        assert!(server.says(&format!("\n{count}\n")), "{}", server.output());
    }
    // What ends a client's wait in the end is the end of the server: then its copies are closed too.
    drop(server);
    for client in &mut clients {
        assert_eq!(client.read_to_end().unwrap(), RESPONSE);
    }
}

#[test]
fn webserver3d_dies_of_emfile_when_its_descriptors_have_run_out() {
    let mut command = command("webserver3d", &[]);
    let mut server = Server::start(limit(&mut command, Limit::Descriptors, 256)).unwrap();
    let client = stress(&server, &["--max-clients", "300"]);

    let status = server.end().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_last_words(&server, "accept: EMFILE: Too many open files", "09-keep-copies-open", "webserver3e");
    let kept = server.output().lines().filter_map(|line| line.parse::<usize>().ok()).max();
    assert_eq!(kept, Some(256 - DESCRIPTORS_AT_REST));
    assert_eq!(client.status.code(), Some(1), "{client:?}");
}

// ---------------------------------------------------------------- 3e: a handler, and EINTR

#[test]
fn webserver3e_reaps_its_child_and_dies_of_eintr() {
    let mut server = start("webserver3e", &["--sleep", "1"]);
    let mut client = Probe::request(server.port()).unwrap();
    assert_eq!(client.read_to_end().unwrap(), RESPONSE);

    let status = server.end().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_last_words(&server, "accept: EINTR: Interrupted system call", "10-wait-in-a-handler", "webserver3f");
    let output = server.output();
    let reaped = output.lines().find(|line| line.starts_with("Child ")).unwrap_or_default();
    assert!(reaped.ends_with(" terminated with status 0"), "{output}");
}

// ---------------------------------------------------------------- 3g, 3h: running out

#[test]
fn the_last_stages_have_nothing_to_complain_of_when_many_children_end_together() {
    for stage in LASTING {
        let mut server = start(stage, &[]);
        let client = stress(&server, &["--max-clients", "128"]);
        assert!(client.status.success(), "{stage}: {client:?}");
        assert_leaves_nothing(&mut server);
        assert_eq!(server.all_errors(), "", "{stage}");
    }
}

#[test]
fn the_last_stages_survive_emfile_and_report_it_once() {
    for stage in LASTING {
        // Room for the standard three and the listener, and not one more: every accept fails.
        let mut command = command(stage, &[]);
        let mut server = Server::start(limit(&mut command, Limit::Descriptors, 4)).unwrap();
        let mut client = Probe::request(server.port()).unwrap();
        assert!(client.is_silent_for(Duration::from_secs(1)).unwrap(), "the client should wait in the queue");
        assert!(server.ended().unwrap().is_none(), "{}", server.errors());
        let errors = server.all_errors();
        let reported = format!("{stage}: accept: EMFILE: Too many open files: connections wait");
        assert!(errors.starts_with(&reported), "{errors}");
        assert_eq!(errors.lines().count(), 1, "ten failures, one line: {errors}");
    }
}

#[test]
fn every_stage_before_3g_dies_of_emfile() {
    for stage in ["webserver3a", "webserver3b", "webserver3c", "webserver3e", "webserver3f"] {
        let mut command = command(stage, &[]);
        let mut server = Server::start(limit(&mut command, Limit::Descriptors, 4)).unwrap();
        // Linux looks for a free descriptor before it looks for a connection; elsewhere a client has to come first.
        let _client = Probe::request(server.port());
        assert_eq!(server.end().unwrap().code(), Some(1), "{stage}");
        // It is not this stage's own doing, so it has no story to point to.
        assert_eq!(server.errors(), format!("{stage}: accept: EMFILE: Too many open files\n"));
    }
}

// ---------------------------------------------------------------- 3h: an application for each

#[test]
fn webserver3h_prints_request_and_response_unless_it_is_to_be_quiet() {
    for (options, printed) in [(&[][..], true), (&["--quiet"][..], false)] {
        let mut server = start("webserver3h", options);
        let mut client = Probe::request(server.port()).unwrap();
        client.read_to_end().unwrap();
        assert_leaves_nothing(&mut server); // the child prints the response when the client has it
        let output = server.all_output();
        for line in ["\n< GET /hello HTTP/1.1\n", "\n> HTTP/1.1 200 OK\n"] {
            assert_eq!(output.contains(line), printed, "{options:?}: {output}");
        }
    }
}

// ---------------------------------------------------------------- signals

#[test]
fn ctrl_c_stops_every_stage_and_its_children() {
    for stage in STAGES {
        let mut server = start(stage, &[]);
        let group = server.id();
        let _client = Probe::connect(server.port()).unwrap(); // keeps a child waiting, or the server
        if stage > "webserver3b" {
            wait::until(PATIENCE, || (server.children().ok()?.alive == 1).then_some(())).unwrap();
        }
        server.signal_group(Signal::SIGINT).unwrap();
        assert_eq!(server.end().unwrap().signal(), Some(Signal::SIGINT as i32), "{stage}");
        let gone = wait::until(PATIENCE, || processes::alive_in_group(group).ok()?.is_empty().then_some(()));
        assert!(gone.is_some(), "{stage} left processes behind");
        assert_eq!(server.errors(), "", "{stage}");
    }
}

#[test]
fn after_sigterm_a_child_at_work_finishes_its_answer() {
    for stage in FORKING {
        let mut server = start(stage, &sleep(stage, "0"));
        let mut client = Probe::connect(server.port()).unwrap();
        client.send(b"GET /slow HTTP/1.1\r\n").unwrap();
        wait::until(PATIENCE, || (server.children().ok()?.alive == 1).then_some(())).unwrap();
        server.signal(Signal::SIGTERM).unwrap();
        let status = wait::until(PATIENCE, || server.ended().unwrap()).unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGTERM as i32), "{stage}");
        let refused = wait::until(PATIENCE, || Probe::connect(server.port()).err());
        assert!(refused.is_some(), "{stage}: the child keeps its copy of the listener");
        client.send(b"Host: a\r\n\r\n").unwrap();
        assert!(client.read_to_end().unwrap().ends_with(ending(&server)), "{stage}");
    }
}

#[test]
fn a_signal_in_the_middle_of_a_request_does_no_harm() {
    // The child has inherited the handler, so that the signal interrupts whatever it waits in.
    for stage in LASTING {
        let server = start(stage, &["--timeout", "600"]);
        let mut client = Probe::connect(server.port()).unwrap();
        let child = the_child_of(&server);
        for _ in 0..5 {
            kill(pid(child), Signal::SIGCHLD).unwrap();
        }
        client.send(client::probe::REQUEST).unwrap();
        assert!(client.read_to_end().unwrap().ends_with(ending(&server)), "{stage}");
    }
}

#[test]
fn a_child_that_is_killed_harms_nobody_else() {
    for stage in LASTING {
        let mut server = start(stage, &["--timeout", "600"]);
        let mut client = Probe::connect(server.port()).unwrap();
        let child = the_child_of(&server);
        let mut neighbour = Probe::connect(server.port()).unwrap();
        kill(pid(child), Signal::SIGKILL).unwrap();
        assert_eq!(client.read_to_end().unwrap(), b"", "{stage}");
        neighbour.send(client::probe::REQUEST).unwrap();
        assert!(neighbour.read_to_end().unwrap().ends_with(ending(&server)), "{stage}");
        assert_answers(&server);
        assert_leaves_nothing(&mut server);
        assert_eq!(server.all_errors(), "", "{stage}");
    }
}

#[test]
fn a_stage_that_was_started_with_sigchld_ignored_or_blocked_is_not_misled() {
    for start_with in [ignored, blocked] {
        let server = start_with(&command("webserver3d", &[]));
        let mut client = Probe::request(server.port()).unwrap();
        client.read_to(RESPONSE).unwrap();
        assert_eq!(server.children_at_rest(), Some(Children { alive: 0, zombies: 1 }), "3d waits for no child");

        for stage in LASTING {
            let mut server = start_with(&command(stage, &[]));
            assert_answers(&server);
            assert_leaves_nothing(&mut server);
        }
    }
}

#[test]
fn a_child_that_is_only_stopped_is_not_waited_for() {
    // If its stop had the handler called, 3f would wait there until the child ends.
    let server = start("webserver3f", &["--timeout", "600"]);
    let mut stopped = Probe::connect(server.port()).unwrap();
    let child = the_child_of(&server);
    kill(pid(child), Signal::SIGSTOP).unwrap();
    assert_answers(&server);
    kill(pid(child), Signal::SIGCONT).unwrap();
    stopped.send(client::probe::REQUEST).unwrap();
    assert_eq!(stopped.read_to_end().unwrap(), RESPONSE);
}

#[test]
fn ctrl_z_and_fg_do_no_harm() {
    for stage in STAGES {
        let server = start(stage, &sleep(stage, "600"));
        let mut client = Probe::connect(server.port()).unwrap();
        server.stop_and_continue().unwrap();
        client.send(client::probe::REQUEST).unwrap();
        client.read_to(ending(&server)).unwrap_or_else(|error| panic!("{stage}: {error}; {}", server.errors()));
        assert_eq!(server.errors(), "", "{stage}");
    }
}

// ---------------------------------------------------------------- what these tests share

/// The ids in `Child PID: N. Parent PID M`, where M must be the server's.
fn child_ids(server: &Server) -> Vec<u32> {
    let parent = format!(". Parent PID {}", server.id());
    let output = server.output();
    let ids = output.lines().filter_map(|line| line.strip_prefix("Child PID: ")?.strip_suffix(&parent));
    ids.map(|id| id.parse().unwrap()).collect()
}

/// Asserts that a server's last line names the failed call, where it is explained, and which stage solves it.
fn assert_last_words(server: &Server, failure: &str, explained: &str, solved: &str) {
    let errors = server.errors();
    let last = errors.lines().last().unwrap_or_default();
    assert!(last.contains(&format!(": {failure} (")), "{errors}");
    assert!(last.contains(&format!("see docs/chapters/{explained}.md; {solved} solves it")), "{errors}");
}
