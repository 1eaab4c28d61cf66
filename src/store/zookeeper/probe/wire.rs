//! One connection to one server, spoken by hand: the client goes on to other servers, and gives up before a short session
//! timeout that it asks for itself.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const EXISTS: i32 = 3;
const SYNC: i32 = 9;
const CLOSE_SESSION: i32 = -11;

const NO_NODE: i32 = -101;
const NOT_READ_ONLY: i32 = -119;

/// The length of what stands before every answer but that to the request for a session.
const REPLY_HEADER_BYTES: usize = 16;

const PASSWORD_BYTES: usize = 16;

/// Answers to what is asked here are far shorter.
const FRAME_BYTES_MAX: usize = 64 * 1_024;

#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    xid: i32,
    /// The session timeout that was granted.
    pub(super) timeout: Duration,
    /// Whether the server is cut off from its quorum and serves reads only.
    pub(super) is_read_only: bool,
}

impl Wire {
    /// Opens a session that asks for this timeout. The caller bounds the time, and closes the session.
    pub(super) async fn open(target: &str, timeout: Duration) -> Result<Self> {
        let mut stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let mut request = Vec::new();
        request.extend(0_i32.to_be_bytes()); // protocol version
        request.extend(0_i64.to_be_bytes()); // last transaction seen
        request.extend(millis.to_be_bytes());
        request.extend(0_i64.to_be_bytes()); // no session yet
        request.extend(length(PASSWORD_BYTES).to_be_bytes());
        request.extend([0; PASSWORD_BYTES]);
        request.push(1); // read-only is welcome
        send(&mut stream, &request).await?;
        let reply = receive(&mut stream).await?;
        let mut reply = &reply[..];
        // A server that is read-only opens only sessions that are its own affair (`localSessionsEnabled`), and refuses others
        // as it refuses a write.
        if reply.len() == REPLY_HEADER_BYTES && reply.ends_with(&NOT_READ_ONLY.to_be_bytes()) {
            return Err(Error::new(ErrorKind::ReadOnlyFilesystem, "the server is read-only"));
        }
        let _protocol_version = take_i32(&mut reply)?;
        let granted = take_i32(&mut reply)?;
        let _session = take::<8>(&mut reply)?;
        let password = usize::try_from(take_i32(&mut reply)?).unwrap_or(0);
        // Servers before 3.4 say nothing behind the password.
        let is_read_only = reply.get(password).is_some_and(|flag| *flag != 0);
        match u64::try_from(granted) {
            Ok(granted @ 1..) => Ok(Self { stream, xid: 0, timeout: Duration::from_millis(granted), is_read_only }),
            _ => Err(Error::other("the server refused a session")),
        }
    }

    /// Whether a node exists, as this server knows; the path is absolute, without a chroot.
    pub(super) async fn exists(&mut self, path: &str) -> Result<bool> {
        let mut body = text(path);
        body.push(0); // no watch
        match self.request(EXISTS, &body).await? {
            0 => Ok(true),
            NO_NODE => Ok(false),
            code => Err(refusal(code)),
        }
    }

    /// Lets the server catch up with its leader.
    pub(super) async fn sync(&mut self) -> Result<()> {
        match self.request(SYNC, &text("/")).await? {
            0 => Ok(()),
            code => Err(refusal(code)),
        }
    }

    /// Ends the session, rather than let it expire.
    pub(super) async fn close(mut self) -> Result<()> {
        self.request(CLOSE_SESSION, &[]).await.map(|_| ())
    }

    /// Sends a request; gives the code of the answer.
    async fn request(&mut self, operation: i32, body: &[u8]) -> Result<i32> {
        self.xid += 1;
        let mut request = Vec::new();
        request.extend(self.xid.to_be_bytes());
        request.extend(operation.to_be_bytes());
        request.extend(body);
        send(&mut self.stream, &request).await?;
        let reply = receive(&mut self.stream).await?;
        let mut reply = &reply[..];
        let (xid, _zxid, code) = (take_i32(&mut reply)?, take::<8>(&mut reply)?, take_i32(&mut reply)?);
        if xid != self.xid {
            return Err(Error::new(ErrorKind::InvalidData, "the server answered another request"));
        }
        Ok(code)
    }
}

fn refusal(code: i32) -> Error {
    Error::other(format!("the server answered with error {code}"))
}

fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = length(text.len()).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

async fn send(stream: &mut TcpStream, frame: &[u8]) -> Result<()> {
    let mut bytes = length(frame.len()).to_be_bytes().to_vec();
    bytes.extend(frame);
    stream.write_all(&bytes).await
}

async fn receive(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let length = stream.read_i32().await.map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"),
        _ => error,
    })?;
    let length = usize::try_from(length).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| Error::new(ErrorKind::InvalidData, "no frame of ZooKeeper's protocol"))?;
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

fn take_i32(bytes: &mut &[u8]) -> Result<i32> {
    take(bytes).map(i32::from_be_bytes)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (first, rest) = bytes
        .split_first_chunk()
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, "the answer is too short for ZooKeeper's protocol"))?;
    *bytes = rest;
    Ok(*first)
}
