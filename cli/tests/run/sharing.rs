//! Several programs at once: readers, permits, and a queue of many.

use std::io::Write as _;
use std::process::Stdio;

use fairlock_testcontainers::Proxy;

use super::bed::{Started, contenders, finish, mutex, run, run_on, server, unused_path};

/// A command that runs until its input ends.
fn until_told(args: &[&str]) -> Started {
    let mut command = run(args);
    command.args(["--", "sh", "-c", "echo runs; read line"]).stdin(Stdio::piped());
    Started::new(command)
}

fn tell(started: &mut Started) {
    started.child.stdin.take().expect("a pipe").write_all(b"\n").expect("it reads");
    assert_eq!(started.wait().code(), Some(0));
}

#[test]
fn readers_share_and_a_writer_waits() {
    let path = unused_path();
    let mut first = until_told(&["--shared", &path]);
    let mut second = until_told(&["-s", &path]);
    first.expect_line("runs");
    second.expect_line("runs");
    finish(run(&["-n", "-x", &path, "--", "true"])).expect(1);
    finish(run(&["-n", "-s", &path, "--", "true"])).expect(0);
    tell(&mut first);
    finish(run(&["-n", &path, "--", "true"])).expect(1);
    tell(&mut second);
    finish(run(&["-n", &path, "--", "true"])).expect(0);
}

#[test]
fn permits_let_so_many_in() {
    let path = unused_path();
    let mut first = until_told(&["--permits", "2", &path]);
    let mut second = until_told(&["--permits", "2", &path]);
    first.expect_line("runs");
    second.expect_line("runs");
    finish(run(&["--permits", "2", "-n", &path, "--", "true"])).expect(1);
    tell(&mut first);
    finish(run(&["--permits", "2", "-n", &path, "--", "true"])).expect(0);
    tell(&mut second);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_on_several_links_run_one_at_a_time_and_in_order() {
    const PROGRAMS: usize = 10;
    let path = unused_path();
    let lock = mutex(&path).await;
    let guard = lock.acquire().await.expect("free");
    let links = [
        Proxy::start(server().address()).await.expect("a proxy"),
        Proxy::start(server().address()).await.expect("a proxy"),
    ];
    let file = std::env::temp_dir().join(format!("fairlock-order-{}", std::process::id()));
    let name = file.to_str().expect("a text");
    let mut programs = Vec::new();
    for number in 0..PROGRAMS {
        // Whoever is not alone finds the lock of the other, or loses a line.
        let script = format!(
            "mkdir {name}.d || exit 9; n=$(cat {name} 2>/dev/null); sleep 0.01; echo \"$n {number}\" > {name}; rmdir {name}.d"
        );
        programs.push(Started::new(run_on(&links[number % 2].address(), &[&path, "-c", &script])));
        contenders(&lock, number + 2).await;
    }
    guard.release().await.expect("held");
    for program in &mut programs {
        assert_eq!(program.wait().code(), Some(0));
    }
    let order = std::fs::read_to_string(&file).expect("it was written");
    std::fs::remove_file(&file).expect("it is there");
    let expected: Vec<_> = (0..PROGRAMS).map(|number| number.to_string()).collect();
    assert_eq!(order.split_whitespace().collect::<Vec<_>>(), expected);
}
