//! A holder that is stopped for longer than its session lives knows at its first look afterwards.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;
use zookeeper_client as zk;

use crate::bed::{self, program, raw, soon, unused_path};

/// How often processes are paused past their sessions. A thousand takes a minute, so that is asked for by hand.
const PAUSES: &str = "FAIRLOCK_PAUSES";
const PAUSES_AT_LEAST: usize = 120;

const PROCESSES_MAX: usize = 100;

/// Each process is paused this often where there are not too many.
const PAUSES_EACH: usize = 5;

/// For a holder, of which there may be many on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a holder said when it was continued.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    is_valid: bool,
    valid_for: Duration,
    written: bool,
}

fn parse(line: &str) -> Option<Answer> {
    let words: Vec<&str> = line.split(' ').collect();
    let [is_valid, valid_for, written] = words[..] else { return None };
    let written = match written {
        "written" => true,
        "lock-lost" => false,
        _ => return None,
    };
    let valid_for = Duration::from_millis(valid_for.parse().ok()?);
    Some(Answer { is_valid: is_valid.parse().ok()?, valid_for, written })
}

#[test]
fn answers_are_read_as_they_are_written() {
    let lost = Answer { is_valid: false, valid_for: Duration::ZERO, written: false };
    assert_eq!(parse("false 0 lock-lost"), Some(lost));
    let held = Answer { is_valid: true, valid_for: Duration::from_millis(7), written: true };
    assert_eq!(parse("true 7 written"), Some(held));
    for line in ["", "false 0", "false 0 lost", "no 0 lock-lost", "false -1 lock-lost"] {
        assert_eq!(parse(line), None, "{line}");
    }
}

/// A process that holds a lock and stops itself.
struct Holder {
    pid: Pid,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Killed when dropped.
    _child: Child,
}

impl Holder {
    async fn start(program: &Path, path: &str, session_timeout: Duration) -> Self {
        let address = bed::server().await.address();
        let mut child = Command::new(program)
            .args(["pause", &address, path, &session_timeout.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("started");
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("it runs");
        let input = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { pid, input, lines, _child: child }
    }

    async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("it answers in time").expect("text");
        line.expect("the process has failed; its error is above")
    }

    /// Lets it acquire and stop, and returns the path of its node once it has stopped.
    async fn stop(&mut self) -> String {
        self.input.write_all(b"pause\n").await.expect("it reads");
        let node = self.line().await;
        soon(async {
            while !is_stopped(self.pid) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        node
    }

    async fn go_on(&mut self) -> Answer {
        kill_process(self.pid, Signal::CONT).expect("it lives");
        let line = self.line().await;
        parse(&line).unwrap_or_else(|| panic!("a holder said {line:?}"))
    }
}

fn is_stopped(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).expect("it lives");
    // The state stands behind the name, which is in parentheses and may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

async fn wait_until_gone(observer: &zk::Client, node: &str) {
    let (stat, watcher) = observer.check_and_watch_stat(node).await.expect("a look");
    if stat.is_some() {
        let event = soon(watcher.changed()).await;
        assert_eq!(event.event_type, zk::EventType::NodeDeleted, "nobody writes to it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_paused_past_its_session_knows_at_its_first_look() {
    let session_timeout = Duration::from_secs(2);
    let pauses = match std::env::var(PAUSES) {
        Ok(number) => number.parse().unwrap_or_else(|_| panic!("{PAUSES} is {number:?}, no number")),
        Err(_) => PAUSES_AT_LEAST,
    };
    let processes = (pauses / PAUSES_EACH).clamp(1, PROCESSES_MAX);
    let pauses_each = pauses.div_ceil(processes);
    let (program, server) = (program("limits_worker").await, bed::server().await.address());
    let observer = raw(&server).await;
    let started = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..processes {
        let (program, observer, path) = (program.clone(), observer.clone(), unused_path());
        running.spawn(async move {
            let mut holder = Holder::start(&program, &path, session_timeout).await;
            let mut answers = Vec::new();
            for _ in 0..pauses_each {
                let node = holder.stop().await;
                // From here on, the server would give the lock to another.
                wait_until_gone(&observer, &node).await;
                answers.push(holder.go_on().await);
            }
            let (data, _) = observer.get_data(&format!("{path}/data")).await.expect("the node it wrote to");
            assert_eq!(data, b"made", "no write of a lost holder");
            answers
        });
    }
    let answers: Vec<Answer> = running.join_all().await.into_iter().flatten().collect();
    let lost = Answer { is_valid: false, valid_for: Duration::ZERO, written: false };
    let right = answers.iter().filter(|answer| **answer == lost).count();
    eprintln!(
        "{right} of {} pauses past a session of {session_timeout:?}, of {processes} processes, were noticed at the \
         first look, in {:?}",
        answers.len(),
        started.elapsed()
    );
    assert!(answers.len() >= pauses);
    assert_eq!(answers.iter().find(|answer| **answer != lost), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_paused_for_a_moment_still_holds_and_writes() {
    let program = program("limits_worker").await;
    let path = unused_path();
    // So long that a slow machine does not reach its end.
    let mut holder = Holder::start(&program, &path, Duration::from_secs(30)).await;
    let observer = raw(&bed::server().await.address()).await;
    for _ in 0..10 {
        let node = holder.stop().await;
        let answer = holder.go_on().await;
        assert!(answer.is_valid && answer.valid_for > Duration::ZERO && answer.written, "{answer:?}");
        let (data, _) = observer.get_data(&format!("{path}/data")).await.expect("the node it wrote to");
        assert_eq!(data, node.as_bytes(), "the write of this hold");
    }
}
