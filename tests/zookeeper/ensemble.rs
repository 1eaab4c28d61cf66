//! The lock on an ensemble of three: order across processes, and leaders that die.

use std::process::Stdio;
use std::time::{Duration, Instant};

use fairlock_testcontainers::Ensemble;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::bed::{connect, nodes, program, raw, soon, unused_path, wait_for_nodes};

const PROCESSES: usize = 4;
const CLIENTS_EACH: usize = 8;
const ACQUISITIONS_EACH: usize = 200;

/// One hold, as a worker saw it.
#[derive(Debug, Clone, Copy)]
struct Held {
    number: i32,
    token: i64,
    begin: u128,
    end: u128,
}

fn parse(line: &str) -> Held {
    let words: Vec<&str> = line.split(' ').collect();
    let [number, token, begin, end] = words[..] else { panic!("a worker printed {line:?}") };
    let number_of = |word: &str| word.parse::<u128>().unwrap_or_else(|_| panic!("a worker printed {line:?}"));
    Held {
        number: number.parse().expect("a number"),
        token: token.parse().expect("a token"),
        begin: number_of(begin),
        end: number_of(end),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_follow_creation_across_processes() {
    let ensemble = Ensemble::start().await.expect("an ensemble");
    let path = unused_path();
    let worker = program("contention_worker").await;
    let started = Instant::now();
    let mut processes = JoinSet::new();
    for _ in 0..PROCESSES {
        let worker = Command::new(&worker)
            .args([&ensemble.connect_string(), &path, &CLIENTS_EACH.to_string(), &ACQUISITIONS_EACH.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("started");
        processes.spawn(worker.wait_with_output());
    }
    let mut holds = Vec::new();
    while let Some(output) = processes.join_next().await {
        let output = output.expect("no panic").expect("output");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        holds.extend(String::from_utf8(output.stdout).expect("text").lines().map(parse));
    }
    let took = started.elapsed();
    assert_eq!(holds.len(), PROCESSES * CLIENTS_EACH * ACQUISITIONS_EACH);

    holds.sort_unstable_by_key(|hold| hold.begin);
    for pair in holds.windows(2) {
        let [earlier, later] = [pair[0], pair[1]];
        assert!(earlier.end <= later.begin, "two valid guards at once: {earlier:?} {later:?}");
        assert!(earlier.token < later.token, "a token went back: {earlier:?} {later:?}");
        assert!(earlier.number < later.number, "granted out of the order of creation: {earlier:?} {later:?}");
    }
    let observer = raw(&ensemble.connect_string()).await;
    assert!(nodes(&observer, &path).await.is_empty());
    eprintln!(
        "{} grants to {} clients in {PROCESSES} processes in order, in {took:?} ({:?} each), {}",
        holds.len(),
        PROCESSES * CLIENTS_EACH,
        took / u32::try_from(holds.len()).expect("few"),
        ensemble.runtime()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_takes_no_lock_and_no_place_along() {
    let ensemble = Ensemble::start().await.expect("an ensemble");
    let path = unused_path();
    let session_timeout = Duration::from_secs(10);
    let mut locks = Vec::new();
    for _ in 0..4 {
        let client = connect(&ensemble.connect_string(), session_timeout).await;
        locks.push(client.mutex(&path).expect("a good path"));
    }
    let observer = raw(&ensemble.connect_string()).await;
    let guard = locks[0].acquire().await.expect("free");
    let mut waiting = Vec::new();
    for (place, lock) in locks.iter().enumerate().skip(1) {
        let lock = lock.clone();
        waiting.push(tokio::spawn(async move { lock.acquire().await.expect("granted") }));
        wait_for_nodes(&observer, &path, place + 1).await;
    }
    let leader = ensemble.leader().await.expect("a leader");
    let killed = Instant::now();
    ensemble.servers()[leader].kill().await.expect("killed");
    let mut token = guard.fencing_token();
    soon(guard.release()).await.expect("released in spite of it");
    for waiter in waiting {
        let guard = soon(waiter).await.expect("no panic");
        eprintln!("granted {:?} after the leader was killed", killed.elapsed());
        assert!(guard.fencing_token() > token, "in order");
        token = guard.fencing_token();
        soon(guard.release()).await.expect("released");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_kept_for_many_session_timeouts_over_every_server() {
    let ensemble = Ensemble::start().await.expect("an ensemble");
    let session_timeout = Duration::from_secs(2);
    let mut guards = Vec::new();
    for server in ensemble.servers() {
        let client = connect(&server.address(), session_timeout).await;
        guards.push(client.mutex(&unused_path()).expect("a good path").acquire().await.expect("free"));
    }
    let mut least = Duration::MAX;
    let ends = Instant::now() + session_timeout * 5;
    while Instant::now() < ends {
        for guard in &guards {
            assert!(guard.is_valid());
            least = least.min(guard.valid_for());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    eprintln!("never less than {least:?} of {session_timeout:?} left");
    for guard in guards {
        guard.release().await.expect("released");
    }
}
