//! What the command gets: its words, its input, its environment; and what it leaves behind.

use std::io::Write as _;
use std::process::Stdio;

use super::bed::{PROGRAM, Started, finish, mutex, run, server, unused_path};

#[test]
fn words_are_passed_as_they_are() {
    let words = ["a  b", "", "*", "$HOME", "-n", "--", "ü"];
    let path = unused_path();
    let mut args = vec![path.as_str(), "--", "printf", "[%s]"];
    args.extend(words);
    let told = finish(run(&args)).expect(0);
    assert_eq!(told.stdout, "[a  b][][*][$HOME][-n][--][ü]");
    // As in flock: the command may come without the dashes, and its options are its own.
    let told = finish(run(&[&path, "printf", "%s", "-n"])).expect(0);
    assert_eq!(told.stdout, "-n");
}

#[test]
fn a_string_goes_to_the_shell() {
    let path = unused_path();
    let mut command = run(&[&path, "-c", "echo one | tr a-z A-Z; exit 3"]);
    command.env_remove("SHELL");
    let told = finish(command).expect(3);
    assert_eq!(told.stdout, "ONE\n");
    let mut command = run(&["-c", "anything", &path]);
    command.env("SHELL", "/bin/echo");
    assert_eq!(finish(command).expect(0).stdout, "-c anything\n");
}

#[test]
fn standard_input_is_the_commands() {
    let mut command = run(&[&unused_path(), "--", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program can be run");
    child.stdin.take().expect("a pipe").write_all(b"from outside").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"from outside"[..]));
}

/// The variables that begin with the prefix.
fn variables(printed: &str) -> Vec<(String, String)> {
    let known = ["FAIRLOCK_LOCK", "FAIRLOCK_TOKEN", "FAIRLOCK_OWNER", "FAIRLOCK_DEADLINE"];
    let lines = printed.lines().filter_map(|line| line.split_once('='));
    let mut found: Vec<_> =
        lines.filter(|(name, _)| known.contains(name)).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    found.sort();
    found
}

#[test]
fn the_environment_tells_lock_token_owner_and_deadline() {
    let path = unused_path();
    let before = std::time::SystemTime::now();
    let told = finish(run(&["--max-hold", "60", "--identity", "me", &path, "--", "env"])).expect(0);
    let [(_, deadline), (_, lock), (_, owner), (_, token)] = &variables(&told.stdout)[..] else {
        panic!("{told:?}");
    };
    assert_eq!(lock, &path);
    assert!(owner.starts_with("me@"), "{owner}");
    let first: i64 = token.parse().expect("a number");
    let deadline: f64 = deadline.parse().expect("seconds since 1970");
    let from_now = deadline - before.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    assert!((59.0..90.0).contains(&from_now), "{from_now}");

    let told = finish(run(&[&path, "--", "env"])).expect(0);
    let [_, (name, owner), (_, token)] = &variables(&told.stdout)[..] else { panic!("{told:?}") };
    assert_eq!(name, "FAIRLOCK_OWNER", "without a limit there is no deadline");
    assert!(owner.starts_with("env@"), "called like the command: {owner}");
    assert!(token.parse::<i64>().expect("a number") > first, "tokens only rise");
}

#[test]
fn nested_locks_show_the_values_of_the_inner_one() {
    let (outer, inner) = (unused_path(), unused_path());
    let address = server().address();
    let nested = [PROGRAM, "run", "--servers", &address, &inner, "--", "env"];
    let mut args = vec!["--max-hold", "60", outer.as_str(), "--", "sh", "-c", "env; \"$@\"", "sh"];
    args.extend(nested);
    let told = finish(run(&args)).expect(0);
    let at = told.stdout.find(&format!("FAIRLOCK_LOCK={inner}")).expect("the inner one ran");
    let (first, second) = told.stdout.split_at(told.stdout[..at].rfind("FAIRLOCK_LOCK=").expect("the outer one") + 1);
    let outer_values = variables(first.rsplit_once('\n').map_or("", |(lines, _)| lines));
    assert!(outer_values.len() >= 2 && told.stdout.contains(&format!("FAIRLOCK_LOCK={outer}")));
    // The deadline of the outer lock is not that of the inner one, which has none.
    assert_eq!(told.stdout.matches("FAIRLOCK_DEADLINE=").count(), 1, "{second}");
    assert_eq!(told.stdout.matches("FAIRLOCK_TOKEN=").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_is_held_exactly_while_the_command_runs() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let mut command = run(&[&path, "--", "sh", "-c", "echo runs; read line; echo $line"]);
    command.stdin(Stdio::piped());
    let mut started = Started::new(command);
    started.expect_line("runs");
    assert!(lock.try_acquire().await.expect("an answer").is_none());
    started.child.stdin.take().expect("a pipe").write_all(b"go on\n").expect("it reads");
    started.expect_line("go on");
    assert_eq!(started.wait().code(), Some(0));
    let guard = lock.try_acquire().await.expect("an answer").expect("released when the program has ended");
    guard.release().await.expect("held");
}

#[test]
fn processes_that_the_command_leaves_behind_are_ended_before_the_lock_is_released() {
    let script = "trap 'exit 0' USR1; (trap '' TERM; echo left; kill -USR1 $$; while :; do sleep 0.05; done) & \
                  while :; do sleep 0.01; done";
    let mut started = Started::new(run(&[&unused_path(), "--", "sh", "-c", script]));
    started.expect_line("left");
    started.silence();
    assert_eq!(started.wait().code(), Some(0));
}

#[test]
fn processes_left_behind_on_purpose_live_on() {
    let script = "sleep 1000 & echo $!";
    let mut started = Started::new(run(&["--leave-background", &unused_path(), "--", "sh", "-c", script]));
    let pid = started.line().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    assert_eq!(started.wait().code(), Some(0));
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it lives on");
    started.silence();
}

#[tokio::test(flavor = "multi_thread")]
async fn verbose_tells_what_happens_and_silence_is_the_default() {
    let path = unused_path();
    let told = finish(run(&["-v", &path, "--", "true"])).expect(0);
    for words in [
        "connected in",
        "granted after",
        "fencing token",
        "the command exited with 0",
        "released in",
        "session closed in",
    ] {
        assert!(told.stderr.contains(words), "{words}: {told:?}");
    }
    assert!(told.stderr.lines().all(|line| line.starts_with("fairlock: ")) && told.stdout.is_empty());
}
