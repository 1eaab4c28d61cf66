//! Every way to end has its code, and says on standard error what it means.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use super::bed::{Started, contenders, fairlock, finish, mutex, run, run_on, server, unused_path};

#[test]
fn the_commands_own_code_is_passed_on() {
    for code in [0, 1, 7, 75, 255] {
        let told = finish(run(&[&unused_path(), "--", "sh", "-c", &format!("exit {code}")])).expect(code);
        assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("", ""));
    }
}

#[test]
fn a_command_killed_by_a_signal_gives_128_and_the_signal() {
    for (name, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
        finish(run(&[&unused_path(), "--", "sh", "-c", &format!("kill -{name} $$")])).expect(128 + number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_lock_has_a_code_that_can_be_chosen() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let guard = lock.acquire().await.expect("free");
    finish(run(&["-n", &path, "--", "true"])).expect(1);
    finish(run(&["--nb", &path, "--", "true"])).expect(1);
    finish(run(&["--nonblock", "-E", "99", &path, "--", "true"])).expect(99);
    finish(run(&["-w", "0", "-E", "98", &path, "--", "true"])).expect(98);
    let started = Instant::now();
    let told = finish(run(&["-v", "--timeout", "1s", "--conflict-exit-code", "97", &path, "true"])).expect(97);
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert!(told.stderr.contains("waiting: 1 ahead") && told.stderr.contains("not granted"), "{told:?}");
    assert_eq!(lock.contenders().await.expect("a listing").len(), 1, "nobody but the holder is left");
    guard.release().await.expect("held");
    finish(run(&["-n", &path, "--", "true"])).expect(0);
    finish(run(&["-w", "0", &path, "--", "true"])).expect(0);
}

#[test]
fn a_command_that_cannot_be_run_is_told_before_anything_is_connected() {
    let nobody = ["--servers", "127.0.0.1:1"];
    let told = finish(run_on(nobody[1], &["/a", "--", "no-such-command-at-all"])).expect(127);
    assert_eq!(told.stderr, "fairlock: cannot run no-such-command-at-all: no such program\n");
    let told = finish(run_on(nobody[1], &["/a", "--", "/etc/passwd"])).expect(126);
    assert_eq!(told.stderr, "fairlock: cannot run /etc/passwd: it is no file that may be executed\n");
}

#[test]
fn a_file_that_only_looks_like_a_program_gives_126() {
    let path = std::env::temp_dir().join(format!("fairlock-no-program-{}", std::process::id()));
    fs::write(&path, "#!/no/such/interpreter\n").expect("a writable folder");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
    let told = finish(run(&[&unused_path(), "--", path.to_str().expect("a text")]));
    fs::remove_file(&path).expect("it is there");
    // The system says that the interpreter is not there, as it does of a program.
    let told = told.expect(127);
    assert!(told.stderr.starts_with("fairlock: cannot run /"), "{told:?}");
}

#[test]
fn no_server_and_a_wrong_one_are_told_soon() {
    let started = Instant::now();
    let mut command = run_on("127.0.0.1:1", &["--connect-timeout", "0.5", "/a", "--", "true"]);
    command.env("FAIRLOCK_AUTH", "digest user:s3cret");
    let told = finish(command).expect(69);
    assert!(told.stderr.starts_with("fairlock: no session with 127.0.0.1:1 within"), "{told:?}");
    assert!(!told.stderr.contains("s3cret"), "{told:?}");

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        use std::io::Write as _;
        for stream in listener.incoming() {
            let _ = stream.map(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    let told = finish(run_on(&address, &["--connect-timeout", "0.5", "/a", "--", "true"])).expect(69);
    assert!(told.stderr.contains("no ZooKeeper server"), "{told:?}");

    let missing = format!("{}/no/such/root", server().address());
    let told = finish(run_on(&missing, &["/a", "--", "true"])).expect(69);
    assert!(told.stderr.contains("/no/such/root"), "{told:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn who_may_not_write_there_is_told_so() {
    let path = unused_path();
    let by = |secret: &str, access: &[&str]| {
        let mut command = run(access);
        command.args([&path, "--", "true"]).env("FAIRLOCK_AUTH", format!("digest {secret}"));
        finish(command)
    };
    by("ann:one", &["--access", "creator-only"]).expect(0);
    let told = by("bob:two", &[]).expect(77);
    assert!(told.stderr.contains("no permission") && !told.stderr.contains("two"), "{told:?}");
    by("ann:one", &[]).expect(0);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let path = unused_path();
    for (args, words) in [
        (&[path.as_str()][..], "which command?"),
        (&["a", "--", "true"], "invalid lock path"),
        (&["/", "--", "true"], "invalid lock path"),
        (&["-n", "-w", "1", &path, "true"], "cannot be used with"),
        (&["-s", "-x", &path, "true"], "cannot be used with"),
        (&["-s", "--permits", "2", &path, "true"], "cannot be used with"),
        (&["--permits", "0", &path, "true"], "0 is not in"),
        (&["-w", "soon", &path, "true"], "give seconds"),
        (&["-E", "256", &path, "true"], "256"),
        (&["--grace", "3", &path, "true"], "a grace of 3s does not fit"),
        (&["--grace", "0.4", "--max-hold", "0.5", &path, "true"], "leaves the command no time"),
        (&["--max-hold", "0.1", &path, "true"], "leaves the command no time"),
        (&[&path, "--max-holdd", "5m", "--", "true"], "--max-holdd is no option"),
        (&["--no-such-option", &path, "true"], "--no-such-option"),
        (&[&path, "--", ""], "the command is empty"),
        (&["-c", "true", &path, "true"], "cannot be used with"),
        (&["--access", "creator-only", &path, "true"], "credentials"),
        (&["--identity", "", &path, "true"], "the owner"),
    ] {
        let told = finish(run(args)).expect(64);
        assert!(told.stderr.contains(words), "{args:?}: {told:?}");
    }
    let told = finish(fairlock(["run", "/a", "--", "true"])).expect(64);
    assert!(told.stderr.contains("FAIRLOCK_SERVERS"), "{told:?}");
}

#[test]
fn a_grace_alone_asks_for_a_session_that_leaves_room_for_it() {
    let path = unused_path();
    let server = server().address();
    let told = finish(fairlock(["run", "-v", "-S", &server, "--grace", "6", &path, "--", "true"])).expect(0);
    assert!(told.stderr.contains("session timeout 30s"), "{told:?}");
}

#[test]
fn another_number_of_permits_than_agreed_is_refused() {
    let path = unused_path();
    finish(run(&["--permits", "2", &path, "--", "true"])).expect(0);
    let told = finish(run(&["--permits", "3", &path, "--", "true"])).expect(64);
    assert!(told.stderr.contains('2') && told.stderr.contains('3'), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contender_removed_while_it_waits_ends_with_the_lock_lost() {
    let path = unused_path();
    let lock = mutex(&path).await;
    let _guard = lock.acquire().await.expect("free");
    let mut waiter = Started::new(run(&[&path, "--", "echo", "ran"]));
    let contenders = contenders(&lock, 2).await;
    assert!(lock.break_contender(&contenders[1]).await.expect("it is there"));
    assert_eq!(waiter.silence().1, "");
    assert_eq!(waiter.wait().code(), Some(75));
}
