//! `heap`: how many bytes of heap so many waiters, or so many held locks, keep in one process over one session.
//!
//! One measurement a process, on one thread, so that it has the same allocations each time. The figure of one waiter is
//! the difference of two such processes; what all have in common cancels out. `benchmarks` starts them.

#![forbid(unsafe_code)]

mod subject;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use dhat::HeapStats;
use serde::Serialize;
use tokio::task::JoinHandle;
use zookeeper_client as zk;

use crate::subject::{Client, Fairlock, Floor, Result, Subject};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Frames of the stack that are kept of an allocation: enough to get from the allocator to who wanted it.
const FRAMES: usize = 40;

/// Nothing goes on any more once the heap has been the same for so many looks.
const LOOKS: u32 = 5;
/// Longer than a holder of fairlock waits before it watches its own node.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 1_000;

#[derive(Debug, Parser)]
struct Arguments {
    /// Of a server
    #[arg(long)]
    address: String,
    #[arg(long)]
    who: Who,
    #[arg(long)]
    what: What,
    #[arg(long)]
    count: usize,
    /// Where to write who has allocated what is live at the end
    #[arg(long)]
    profile: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Who {
    Floor,
    Fairlock,
    ZookeeperClient,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// All in one queue, behind a holder
    Waiters,
    /// Each of another path
    Held,
}

/// Bytes of heap.
#[derive(Debug, Default, Serialize)]
struct Seen {
    /// Before the first of them.
    before: usize,
    /// What the caller has for them: tasks, or a place for each guard.
    callers: usize,
    /// With all of them.
    live: usize,
    blocks: usize,
    peak: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime needs a few file descriptors, no more");
    let seen = runtime.block_on(async {
        match arguments.who {
            Who::Floor => run::<Floor>(&arguments).await,
            Who::Fairlock => run::<Fairlock>(&arguments).await,
            Who::ZookeeperClient => run::<Client>(&arguments).await,
        }
    });
    match seen.and_then(|seen| Ok(serde_json::to_string(&seen)?)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run<S: Subject>(arguments: &Arguments) -> Result<Seen> {
    let profiler = dhat::Profiler::builder().file_name(&arguments.profile).trim_backtraces(Some(FRAMES)).build();
    let observer = zk::Client::connect(&arguments.address).await?;
    let subject = Arc::new(S::connect(&arguments.address).await?);
    // Nobody else has been here, and who was here before may not have gone yet.
    // As long for each process, and short: one session watches all of it.
    let base = format!("/heap/{}-{:?}{}-{:07}", &S::NAME[..2], arguments.what, arguments.count, std::process::id());
    match arguments.what {
        What::Waiters => waiters(&subject, &base, arguments.count, &observer, profiler).await,
        What::Held => held(&subject, &base, arguments.count, profiler).await,
    }
}

async fn waiters<S: Subject>(
    subject: &Arc<S>,
    base: &str,
    count: usize,
    observer: &zk::Client,
    profiler: dhat::Profiler,
) -> Result<Seen> {
    let lock: Arc<str> = base.into();
    let _holder = subject.acquire(&lock).await?;
    settle().await?;
    let before = HeapStats::get().curr_bytes;
    let mut tasks: Vec<JoinHandle<Result<S::Held>>> = Vec::with_capacity(count);
    for _ in 0..count {
        let (subject, lock) = (Arc::clone(subject), Arc::clone(&lock));
        tasks.push(tokio::spawn(async move { subject.acquire(&lock).await }));
    }
    // On one thread none of them has begun yet.
    let callers = HeapStats::get().curr_bytes - before;
    let queue = S::queue(&lock);
    while !all_in_queue(observer, &queue, count + 1).await? {
        if tasks.iter().any(JoinHandle::is_finished) {
            return Err("a waiter does not wait".into());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    settle().await?;
    let seen = look(before, callers);
    drop(profiler);
    Ok(seen)
}

async fn held<S: Subject>(subject: &Arc<S>, base: &str, count: usize, profiler: dhat::Profiler) -> Result<Seen> {
    settle().await?;
    let before = HeapStats::get().curr_bytes;
    let mut guards: Vec<S::Held> = Vec::with_capacity(count);
    let callers = HeapStats::get().curr_bytes - before;
    for number in 0..count {
        // Of even length.
        guards.push(subject.acquire(&format!("{base}/{number:05}")).await?);
    }
    settle().await?;
    let seen = look(before, callers);
    drop(profiler);
    Ok(seen)
}

fn look(before: usize, callers: usize) -> Seen {
    let stats = HeapStats::get();
    Seen { before, callers, live: stats.curr_bytes, blocks: stats.curr_blocks, peak: stats.max_bytes }
}

async fn all_in_queue(observer: &zk::Client, queue: &str, count: usize) -> Result<bool> {
    let stat = observer.check_stat(queue).await?;
    Ok(stat.is_some_and(|stat| usize::try_from(stat.num_children) == Ok(count)))
}

async fn settle() -> Result<()> {
    let mut last = HeapStats::get().curr_bytes;
    let mut unchanged = 0;
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let now = HeapStats::get().curr_bytes;
        unchanged = if now == last { unchanged + 1 } else { 0 };
        if unchanged == LOOKS {
            return Ok(());
        }
        last = now;
    }
    Err("the heap does not come to rest".into())
}
