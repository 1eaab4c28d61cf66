//! The fencing token: a number that only grows along the holders of a lock.

use std::fmt;

/// A number that rises with every grant of a lock and never goes back.
///
/// It rises in the order in which the contenders entered, which is the order in which they are granted. Where somebody
/// deletes a waiter's node by hand, or ends its session by force, it may be granted late, after its successor, if its
/// server lags behind; then it comes with the lower token that it has always had, and a resource that checks refuses it.
///
/// On ZooKeeper it is the transaction id (zxid) that created the holder's znode. The zxid orders all writes of an
/// ensemble and survives leader changes, server restarts and re-created lock directories, unlike the sequence number
/// in a znode's name, which starts again at 0 with a new directory (ZooKeeper's `PrepRequestProcessor` derives it
/// from the parent's change counter). Where a node comes in the place of another (a downgraded writer, a leadership that is
/// resumed), the token of the first stays.
///
/// Send the token along with every write to a resource that the lock protects, and let the resource refuse a token
/// lower than the highest it has seen. Only that makes side effects outside the store safe: a paused holder cannot
/// know that its lock has passed on.
///
/// Tokens of *different* locks of one ensemble are comparable but say nothing about each other.
///
/// ```
/// use fairlock::FencingToken;
/// let (older, newer) = (FencingToken::from(7), FencingToken::from(8));
/// assert!(newer > older);
/// assert_eq!(newer.as_i64(), 8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(i64);

impl FencingToken {
    /// The number itself. It is positive and fits a signed 64-bit column of a database.
    pub const fn as_i64(self) -> i64 {
        self.0
    }

    /// The same number, unsigned.
    pub const fn as_u64(self) -> u64 {
        self.0.cast_unsigned()
    }
}

impl From<i64> for FencingToken {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
