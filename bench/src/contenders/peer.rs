//! Contenders in other languages: a program that is told by lines of JSON what to do, and answers each with a line.
//!
//! Each measures itself, by its own clock, so that what passes between the processes is no part of a figure.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::{Contender, Independent, Outage, PATIENCE, SESSION_TIMEOUT};
use crate::error::{Error, Result};

/// What it is told.
#[derive(Debug, Default, Serialize)]
struct Order<'a> {
    #[serde(rename = "do")]
    what: &'a str,
    address: &'a str,
    lock: &'a str,
    /// Of waiters, of locks, or of those who share one.
    count: usize,
    sessions: usize,
    cycles: usize,
    session_millis: u64,
}

/// What it answers: how long it took, or why it did not do it.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    nanos: u64,
    #[serde(default)]
    doubt_nanos: u64,
    #[serde(default)]
    losses: u32,
    error: Option<String>,
}

pub(super) struct Peer {
    /// Ends with this.
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    pub(super) async fn start(mut command: Command, address: &str) -> Result<Self> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(Error::io(format!("start {name}")))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::OutOfOrder("talk to"));
        };
        let mut peer = Self { _child: child, orders, answers: BufReader::new(answers).lines() };
        let session_millis = u64::try_from(SESSION_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
        peer.tell(Order { what: "open", address, session_millis, ..Order::default() }).await?;
        Ok(peer)
    }

    async fn tell(&mut self, order: Order<'_>) -> Result<Duration> {
        Ok(Duration::from_nanos(self.ask(order).await?.nanos))
    }

    async fn ask(&mut self, order: Order<'_>) -> Result<Answer> {
        let mut line = serde_json::to_string(&order).map_err(|error| Error::Peer(error.to_string()))?;
        line.push('\n');
        self.orders.write_all(line.as_bytes()).await.map_err(Error::io("talk to another process"))?;
        let answer =
            timeout(PATIENCE, self.answers.next_line()).await.map_err(|_| Error::Late("what a peer was told"))?;
        let answer = answer.map_err(Error::io("hear from another process"))?;
        let answer = answer.ok_or_else(|| Error::Peer("it ended; what it said last is above".to_owned()))?;
        let answer: Answer =
            serde_json::from_str(&answer).map_err(|error| Error::Peer(format!("it said {answer:?}: {error}")))?;
        match answer.error {
            None => Ok(answer),
            Some(error) => Err(Error::Peer(error)),
        }
    }
}

#[async_trait]
impl Contender for Peer {
    async fn acquire(&mut self, lock: &str) -> Result<Duration> {
        self.tell(Order { what: "acquire", lock, ..Order::default() }).await
    }

    async fn release(&mut self) -> Result<Duration> {
        self.tell(Order { what: "release", ..Order::default() }).await
    }

    async fn attempt(&mut self, lock: &str) -> Result<Option<Duration>> {
        self.tell(Order { what: "attempt", lock, ..Order::default() }).await.map(Some)
    }

    async fn gather(&mut self, lock: &str, waiters: usize) -> Result<()> {
        self.tell(Order { what: "gather", lock, count: waiters, ..Order::default() }).await.map(drop)
    }

    async fn hand_over(&mut self) -> Result<Duration> {
        self.tell(Order { what: "hand_over", ..Order::default() }).await
    }

    async fn join(&mut self) -> Result<()> {
        self.tell(Order { what: "join", ..Order::default() }).await.map(drop)
    }

    async fn drain(&mut self) -> Result<Duration> {
        self.tell(Order { what: "drain", ..Order::default() }).await
    }

    async fn disperse(&mut self) -> Result<()> {
        self.tell(Order { what: "disperse", ..Order::default() }).await.map(drop)
    }

    async fn independent(&mut self, lock: &str, of: Independent, cycles: usize) -> Result<Duration> {
        let Independent { locks: count, sessions } = of;
        self.tell(Order { what: "independent", lock, count, sessions, cycles, ..Order::default() }).await
    }

    async fn mix(&mut self, lock: &str, tasks: usize, cycles: usize) -> Result<Option<Duration>> {
        self.tell(Order { what: "mix", lock, count: tasks, cycles, ..Order::default() }).await.map(Some)
    }

    async fn connect(&mut self) -> Result<Duration> {
        self.tell(Order { what: "connect", ..Order::default() }).await
    }

    async fn first_grant(&mut self, lock: &str) -> Result<Duration> {
        self.tell(Order { what: "first_grant", lock, ..Order::default() }).await
    }

    async fn disconnect(&mut self) -> Result<()> {
        self.tell(Order { what: "disconnect", ..Order::default() }).await.map(drop)
    }

    async fn endure(&mut self, lock: &str) -> Result<()> {
        self.tell(Order { what: "endure", lock, ..Order::default() }).await.map(drop)
    }

    async fn endured(&mut self) -> Result<Outage> {
        let answer = self.ask(Order { what: "endured", ..Order::default() }).await?;
        Ok(Outage {
            between_grants: Duration::from_nanos(answer.nanos),
            in_doubt: Some(Duration::from_nanos(answer.doubt_nanos)),
            losses: answer.losses,
        })
    }
}

/// Runs something that gets a peer ready; the error has what it said last.
pub(super) async fn prepare(mut command: Command) -> Result<()> {
    // Without the arguments, which may be a hundred paths.
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(PATIENCE, output).await.map_err(|_| Error::Late("getting a peer ready"))?;
    let output = output.map_err(Error::io(format!("run {name}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().next_back().unwrap_or_default();
    Err(Error::Missing(format!("{name} ended with {}: {last}", output.status)))
}
