//! What a waiter costs in memory, measured in a process that does nothing else.

use std::process::Stdio;
use std::time::Duration;

use fairlock_testcontainers::Operation;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::bed::{connect, program, proxy, soon, unused_path};

const WAITERS: u64 = 10_000;

/// So many that no session is full, so that none is opened between the two measurements.
const HANDLES: u64 = 10;

/// Far above what it should be: the figure is printed, and this only notices when something is out of all proportion.
const BYTES_MAX: u64 = 16 * 1_024;

/// For what all waiters do, on a slow machine.
const GATHERING: Duration = Duration::from_secs(120);

/// At once, the process has ten thousand requests under way, and what they took is not all given back to the system.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_ten_thousand_waiters_that_come_at_once() {
    measure(WAITERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_ten_thousand_waiters_that_come_in_hundreds() {
    measure(200).await;
}

async fn measure(at_once: u64) {
    let (proxy, path, program) = (proxy().await, unused_path(), program("limits_worker").await);
    let holder = connect(&proxy.address(), Duration::from_secs(60)).await;
    let guard = holder.mutex(&path).expect("a good path").acquire().await.expect("free");
    // The holder's own watch, which only takes a moment, must not be counted for a waiter's.
    soon(proxy.wait_until(|counts| counts.reply(Operation::GetData) == 1)).await;
    let mut child = Command::new(&program)
        .args(["memory", &proxy.address(), &path, &HANDLES.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut input = child.stdin.take().expect("piped");
    let mut bytes = async || -> u64 {
        let line = soon(lines.next_line()).await.expect("text").expect("the process has failed; its error is above");
        line.parse().expect("a number")
    };
    let before = bytes().await;
    let (connections, watched) = (proxy.connections(), proxy.counts().reply(Operation::GetData));
    for come in (1..=WAITERS / at_once).map(|times| times * at_once) {
        input.write_all(format!("{at_once}\n").as_bytes()).await.expect("it reads");
        // Each waiter places two watches.
        let all_wait = proxy.wait_until(|counts| counts.reply(Operation::GetData) >= watched + 2 * come);
        timeout(GATHERING, all_wait).await.expect("all wait");
    }
    input.write_all(b"all wait\n").await.expect("it reads");
    let after = bytes().await;
    assert_eq!(proxy.connections(), connections, "a session was opened while it was measured");
    let each = after.saturating_sub(before) / WAITERS;
    eprintln!(
        "{each} bytes per waiter, {at_once} at once: {} KiB with {HANDLES} sessions, {} KiB with {WAITERS} waiters",
        before / 1_024,
        after / 1_024
    );
    assert!(each > 0 && each <= BYTES_MAX, "{each} bytes per waiter");
    drop(guard);
}
