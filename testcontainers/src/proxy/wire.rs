//! What can be read from ZooKeeper's frames without knowing all of them: pure functions that never panic.

use std::fmt;

/// Frames above this are no frames: four ASCII letters read as a length are far above it.
const LARGEST_FRAME: usize = 64 << 20;

const XID_NOTIFICATION: i32 = -1;
const XID_PING: i32 = -2;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// A kind of request, by the operation code in its header.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Operation {
            $($(#[$doc])* $name,)*
            /// A code that is not in this list. A reply that belongs to no known request counts as `Other(0)`.
            Other(i32),
        }

        impl Operation {
            /// The operation with this code.
            #[must_use]
            pub fn from_code(code: i32) -> Self {
                match code {
                    $($code => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            /// The code of the operation.
            #[must_use]
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }
        }
    };
}

operations! {
    /// create, answered with the path.
    Create = 1,
    /// delete
    Delete = 2,
    /// exists
    Exists = 3,
    /// getData
    GetData = 4,
    /// setData
    SetData = 5,
    /// getACL
    GetAcl = 6,
    /// setACL
    SetAcl = 7,
    /// getChildren
    GetChildren = 8,
    /// sync
    Sync = 9,
    /// The heartbeat of a session.
    Ping = 11,
    /// getChildren, answered with the node's state too.
    GetChildren2 = 12,
    /// A version check; usually within a multi.
    Check = 13,
    /// A transaction.
    Multi = 14,
    /// create, answered with the path and the node's state.
    Create2 = 15,
    /// reconfig
    Reconfig = 16,
    /// checkWatches
    CheckWatches = 17,
    /// removeWatches
    RemoveWatches = 18,
    /// create of a container node.
    CreateContainer = 19,
    /// create of a node with a time to live.
    CreateTtl = 21,
    /// Several reads in one.
    MultiRead = 22,
    /// addAuthInfo
    Auth = 100,
    /// Sets watches again after a reconnect.
    SetWatches = 101,
    /// setWatches with the watches of addWatch.
    SetWatches2 = 105,
    /// addWatch
    AddWatch = 106,
    /// The handshake that opens a session, or resumes it on a new connection. It counts only in bytes and is not in the
    /// log, but traps may wait for it.
    CreateSession = -10,
    /// The end of a session.
    CloseSession = -11,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(code) => write!(f, "operation {code}"),
            known => f.pad(&format!("{known:?}")),
        }
    }
}

/// A kind of watch notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EventKind {
    /// The node came to be.
    NodeCreated,
    /// The node was deleted.
    NodeDeleted,
    /// The node's data changed.
    NodeDataChanged,
    /// A child was created or deleted.
    NodeChildrenChanged,
    /// Another one, by its number.
    Other(i32),
}

impl EventKind {
    pub(crate) fn from_code(code: i32) -> Self {
        match code {
            1 => Self::NodeCreated,
            2 => Self::NodeDeleted,
            3 => Self::NodeDataChanged,
            4 => Self::NodeChildrenChanged,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(code) => write!(f, "event {code}"),
            known => f.pad(&format!("{known:?}")),
        }
    }
}

/// What follows a length field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    Frame(usize),
    /// Not this protocol: a four-letter word, TLS or garbage.
    NoFrame,
}

pub(crate) fn length(field: [u8; 4]) -> Length {
    match usize::try_from(i32::from_be_bytes(field)) {
        Ok(length) if length <= LARGEST_FRAME => Length::Frame(length),
        _ => Length::NoFrame,
    }
}

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) xid: i32,
    pub(crate) operation: Operation,
    /// The path it is about; for a transaction that of its first part.
    pub(crate) path: Option<String>,
}

/// Parses a frame's content as a request; nothing if it is too short for one.
pub(crate) fn request(frame: &[u8]) -> Option<Request> {
    let mut rest = frame;
    let xid = int(&mut rest)?;
    let operation = Operation::from_code(int(&mut rest)?);
    let path = match operation {
        Operation::Ping
        | Operation::Auth
        | Operation::SetWatches
        | Operation::SetWatches2
        | Operation::CreateSession
        | Operation::CloseSession
        | Operation::Reconfig
        | Operation::Other(_) => None,
        // Before the first part's own fields: its type (4 bytes), whether it is the last (1), and an error (4).
        Operation::Multi | Operation::MultiRead => rest.get(9..).and_then(|mut part| text(&mut part)),
        _ => text(&mut rest),
    };
    Some(Request { xid, operation, path })
}

/// A frame from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FromServer {
    Reply { xid: i32, zxid: i64, err: i32 },
    Event { kind: EventKind, path: String },
}

/// Parses a frame's content as what a server sends; nothing if it is too short for that.
pub(crate) fn from_server(frame: &[u8]) -> Option<FromServer> {
    let mut rest = frame;
    let xid = int(&mut rest)?;
    let zxid = i64::from_be_bytes(take(&mut rest)?);
    let err = int(&mut rest)?;
    if xid != XID_NOTIFICATION {
        return Some(FromServer::Reply { xid, zxid, err });
    }
    let kind = EventKind::from_code(int(&mut rest)?);
    let _state = int(&mut rest)?;
    Some(FromServer::Event { kind, path: text(&mut rest)? })
}

/// A session as a server names it in its answer to the handshake: enough to take it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionKey {
    pub(crate) id: i64,
    password: Vec<u8>,
}

