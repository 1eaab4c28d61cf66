//! Contenders in other languages, or with other needs: a program that is told by lines of JSON what to do, and answers each with a line.
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

/// What it answers: how long it took, or how many there are, or why it did not do it; none of them, if there is no such
/// thing with it.
#[derive(Debug, Deserialize)]
struct Answer {
    nanos: Option<u64>,
    count: Option<usize>,
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

    /// Tells it what takes time.
    async fn tell(&mut self, order: Order<'_>) -> Result<Duration> {
        let what = order.what.to_owned();
        let nanos = self.ask(order).await?.nanos;
        nanos.map(Duration::from_nanos).ok_or_else(|| Error::Peer(format!("it does not say how long “{what}” took")))
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
        let answer = self.ask(Order { what: "attempt", lock, ..Order::default() }).await?;
        Ok(answer.nanos.map(Duration::from_nanos))
    }

    async fn gather(&mut self, lock: &str, waiters: usize) -> Result<()> {
        self.tell(Order { what: "gather", lock, count: waiters, ..Order::default() }).await.map(drop)
    }

    async fn queued(&mut self) -> Result<usize> {
        let answer = self.ask(Order { what: "queued", ..Order::default() }).await?;
        answer.count.ok_or_else(|| Error::Peer("it does not say how many wait".to_owned()))
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
        let answer = self.ask(Order { what: "mix", lock, count: tasks, cycles, ..Order::default() }).await?;
        Ok(answer.nanos.map(Duration::from_nanos))
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
        let nanos =
            answer.nanos.ok_or_else(|| Error::Peer("it does not say how long nothing was granted".to_owned()))?;
        Ok(Outage {
            between_grants: Duration::from_nanos(nanos),
            in_doubt: Some(Duration::from_nanos(answer.doubt_nanos)),
            losses: answer.losses,
        })
    }
}

/// Runs something that gets a peer ready; the error has what it said last.
pub(crate) async fn prepare(command: Command) -> Result<()> {
    prepare_within(PATIENCE, command).await
}

pub(super) async fn prepare_within(patience: Duration, mut command: Command) -> Result<()> {
    // Without the arguments, which may be a hundred paths.
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(patience, output).await.map_err(|_| Error::Late("getting a peer ready"))?;
    let output = output.map_err(Error::io(format!("run {name}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().next_back().unwrap_or_default();
    Err(Error::Missing(format!("{name} ended with {}: {last}", output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that answers each order with a line of this.
    async fn saying(lines: &str) -> Result<Peer> {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            r#"exec 3<&0; printf '%s\n' "$1" | while read -r line; do read -r _ <&3; echo "$line"; done"#,
            "sh",
            lines,
        ]);
        Peer::start(command, "nowhere").await
    }

    #[tokio::test]
    async fn a_peer_that_speaks_nonsense_is_told_with_what_it_said() {
        let error = saying("Traceback (most recent call last)").await.err().expect("no peer");
        assert!(error.to_string().starts_with("it said \"Traceback (most recent call last)\": "), "{error}");
        let error = saying("{}").await.err().expect("no time");
        assert_eq!(error.to_string(), "it does not say how long “open” took");
        let error = saying(r#"{"error":"no session"}"#).await.err().expect("an error");
        assert_eq!(error.to_string(), "no session");
        let error = Peer::start(Command::new("no-such-program"), "nowhere").await.err().expect("no program");
        assert!(error.to_string().starts_with("start no-such-program: "), "{error}");
    }

    #[tokio::test]
    async fn a_peer_says_how_long_it_took_and_how_many_there_are_and_then_it_ends() {
        let lines = [r#"{"nanos":0}"#, r#"{"nanos":7}"#, r#"{"count":65}"#, "{}", "{}"].join("\n");
        let mut peer = saying(&lines).await.expect("a peer");
        assert_eq!(peer.acquire("a").await.expect("a time"), Duration::from_nanos(7));
        assert_eq!(peer.queued().await.expect("a count"), 65);
        assert_eq!(peer.attempt("a").await.expect("an answer"), None, "there is no trying");
        assert!(peer.queued().await.is_err(), "no count");
        let error = peer.release().await.expect_err("it has ended");
        assert!(matches!(error, Error::Peer(_) | Error::Io { .. }), "{error}");
    }
}
