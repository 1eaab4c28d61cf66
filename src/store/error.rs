//! The errors of stores, by what the protocol has to do about them.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::error::LossReason;

/// What a store's error means to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The node, or the parent of a node to be created, does not exist.
    NoNode,
    /// The node exists already.
    NodeExists,
    /// The node has children.
    NotEmpty,
    /// The node's version is another one.
    VersionMismatch,
    /// The session lacks the permission.
    NoPermission,
    /// The parent is ephemeral.
    EphemeralParent,
    /// A quota is exhausted.
    QuotaExceeded,
    /// The server serves reads only.
    ReadOnly,
    /// The server is overloaded and did not execute the request.
    Overloaded,
    /// The server or the store does not know the operation. It was not executed.
    Unsupported,
    /// The request itself was malformed. It was not executed.
    BadRequest,
    /// The session has ended. Whether the request was executed is of no matter any more: its ephemeral nodes go.
    Ended(LossReason),
    /// The outcome is unknown: the request may have been executed, now or later.
    Unknown,
}

/// An error of a [`Store`](super::Store).
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    index: Option<usize>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error of this kind.
    pub fn new(kind: StoreErrorKind) -> Self {
        Self { kind, index: None, source: None }
    }

    /// An error of this kind, caused by `source`.
    pub fn with_source(kind: StoreErrorKind, source: impl StdError + Send + Sync + 'static) -> Self {
        Self { kind, index: None, source: Some(Arc::new(source)) }
    }

    /// The same error, caused by the operation of a transaction with this index.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }

    /// What it means.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Which operation of a transaction failed.
    pub fn index(&self) -> Option<usize> {
        self.index
    }

    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Overloaded | StoreErrorKind::Unknown | StoreErrorKind::ReadOnly)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            StoreErrorKind::NoNode => f.write_str("no such node"),
            StoreErrorKind::NodeExists => f.write_str("the node exists already"),
            StoreErrorKind::NotEmpty => f.write_str("the node has children"),
            StoreErrorKind::VersionMismatch => f.write_str("the node has another version"),
            StoreErrorKind::NoPermission => f.write_str("no permission"),
            StoreErrorKind::EphemeralParent => f.write_str("the parent is ephemeral"),
            StoreErrorKind::QuotaExceeded => f.write_str("quota exceeded"),
            StoreErrorKind::ReadOnly => f.write_str("the server is read-only"),
            StoreErrorKind::Overloaded => f.write_str("the server is overloaded"),
            StoreErrorKind::Unsupported => f.write_str("the operation is not supported"),
            StoreErrorKind::BadRequest => f.write_str("the request is malformed"),
            StoreErrorKind::Ended(reason) => write!(f, "the session has ended: {reason}"),
            StoreErrorKind::Unknown => f.write_str("the outcome is unknown"),
        }?;
        if let Some(index) = self.index {
            write!(f, " (operation {index})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError").field("kind", &self.kind).field("source", &self.source).finish_non_exhaustive()
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<StoreErrorKind> for StoreError {
    fn from(kind: StoreErrorKind) -> Self {
        Self::new(kind)
    }
}
