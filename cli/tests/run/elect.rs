//! `fairlock elect`: the command runs while its candidate leads.

use std::process::{Command, Stdio};

use fairlock_testcontainers::Proxy;
use rustix::process::Signal;

use super::bed::{Started, contenders, fairlock, finish, locks, mutex, server, unused_path};

fn elect(args: &[&str]) -> Command {
    elect_on(&server().address(), args)
}

fn elect_on(address: &str, args: &[&str]) -> Command {
    let mut command = fairlock(["elect", "--servers", address, "--session-timeout", "2"]);
    command.args(args);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_candidate_runs_its_command_when_the_leaders_ends() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let mut first = elect(&["--payload", "http://one", &path, "--", "sh", "-c", "echo one; read line; exit 4"]);
    first.stdin(Stdio::piped());
    let mut first = Started::new(first);
    first.expect_line("one");
    let leader = locks().await.election(&path).expect("a good path").leader().await.expect("an answer");
    assert_eq!(leader.expect("somebody leads").payload(), b"http://one");
    let mut second = Started::new(elect(&[&path, "-c", "echo two $FAIRLOCK_LOCK"]));
    contenders(&lock, 2).await;
    drop(first.child.stdin.take());
    assert_eq!(first.wait().code(), Some(4), "the command's own code");
    second.expect_line(&format!("two {path}"));
    assert_eq!(second.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_leadership_ends_the_command_and_a_new_one_starts_it_again() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let script = "trap 'echo ended; exit 0' TERM; echo leads $FAIRLOCK_TOKEN; while :; do sleep 0.02; done";
    let mut started = Started::new(elect(&[&path, "--", "sh", "-c", script]));
    let token = |line: String| -> i64 { line.strip_prefix("leads ").expect("it leads").parse().expect("a token") };
    let first = token(started.line());
    assert!(lock.break_contender(&contenders(&lock, 1).await[0]).await.expect("it is there"));
    started.expect_line("ended");
    let second = token(started.line());
    assert!(second > first);
    // Whoever is asked for the leadership gives it up, and stands again behind the others.
    let request = lock.request_release("").await.expect("an answer").expect("it leads");
    started.expect_line("ended");
    request.released().await.expect("it is released");
    assert!(token(started.line()) > second);
    started.signal(Signal::TERM);
    started.expect_line("ended");
    assert_eq!(started.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_is_followed_by_another_candidacy() {
    let path = unused_path();
    let link = Proxy::start(server().address()).await.expect("a proxy");
    let script = "trap '' TERM; echo leads; while :; do sleep 0.02; done";
    let mut started = Started::new(elect_on(&link.address(), &[&path, "--", "sh", "-c", script]));
    started.expect_line("leads");
    link.end_session().await.expect("it can be ended");
    started.expect_line("leads");
    started.signal(Signal::KILL);
    started.silence();
}

#[tokio::test(flavor = "multi_thread")]
async fn once_is_once() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let mut started = Started::new(elect(&["--once", &path, "--", "sh", "-c", "echo leads; exec sleep 1000"]));
    started.expect_line("leads");
    assert!(lock.break_contender(&contenders(&lock, 1).await[0]).await.expect("it is there"));
    started.silence();
    assert_eq!(started.wait().code(), Some(75));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_is_told_to_end_leaves_at_once() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let _guard = lock.acquire().await.expect("free");
    let mut started = Started::new(elect(&[&path, "--", "echo", "ran"]));
    contenders(&lock, 2).await;
    started.signal(Signal::TERM);
    assert_eq!(started.wait().code(), Some(143));
    assert_eq!(started.silence().1, "");
    assert_eq!(lock.contenders().await.expect("a listing").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_for_a_command_does_not_end_a_candidate_that_runs_none() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let guard = lock.acquire().await.expect("free");
    let mut started = Started::new(elect(&[&path, "--", "echo", "ran"]));
    contenders(&lock, 2).await;
    started.signal(Signal::USR1);
    guard.release().await.expect("held");
    started.expect_line("ran");
    assert_eq!(started.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_end_while_losing_its_leadership_does_not_stand_again() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let script = "trap 'echo asked' TERM; echo leads; while :; do sleep 0.02; done";
    let mut started = Started::new(elect(&["--session-timeout", "20", &path, "--", "sh", "-c", script]));
    started.expect_line("leads");
    assert!(lock.break_contender(&contenders(&lock, 1).await[0]).await.expect("it is there"));
    started.expect_line("asked");
    started.signal(Signal::TERM);
    started.expect_line("asked");
    started.silence();
    assert_eq!(started.wait().code(), Some(143));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_outlasts_servers_that_are_away() {
    let path = unused_path();
    let link = Proxy::start(server().address()).await.expect("a proxy");
    let script = "trap '' TERM; echo leads; while :; do sleep 0.02; done";
    let args = ["--connect-timeout", "0.5", &path, "--", "sh", "-c", script];
    let mut command = elect_on(&link.address(), &args);
    command.stderr(Stdio::piped());
    let mut started = Started::new(command);
    started.expect_line("leads");
    link.refuse(true);
    link.end_session().await.expect("it can be ended");
    let mut told = std::io::BufReader::new(started.child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    // Until an attempt has failed for good.
    while !line.contains("no session with") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut told, &mut line).expect("readable"), 0);
    }
    link.refuse(false);
    started.expect_line("leads");
    started.signal(Signal::KILL);
    started.silence();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_are_told_as_they_change() {
    let path = unused_path();
    let locks = locks().await;
    let election = locks.election(&path).expect("a good path");
    let mut text = Started::new(elect(&["--listen", &path]));
    let mut json = Started::new(elect(&["-l", "--json", &path]));
    text.expect_line("nobody leads");
    json.expect_line("{\"leader\":null}");
    let leadership = election.campaign("on \u{1b}[31mport\n80").await.expect("free");
    let line = text.line();
    assert!(
        line.contains(&format!("{} leads, fencing token {}", locks.identity(), leadership.fencing_token())),
        "{line}"
    );
    assert!(!line.contains('\u{1b}'), "{line:?}");
    let document: serde_json::Value = serde_json::from_str(&json.line()).expect("one object");
    assert_eq!(document["leader"]["token"], leadership.fencing_token().as_i64());
    assert_eq!(document["leader"]["payload"], "on \u{1b}[31mport\n80");
    assert_eq!(document["leader"]["identity"]["owner"], locks.identity().owner());
    leadership.resign().await.expect("it leads");
    text.expect_line("nobody leads");
    json.expect_line("{\"leader\":null}");
    text.signal(Signal::INT);
    assert_eq!(text.wait().code(), Some(130));
    // A reader that has gone is no error.
    drop(json);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for (args, words) in [
        (&["/a"][..], "which command?"),
        (&["--listen", "/a", "--", "true"], "cannot be used with"),
        (&["--json", "/a", "--", "true"], "cannot be used with"),
        (&["--json", "/a"], "--listen"),
        (&["a", "--", "true"], "invalid lock path"),
    ] {
        let told = finish(elect(args)).expect(64);
        assert!(told.stderr.contains(words), "{args:?}: {told:?}");
    }
}
