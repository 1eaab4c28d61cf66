//! Processes of every kind of holder and waiter that are killed, stopped for too long, or exit without a word.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fairlock::recipes::Resumption;
use futures::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;

use crate::bed::{self, program};
use crate::on_server::OnServer;
use crate::recipe_contract::kinds::{ALL, Kind};
use crate::recipe_contract::stage::{Holder, Stage, soon, until};

/// Of the processes that something happens to.
const SESSION_TIMEOUT: Duration = Duration::from_secs(3);

/// A process that holds or waits. Killed when dropped.
struct Worker {
    pid: Pid,
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    async fn start(program: &Path, what: &str, stage: &Stage) -> Self {
        let (address, timeout) = (bed::server().await.address(), SESSION_TIMEOUT.as_millis().to_string());
        let mut child = Command::new(program)
            .args([what, &address, stage.kind.name, &stage.path, &timeout])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("started");
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("it runs");
        let input = child.stdin.take().expect("piped");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { pid, child, input, lines }
    }

    async fn says(&mut self) -> String {
        let line = soon(self.lines.next_line()).await.expect("text");
        line.expect("the process has failed; its error is above")
    }

    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero())).expect("it lives");
        // The state stands behind the name, which is in parentheses and may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    }
}

/// A case of each kind, all at once.
async fn each_kind<F: Future<Output = ()>>(case: impl Fn(PathBuf, &'static Kind) -> F) {
    let program = program("holding_worker").await;
    join_all(ALL.iter().map(|kind| case(program.clone(), kind))).await;
}

async fn stage(kind: &'static Kind) -> Stage {
    Stage::new(Box::new(OnServer::new().await), kind).await
}

/// As many hold as may beside one more.
async fn all_but_one(stage: &Stage) -> Vec<Holder> {
    let mut holders = stage.fill(stage.kind).await;
    holders.remove(0).releases().await;
    holders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_killed_is_followed_when_its_session_has_expired_and_not_before() {
    each_kind(|program, kind| async move {
        let stage = stage(kind).await;
        let others = all_but_one(&stage).await;
        let mut worker = Worker::start(&program, "hold", &stage).await;
        assert_eq!(worker.says().await, "held");
        let token = stage.contenders().await.last().expect("it holds").token;
        let next = stage.line_up(kind.rival(), 1, others.len() + 1).await.remove(0);
        let killed_at = Instant::now();
        soon(worker.child.kill()).await.expect("killed");
        let (next, granted_at) = next.granted().await;
        let after = granted_at - killed_at;
        eprintln!("{}: killed, and followed after {after:?} with a session of {SESSION_TIMEOUT:?}", kind.name);
        // The server counts from the last that it has heard, a seventh of the timeout before on an idle machine.
        assert!(after > SESSION_TIMEOUT / 2, "{}: followed after {after:?}", kind.name);
        assert!(next.held.is_valid() && next.held.tokens()[0] > token, "{}", kind.name);
        assert!(others.iter().all(|other| other.held.is_valid()), "{}", kind.name);
        next.releases().await;
        for other in others {
            other.releases().await;
        }
        stage.nothing_is_left().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_stopped_past_its_session_knows_at_its_first_look_that_it_holds_no_more() {
    each_kind(|program, kind| async move {
        let stage = stage(kind).await;
        let others = all_but_one(&stage).await;
        let mut worker = Worker::start(&program, "stop", &stage).await;
        assert_eq!(worker.says().await, "held");
        until(async || worker.is_stopped()).await;
        let next = stage.newcomer(kind.rival()).await.waits();
        let (next, _) = next.granted().await;
        assert!(worker.is_stopped(), "{}", kind.name);
        kill_process(worker.pid, Signal::CONT).expect("it lives");
        assert_eq!(worker.says().await, "false 0 lock-lost", "{}", kind.name);
        assert!(soon(worker.child.wait()).await.expect("it ends").success(), "{}", kind.name);
        assert!(next.held.is_valid() && others.iter().all(|other| other.held.is_valid()), "{}", kind.name);
        next.releases().await;
        for other in others {
            other.releases().await;
        }
        stage.nothing_is_left().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_whose_process_exits_leaves_and_those_behind_are_granted_in_their_order() {
    each_kind(|program, kind| async move {
        let stage = stage(kind).await;
        let mut holders = stage.fill(kind.rival()).await;
        let mut worker = Worker::start(&program, "wait", &stage).await;
        stage.until_contenders(holders.len() + 1).await;
        let mut behind = stage.line_up(kind, 2, holders.len() + 1).await;
        worker.input.write_all(b"exit\n").await.expect("it reads");
        assert!(soon(worker.child.wait()).await.expect("it ends").success(), "{}", kind.name);
        stage.until_contenders(holders.len() + 2).await;
        let released_at = Instant::now();
        holders.remove(0).releases().await;
        let (first, granted_at) = behind.remove(0).granted().await;
        assert!(released_at <= granted_at, "{}: granted while a rival held", kind.name);
        // Those who share are granted together.
        if kind.company.at_once().is_some() {
            assert!(behind[0].is_waiting(), "{}: overtaken", kind.name);
        }
        first.releases().await;
        behind.remove(0).granted().await.0.releases().await;
        for holder in holders {
            holder.releases().await;
        }
        stage.nothing_is_left().await;
    })
    .await;
}

/// Somebody waits, and is not let in, though the session of the killed process is over soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_and_started_again_goes_on_leading() {
    let program = program("holding_worker").await;
    let stage = stage(Kind::named("leader")).await;
    let mut worker = Worker::start(&program, "lead", &stage).await;
    let resumption: Resumption = worker.says().await.parse().expect("a resumption");
    let server = bed::server().await.address();
    let candidate = bed::connect(&server, SESSION_TIMEOUT).await.election(&stage.path).expect("a good path");
    let waiting = tokio::spawn(async move { candidate.campaign("another").await.expect("elected") });
    let observer = bed::raw(&server).await;
    bed::wait_for_nodes(&observer, &stage.path, 2).await;
    soon(worker.child.kill()).await.expect("killed");

    let restarted = bed::connect(&server, SESSION_TIMEOUT).await.election(&stage.path).expect("a good path");
    let leadership = soon(restarted.resume(&resumption, "second run")).await.expect("a server answers");
    let leadership = leadership.expect("its session lives as yet");
    assert_eq!(leadership.fencing_token(), resumption.fencing_token());
    let leader = soon(restarted.leader()).await.expect("a server answers").expect("somebody leads");
    assert_eq!((leader.payload(), leader.fencing_token()), (&b"second run"[..], resumption.fencing_token()));
    // The killed process's session ends; what has come in the place of its node stays.
    bed::wait_for_nodes(&observer, &format!("{}/probe", stage.path), 0).await;
    assert!(leadership.is_valid() && !waiting.is_finished());
    soon(leadership.resign()).await.expect("it leads");
    let next = soon(waiting).await.expect("no panic");
    assert!(next.fencing_token() > resumption.fencing_token());
    assert!(soon(restarted.resume(&resumption, "late")).await.expect("a server answers").is_none());
    assert!(next.is_valid());
}
