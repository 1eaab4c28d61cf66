//! What a waiter costs in memory, measured in a process that does nothing else.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::bed::{connect, program, proxy, soon, unused_path};

const WAITERS: u64 = 10_000;

/// So many that no session is full, so that none is opened between the two measurements.
const HANDLES: u64 = 10;

/// Far above what it should be: the figure is printed, and this only notices when something is out of all proportion.
const BYTES_MAX: u64 = 16 * 1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_waiters_cost_little_memory_each() {
    let (proxy, path, program) = (proxy().await, unused_path(), program("limits_worker").await);
    let guard = connect(&proxy.address(), Duration::from_secs(60)).await;
    let guard = guard.mutex(&path).expect("a good path").acquire().await.expect("free");
    let mut child = Command::new(&program)
        .args(["memory", &proxy.address(), &path, &WAITERS.to_string(), &HANDLES.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut input = child.stdin.take().expect("piped");
    let mut bytes = async || -> u64 {
        let line = lines.next_line().await.expect("text").expect("the process has failed; its error is above");
        line.parse().expect("a number")
    };
    let before = soon(bytes()).await;
    let connections = proxy.connections();
    // Each waiter places two watches. The holder's own, and the warming up of the process, may have placed a few more.
    soon(proxy.wait_until(|counts| counts.reply(fairlock_testcontainers::Operation::GetData) >= 2 * WAITERS + 1)).await;
    input.write_all(b"all wait\n").await.expect("it reads");
    let after = soon(bytes()).await;
    assert_eq!(proxy.connections(), connections, "a session was opened while it was measured");
    let each = after.saturating_sub(before) / WAITERS;
    eprintln!(
        "{each} bytes per waiter: {} KiB with {HANDLES} sessions, {} KiB with {WAITERS} waiters",
        before / 1_024,
        after / 1_024
    );
    assert!(each > 0 && each <= BYTES_MAX, "{each} bytes per waiter");
    drop(guard);
}
