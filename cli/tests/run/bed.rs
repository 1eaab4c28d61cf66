//! What the tests share: a server, the program, and patience.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fairlock::{Fairlock, Mutex};
use fairlock_testcontainers::Server;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_fairlock");

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The server that all tests share, on a runtime that outlives them.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let start = || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
            let server = Server::builder().tick_time(Duration::from_millis(200));
            // A session that outlives a test, for what must not depend on its end.
            runtime.block_on(server.max_session_timeout(Duration::from_secs(120)).start())
        };
        // A thread of its own: the caller may be on a runtime, which must not be blocked on another.
        std::thread::spawn(start).join().expect("no panic").expect("a server can be started")
    })
}

/// A path that no other test uses.
pub(crate) fn unused_path() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("/cli-{}/{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The program with these arguments, in an environment without settings.
pub(crate) fn fairlock<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    crate::limit::all_tests();
    crate::dispositions::ignore_none();
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FAIRLOCK")) {
        command.env_remove(name);
    }
    // A configuration file of whoever runs the tests is not for them, nor is their terminal.
    command.env("XDG_CONFIG_HOME", "/nonexistent").args(args).stdin(Stdio::null()).process_group(0);
    command
}

/// The program's `run` on the shared server.
pub(crate) fn run(args: &[&str]) -> Command {
    run_on(&server().address(), args)
}

/// The program's `run` on the server at this address, with a session of two seconds.
pub(crate) fn run_on(address: &str, args: &[&str]) -> Command {
    let mut command = fairlock(["run", "--servers", address, "--session-timeout", "2"]);
    command.args(args);
    command
}

/// Runs it to its end.
#[track_caller]
pub(crate) fn finish(mut command: Command) -> Told {
    Told::of(command.output().expect("the program can be run"))
}

/// How it ended, and what it said.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Told {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// The program while it runs, with what its command prints.
pub(crate) struct Started {
    pub(crate) child: Child,
    lines: BufReader<Box<dyn Read + Send>>,
}

impl Started {
    #[track_caller]
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program can be run");
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("a pipe"));
        Self { child, lines: BufReader::new(stdout) }
    }

    /// The program with a script that prints into a pipe of its own. Every process of the script has the other end of that pipe,
    /// and the program has not, so the end of it tells that all of them are dead, however the program is.
    #[track_caller]
    pub(crate) fn script(mut command: Command, script: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let pipe = std::env::temp_dir().join(format!("fairlock-pipe-{}-{number}", std::process::id()));
        let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run");
        assert!(made.success());
        let script = format!("exec > \"$PIPE\"; {script}");
        let child =
            command.args(["--", "sh", "-c", &script]).env("PIPE", &pipe).spawn().expect("the program can be run");
        // Waits until the script has opened the other end, which it does not if the program has failed.
        let (opened, lines) = std::sync::mpsc::channel();
        let path = pipe.clone();
        std::thread::spawn(move || opened.send(File::open(path)));
        let lines: Box<dyn Read + Send> =
            Box::new(lines.recv_timeout(PATIENCE).expect("the script begins").expect("a pipe"));
        std::fs::remove_file(&pipe).expect("it is there");
        Self { child, lines: BufReader::new(lines) }
    }

    /// The next line that the command prints; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a readable pipe");
        line.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn expect_line(&mut self, expected: &str) {
        assert_eq!(self.line(), expected);
    }

    /// Waits until nobody is left who could print anything, and says when that was, and what was printed meanwhile.
    pub(crate) fn silence(&mut self) -> (Instant, String) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("a readable pipe");
        (Instant::now(), rest)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // After a failed assertion; the watchdog ends the command.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The library on the shared server, to look and to interfere with.
pub(crate) async fn locks() -> Fairlock {
    Fairlock::connect(&server().address()).await.expect("a session")
}

pub(crate) async fn mutex(path: &str) -> Mutex {
    locks().await.mutex(path).expect("a good path")
}

/// Waits until the lock has so many contenders.
#[track_caller]
pub(crate) fn contenders(mutex: &Mutex, count: usize) -> impl Future<Output = Vec<fairlock::Contender>> {
    let location = std::panic::Location::caller();
    async move {
        let started = Instant::now();
        loop {
            let contenders = mutex.contenders().await.expect("a listing");
            if contenders.len() == count {
                return contenders;
            }
            assert!(started.elapsed() < PATIENCE, "{location}: there are {contenders:?}, not {count}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
