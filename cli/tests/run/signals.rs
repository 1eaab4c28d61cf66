//! Signals: passed on while the command runs, obeyed at once while it is waited for.

use std::process::Command;

use rustix::process::Signal;

use super::bed::{PROGRAM, Started, contenders, mutex, run, server, unused_path};

const FORWARDED: [(&str, Signal); 6] = [
    ("INT", Signal::INT),
    ("TERM", Signal::TERM),
    ("HUP", Signal::HUP),
    ("QUIT", Signal::QUIT),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
];

#[test]
fn each_signal_reaches_the_command_and_its_children() {
    for (name, signal) in FORWARDED {
        // The shell obeys when its child has ended, and the child only if it is told itself.
        let child = format!("trap \"echo child; exit\" {name}; echo ready; while :; do sleep 0.02; done");
        let script = format!("trap 'echo parent; exit 5' {name}; sh -c '{child}'; :");
        let mut started = Started::new(run(&[&unused_path(), "--", "sh", "-c", &script]));
        started.expect_line("ready");
        started.signal(signal);
        started.expect_line("child");
        started.expect_line("parent");
        assert_eq!(started.wait().code(), Some(5), "{name}");
    }
}

#[test]
fn a_command_that_does_not_handle_a_signal_dies_of_it() {
    for (_, signal) in FORWARDED {
        let mut started = Started::new(run(&[&unused_path(), "--", "sh", "-c", "echo ready; exec sleep 1000"]));
        started.expect_line("ready");
        started.signal(signal);
        assert_eq!(started.wait().code(), Some(128 + signal.as_raw()));
    }
}

#[test]
fn a_command_may_take_its_time_to_obey() {
    let script = "trap 'echo asked' TERM; echo ready; read line; echo $line";
    let mut command = run(&[&unused_path(), "--", "sh", "-c", script]);
    command.stdin(std::process::Stdio::piped());
    let mut started = Started::new(command);
    started.expect_line("ready");
    started.signal(Signal::TERM);
    started.expect_line("asked");
    // It is not killed for it: who sends signals knows what is to happen.
    drop(started.child.stdin.take());
    started.silence();
    assert_eq!(started.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_waiting_leaves_the_queue_at_once() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let _guard = lock.acquire().await.expect("free");
    for (_, signal) in FORWARDED {
        let mut waiter = Started::new(run(&[&path, "--", "echo", "ran"]));
        contenders(&lock, 2).await;
        waiter.signal(signal);
        assert_eq!(waiter.wait().code(), Some(128 + signal.as_raw()));
        assert_eq!(waiter.silence().1, "");
        assert_eq!(lock.contenders().await.expect("a listing").len(), 1, "gone when the program is");
    }
}

#[test]
fn a_signal_while_connecting_ends_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let mut started = Started::new(super::bed::run_on(&address, &["/a", "--", "true"]));
    let (_connection, _) = listener.accept().expect("it connects");
    started.signal(Signal::TERM);
    assert_eq!(started.wait().code(), Some(143));
}

#[test]
fn a_hangup_that_is_ignored_on_purpose_stays_ignored() {
    let path = unused_path();
    crate::dispositions::ignore_none();
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh", PROGRAM, "run", "--servers", &server().address(), &path])
        .args(["--", "sh", "-c", "echo ready; read line; echo survived"])
        .stdin(std::process::Stdio::piped());
    let mut started = Started::new(command);
    started.expect_line("ready");
    started.signal(Signal::HUP);
    // Long enough for it to be passed on, if it were.
    std::thread::sleep(std::time::Duration::from_millis(100));
    drop(started.child.stdin.take());
    started.expect_line("survived");
    assert_eq!(started.wait().code(), Some(0));
}

/// As a batch system pauses a job and lets it go on.
#[test]
fn who_stops_and_continues_the_program_does_so_with_the_command() {
    let mut command =
        run(&["--session-timeout", "60", &unused_path(), "--", "sh", "-c", "echo ready; read line; echo on"]);
    command.stdin(std::process::Stdio::piped());
    let mut started = Started::new(command);
    started.expect_line("ready");
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", started.pid().as_raw_nonzero())).expect("it runs");
        stat.rsplit(')').next().expect("a line").split_whitespace().next().expect("a state").to_owned()
    };
    started.signal(Signal::TSTP);
    let begin = std::time::Instant::now();
    while state() != "T" {
        assert!(begin.elapsed() < super::bed::PATIENCE);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    started.signal(Signal::CONT);
    drop(started.child.stdin.take());
    started.expect_line("on");
    assert_eq!(started.wait().code(), Some(0));
}

#[test]
fn the_command_may_be_stopped_for_output() {
    let told =
        super::bed::finish(run(&[&unused_path(), "--", "grep", "-E", "^SigBlk:", "/proc/self/status"])).expect(0);
    assert_eq!(told.stdout, "SigBlk:\t0000000000000000\n", "nothing is blocked that was not before");
}
