//! Values: plain persistent nodes with data and a version.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::token::FencingToken;

/// A value as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its data.
    pub data: Vec<u8>,
    /// How often it was written in this life: it starts again when the value is deleted and made anew.
    pub version: i32,
    /// The token of its creation, which tells one life from another.
    pub token: FencingToken,
    /// The token of its last write.
    pub modified: FencingToken,
}

/// A value as read, with a watch in place.
pub struct WatchedValue {
    /// The value; `None` if there is none.
    pub value: Option<Value>,
    /// Resolves once, at the next write, creation or deletion, or when the session ends. What happens while the
    /// connection is interrupted is told after the reconnect, as a difference: a value that is as absent as before, or
    /// was not written to, is none. It may resolve without a change that shows. Dropping it removes the watch.
    pub event: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl fmt::Debug for WatchedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedValue").field("value", &self.value).finish_non_exhaustive()
    }
}

/// What a write of a value expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// No value: make it.
    Absent,
    /// A value of this version. Versions are compared, not lives. -1 is refused as a
    /// [`BadRequest`](super::StoreErrorKind::BadRequest), since ZooKeeper takes it for any version.
    Version(i32),
    /// A value of whatever version, or a node that counts as none because it has no data: it becomes one.
    Any,
}
