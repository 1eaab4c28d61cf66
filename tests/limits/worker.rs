//! The processes of the tests in `tests/limits`: one that waits ten thousand times and tells its memory, and one that
//! stops itself while it holds a lock.
//!
//! Usage: `limits_worker memory SERVERS LOCK HANDLES`, or `limits_worker pause SERVERS LOCK TIMEOUT_MS`. Both
//! talk with the test over their standard input and output, line by line.

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Duration;

use fairlock::{Fairlock, Guard, Mutex, Retry};
use rustix::process::{Signal, getpid, kill_process};
use tokio::task::JoinSet;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["memory", servers, path, handles] => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(memory(servers, path, handles.parse()?))
        }
        // One thread: after a pause nothing of the library runs before the guard is asked.
        ["pause", servers, path, timeout] => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(pause(servers, path, Duration::from_millis(timeout.parse()?))),
        _ => Err("usage: limits_worker memory SERVERS LOCK HANDLES | pause SERVERS LOCK TIMEOUT_MS".into()),
    }
}

fn tell(line: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

/// Waits for a line of the test. Blocks the thread.
fn told() -> std::io::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// The bytes of this process that are in memory.
fn resident() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1_024)
}

/// Tells the memory with the sessions only, and again after each line of the test: as many waiters more as it says, and
/// then, as soon as the test says `all wait`, the memory.
async fn memory(servers: &str, path: &str, handles: usize) -> Outcome {
    let mut locks = Vec::new();
    for number in 0..handles {
        let handle = Fairlock::builder().session_timeout(Duration::from_secs(60)).connect(servers).await?;
        // Each session has been used as later ones are.
        handle.mutex(&format!("{path}-warm-{number}"))?.acquire().await?.release().await?;
        locks.push(handle.mutex(path)?);
    }
    tell(&resident()?.to_string())?;
    let mut waiting = JoinSet::new();
    loop {
        let line = tokio::task::spawn_blocking(told).await??;
        if line == "all wait" {
            if let Some(early) = waiting.try_join_next() {
                return Err(format!("one does not wait: {early:?}").into());
            }
            tell(&resident()?.to_string())?;
        } else if let Ok(more) = line.parse::<usize>() {
            for _ in 0..more {
                let lock = locks[waiting.len() % handles].clone();
                waiting.spawn(async move { lock.acquire().await.map(drop) });
            }
        } else {
            return Ok(());
        }
    }
}

/// One pause after the other, until the test says no more. Each is announced with the node of the guard, and answered
/// with what the guard said first, how long it said to be valid, and what became of a fenced write.
async fn pause(servers: &str, path: &str, session_timeout: Duration) -> Outcome {
    let data = format!("{path}/data");
    while told()? == "pause" {
        // A new session for each: the one before has ended.
        let handle = Fairlock::builder().session_timeout(session_timeout).connect(servers).await?;
        let lock = handle.mutex(path)?;
        let guard = acquire(&lock, &data).await?;
        let node = guard.node_path().to_owned();
        tell(&node)?;
        kill_process(getpid(), Signal::STOP)?;
        let first = guard.is_valid();
        let valid_for = guard.valid_for();
        let written = guard.transaction().set_data(&data, node.as_bytes(), None).commit().await;
        let written = match written {
            Ok(()) => "written",
            Err(fairlock::Error::LockLost { .. }) => "lock-lost",
            Err(error) => return Err(error.into()),
        };
        tell(&format!("{first} {} {written}", valid_for.as_millis()))?;
        drop(guard);
        handle.close().await;
    }
    Ok(())
}

/// A guard that is valid, and the node to write to. On a slow machine a session may end on the way; another is made.
async fn acquire(lock: &Mutex, data: &str) -> Result<Guard, fairlock::Error> {
    loop {
        let made = async {
            let guard = lock.acquire().await?;
            match guard.transaction().create(data, b"made").commit().await {
                // It exists.
                Ok(()) | Err(fairlock::Error::TransactionRefused { .. }) => Ok(guard),
                Err(error) => Err(error),
            }
        };
        match made.await {
            Ok(guard) if guard.is_valid() => return Ok(guard),
            Ok(_) | Err(fairlock::Error::LockLost { .. } | fairlock::Error::UnknownOutcome { .. }) => {}
            Err(error) if error.retry() == Retry::Yes => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
