//! The lock is lost, or whoever should end the command is: nobody of the command lives when another gets the lock.

use std::process::Stdio;
use std::time::{Duration, Instant};

use fairlock::AcquireOptions;
use fairlock_testcontainers::{Close, Direction, Proxy};
use rustix::process::{Pid, Signal, kill_process};

use super::bed::{PATIENCE, Started, contenders, mutex, run, run_on, server, unused_path};

/// A command that obeys no signal, with a child that does not either.
const STUBBORN: &str = "trap '' TERM INT HUP; (trap '' TERM INT HUP; while :; do sleep 0.05; done) & echo runs; \
                        while :; do sleep 0.05; done";

/// A command that obeys, with a child that does not.
const OBEDIENT_WITH_A_STUBBORN_CHILD: &str = "(trap '' TERM; while :; do sleep 0.02; done) & trap 'exit 0' TERM; \
                                              echo runs; while :; do sleep 0.02; done";

fn stubborn(address: &str, path: &str) -> Started {
    let mut started = Started::script(run_on(address, &["-v", path]), STUBBORN);
    started.expect_line("runs");
    started
}

/// Another contender on a link of its own, and when it was granted.
async fn next_grant(path: &str) -> tokio::task::JoinHandle<Instant> {
    let lock = mutex(path).await;
    let waiting = lock.clone();
    let granted = tokio::spawn(async move {
        let guard = waiting.acquire_with(AcquireOptions::default()).await.expect("it is granted");
        let at = Instant::now();
        guard.release().await.expect("held");
        at
    });
    contenders(&lock, 2).await;
    granted
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_from_the_servers_all_are_dead_before_another_is_granted() {
    let path = unused_path();
    let link = Proxy::start(server().address()).await.expect("a proxy");
    let mut started = stubborn(&link.address(), &path);
    let granted = next_grant(&path).await;
    link.swallow(Direction::Both);
    let (dead, _) = started.silence();
    let granted = granted.await.expect("no panic");
    assert!(dead < granted, "{:?} too late", dead.duration_since(granted));
    link.pass();
    assert_eq!(started.wait().code(), Some(75));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_obedient_command_has_its_grace_when_cut_off() {
    let path = unused_path();
    let link = Proxy::start(server().address()).await.expect("a proxy");
    let script = "trap 'echo asked; sleep 0.1; echo done; exit 0' TERM; echo runs; while :; do sleep 0.02; done";
    let mut started = Started::script(run_on(&link.address(), &["--session-timeout", "6", &path]), script);
    started.expect_line("runs");
    let granted = next_grant(&path).await;
    link.swallow(Direction::Both);
    started.expect_line("asked");
    started.expect_line("done");
    let (dead, _) = started.silence();
    assert!(dead < granted.await.expect("no panic"));
    link.pass();
    assert_eq!(started.wait().code(), Some(75), "although the command itself exited with 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn children_of_an_obedient_command_have_no_more_time_than_it() {
    let path = unused_path();
    let link = Proxy::start(server().address()).await.expect("a proxy");
    let script =
        "(trap '' TERM; while :; do sleep 0.02; done) & trap 'exit 0' TERM; echo runs; while :; do sleep 0.02; done";
    let mut started = Started::script(run_on(&link.address(), &[&path]), script);
    started.expect_line("runs");
    let granted = next_grant(&path).await;
    link.swallow(Direction::Both);
    let (dead, _) = started.silence();
    assert!(dead < granted.await.expect("no panic"));
    link.pass();
    assert_eq!(started.wait().code(), Some(75));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_interruption_is_not_noticed() {
    let path = unused_path();
    let link = Proxy::start(server().address()).await.expect("a proxy");
    let mut command =
        run_on(&link.address(), &["--session-timeout", "8", &path, "--", "sh", "-c", "echo runs; read line; exit 0"]);
    command.stdin(Stdio::piped());
    let mut started = Started::new(command);
    started.expect_line("runs");
    // Nobody comes back between the cut and the look.
    link.refuse(true);
    link.cut(Close::Rst);
    link.wait_for_connections(|open| open == 0).await;
    link.refuse(false);
    link.wait_for_connections(|open| open == 1).await;
    drop(started.child.stdin.take());
    assert_eq!(started.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_removed_by_an_operator_is_ended() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let mut started = stubborn(&server().address(), &path);
    let holder = contenders(&lock, 1).await;
    assert!(lock.break_contender(&holder[0]).await.expect("it is there"));
    started.silence();
    assert_eq!(started.wait().code(), Some(75));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_servers_end_ends_the_command() {
    let path = unused_path();
    let link = Proxy::start(server().address()).await.expect("a proxy");
    let mut started = stubborn(&link.address(), &path);
    link.end_session().await.expect("it can be ended");
    started.silence();
    assert_eq!(started.wait().code(), Some(75));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_program_does_not_keep_its_command_alive() {
    let path = unused_path();
    let mut started = stubborn(&server().address(), &path);
    let granted = next_grant(&path).await;
    started.signal(Signal::STOP);
    let (dead, _) = started.silence();
    let granted = granted.await.expect("no panic");
    assert!(dead < granted, "{:?} too late", dead.duration_since(granted));
    started.signal(Signal::CONT);
    assert_eq!(started.wait().code(), Some(75));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_program_takes_its_command_along() {
    let path = unused_path();
    // A session so long that nothing here waits for its end.
    let mut started = Started::script(run(&["--session-timeout", "100", &path]), STUBBORN);
    started.expect_line("runs");
    let killed = Instant::now();
    started.child.kill().expect("it runs");
    let (dead, _) = started.silence();
    assert!(dead - killed < PATIENCE, "{:?}", dead - killed);
}

/// The processes whose parent is this one, as Linux tells them.
fn children(parent: Pid) -> Vec<Pid> {
    let path = format!("/proc/{0}/task/{0}/children", parent.as_raw_nonzero());
    let text = std::fs::read_to_string(path).expect("the system tells children");
    text.split_whitespace().filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)).collect()
}

/// The second process of the program, and all its children.
#[cfg(target_os = "linux")]
fn watchdog_of(started: &Started) -> (Pid, usize) {
    let all = children(started.pid());
    let is_watchdog = |pid: &&Pid| {
        let words = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        words.contains("__watchdog")
    };
    (*all.iter().find(is_watchdog).expect("a watchdog"), all.len())
}

#[test]
#[cfg(target_os = "linux")]
fn a_command_dies_even_if_the_program_and_its_watchdog_are_killed_together() {
    let script = "trap '' TERM INT HUP; echo runs; while :; do read line; done";
    let mut command = run(&[&unused_path()]);
    // A shell without children, which nothing ends but death.
    command.stdin(std::fs::File::open("/dev/zero").expect("a device"));
    let mut started = Started::script(command, script);
    started.expect_line("runs");
    let (watchdog, count) = watchdog_of(&started);
    assert_eq!(count, 2, "the watchdog and the command");
    // Stopped first, so that it cannot act between the two.
    kill_process(watchdog, Signal::STOP).expect("it runs");
    started.child.kill().expect("it runs");
    kill_process(watchdog, Signal::KILL).expect("it runs");
    started.silence();
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_watchdog_that_stood_still_kills_nobody_when_it_goes_on() {
    let path = unused_path();
    let mut command = run(&[&path]);
    command.stdin(Stdio::piped());
    let mut started = Started::script(command, "echo runs; read line; echo alive");
    started.expect_line("runs");
    let (watchdog, _) = watchdog_of(&started);
    kill_process(watchdog, Signal::STOP).expect("it runs");
    // Longer than anything that it was told before; the session lasts two seconds.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    kill_process(watchdog, Signal::CONT).expect("it is there");
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(started.child.stdin.take());
    started.expect_line("alive");
    assert_eq!(started.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_watchdog_that_was_killed_is_replaced() {
    let path = unused_path();
    let mut started = stubborn(&server().address(), &path);
    let (first, _) = watchdog_of(&started);
    kill_process(first, Signal::KILL).expect("it runs");
    let begin = Instant::now();
    // The old one is a zombie until the new one is there.
    while children(started.pid()).contains(&first) {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let granted = next_grant(&path).await;
    started.signal(Signal::STOP);
    let (dead, _) = started.silence();
    assert!(dead < granted.await.expect("no panic"));
    started.signal(Signal::CONT);
    assert_eq!(started.wait().code(), Some(75));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_stay_in_the_background_does_not_stay_without_the_lock() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let mut started = Started::script(run(&["--leave-background", &path]), OBEDIENT_WITH_A_STUBBORN_CHILD);
    started.expect_line("runs");
    assert!(lock.break_contender(&contenders(&lock, 1).await[0]).await.expect("it is there"));
    started.silence();
    assert_eq!(started.wait().code(), Some(75));
}

/// The system cuts a name after fifteen bytes, also in the middle of a character.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_whose_name_is_no_text_is_ended_like_others() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let folder = std::env::temp_dir().join(format!("fairlock-name-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a writable folder");
    let child = folder.join("12345678901234\u{fc}");
    std::os::unix::fs::symlink("/bin/sh", &child).expect("a writable folder");
    let script = format!(
        "'{}' -c 'trap \"\" TERM; echo runs; while :; do sleep 0.02; done' & trap 'exit 0' TERM; while :; do sleep 0.02; done",
        child.display()
    );
    let mut started = Started::script(run(&[&path]), &script);
    started.expect_line("runs");
    assert!(lock.break_contender(&contenders(&lock, 1).await[0]).await.expect("it is there"));
    started.silence();
    assert_eq!(started.wait().code(), Some(75));
    std::fs::remove_dir_all(&folder).expect("it is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_hold_ends_command_and_children() {
    let path = unused_path();
    let begin = Instant::now();
    let mut started = Started::script(run(&["--max-hold", "1.5", "--grace", "0.3", &path]), STUBBORN);
    started.expect_line("runs");
    let (dead, _) = started.silence();
    assert!(dead - begin >= Duration::from_millis(1_300), "{:?}", dead - begin);
    assert_eq!(started.wait().code(), Some(75));
    let lock = mutex(&path).await;
    lock.try_acquire().await.expect("an answer").expect("given back").release().await.expect("held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_release_is_told_and_obeyed_only_if_that_was_wanted() {
    use fairlock::recipes::ReleaseAnswer;
    let path = unused_path();
    let lock = mutex(&path).await;
    let script = "trap 'echo asked; exit 0' TERM; echo runs; while :; do sleep 0.02; done";

    let mut started = Started::new({
        let mut command = run(&[&path, "--", "sh", "-c", script]);
        command.stderr(Stdio::piped());
        command
    });
    started.expect_line("runs");
    let request = lock.request_release("a deployment").await.expect("an answer").expect("it is held");
    let ReleaseAnswer::Acknowledged(note) = request.answered().await.expect("an answer") else {
        panic!("it goes on");
    };
    assert!(note.contains("goes on"), "{note}");
    started.signal(Signal::TERM);
    started.expect_line("asked");
    assert_eq!(started.wait().code(), Some(0));
    let mut told = String::new();
    std::io::Read::read_to_string(&mut started.child.stderr.take().expect("a pipe"), &mut told).expect("readable");
    assert!(told.contains("asks for the lock: a deployment"), "{told}");

    let mut started = Started::new(run(&["--yield-on-request", &path, "--", "sh", "-c", script]));
    started.expect_line("runs");
    let request = lock.request_release("").await.expect("an answer").expect("it is held");
    started.expect_line("asked");
    request.released().await.expect("it is released");
    assert_eq!(started.wait().code(), Some(75));
}
