//! The requests of a session as they travel: owned, with one answer each.

use std::sync::Weak;

use fairlock::queue::{Mode, Sequence};
use fairlock::store::{Change, Departure, Entered, Expected, Node, Operation, OwnNode, StoreError, Value};
use fairlock::{LockPath, QueuePath};
use tokio::sync::oneshot;
use tokio::task;

/// A request on its way.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) call: Call,
    pub(super) reply: oneshot::Sender<Reply>,
    /// When the connection began on which it was sent.
    pub(super) connected_at: u64,
    /// The task that sent it: each attempt is one.
    pub(super) sender: Option<task::Id>,
}

pub(super) type Reply = Result<Answer, StoreError>;

/// What is asked for: the methods of a store's session.
#[derive(Debug)]
pub(super) enum Call {
    Enter { queue: QueuePath, mode: Mode, ticket: Vec<u8> },
    MakeQueue { queue: QueuePath },
    Survey { queue: QueuePath },
    FindOwn { queue: QueuePath, ticket: Vec<u8> },
    Inspect { queue: QueuePath, name: String },
    Watch { queue: QueuePath, name: String, asker: Weak<()> },
    WatchMembers { queue: QueuePath, asker: Weak<()> },
    Leave { queue: QueuePath, name: String, departure: Departure },
    Replace { queue: QueuePath, old: Sequence, mode: Mode, ticket: Vec<u8> },
    WriteBarrier,
    Touch,
    Commit { own: String, operations: Vec<Operation> },
    ReadValue { path: LockPath },
    WatchValue { path: LockPath, asker: Weak<()> },
    WriteValue { path: LockPath, data: Vec<u8>, expected: Expected },
    Children { path: Option<LockPath> },
}

/// A watch that was placed.
#[derive(Debug)]
pub(super) struct Watching {
    pub(super) node: Node,
    pub(super) event: oneshot::Receiver<Change>,
    /// Whether the event, once it is there, escapes the first look at it: on several threads it may come just after.
    pub(super) escapes_first_look: bool,
}

/// What is answered.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Entered(Entered),
    Names(Vec<String>),
    Own(Vec<OwnNode>),
    Node(Option<Node>),
    Watched(Option<Watching>),
    WatchedMembers(Vec<String>, oneshot::Receiver<Change>),
    Value(Option<Value>),
    WatchedValue(Option<Value>, oneshot::Receiver<Change>),
    Version(i32),
    Replaced(OwnNode),
}

/// A request by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CallKind {
    Enter,
    MakeQueue,
    Survey,
    FindOwn,
    Inspect,
    Watch,
    WatchMembers,
    Leave,
    Replace,
    WriteBarrier,
    Touch,
    Commit,
    ReadValue,
    WatchValue,
    WriteValue,
    Children,
}

impl CallKind {
    /// Whether it goes through the leader: then everything that was sent before it is settled.
    pub(super) fn is_write(self) -> bool {
        matches!(
            self,
            CallKind::Enter
                | CallKind::MakeQueue
                | CallKind::Leave
                | CallKind::Replace
                | CallKind::WriteBarrier
                | CallKind::Commit
                | CallKind::WriteValue
        )
    }
}

impl Call {
    /// The node that it is about.
    pub(super) fn name(&self) -> String {
        match self {
            Call::Inspect { name, .. } | Call::Watch { name, .. } | Call::Leave { name, .. } => name.clone(),
            Call::Replace { old, .. } => old.node_name(),
            Call::Commit { own, .. } => own.clone(),
            Call::ReadValue { path } | Call::WatchValue { path, .. } | Call::WriteValue { path, .. } => {
                path.to_string()
            }
            _ => String::new(),
        }
    }

    pub(super) fn kind(&self) -> CallKind {
        match self {
            Call::Enter { .. } => CallKind::Enter,
            Call::MakeQueue { .. } => CallKind::MakeQueue,
            Call::Survey { .. } => CallKind::Survey,
            Call::FindOwn { .. } => CallKind::FindOwn,
            Call::Inspect { .. } => CallKind::Inspect,
            Call::Watch { .. } => CallKind::Watch,
            Call::WatchMembers { .. } => CallKind::WatchMembers,
            Call::Leave { .. } => CallKind::Leave,
            Call::Replace { .. } => CallKind::Replace,
            Call::WriteBarrier => CallKind::WriteBarrier,
            Call::Touch => CallKind::Touch,
            Call::Commit { .. } => CallKind::Commit,
            Call::ReadValue { .. } => CallKind::ReadValue,
            Call::WatchValue { .. } => CallKind::WatchValue,
            Call::WriteValue { .. } => CallKind::WriteValue,
            Call::Children { .. } => CallKind::Children,
        }
    }
}
