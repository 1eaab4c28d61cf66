//! What clients and the runner say to each other: one JSON object a line, over a local connection per client and lock.
//!
//! A line that was sent is kept by the system even if its sender is killed, so a killed client loses nothing that it
//! had reported.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// What a client has seen of one guard, in nanoseconds on the clock that all processes of the host share.
///
/// Each reading of the clock was taken *before* the guard was asked whether it is valid. So if it said yes, it was valid
/// at the time that was read, however long the process was stopped in between; and since a guard that is not valid never
/// becomes so again, it was valid from the grant up to then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// The first reading, right after the grant.
    pub(crate) granted: u64,
    /// The last reading after which the guard was valid; none if it never was.
    pub(crate) valid: Option<u64>,
    /// The last reading, whatever the guard said.
    pub(crate) used: u64,
}

/// From a client. Only `Read` and `Write` are answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    Hello {
        client: usize,
        incarnation: u64,
        lock: usize,
    },
    Read {
        token: i64,
        span: Span,
    },
    Write {
        token: i64,
        span: Span,
        value: u64,
    },
    /// The guard is released or dropped.
    Ended {
        token: i64,
        span: Span,
        /// Whether the client was told that its write was accepted.
        acknowledged: bool,
        /// Why the lock was lost, if the client was told so.
        lost: Option<String>,
    },
    /// An acquisition was not granted.
    NotGranted {
        why: String,
        /// Whether the error says that a repetition is in vain.
        hopeless: bool,
    },
}

/// To a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Value(u64),
    Accepted,
    /// The token was lower than one seen before.
    Refused,
}

/// Lines in both directions.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    line: String,
}

impl Lines {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Only a delay would come of its failure.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer, line: String::new() }
    }

    /// The next one; none at the end of the connection. A line that was cut off by the death of its sender is no line.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, String> {
        self.line.clear();
        let read = self.reader.read_line(&mut self.line).await;
        if read.is_err() || !self.line.ends_with('\n') {
            return Ok(None);
        }
        serde_json::from_str(&self.line).map(Some).map_err(|error| format!("{error} in {:?}", self.line))
    }

    pub(crate) async fn send(&mut self, message: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::net::TcpListener;

    #[tokio::test]
    async fn whole_lines_arrive_from_a_sender_that_died_and_half_a_line_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let report = Report::Hello { client: 1, incarnation: 2, lock: 3 };
        let mut sender = Lines::new(TcpStream::connect(address).await.expect("accepted"));
        sender.send(&report).await.expect("sent");
        sender.writer.write_all(b"{\"Hel").await.expect("sent");
        drop(sender);
        let (stream, _) = listener.accept().await.expect("called");
        let mut receiver = Lines::new(stream);
        assert_eq!(receiver.next::<Report>().await, Ok(Some(report)));
        assert_eq!(receiver.next::<Report>().await, Ok(None));
    }
}
