//! What the tests share: a server, clients of the library, and the program as others run it.

use std::error::Error;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fairlock::{Fairlock, Identity};
use fairlock_testcontainers::Server;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::sync::OnceCell;

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_fairlock");

/// How long anything may take that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The server that all tests share. It ends with this process; what that leaves is removed by the next start.
pub(crate) async fn server() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            // The server must outlive the runtime of the test that happens to come first.
            let started = std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
                let runtime = Box::leak(Box::new(runtime.expect("a runtime")));
                runtime.block_on(Server::builder().tick_time(Duration::from_millis(200)).start())
            });
            let server = tokio::task::spawn_blocking(|| started.join()).await.expect("no panic").expect("no panic");
            server.expect("a server can be started")
        })
        .await
}

pub(crate) async fn address() -> String {
    server().await.address()
}

/// A path that no other test uses.
pub(crate) fn unused_path() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("/look-{}/{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A process of its own, as far as the servers can tell.
pub(crate) async fn client(owner: &str) -> Fairlock {
    let identity = Identity::new(owner).expect("a name");
    Fairlock::builder().identity(identity).connect(&address().await).await.expect("a session")
}

/// Waits in a lock's queue until there are as many contenders.
pub(crate) async fn wait_for_contenders(locks: &Fairlock, path: &str, count: usize) {
    let lock = locks.mutex(path).expect("a path");
    let waited = tokio::time::timeout(PATIENCE, async {
        while lock.contenders().await.expect("a list").len() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("in time");
}

/// Makes nodes that are not the library's doing, by way of a lock elsewhere.
pub(crate) async fn create(locks: &Fairlock, nodes: &[(&str, &str)]) {
    let guard = locks.mutex(&unused_path()).expect("a path").acquire().await.expect("free");
    for (path, data) in nodes {
        guard.transaction().create(*path, *data).commit().await.expect("made");
    }
    guard.release().await.expect("released");
}

/// The program with these arguments and the shared server.
pub(crate) fn program(address: &str, args: &[&str]) -> Command {
    crate::limit::all_tests();
    crate::dispositions::ignore_none();
    let mut command = Command::new(PROGRAM);
    command.args(args).env("FAIRLOCK_SERVERS", address).env("HOME", "/nonexistent").stdin(Stdio::null());
    command
}

pub(crate) async fn start(args: &[&str]) -> Result<Child, Box<dyn Error>> {
    Ok(program(&address().await, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// Runs the program and expects it to end with this code; gives what it printed on standard output and error.
pub(crate) async fn run(code: i32, args: &[&str]) -> Result<(String, String), Box<dyn Error>> {
    let child = start(args).await?;
    let process = Pid::from_child(&child);
    // Clients of the test live on its runtime, which must not stand still meanwhile.
    let mut ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    let output = match tokio::time::timeout(PATIENCE, &mut ended).await {
        Ok(output) => output??,
        Err(_) => {
            kill_process(process, Signal::KILL)?;
            ended.await??
        }
    };
    expect(code, &output, args)
}

pub(crate) fn expect(code: i32, output: &Output, args: &[&str]) -> Result<(String, String), Box<dyn Error>> {
    let (stdout, stderr) = (String::from_utf8(output.stdout.clone())?, String::from_utf8(output.stderr.clone())?);
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    Ok((stdout, stderr))
}

pub(crate) async fn run_json(args: &[&str]) -> Result<Value, Box<dyn Error>> {
    let (stdout, _) = run(0, args).await?;
    assert_eq!(stdout.lines().count(), 1, "one document: {stdout}");
    Ok(serde_json::from_str(&stdout)?)
}
