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
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh", PROGRAM, "run", "--servers", &server().address(), &path])
        .args(["--", "sh", "-c", "echo ready; read line; echo survived"])
        .stdin(std::process::Stdio::piped());
    let mut started = Started::new(command);
    started.expect_line("ready");
    started.signal(Signal::HUP);
    drop(started.child.stdin.take());
    started.expect_line("survived");
    assert_eq!(started.wait().code(), Some(0));
}