/// Parses a frame's content as a server's answer to the handshake; nothing if it grants no session.
pub(crate) fn session(frame: &[u8]) -> Option<SessionKey> {
    let mut rest = frame;
    let [_version, _timeout] = [int(&mut rest)?, int(&mut rest)?];
    let id = i64::from_be_bytes(take(&mut rest)?);
    let length = usize::try_from(int(&mut rest)?).ok()?;
    let password = rest.get(..length)?.to_vec();
    (id != 0).then_some(SessionKey { id, password })
}

/// The whole frames that take a session over and close it.
pub(crate) fn take_over_and_close(session: &SessionKey) -> Vec<u8> {
    let mut hello = Vec::new();
    hello.extend(0_i32.to_be_bytes());
    hello.extend(0_i64.to_be_bytes());
    hello.extend(4_000_i32.to_be_bytes());
    hello.extend(session.id.to_be_bytes());
    hello.extend(i32::try_from(session.password.len()).unwrap_or_default().to_be_bytes());
    hello.extend(&session.password);
    hello.push(0);
    let close = [1, Operation::CloseSession.code()].map(i32::to_be_bytes).concat();
    let mut frames = Vec::new();
    for body in [hello, close] {
        frames.extend(i32::try_from(body.len()).unwrap_or_default().to_be_bytes());
        frames.extend(body);
    }
    frames
}

/// A whole frame that answers a ping.
pub(crate) fn answer_to_ping(zxid: i64) -> Vec<u8> {
    let mut frame = Vec::with_capacity(20);
    frame.extend(16_i32.to_be_bytes());
    frame.extend(XID_PING.to_be_bytes());
    frame.extend(zxid.to_be_bytes());
    frame.extend(0_i32.to_be_bytes());
    frame
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn int(rest: &mut &[u8]) -> Option<i32> {
    take(rest).map(i32::from_be_bytes)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(int(rest)?).ok()?;
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(String::from_utf8_lossy(head).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Vec<u8> {
        let mut bytes = i32::try_from(text.len()).expect("short").to_be_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes
    }

    fn ints(numbers: &[i32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn event(kind: i32, path: &str) -> Vec<u8> {
        [ints(&[-1, -1, -1, 0, kind, 3]), string(path)].concat()
    }

    #[test]
    fn requests_give_operation_and_path() {
        let frame = [ints(&[7, 15]), string("/a/b"), vec![0; 10]].concat();
        let expected = Request { xid: 7, operation: Operation::Create2, path: Some("/a/b".to_owned()) };
        assert_eq!(request(&frame), Some(expected));

        let ping = Request { xid: -2, operation: Operation::Ping, path: None };
        assert_eq!(request(&ints(&[-2, 11])), Some(ping));

        let multi = [ints(&[8, 14, 2]), vec![0], ints(&[-1]), string("/first"), ints(&[-1])].concat();
        assert_eq!(request(&multi).and_then(|request| request.path).as_deref(), Some("/first"));
    }

    #[test]
    fn replies_and_events_are_told_apart() {
        let reply = [ints(&[7]), 42_i64.to_be_bytes().to_vec(), ints(&[-101])].concat();
        assert_eq!(from_server(&reply), Some(FromServer::Reply { xid: 7, zxid: 42, err: -101 }));
        let expected = FromServer::Event { kind: EventKind::NodeDeleted, path: "/x".to_owned() };
        assert_eq!(from_server(&event(2, "/x")), Some(expected));
    }

    #[test]
    fn lengths_that_are_none_are_noticed() {
        assert_eq!(length(44_i32.to_be_bytes()), Length::Frame(44));
        assert_eq!(length(0_i32.to_be_bytes()), Length::Frame(0));
        assert_eq!(length(*b"ruok"), Length::NoFrame);
        assert_eq!(length((-1_i32).to_be_bytes()), Length::NoFrame);
        assert_eq!(length(i32::MAX.to_be_bytes()), Length::NoFrame);
    }

    #[test]
    fn broken_frames_give_what_they_hold_and_never_panic() {
        let lying = [ints(&[1, 1, i32::MAX]), b"/a".to_vec()].concat();
        assert_eq!(request(&lying).map(|request| request.path), Some(None));
        let negative = ints(&[1, 1, -1]);
        assert_eq!(request(&negative).map(|request| request.path), Some(None));

        let whole = event(4, "/cut/anywhere");
        for end in 0..whole.len() {
            assert!(from_server(&whole[..end]).is_none(), "{end}");
        }
        // A simple generator is enough to fill frames of every length with arbitrary bytes.
        let mut state = 1_u32;
        for size in 0..2_000 {
            let garbage: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .take(size % 97)
            .collect();
            let _ = request(&garbage);
            let _ = from_server(&garbage);
        }
    }

    #[test]
    fn an_answered_ping_is_a_whole_frame() {
        let frame = answer_to_ping(9);
        assert_eq!(frame[..4], 16_i32.to_be_bytes());
        assert_eq!(from_server(&frame[4..]), Some(FromServer::Reply { xid: -2, zxid: 9, err: 0 }));
    }

    #[test]
    fn a_granted_session_is_read_and_a_refused_one_is_none() {
        let answer = |id: i64| [ints(&[0, 4_000]), id.to_be_bytes().to_vec(), ints(&[2]), vec![7, 8], vec![0]].concat();
        assert_eq!(session(&answer(5)), Some(SessionKey { id: 5, password: vec![7, 8] }));
        assert_eq!(session(&answer(0)), None);
        for end in 0..22 {
            assert_eq!(session(&answer(5)[..end]), None, "{end}");
        }
    }

    #[test]
    fn codes_go_both_ways() {
        for code in -20..120 {
            assert_eq!(Operation::from_code(code).code(), code);
        }
    }
}
