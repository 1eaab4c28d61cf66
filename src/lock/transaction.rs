//! Writes to the store that are fenced by the store itself.

use crate::driver::Hold;
use crate::error::{Error, LossReason};
use crate::store::{Operation, StoreErrorKind};

/// What fits one request with the client's and servers' default `jute.maxbuffer` of 1 MiB, with room for headers.
const BYTES_MAX: usize = 1_000_000;

/// What an operation takes besides its path and data: header, lengths, access rights.
const OPERATION_BYTES: usize = 64;

/// Operations that the store executes in one transaction, all or none, and only while the guard's node exists.
///
/// A holder that was paused, cut off or expired cannot write any more, whatever its clock says: for data that lives
/// in ZooKeeper no fencing token is needed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), fairlock::Error> {
/// # use fairlock::{Fairlock, store::memory::Memory};
/// # let lock = Fairlock::builder().open(Memory::new()).await?.mutex("/a")?;
/// # let guard = lock.acquire().await?;
/// guard.transaction().create("/state", b"1").commit().await?;
/// guard.transaction().set_data("/state", b"2", None).commit().await?;
/// # guard.release().await }
/// ```
#[derive(Debug)]
#[must_use = "a transaction does nothing until it is committed"]
pub struct Transaction<'a> {
    hold: &'a Hold,
    operations: Vec<Operation>,
    /// Why it must not be executed.
    refusal: Option<&'static str>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(hold: &'a Hold) -> Self {
        Self { hold, operations: Vec::new(), refusal: None }
    }

    /// Creates a persistent node.
    pub fn create(mut self, path: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.operations.push(Operation::Create { path: path.into(), data: data.into() });
        self
    }

    /// Writes a node's data, if it has the given version, or whatever version it has.
    pub fn set_data(mut self, path: impl Into<String>, data: impl Into<Vec<u8>>, version: Option<i32>) -> Self {
        self.operations.push(Operation::SetData { path: path.into(), data: data.into(), version });
        self
    }

    /// Deletes a node, if it has the given version, or whatever version it has.
    pub fn delete(mut self, path: impl Into<String>, version: Option<i32>) -> Self {
        self.operations.push(Operation::Delete { path: path.into(), version });
        self
    }

    /// Checks that a node has the given version.
    pub fn check(mut self, path: impl Into<String>, version: i32) -> Self {
        self.operations.push(Operation::Check { path: path.into(), version });
        self
    }

    /// Checks that a node exists, whatever its version.
    pub fn check_exists(mut self, path: impl Into<String>) -> Self {
        self.operations.push(Operation::Exists { path: path.into() });
        self
    }

    /// Makes it one that is refused when it is committed.
    pub(crate) fn refused(mut self, reason: &'static str) -> Self {
        self.refusal = Some(reason);
        self
    }

    /// Executes the transaction.
    ///
    /// # Errors
    ///
    /// * [`Error::LockLost`] if the guard's node is gone; nothing was written,
    /// * [`Error::TransactionRefused`] with the first operation that did not hold; nothing was written,
    /// * [`Error::UnknownOutcome`] on connection loss, or if the session ended meanwhile: it may have been executed; read back
    ///   before repeating it,
    /// * [`Error::TooLarge`] if it exceeds 1,000,000 bytes, 64 counted for each operation besides its path and data;
    ///   nothing was sent.
    ///
    /// # Cancel safety
    ///
    /// A transaction that was sent is executed even if the future is dropped.
    pub async fn commit(self) -> Result<(), Error> {
        let path = self.hold.lock().as_str();
        if let Some(reason) = self.hold.loss() {
            return Err(Error::LockLost { path: path.to_owned(), reason });
        }
        if let Some(reason) = self.refusal {
            return Err(Error::InvalidConfig { reason: reason.into() });
        }
        let bytes = self.operations.iter().map(bytes_of).sum();
        if bytes > BYTES_MAX {
            return Err(Error::TooLarge { what: "the transaction", bytes, bytes_max: BYTES_MAX });
        }
        let session = self.hold.session();
        let Err(source) = session.write(session.store().commit(self.hold.node_path(), &self.operations)).await else {
            return Ok(());
        };
        Err(match (source.kind(), source.index()) {
            (StoreErrorKind::NoNode, Some(0)) => {
                Error::LockLost { path: path.to_owned(), reason: LossReason::NodeDeleted }
            }
            (_, Some(index)) if index > 0 => Error::TransactionRefused { index: index - 1, source },
            // The session ended with the request under way: nobody will say whether it was executed.
            (StoreErrorKind::Unknown | StoreErrorKind::Ended(_), _) => Error::UnknownOutcome { source },
            _ => Error::from_store("commit a transaction", path, source),
        })
    }
}

fn bytes_of(operation: &Operation) -> usize {
    let data = match operation {
        Operation::Create { data, .. } | Operation::SetData { data, .. } => data.len(),
        Operation::Delete { .. } | Operation::Check { .. } | Operation::Exists { .. } => 0,
    };
    operation.path().len() + data + OPERATION_BYTES
}
